//! One function per law. Each panics when the law is broken.

#![expect(
    clippy::unwrap_used,
    reason = "a law is a test: it panics when it is broken"
)]

use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;

use super::{Activation, Fixture, object, put};
use crate::batch::{Commit, Section, Write, WriteBatch};
use crate::id::{Epoch, Namespace, Object, Timestamp, Version};
use crate::store::{
    CommitError, Direction, Effect, Health, Opened, ReadError, Scan, ScheduledAlarm, Store, Ticket,
};

async fn activate(store: &Arc<dyn Store>, object: &Object) -> Activation {
    Activation::open(store, object.clone())
        .await
        .expect("the object opens")
}

fn put_in(section: Section, key: &str, value: impl Into<Bytes>) -> Write {
    Write::Put {
        section,
        key: Bytes::copy_from_slice(key.as_bytes()),
        value: value.into(),
    }
}

fn delete(key: &str) -> Write {
    Write::Delete {
        section: Section::Data,
        key: Bytes::copy_from_slice(key.as_bytes()),
    }
}

async fn get(
    store: &Arc<dyn Store>,
    object: &Object,
    section: Section,
    key: &str,
) -> Option<Bytes> {
    store
        .get(object, section, key.as_bytes())
        .await
        .expect("the store can be read")
}

/// Whether the ticket has been answered with success.
fn is_durable(ticket: &mut Ticket) -> bool {
    // Not through the runtime, whose budget may answer "pending" for a ticket that is ready.
    matches!(ticket.0.try_recv(), Ok(Ok(())))
}

fn all() -> Scan {
    Scan {
        section: Section::Data,
        start: Bound::Unbounded,
        end: Bound::Unbounded,
        direction: Direction::Forward,
        limit: usize::MAX,
    }
}

/// Rows as text, `key=value`.
async fn scan(store: &Arc<dyn Store>, object: &Object, scan: Scan) -> Vec<String> {
    let rows = store
        .scan(object, scan)
        .await
        .expect("the store can be read");
    let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
    rows.iter()
        .map(|(key, value)| format!("{}={}", text(key), text(value)))
        .collect()
}

async fn open(store: &Arc<dyn Store>, object: &Object) -> Opened {
    store.open(object).await.expect("the object opens")
}

/// An object that was never written opens at version 0 and has nothing.
pub async fn never_written_is_empty(fixture: &mut impl Fixture) {
    let store = fixture.store();
    let lobby = object("chat", "lobby");
    let opened = open(&store, &lobby).await;
    assert_eq!(opened.version, Version(0));
    assert_eq!(
        (opened.name, opened.state, opened.alarms),
        (None, None, vec![])
    );
    assert_eq!(get(&store, &lobby, Section::Data, "k").await, None);
    assert!(scan(&store, &lobby, all()).await.is_empty());
    assert!(
        store
            .objects(&lobby.namespace, None, 10)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(store.health(), Health::Ready);
}

/// What was acknowledged is there after a shutdown.
pub async fn commits_survive_reopening(fixture: &mut impl Fixture) {
    let lobby = object("chat", "lobby");
    write_history(&fixture.store(), &lobby).await;
    for _ in 0..2 {
        fixture.reopen().await;
        check_history(&fixture.store(), &lobby).await;
    }
}

/// What was acknowledged is there after a crash.
pub async fn commits_survive_a_crash(fixture: &mut impl Fixture) {
    let lobby = object("chat", "lobby");
    write_history(&fixture.store(), &lobby).await;
    for _ in 0..2 {
        fixture.crash();
        check_history(&fixture.store(), &lobby).await;
    }
    fixture.reopen().await;
    check_history(&fixture.store(), &lobby).await;
}

async fn write_history(store: &Arc<dyn Store>, object: &Object) {
    let mut writer = activate(store, object).await;
    for number in 0..100 {
        let state = put_in(Section::State, "", format!("state {number}"));
        let alarm = put_in(
            Section::Alarm,
            &format!("alarm {}", number % 3),
            format!("{number}"),
        );
        writer
            .commit(vec![
                state,
                alarm,
                put(format!("k{number:03}"), format!("v{number}")),
            ])
            .await;
    }
    writer
        .commit(vec![delete("k000"), put("k001", "new")])
        .await;
}

async fn check_history(store: &Arc<dyn Store>, object: &Object) {
    let opened = open(store, object).await;
    assert_eq!(opened.version, Version(101));
    assert_eq!(opened.state, Some("state 99".into()));
    let alarm = |name: &'static str, value: &'static str| (Bytes::from(name), Bytes::from(value));
    let alarms = [
        alarm("alarm 0", "99"),
        alarm("alarm 1", "97"),
        alarm("alarm 2", "98"),
    ];
    assert_eq!(opened.alarms, alarms);
    let rows = scan(store, object, all()).await;
    assert_eq!(rows.len(), 99);
    assert_eq!(rows[..2], ["k001=new", "k002=v2"]);
    assert_eq!(get(store, object, Section::Data, "k000").await, None);
    assert_eq!(
        get(store, object, Section::Data, "k099").await,
        Some("v99".into())
    );
}

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
        .commit(vec![put("k", "data"), put_in(Section::Alarm, "k", "alarm")])
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
        assert_eq!(scan(&store, &garden, all()).await, ["k=garden"]);
        assert_eq!(scan(&store, &object("chat", "other"), all()).await, [""; 0]);
        drop(store);
        fixture.reopen().await;
    }
}

