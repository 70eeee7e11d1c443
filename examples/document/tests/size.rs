//! Documents stay as small as what is in them, however much was written and deleted.

use std::time::Duration;

use super::peer::Peer;
use super::sync::rows;
use super::{in_world, text};

#[test]
fn a_document_does_not_grow_with_its_edits() {
    const SENTENCE: &str = "the quick brown fox jumps over the lazy dog";
    in_world(async |world| {
        let mut ada = Peer::open(world, 1).await;
        ada.insert(0, "kept. ").await;
        let mut largest = 0;
        for _ in 0..40 {
            for (at, letter) in (6..).zip(SENTENCE.chars()) {
                ada.insert(at, &letter.to_string()).await;
            }
            ada.delete(6, 43).await;
            let bytes: usize = rows(world).await.iter().map(|(_, size)| size).sum();
            largest = largest.max(bytes);
        }
        // 1,760 updates of some 25 bytes; 200 of them wait for their snapshot at most.
        assert!(largest < 8 * 1024, "{largest} bytes stored");
        for _ in 0..201 {
            ada.insert(0, "x").await;
            ada.delete(0, 1).await;
        }
        let snapshot: usize = rows(world)
            .await
            .iter()
            .filter(|(key, _)| key.starts_with("s/"))
            .map(|(_, size)| size)
            .sum();
        assert!(
            snapshot < 512,
            "a snapshot of six characters has {snapshot} bytes"
        );
        world.crash().await;
        assert_eq!(text(world).await, "kept. ");
    });
}

/// Everybody who comes writes under a number of their own.
#[test]
fn many_writers_cost_little() {
    in_world(async |world| {
        for client in 1..=300 {
            let mut writer = Peer::open(world, client).await;
            writer.insert(0, "some words").await;
            writer.delete(0, 10).await;
        }
        world.advance(Duration::from_secs(700)).await;
        let bytes: usize = rows(world).await.iter().map(|(_, size)| size).sum();
        assert!(bytes < 300 * 100, "{bytes} bytes stored");
        assert_eq!(text(world).await, "");
    });
}

#[test]
fn a_document_of_a_megabyte_is_opened_whole() {
    in_world(async |world| {
        let mut ada = Peer::open(world, 1).await;
        let page = "0123456789abcdef".repeat(64 * 1024);
        ada.insert(0, &page).await;
        world.crash().await;
        assert_eq!(Peer::open(world, 2).await.text(), page);
    });
}
