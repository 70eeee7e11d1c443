//! `check` calls sound what any stop leaves, and finds what was broken by hand.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use abide_storage::conformance::{self, Activation, put};
use abide_storage::{
    CheckReport, Engine, EngineKind, LogStore, ObjectId, OpenError, Options, Row, SledEngine,
    Store, Timestamp, Write, check,
};
use bytes::Bytes;

const OBJECTS: u32 = 20;
const CACHE_SIZE_BYTES: u64 = 1 << 20;

fn options() -> Options {
    Options {
        engine: EngineKind::Sled,
        segment_size_bytes: 1 << 20,
        first_segment_size_bytes: 64 << 10,
        ..Options::default()
    }
}

fn name(number: u32) -> String {
    number.to_string()
}

/// Objects with rows; each has one alarm, the row with it as the runtime would write it.
async fn fill(path: &Path) -> Arc<LogStore> {
    let log = LogStore::open(path, options()).unwrap();
    let store: Arc<dyn Store> = log.clone();
    for number in 0..OBJECTS {
        let object = conformance::object("test", &name(number));
        let mut activation = Activation::open(&store, object).await.unwrap();
        let alarm = Bytes::from("ring");
        let writes = vec![
            put("a", vec![1; 100]),
            put("b", vec![2; 100]),
            Write::Put {
                section: abide_storage::Section::Alarm,
                key: alarm.clone(),
                value: Bytes::from("row"),
            },
            Write::ScheduleAlarm {
                due: Timestamp(1_000 + u64::from(number)),
                name: alarm,
            },
        ];
        activation.try_commit(writes).unwrap().await.unwrap();
    }
    log
}

fn checked(path: &Path) -> CheckReport {
    check(path, &options()).unwrap()
}

/// A folder whose rows are all in the engine, which is then changed behind the store's back.
async fn damaged(rows: impl FnOnce(&SledEngine, ObjectId) -> Vec<Row>) -> CheckReport {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path()).await.shutdown().await;
    let object = conformance::object("test", &name(7));
    let engine = SledEngine::open(&folder.path().join("engine"), CACHE_SIZE_BYTES).unwrap();
    let rows = rows(&engine, object.id);
    engine.apply(&rows).unwrap();
    engine.sync().unwrap();
    drop(engine);
    checked(folder.path())
}

fn removal(key: Vec<u8>) -> Vec<Row> {
    vec![Row {
        key: key.into(),
        value: None,
    }]
}

#[track_caller]
fn finds(report: &CheckReport, count: u64, words: &str) {
    assert_eq!(report.problems_count, count, "{:?}", report.problems);
    let told = report.problems[0].to_string();
    assert!(told.contains(words), "{words} in {told}");
}

#[tokio::test]
async fn what_any_stop_leaves_is_sound() {
    let folder = tempfile::tempdir().unwrap();
    drop(fill(folder.path()).await);
    let report = checked(folder.path());
    assert_eq!(report.problems, [], "after a stop without a checkpoint");
    assert_eq!(report.last_commit, u64::from(OBJECTS));
    assert_eq!(report.replayed_commits, u64::from(OBJECTS));

    let log = LogStore::open(folder.path(), options()).unwrap();
    log.shutdown().await;
    drop(log);
    let report = checked(folder.path());
    assert_eq!(report.problems, [], "after a shutdown");
    assert_eq!(report.replayed_commits, 0);
    assert_eq!(
        (report.objects, report.alarms),
        (OBJECTS.into(), OBJECTS.into())
    );
    assert_eq!(report.rows, u64::from(OBJECTS) * 3);
}

#[tokio::test]
async fn it_changes_nothing_that_the_next_opening_needs() {
    let folder = tempfile::tempdir().unwrap();
    drop(fill(folder.path()).await);
    for _ in 0..3 {
        checked(folder.path());
    }
    let log = LogStore::open(folder.path(), options()).unwrap();
    assert_eq!(log.open_report().replayed_records, u64::from(OBJECTS));
}

/// The log still has the commits, so that the next opening writes all of their rows again.
#[tokio::test]
async fn half_of_a_checkpoint_is_sound() {
    let folder = tempfile::tempdir().unwrap();
    drop(fill(folder.path()).await);
    let object = conformance::object("test", &name(7));
    let engine = SledEngine::open(&folder.path().join("engine"), CACHE_SIZE_BYTES).unwrap();
    let due = 1_007_u64.to_be_bytes();
    let keys = [
        [&b"\x10"[..], object.id.as_bytes(), b"\x10a"].concat(),
        [&b"\x20"[..], &due, object.id.as_bytes(), b"ring"].concat(),
    ];
    let rows = keys.map(|key| Row {
        key: key.into(),
        value: Some(Bytes::from("test")),
    });
    engine.apply(&rows).unwrap();
    engine.sync().unwrap();
    drop(engine);
    let report = checked(folder.path());
    assert_eq!(report.problems, []);
    assert_eq!((report.rows, report.alarms), (1, 1));
}

#[tokio::test]
async fn rows_without_a_header_are_found() {
    let report = damaged(|_, id| removal([&b"\x02test\0"[..], id.as_bytes()].concat())).await;
    // The rows, and the alarm that now names no object.
    finds(&report, 2, "has rows but no header");
}

#[tokio::test]
async fn an_alarm_that_the_object_does_not_have_is_found() {
    let report =
        damaged(|_, id| removal([&b"\x10"[..], id.as_bytes(), b"\x02ring"].concat())).await;
    finds(&report, 1, "the index has it, the object does not");
}

#[tokio::test]
async fn an_id_of_another_namespace_is_found() {
    let report = damaged(|engine, id| {
        let header = [&b"\x02test\0"[..], id.as_bytes()].concat();
        let value = engine.get(&header).unwrap();
        let key = [&b"\x02other\0"[..], id.as_bytes()].concat().into();
        vec![Row { key, value }]
    })
    .await;
    assert!(
        report.problems[0]
            .to_string()
            .contains("not one of namespace 'other'")
    );
}

#[tokio::test]
async fn bytes_that_are_no_row_are_found() {
    // As long as an id, and no room for a namespace before it.
    let short: &[u8] = &[2; 32];
    for key in [
        short,
        &b"\x77x"[..],
        b"\x02short",
        b"\x10short",
        b"\x20short",
        b"\x01other",
    ] {
        let report = damaged(|_, _| {
            vec![Row {
                key: Bytes::from(key),
                value: Some(Bytes::from("v")),
            }]
        })
        .await;
        finds(&report, 1, "a row of the engine");
    }
}

#[tokio::test]
async fn a_damaged_log_is_a_problem_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    drop(fill(folder.path()).await);
    let segment = folder.path().join("log/000000000001.log");
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&segment)
        .unwrap();
    // In the first record, of which the later ones prove that it was acknowledged.
    let mut byte = [0];
    let at = 4_096 + 100;
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0xff], at).unwrap();
    let report = checked(folder.path());
    finds(&report, 1, "000000000001.log at byte");
    assert!(report.problems[0].to_string().contains("restore"));
}

#[tokio::test]
async fn there_must_be_a_folder_that_nobody_uses() {
    let folder = tempfile::tempdir().unwrap();
    let absent = folder.path().join("absent");
    let refused = |path: &Path| check(path, &options()).unwrap_err();
    assert!(matches!(refused(&absent), OpenError::NotADataFolder { .. }));
    assert!(!absent.exists(), "a check makes nothing");

    let store = fill(folder.path()).await;
    assert!(matches!(refused(folder.path()), OpenError::InUse { .. }));
    drop(store);
}