/// Only the newest opening of an object may commit.
pub async fn a_newer_opening_fences_the_older(fixture: &mut impl Fixture) {
    let store = fixture.store();
    let lobby = object("chat", "lobby");
    let mut old = activate(&store, &lobby).await;
    old.commit(vec![put("k", "1")]).await;
    let mut new = activate(&store, &lobby).await;
    assert!(new.epoch > old.epoch);
    assert_eq!(new.version, Version(1));
    let epoch = old.epoch;
    let error = old
        .try_commit(vec![put("k", "2")])
        .expect_err("the older epoch is fenced");
    assert_eq!(error, CommitError::Fenced { epoch });
    assert_eq!(error.effect(), Effect::None);
    new.commit(vec![put("k", "3")]).await;
    assert_eq!(new.get("k").await, Some("3".into()));

    let mut never_opened = Activation {
        epoch: Epoch(new.epoch.0 + 1),
        ..old
    };
    never_opened
        .try_commit(vec![put("k", "4")])
        .expect_err("an epoch never given is fenced");
}

/// A closed activation may not commit; closing an older one does not touch the newer.
pub async fn closing_fences_its_own_epoch_only(fixture: &mut impl Fixture) {
    let store = fixture.store();
    let lobby = object("chat", "lobby");
    let old = activate(&store, &lobby).await;
    let mut new = activate(&store, &lobby).await;
    store.close(&lobby, old.epoch);
    let pending = new.try_commit(vec![put("k", "1")]).expect("still open");
    store.close(&lobby, new.epoch);
    new.try_commit(vec![put("k", "2")]).expect_err("closed");
    pending
        .await
        .expect("what was accepted before the closing completes");
    store.close(&lobby, new.epoch);
    assert_eq!(
        get(&store, &lobby, Section::Data, "k").await,
        Some("1".into())
    );
}

/// Every opening has a higher epoch than all before, through restarts and crashes.
pub async fn epochs_grow_through_everything(fixture: &mut impl Fixture) {
    let lobby = object("chat", "lobby");
    let mut last = Epoch(0);
    for round in 0..6 {
        let mut writer = activate(&fixture.store(), &lobby).await;
        assert!(writer.epoch > last, "{} after {last}", writer.epoch);
        last = writer.epoch;
        writer.commit(vec![put("k", "1")]).await;
        drop(writer);
        match round % 3 {
            0 => fixture.reopen().await,
            1 => fixture.crash(),
            _ => {}
        }
    }
}

/// Tickets of one object answer in the order of its commits.
pub async fn tickets_answer_in_order(fixture: &mut impl Fixture) {
    let store = fixture.store();
    let mut writer = activate(&store, &object("chat", "lobby")).await;
    for _ in 0..20 {
        let accept = |number: i32| writer.try_commit(vec![put("k", format!("{number}"))]);
        let mut tickets: Vec<_> = (0..20).map(accept).map(Result::unwrap).collect();
        let last = tickets.pop().expect("there are twenty");
        last.await.expect("durable");
        for mut ticket in tickets {
            assert!(is_durable(&mut ticket), "an earlier ticket is answered");
        }
    }
}

