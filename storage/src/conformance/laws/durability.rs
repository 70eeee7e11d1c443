//! What stays: acknowledged commits, through restarts and crashes, and when they may be shown.

use std::sync::Arc;

use bytes::Bytes;

use super::{activate, all, delete, get, is_durable, open, put_in, scan};
use crate::batch::Section;
use crate::conformance::{Fixture, object, put};
use crate::id::{Object, Version};
use crate::store::{CommitError, Health, ReadError, Store};

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
