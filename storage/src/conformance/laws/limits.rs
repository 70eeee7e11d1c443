//! Sizes of commits and values, and room for them.

use bytes::Bytes;

use super::{activate, all, delete, get, scan};
use crate::batch::Section;
use crate::conformance::{Fixture, object, put};
use crate::id::Version;
use crate::store::{CommitError, Effect, Scan};

/// A commit above the limit is refused before anything is written; the next one may be smaller.
pub async fn too_large_commits_leave_no_trace(fixture: &mut impl Fixture) {
    let store = fixture.store();
    let mut writer = activate(&store, &object("chat", "lobby")).await;
    writer.commit(vec![put("a", "1")]).await;
    let large = Bytes::from(vec![7; 64 << 20]);
    let error = writer
        .try_commit(vec![put("b", large)])
        .expect_err("too large");
    assert!(matches!(error, CommitError::TooLarge { .. }), "{error}");
    assert_eq!(error.effect(), Effect::None);
    let long = "k".repeat(crate::KEY_SIZE_MAX_BYTES + 1);
    writer
        .try_commit(vec![put(&long, "1")])
        .expect_err("the key is too long");
    writer.commit(vec![put(&long[1..], "1")]).await;
    writer.commit(vec![put("c", "1")]).await;
    assert_eq!(
        scan(&store, &writer.object, Scan { limit: 2, ..all() }).await,
        ["a=1", "c=1"]
    );
    assert_eq!(writer.version, Version(3));
}

/// Values of every size replace each other, wherever they are kept.
pub async fn large_values_come_and_go(fixture: &mut impl Fixture) {
    let lobby = object("chat", "lobby");
    let sizes = [
        0, 1, 4_095, 4_096, 4_097, 20_000, 8_192, 200_000, 4_097, 3, 100_000,
    ];
    for (round, size) in sizes.into_iter().enumerate() {
        let value: Bytes = (0..size)
            .map(|at| u8::try_from((at * 7 + round) % 251).unwrap())
            .collect();
        let mut writer = activate(&fixture.store(), &lobby).await;
        writer
            .commit(vec![put("k", value.clone()), put("l", "neighbour")])
            .await;
        drop(writer);
        if round % 2 == 0 {
            fixture.reopen().await
        } else {
            fixture.crash()
        }
        let store = fixture.store();
        assert_eq!(
            get(&store, &lobby, Section::Data, "k").await,
            Some(value.clone()),
            "{size}"
        );
        let rows = store.scan(&lobby, all()).await.unwrap();
        assert_eq!(
            rows,
            [("k".into(), value), ("l".into(), "neighbour".into())]
        );
    }
    let mut writer = activate(&fixture.store(), &lobby).await;
    writer.commit(vec![delete("k")]).await;
    drop(writer);
    fixture.reopen().await;
    assert_eq!(scan(&fixture.store(), &lobby, all()).await, ["l=neighbour"]);
}

/// A store at rest has room, and says so at once.
pub async fn room_is_there(fixture: &mut impl Fixture) {
    let store = fixture.store();
    assert!(store.has_room());
    store.room().await;
}