/// A commit whose ticket is dropped becomes durable like any other.
pub async fn a_dropped_ticket_takes_nothing_back(fixture: &mut impl Fixture) {
    let lobby = object("chat", "lobby");
    let mut writer = activate(&fixture.store(), &lobby).await;
    drop(
        writer
            .try_commit(vec![put("dropped", "1")])
            .expect("accepted"),
    );
    writer.commit(vec![put("kept", "1")]).await;
    drop(writer);
    fixture.crash();
    assert_eq!(
        scan(&fixture.store(), &lobby, all()).await,
        ["dropped=1", "kept=1"]
    );
}

/// An opening waits for the commits before it: what it shows may be spoken of at once.
pub async fn opening_shows_durable_commits_only(fixture: &mut impl Fixture) {
    let lobby = object("chat", "lobby");
    for round in 1..=20 {
        let store = fixture.store();
        let mut writer = activate(&store, &lobby).await;
        let mut ticket = writer
            .try_commit(vec![put("k", format!("{round}"))])
            .expect("accepted");
        let opened = open(&store, &lobby).await;
        assert_eq!(opened.version, Version(round));
        assert!(
            is_durable(&mut ticket),
            "durable before the opening shows it"
        );
    }
}

/// The index of alarms is in order of time, pages by cursor, and forgets what is unscheduled.
pub async fn alarms_are_listed_by_time(fixture: &mut impl Fixture) {
    let (lobby, garden) = (object("chat", "lobby"), object("game", "garden"));
    let schedule = |due, name: &'static str| Write::ScheduleAlarm {
        due: Timestamp(due),
        name: name.into(),
    };
    let unschedule = |due, name: &'static str| Write::UnscheduleAlarm {
        due: Timestamp(due),
        name: name.into(),
    };
    let alarm = |due, object: &Object, name: &'static str| ScheduledAlarm {
        due: Timestamp(due),
        object: object.clone(),
        name: name.into(),
    };
    let mut writer = activate(&fixture.store(), &lobby).await;
    writer
        .commit(vec![
            schedule(300, "c"),
            schedule(100, ""),
            schedule(200, "b"),
        ])
        .await;
    let mut other = activate(&fixture.store(), &garden).await;
    other
        .commit(vec![schedule(150, "x"), schedule(1 << 40, "far")])
        .await;
    drop((writer, other));
    fixture.reopen().await;
    let mut writer = activate(&fixture.store(), &lobby).await;
    writer
        .commit(vec![
            unschedule(200, "b"),
            schedule(250, "b"),
            unschedule(7, "never"),
        ])
        .await;
    drop(writer);
    let wanted = [
        alarm(100, &lobby, ""),
        alarm(150, &garden, "x"),
        alarm(250, &lobby, "b"),
        alarm(300, &lobby, "c"),
        alarm(1 << 40, &garden, "far"),
    ];
    for _ in 0..2 {
        let store = fixture.store();
        assert_eq!(store.alarms(None, 99).await.unwrap(), wanted);
        assert_eq!(store.alarms(None, 2).await.unwrap(), wanted[..2]);
        let page = store.alarms(Some(wanted[1].clone()), 2).await.unwrap();
        assert_eq!(page, wanted[2..4]);
        assert!(
            store
                .alarms(Some(wanted[4].clone()), 9)
                .await
                .unwrap()
                .is_empty()
        );
        drop(store);
        fixture.crash();
    }
}

