//! Documents: what one client writes, every other one reads, and it survives.

use std::collections::BTreeSet;
use std::ops::Bound;

use abide_actors::CallError;
use abide_actors::testing::World;
use abide_storage::{Direction, Scan, Section, Store};
use yrs::sync::{Message, SyncMessage};

use super::peer::Peer;
use super::{in_world, text, updates};
use crate::document::Document;

async fn append(world: &World, addition: &str) -> Result<(), CallError> {
    world
        .actor::<Document>("notes")
        .append(addition.to_owned(), None)
        .await
}

/// Keys and sizes of what is stored.
pub(super) async fn rows(world: &World) -> Vec<(String, usize)> {
    let rows = stored(world).await.into_iter();
    rows.map(|(key, row)| (key, row.len())).collect()
}

/// What is stored under a key.
pub(super) async fn row(world: &World, key: &str) -> Vec<u8> {
    let rows = stored(world).await.into_iter();
    rows.filter(|(at, _)| at == key)
        .flat_map(|(_, row)| row)
        .collect()
}

async fn stored(world: &World) -> Vec<(String, Vec<u8>)> {
    let target = world.runtime().target("document", "notes").unwrap();
    let all = Scan {
        section: Section::Data,
        start: Bound::Unbounded,
        end: Bound::Unbounded,
        direction: Direction::Forward,
        limit: usize::MAX,
    };
    let rows = world.store().scan(&target.object, all).await.unwrap();
    rows.iter()
        .map(|(key, row)| (String::from_utf8_lossy(key).into_owned(), row.to_vec()))
        .collect()
}

#[test]
fn clients_read_what_others_write_and_so_do_those_who_come_later() {
    in_world(async |world| {
        let (mut ada, mut bob) = (Peer::open(world, 1).await, Peer::open(world, 2).await);
        ada.insert(0, "hello wörld 😀").await;
        bob.listen().await;
        bob.insert(5, ",").await;
        ada.listen().await;
        let later = Peer::open(world, 3).await;
        for read in [ada.text(), bob.text(), later.text(), text(world).await] {
            assert_eq!(read, "hello, wörld 😀");
        }
        assert_eq!(
            (ada.updates, bob.updates),
            (1, 1),
            "nobody hears their own changes"
        );
    });
}

#[test]
fn a_document_survives_a_crash_and_its_clients_bring_what_it_missed() {
    in_world(async |world| {
        let mut ada = Peer::open(world, 1).await;
        ada.insert(0, "durable").await;
        world.crash().await;
        assert_eq!(text(world).await, "durable");
        ada.insert_silently(7, ", and offline");
        ada.reconnect(world).await;
        assert_eq!(text(world).await, "durable, and offline");
    });
}

#[test]
fn a_known_change_is_neither_stored_nor_told_again() {
    in_world(async |world| {
        let (mut ada, mut bob) = (Peer::open(world, 1).await, Peer::open(world, 2).await);
        let change = ada.insert_silently(0, "once");
        for _ in 0..3 {
            ada.say(Message::Sync(SyncMessage::Update(change.clone())))
                .await;
        }
        ada.reconnect(world).await;
        bob.listen().await;
        assert_eq!((updates(world).await, bob.updates), (1, 1));
    });
}

#[test]
fn a_change_that_comes_before_the_one_it_follows_is_kept_until_that_comes() {
    in_world(async |world| {
        let (mut ada, mut bob) = (Peer::open(world, 1).await, Peer::open(world, 2).await);
        let first = ada.insert_silently(0, "first ");
        let second = ada.insert_silently(6, "second");
        bob.say(Message::Sync(SyncMessage::Update(second))).await;
        assert_eq!(text(world).await, "");
        world.crash().await;
        bob.reconnect(world).await;
        bob.say(Message::Sync(SyncMessage::Update(first))).await;
        assert_eq!(text(world).await, "first second");
        world.crash().await;
        assert_eq!(text(world).await, "first second");
        assert_eq!(Peer::open(world, 3).await.text(), "first second");
    });
}

#[test]
fn what_a_backend_appends_is_seen_by_editors() {
    in_world(async |world| {
        let mut ada = Peer::open(world, 1).await;
        ada.insert(0, "from a person").await;
        append(world, ", and a program").await.unwrap();
        ada.listen().await;
        assert_eq!(ada.text(), "from a person, and a program");
        world.crash().await;
        append(world, ", twice").await.unwrap();
        assert_eq!(text(world).await, "from a person, and a program, twice");
        let other = world
            .actor::<Document>("notes")
            .text(Some("elsewhere".to_owned()))
            .await;
        assert_eq!(other.unwrap(), "");
    });
}

