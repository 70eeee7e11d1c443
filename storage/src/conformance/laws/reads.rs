//! What reads and scans answer, wherever the rows are kept.

use std::ops::Bound;

use bytes::Bytes;

use super::{activate, all, delete, get, put_in, scan};
use crate::batch::Section;
use crate::conformance::{Fixture, object, put};
use crate::store::{Direction, Scan};

/// Reads see accepted commits, durable or not.
pub async fn reads_see_what_is_accepted(fixture: &mut impl Fixture) {
    let store = fixture.store();
    let mut writer = activate(&store, &object("chat", "lobby")).await;
    let mut tickets = Vec::new();
    for number in 0..50 {
        let value = format!("v{number}");
        tickets.push(
            writer
                .try_commit(vec![put("k", value.clone())])
                .expect("accepted"),
        );
        assert_eq!(writer.get("k").await, Some(value.clone().into()));
        assert_eq!(
            scan(&store, &writer.object, all()).await,
            [format!("k={value}")]
        );
    }
    for ticket in tickets {
        ticket.await.expect("durable");
    }
}

/// In one batch, the last write of a row is the one that counts.
pub async fn the_last_write_of_a_row_wins(fixture: &mut impl Fixture) {
    let lobby = object("chat", "lobby");
    let mut writer = activate(&fixture.store(), &lobby).await;
    writer
        .commit(vec![
            put("a", "1"),
            put("a", "2"),
            put("b", "1"),
            delete("b"),
            delete("c"),
            put("c", "1"),
        ])
        .await;
    drop(writer);
    for _ in 0..2 {
        assert_eq!(scan(&fixture.store(), &lobby, all()).await, ["a=2", "c=1"]);
        fixture.reopen().await;
    }
}

/// A deletion hides a row wherever that row is kept.
pub async fn deletions_hide_older_rows(fixture: &mut impl Fixture) {
    let lobby = object("chat", "lobby");
    let mut writer = activate(&fixture.store(), &lobby).await;
    writer
        .commit(vec![put("a", "1"), put("b", "1"), put("c", "1")])
        .await;
    drop(writer);
    fixture.reopen().await;

    let mut writer = activate(&fixture.store(), &lobby).await;
    writer
        .commit(vec![delete("a"), delete("never there")])
        .await;
    assert_eq!(writer.get("a").await, None);
    let first = Scan { limit: 1, ..all() };
    assert_eq!(scan(&fixture.store(), &lobby, first).await, ["b=1"]);
    drop(writer);
    fixture.crash();
    assert_eq!(scan(&fixture.store(), &lobby, all()).await, ["b=1", "c=1"]);
    fixture.reopen().await;
    assert_eq!(scan(&fixture.store(), &lobby, all()).await, ["b=1", "c=1"]);
}

/// Scans answer the rows inside their bounds, in their direction, up to their limit.
pub async fn scans_keep_to_bounds_order_and_limit(fixture: &mut impl Fixture) {
    let lobby = object("chat", "lobby");
    let mut writer = activate(&fixture.store(), &lobby).await;
    writer
        .commit(["a", "b", "c", "d"].map(|key| put(key, "1")).into())
        .await;
    writer
        .commit(vec![put("", "1"), put("\u{10ffff}", "1")])
        .await;
    drop(writer);
    for _ in 0..2 {
        let store = fixture.store();
        let keys =
            async |start: Bound<&'static str>, end: Bound<&'static str>, direction, limit| {
                let (start, end) = (start.map(Bytes::from), end.map(Bytes::from));
                let range = Scan {
                    section: Section::Data,
                    start,
                    end,
                    direction,
                    limit,
                };
                let rows = store.scan(&lobby, range).await.expect("readable");
                let text = |key: &Bytes| String::from_utf8_lossy(key).replace('\u{10ffff}', "~");
                rows.iter()
                    .map(|(key, _)| text(key))
                    .collect::<Vec<_>>()
                    .join(" ")
            };
        use Bound::{Excluded, Included, Unbounded};
        use Direction::{Forward, Reverse};
        assert_eq!(keys(Unbounded, Unbounded, Forward, 9).await, " a b c d ~");
        assert_eq!(keys(Unbounded, Unbounded, Reverse, 9).await, "~ d c b a ");
        assert_eq!(keys(Included("b"), Included("c"), Forward, 9).await, "b c");
        assert_eq!(keys(Excluded("b"), Included("d"), Forward, 9).await, "c d");
        assert_eq!(keys(Included("b"), Excluded("d"), Reverse, 9).await, "c b");
        assert_eq!(keys(Included("b"), Unbounded, Forward, 2).await, "b c");
        assert_eq!(keys(Unbounded, Excluded("d"), Reverse, 2).await, "c b");
        assert_eq!(keys(Included("bb"), Included("bz"), Forward, 9).await, "");
        assert_eq!(keys(Included("c"), Included("b"), Forward, 9).await, "");
        assert_eq!(keys(Excluded("b"), Excluded("b"), Reverse, 9).await, "");
        assert_eq!(keys(Unbounded, Unbounded, Forward, 0).await, "");
        drop(store);
        fixture.reopen().await;
    }
}