/// Objects are listed per namespace, in order of id, once each, with their last version.
pub async fn objects_are_listed_by_namespace(fixture: &mut impl Fixture) {
    let mut wanted = Vec::new();
    for number in 0..30 {
        let object = object("chat", &format!("room {number}"));
        let mut writer = activate(&fixture.store(), &object).await;
        for _ in 0..=number % 3 {
            writer.commit(vec![put("k", "1")]).await;
        }
        wanted.push((object.id, writer.version));
        drop(writer);
        if number == 15 {
            fixture.reopen().await;
            // Written again, so that old and new rows name the same object.
            let mut writer = activate(&fixture.store(), &object).await;
            writer.commit(vec![put("k", "2")]).await;
            wanted.last_mut().expect("just pushed").1 = writer.version;
        }
    }
    wanted.sort_unstable();
    let mut other = activate(&fixture.store(), &object("chat2", "room")).await;
    other.commit(vec![put("k", "1")]).await;
    drop(other);
    for limit in [1, 7, 99] {
        let store = fixture.store();
        let namespace = Namespace::new("chat").expect("a namespace");
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = store.objects(&namespace, after, limit).await.unwrap();
            assert!(page.len() <= limit);
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            found.extend(page.iter().map(|object| (object.id, object.version)));
        }
        assert_eq!(found, wanted);
        drop(store);
        fixture.crash();
    }
}

/// The name of the first commit stays with the object, whether later commits repeat it or not.
pub async fn names_are_kept(fixture: &mut impl Fixture) {
    let lobby = object("chat", "lobby");
    let mut writer = activate(&fixture.store(), &lobby).await;
    let commit = Commit {
        object: lobby.clone(),
        name: Some("lobby".into()),
        epoch: writer.epoch,
        version: Version(1),
        batch: WriteBatch {
            writes: vec![put("k", "1")],
        },
    };
    fixture
        .store()
        .commit(commit)
        .expect("accepted")
        .await
        .expect("durable");
    writer.version = Version(1);
    writer.commit(vec![put("k", "2")]).await;
    drop(writer);
    for round in 0..3 {
        let mut writer = activate(&fixture.store(), &lobby).await;
        writer.commit(vec![put("k", "3")]).await;
        drop(writer);
        assert_eq!(
            open(&fixture.store(), &lobby).await.name.as_deref(),
            Some("lobby")
        );
        let listed = fixture
            .store()
            .objects(&lobby.namespace, None, 9)
            .await
            .unwrap();
        assert_eq!(listed[0].name.as_deref(), Some("lobby"));
        if round == 0 {
            fixture.crash()
        } else {
            fixture.reopen().await
        }
    }
}

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

/// Objects written at the same time do not mix.
pub async fn many_objects_at_once(fixture: &mut impl Fixture) {
    let store = fixture.store();
    let objects: Vec<_> = (0..64)
        .map(|number| object("chat", &format!("room {number}")))
        .collect();
    let write = |object: Object| {
        let store = store.clone();
        async move {
            let mut writer = activate(&store, &object).await;
            for number in 0..20 {
                writer
                    .commit(vec![
                        put("id", object.id.to_string()),
                        put("n", number.to_string()),
                    ])
                    .await;
            }
        }
    };
    futures_util::future::join_all(objects.iter().cloned().map(write)).await;
    drop(store);
    for _ in 0..2 {
        let store = fixture.store();
        for object in &objects {
            let wanted = [format!("id={}", object.id), "n=19".into()];
            assert_eq!(scan(&store, object, all()).await, wanted);
        }
        drop(store);
        fixture.crash();
    }
}

/// A store at rest has room, and says so at once.
pub async fn room_is_there(fixture: &mut impl Fixture) {
    let store = fixture.store();
    assert!(store.has_room());
    store.room().await;
}

/// After a shutdown everything accepted is durable, and nothing more is accepted.
pub async fn shutdown_refuses_commits(fixture: &mut impl Fixture) {
    let lobby = object("chat", "lobby");
    let store = fixture.store();
    let mut writer = activate(&store, &lobby).await;
    let accepted = writer.try_commit(vec![put("k", "1")]).expect("accepted");
    store.shutdown().await;
    store.shutdown().await;
    accepted.await.expect("durable");
    let error = writer
        .try_commit(vec![put("k", "2")])
        .expect_err("shut down");
    assert!(matches!(error, CommitError::Refused { .. }), "{error}");
    assert_ne!(store.health(), Health::Ready);
    store.room().await;
    assert!(matches!(store.open(&lobby).await, Err(ReadError::Closed)));
    drop((writer, store));
    fixture.crash();
    assert_eq!(scan(&fixture.store(), &lobby, all()).await, ["k=1"]);
}
