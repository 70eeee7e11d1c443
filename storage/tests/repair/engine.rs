//! A damaged engine.

use std::fs;

use abide_storage::{Engine, Row, Store, Timestamp};
use bytes::Bytes;

use crate::damaged::{Damaged, OBJECTS, commit_to_all, object, open, versions};

fn put(key: Vec<u8>, value: &'static str) -> Vec<Row> {
    let value = Some(Bytes::from(value));
    vec![Row {
        key: key.into(),
        value,
    }]
}

fn removal(key: Vec<u8>) -> Vec<Row> {
    vec![Row {
        key: key.into(),
        value: None,
    }]
}

fn header(number: u32) -> Vec<u8> {
    [&b"\x02test\0"[..], object(number).id.as_bytes()].concat()
}

/// The index is made of the objects' rows, not the other way round.
#[tokio::test]
async fn an_alarm_that_no_object_has_leaves_the_index() {
    let damaged = Damaged::in_engine().await;
    let due = 5_000_u64.to_be_bytes();
    let entry = [&b"\x20"[..], &due, object(3).id.as_bytes(), b"other"].concat();
    damaged.change_rows(|_| put(entry, "test"));
    let report = damaged.repaired();
    assert_eq!((report.steps_count, report.lossy_count), (1, 0));
    let store = open(damaged.path());
    let alarms = store.alarms(None, 100).await.unwrap();
    assert_eq!(alarms.len(), OBJECTS as usize);
    assert!(alarms.iter().all(|alarm| alarm.due < Timestamp(2_000)));
}

#[tokio::test]
async fn rows_without_a_header_get_one() {
    let damaged = Damaged::in_engine().await;
    damaged.change_rows(|_| removal(header(2)));
    let report = damaged.repaired();
    assert_eq!((report.steps_count, report.lossy_count), (1, 1));
    // Above every version that it can have had.
    assert_eq!(versions(damaged.path()).await, [2, 2, 13, 2, 2, 2]);
}

#[tokio::test]
async fn a_header_that_does_not_decode_is_made_anew() {
    let damaged = Damaged::in_engine().await;
    damaged.change_rows(|_| put(header(2), "no header"));
    let report = damaged.repaired();
    assert_eq!((report.steps_count, report.lossy_count), (1, 1));
    assert_eq!(versions(damaged.path()).await, [2, 2, 13, 2, 2, 2]);
}

/// The log has a newer header of the same object.
#[tokio::test]
async fn a_header_that_the_log_has_costs_nothing() {
    let damaged = Damaged::in_log().await;
    damaged.change_rows(|_| put(header(2), "no header"));
    let report = damaged.repaired();
    assert_eq!((report.steps_count, report.lossy_count), (1, 0));
    assert_eq!(versions(damaged.path()).await, [4; 6]);
}

#[tokio::test]
async fn bytes_that_are_no_row_go() {
    let damaged = Damaged::in_engine().await;
    damaged.change_rows(|_| put(b"\x77x".to_vec(), "v"));
    let report = damaged.repaired();
    assert_eq!((report.steps_count, report.lossy_count), (1, 1));
    assert_eq!(versions(damaged.path()).await, [2; 6]);
}

#[tokio::test]
async fn a_header_under_another_namespace_goes() {
    let damaged = Damaged::in_engine().await;
    damaged.change_rows(|engine| {
        let value = engine.get(&header(2)).unwrap();
        let key = [&b"\x02other\0"[..], object(2).id.as_bytes()]
            .concat()
            .into();
        vec![Row { key, value }]
    });
    damaged.repaired();
    assert_eq!(versions(damaged.path()).await, [2; 6]);
}

/// The third object has its fourth commit in the engine, and its third or fourth one is missing in the log.
#[tokio::test]
async fn an_object_that_a_checkpoint_had_begun_to_write_is_named() {
    for (lost, version) in [(14, 4), (20, 3)] {
        let damaged = Damaged::in_log().await;
        let ahead = damaged.copy();
        open(ahead.path()).shutdown().await;
        let mut header_after = None;
        ahead.change_rows(|engine| {
            header_after = engine.get(&header(2)).unwrap();
            Vec::new()
        });
        damaged.change_rows(|_| {
            vec![Row {
                key: header(2).into(),
                value: header_after,
            }]
        });
        let segment = damaged.segments().pop().unwrap();
        Damaged::flip(&segment, Damaged::records(&segment)[lost] + 50);
        let report = damaged.repaired();
        let place = format!("object test/id:{}", object(2).id);
        let named = report.steps.iter().find(|step| step.place == place);
        let told = named.unwrap_or_else(|| panic!("{report:?}")).to_string();
        assert!(told.contains("rows may be of several turns"), "{told}");
        assert_eq!(versions(damaged.path()).await, [4, 4, version, 4, 4, 4]);
    }
}

/// Damaged, and it decodes all the same.
#[tokio::test]
async fn a_header_with_the_last_version_there_is_is_set_by_the_log() {
    let damaged = Damaged::in_log().await;
    let version = [0xff; 8];
    let value = [&b"\x01\xfd"[..], &version, b"\x01\0"].concat();
    damaged.change_rows(|_| {
        vec![Row {
            key: header(2).into(),
            value: Some(value.into()),
        }]
    });
    let report = damaged.repaired();
    assert_eq!((report.steps_count, report.lossy_count), (1, 1));
    assert_eq!(versions(damaged.path()).await, [4; 6]);
}

/// Read from where the log begins, every row gets the value it had.
#[tokio::test]
async fn the_checkpoint_is_made_anew_from_the_log() {
    let damaged = Damaged::in_log().await;
    // Absent; damaged; and damaged to something that decodes, to the last commit there can be.
    let last = [&b"\x01\x01\xfd"[..], &[0xff; 8]].concat();
    for value in [None, Some(b"no meta".to_vec()), Some(last)] {
        damaged.change_rows(|_| {
            vec![Row {
                key: Bytes::from("\x01store"),
                value: value.map(Bytes::from),
            }]
        });
        let report = damaged.repaired();
        assert_eq!((report.steps_count, report.lossy_count), (1, 0));
    }
    assert_eq!(versions(damaged.path()).await, [4; 6]);
}

/// The log of this store goes back to its first commit, so that nothing is lost with the engine, whatever it says of
/// itself; of one that does not, the first commits are.
#[tokio::test]
async fn an_engine_that_does_not_open_is_filled_from_the_log() {
    let damaged = Damaged::in_log().await;
    let conf = damaged.path().join("engine/db");
    fs::write(&conf, vec![0xff; 100_000]).unwrap();
    let report = damaged.repaired();
    assert!(report.steps[0].what.contains("does not open"), "{report:?}");
    assert_eq!(versions(damaged.path()).await, [4; 6]);
    let store = open(damaged.path());
    commit_to_all(&store, 0..OBJECTS, 10).await;
}