#[test]
fn many_updates_become_a_snapshot_with_the_same_text() {
    in_world(async |world| {
        let mut ada = Peer::open(world, 1).await;
        for at in 0..201 {
            ada.insert(at, "x").await;
        }
        assert_eq!(updates(world).await, 0);
        ada.insert(201, "y").await;
        let kinds: Vec<_> = rows(world).await.into_iter().map(|(key, _)| key).collect();
        assert_eq!(kinds, [format!("p/{:020}", 201), format!("s/{:020}", 0)]);
        world.crash().await;
        assert_eq!(text(world).await, "x".repeat(201) + "y");
        assert_eq!(Peer::open(world, 2).await.text(), "x".repeat(201) + "y");
    });
}

#[test]
fn a_large_snapshot_is_stored_in_pieces_and_a_smaller_one_leaves_none_behind() {
    in_world(async |world| {
        let mut ada = Peer::open(world, 1).await;
        let page = "0123456789abcdef".repeat(8 * 1024);
        ada.insert(0, &page).await;
        ada.insert(0, &page).await;
        let pieces = rows(world).await;
        assert_eq!(pieces.len(), 5, "{pieces:?}");
        assert!(
            pieces
                .iter()
                .all(|(key, size)| key.starts_with("s/") && *size <= 64 * 1024)
        );
        world.crash().await;
        assert_eq!(text(world).await, page.repeat(2));

        ada.reconnect(world).await;
        ada.clear().await;
        // The longer the document, the more updates wait for its next snapshot.
        for at in 0..999 {
            ada.insert(at, "x").await;
        }
        assert_eq!(updates(world).await, 1_000);
        ada.insert(999, "y").await;
        assert_eq!(updates(world).await, 0);
        let kinds: BTreeSet<_> = rows(world).await.into_iter().map(|(key, _)| key).collect();
        let pieces = kinds.iter().filter(|key| key.starts_with("s/"));
        assert_eq!((pieces.count(), kinds.len()), (1, 1), "{kinds:?}");
        world.crash().await;
        assert_eq!(text(world).await, "x".repeat(999) + "y");
    });
}

#[test]
fn a_snapshot_that_cannot_be_committed_leaves_everything_as_it_was() {
    in_world(async |world| {
        let mut ada = Peer::open(world, 1).await;
        let mut bob = Peer::open(world, 2).await;
        for at in 0..200 {
            ada.insert(at, "x").await;
        }
        bob.listen().await;
        world.store().refuse_writes(Some("the disk is full"));
        ada.insert(200, "lost").await;
        world.store().refuse_writes(None);
        assert_eq!(text(world).await, "x".repeat(200));
        assert_eq!(updates(world).await, 200);
        bob.listen().await;
        assert_eq!(
            bob.text(),
            "x".repeat(200),
            "what is not durable was not told"
        );
        // The client still has what it wrote, and brings it when it comes back.
        ada.reconnect(world).await;
        assert_eq!(text(world).await, "x".repeat(200) + "lost");
    });
}

/// In one frame that could hold nothing else, and in one that nobody even looks into.
#[test]
fn what_no_document_holds_is_refused_for_good() {
    in_world(async |world| {
        for (client, mib) in [(1, 2), (2, 7)] {
            let mut ada = Peer::open(world, client).await;
            ada.insert(0, &"x".repeat(mib << 20)).await;
            assert_eq!(ada.closed().await.code, 4413, "{mib} MiB");
        }
        assert_eq!(text(world).await, "");
        let mut bob = Peer::open(world, 3).await;
        let most = "x".repeat(1_400 << 10);
        bob.insert(0, &most).await;
        assert_eq!(text(world).await, most);
    });
}

#[test]
fn a_document_that_is_full_refuses_more_and_stays_readable() {
    in_world(async |world| {
        let mut ada = Peer::open(world, 1).await;
        let page = "x".repeat(500 * 1024);
        for _ in 0..3 {
            ada.insert(0, &page).await;
        }
        ada.insert(0, &page).await;
        assert_eq!(ada.closed().await.code, 4413);
        let Err(CallError::Actor(refusal)) = append(world, &page).await else {
            panic!("it fits")
        };
        assert_eq!(
            (&*refusal.code, refusal.status),
            ("document-too-large", 413)
        );
        assert_eq!(Peer::open(world, 2).await.text().len(), 3 * page.len());
        append(world, "!").await.unwrap();
    });
}
