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
