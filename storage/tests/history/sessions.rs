//! Sessions end with a restore: what their clients have counted since, the restored store knows nothing of.

use std::sync::Arc;

use abide_storage::conformance::{Activation, put};
use abide_storage::{
    Backup, EngineKind, LogStore, Restore, SESSIONS_WAKE, Section, Store, Timestamp, Write, restore,
};
use bytes::Bytes;

use crate::written::{object, options};

fn session(key: &'static str) -> Write {
    Write::Put {
        section: Section::Session,
        key: key.into(),
        value: "a session".into(),
    }
}

fn wake(due: u64) -> Write {
    Write::ScheduleAlarm {
        due: Timestamp(due),
        name: Bytes::from_static(SESSIONS_WAKE),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_brings_back_everything_but_sessions() {
    for engine in [EngineKind::Sled, EngineKind::Redb] {
        let options = options(engine);
        let folder = tempfile::tempdir().unwrap();
        let [data, backups, restored] =
            ["data", "backups", "restored"].map(|f| folder.path().join(f));
        let store = LogStore::open(&data, options.clone()).unwrap();
        let shared: Arc<dyn Store> = store.clone();
        let alarm = || Write::ScheduleAlarm {
            due: Timestamp(7),
            name: "an alarm".into(),
        };
        // The one is in the base, the other in the commits after it.
        let mut first = Activation::open(&shared, object(0)).await.unwrap();
        let writes = vec![put("a", "1"), session("one"), wake(5), alarm()];
        first.commit(writes).await;
        store.backup(&Backup::to(&backups), &mut |_| {}).unwrap();
        let mut second = Activation::open(&shared, object(1)).await.unwrap();
        second
            .commit(vec![put("b", "2"), session("two"), wake(6), session("")])
            .await;
        store.backup(&Backup::to(&backups), &mut |_| {}).unwrap();
        assert_eq!(shared.alarms(None, 9).await.unwrap().len(), 3);
        assert_eq!(shared.open(&object(1)).await.unwrap().sessions.len(), 2);
        drop((first, second, shared, store));

        let request = Restore {
            options: options.clone(),
            ..Restore::new(&backups, &restored)
        };
        restore(&request, &mut |_| {}).unwrap();
        let store: Arc<dyn Store> = LogStore::open(&restored, options).unwrap();
        for (number, key) in [(0, "a"), (1, "b")] {
            let opened = store.open(&object(number)).await.unwrap();
            assert!(opened.sessions.is_empty(), "{:?}", opened.sessions);
            let activation = Activation::open(&store, object(number)).await.unwrap();
            assert!(activation.get(key).await.is_some());
        }
        let alarms = store.alarms(None, 9).await.unwrap();
        let names: Vec<&[u8]> = alarms.iter().map(|alarm| &alarm.name[..]).collect();
        assert_eq!(names, [b"an alarm"]);
    }
}
