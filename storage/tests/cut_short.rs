//! What an engine was writing when the power went, and would not open with: found by
//! `cargo xtask powercut`, named here.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::Path;

use abide_storage::{Engine, RedbEngine, Row, SledEngine};
use bytes::Bytes;

const CACHE_SIZE_BYTES: u64 = 1 << 20;

fn row() -> Row {
    Row {
        key: "key".into(),
        value: Some("value".into()),
    }
}

fn open_sled(folder: &Path) -> SledEngine {
    SledEngine::open(folder, CACHE_SIZE_BYTES).unwrap()
}

/// sled writes a snapshot while it opens, as a draft that is renamed; a draft that stayed behind it
/// takes for the newest snapshot.
#[test]
fn sled_opens_with_a_snapshot_that_was_cut_short() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open_sled(folder.path());
    engine.apply(&[row()]).unwrap();
    engine.sync().unwrap();
    drop(engine);
    for bytes in [&b""[..], &[0; 700], b"half of a snapshot"] {
        let draft = folder.path().join("snap.7FFFFFFFFFFFFFFF.generating");
        fs::write(&draft, bytes).unwrap();
        let engine = open_sled(folder.path());
        assert_eq!(engine.get(b"key").unwrap(), Some(Bytes::from("value")));
        assert!(!draft.exists());
    }
}

/// sled overwrites segments that its new snapshot does not need before the new snapshot's name is
/// durable: a draft that is whole may be all there is to read the rest with.
#[test]
fn sled_opens_with_a_snapshot_that_lost_its_rename() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open_sled(folder.path());
    // Some segments of 512 KiB, most of them with nothing that still counts.
    let rows = |round: u8| {
        let row = |number: u32| Row {
            key: format!("{number:03}").into(),
            value: Some(vec![round; 3_000].into()),
        };
        (0..100).map(row).collect::<Vec<_>>()
    };
    for round in 0..12 {
        engine.apply(&rows(round)).unwrap();
        engine.sync().unwrap();
    }
    drop(engine);
    drop(open_sled(folder.path()));
    let names = fs::read_dir(folder.path()).unwrap().map(|one| one.unwrap());
    let snapshots: Vec<_> = names
        .map(|entry| entry.path())
        .filter(|path| path.to_string_lossy().contains("snap."))
        .collect();
    assert_eq!(snapshots.len(), 1, "{snapshots:?}");
    let draft = format!("{}.generating", snapshots[0].display());
    fs::rename(&snapshots[0], draft).unwrap();
    let engine = open_sled(folder.path());
    for row in rows(11) {
        assert_eq!(engine.get(&row.key).unwrap(), row.value, "{:?}", row.key);
    }
}

/// sled does not sync its `conf`, and we can do so only after sled has opened with it.
#[test]
fn sled_opens_with_a_creation_that_was_cut_short() {
    let whole = {
        let folder = tempfile::tempdir().unwrap();
        drop(open_sled(folder.path()));
        fs::read(folder.path().join("conf")).unwrap()
    };
    let lost_checksum = &whole[..whole.len() - 4];
    for bytes in [&b""[..], &vec![0; whole.len()], lost_checksum] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("conf"), bytes).unwrap();
        fs::write(folder.path().join("db"), b"").unwrap();
        drop(open_sled(folder.path()));
        assert_eq!(fs::read(folder.path().join("conf")).unwrap(), whole);
        // It is left alone from now on.
        drop(open_sled(folder.path()));
        assert_eq!(fs::read(folder.path().join("conf")).unwrap(), whole);
    }
}

/// redb gives its file its length first and its header last.
#[test]
fn redb_opens_with_a_creation_that_was_cut_short() {
    for bytes in [&b""[..], &[0; 100_000]] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("redb.new"), bytes).unwrap();
        let engine = RedbEngine::open(folder.path(), CACHE_SIZE_BYTES).unwrap();
        engine.apply(&[row()]).unwrap();
        engine.sync().unwrap();
        drop(engine);
        assert!(!folder.path().join("redb.new").exists());
        let engine = RedbEngine::open(folder.path(), CACHE_SIZE_BYTES).unwrap();
        assert_eq!(engine.get(b"key").unwrap(), Some(Bytes::from("value")));
    }
}