/// Rows written long ago and just now are one sequence, whatever the limit.
pub async fn scans_merge_old_and_new_rows(fixture: &mut impl Fixture) {
    let lobby = object("chat", "lobby");
    let mut writer = activate(&fixture.store(), &lobby).await;
    for number in 0..40 {
        writer
            .commit(vec![put(format!("{number:02}"), "old")])
            .await;
    }
    drop(writer);
    fixture.reopen().await;
    let store = fixture.store();
    let mut writer = activate(&store, &lobby).await;
    let mut wanted = Vec::new();
    for number in 0..40 {
        let key = format!("{number:02}");
        match number % 4 {
            0 => writer.commit(vec![delete(&key)]).await,
            1 => {
                writer.commit(vec![put(&key, "new")]).await;
                wanted.push(format!("{key}=new"));
            }
            2 => {
                writer.commit(vec![put(format!("{key}+"), "new")]).await;
                wanted.extend([format!("{key}=old"), format!("{key}+=new")]);
            }
            _ => wanted.push(format!("{key}=old")),
        }
    }
    for limit in 0..=wanted.len() + 1 {
        let shown = limit.min(wanted.len());
        assert_eq!(
            scan(&store, &lobby, Scan { limit, ..all() }).await,
            wanted[..shown]
        );
        let reverse = Scan {
            limit,
            direction: Direction::Reverse,
            ..all()
        };
        let last: Vec<_> = wanted.iter().rev().take(limit).cloned().collect();
        assert_eq!(scan(&store, &lobby, reverse).await, last);
    }
}

/// Equal keys in other sections, objects and namespaces are other rows.
pub async fn sections_and_objects_are_apart(fixture: &mut impl Fixture) {
    let (lobby, garden) = (object("chat", "lobby"), object("chat", "garden"));
    let store = fixture.store();
    let mut writer = activate(&store, &lobby).await;
    writer
        .commit(vec![
            put("k", "data"),
            put_in(Section::Alarm, "k", "alarm"),
            put_in(Section::Outgoing, "k", "sent"),
            put_in(Section::Session, "k", "away"),
            put_in(Section::Incoming, "k", "heard"),
        ])
        .await;
    let mut other = activate(&store, &garden).await;
    other.commit(vec![put("k", "garden")]).await;
    drop((writer, other, store));
    for _ in 0..2 {
        let store = fixture.store();
        assert_eq!(
            get(&store, &lobby, Section::Data, "k").await,
            Some("data".into())
        );
        assert_eq!(
            get(&store, &lobby, Section::Alarm, "k").await,
            Some("alarm".into())
        );
        assert_eq!(get(&store, &lobby, Section::State, "k").await, None);
        let opened = store.open(&lobby).await.expect("it opens");
        let row = |value: &'static str| vec![(Bytes::from("k"), Bytes::from(value))];
        assert_eq!(opened.alarms, row("alarm"));
        assert_eq!(opened.outgoing, row("sent"));
        assert_eq!(opened.sessions, row("away"));
        store.close(&lobby, opened.epoch);
        assert_eq!(scan(&store, &garden, all()).await, ["k=garden"]);
        assert_eq!(scan(&store, &object("chat", "other"), all()).await, [""; 0]);
        drop(store);
        fixture.reopen().await;
    }
}
