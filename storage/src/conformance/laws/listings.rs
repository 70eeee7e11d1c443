//! The index of alarms, the list of objects, and their names.

use super::{activate, open};
use crate::batch::{Commit, Write, WriteBatch};
use crate::conformance::{Fixture, object, put};
use crate::id::{Namespace, Object, Timestamp, Version};
use crate::store::ScheduledAlarm;

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
