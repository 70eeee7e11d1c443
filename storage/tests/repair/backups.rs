//! A backup that has what a repair has lost.

use std::path::Path;
use std::sync::Arc;

use abide_storage::conformance::Activation;
use abide_storage::{
    Backup, BackupReport, LogStore, OpenError, Repair, RepairMode, RepairReport, Restore, Row,
    Store, backup, repair, restore,
};
use bytes::Bytes;

use crate::damaged::{Damaged, OBJECTS, commit_to_all, copy_folder, object, open, options};

/// Of each object, its version and the row that it began as; the first 8 bytes of the rows say of which version they are.
async fn content(path: &Path) -> Vec<(u64, Option<Bytes>)> {
    let store: Arc<dyn Store> = open(path);
    let mut content = Vec::new();
    for number in 0..OBJECTS {
        let activation = Activation::open(&store, object(number)).await.unwrap();
        content.push((activation.version.0, activation.get("a").await));
    }
    content
}

fn repaired(data: &Path) -> RepairReport {
    let request = Repair {
        data: data.into(),
        options: options(),
        mode: RepairMode::AcceptLoss,
    };
    repair(&request).unwrap()
}

fn back_up(data: &Path, to: &Path) -> BackupReport {
    backup(data, &Backup::to(to), &mut |_| {}).unwrap()
}

/// Repairs it, which loses something, and goes on.
async fn goes_on_with_a_new_base(damaged: &Damaged, backups: &Path) {
    assert!(repaired(damaged.path()).lossy_count > 0);
    continues_with_a_new_base(damaged.path(), backups).await;
}

/// Commits to one object that lost nothing, backs it up, and compares what is restored.
async fn continues_with_a_new_base(data: &Path, backups: &Path) {
    let store = open(data);
    commit_to_all(&store, 5..6, 10).await;
    drop(store);
    let report = back_up(data, backups);
    let restored = tempfile::tempdir().unwrap();
    let request = Restore {
        options: options(),
        ..Restore::new(backups, restored.path())
    };
    restore(&request, &mut |_| {}).unwrap();
    assert_eq!(content(restored.path()).await, content(data).await);
    assert!(report.base_rows.is_some(), "{report:?}");
}

#[tokio::test]
async fn commits_that_a_repair_has_lost_are_in_no_later_backup() {
    let damaged = Damaged::in_log().await;
    let backups = tempfile::tempdir().unwrap();
    back_up(damaged.path(), backups.path());
    let segment = damaged.segments().pop().unwrap();
    Damaged::flip(&segment, Damaged::records(&segment)[14] + 50);
    goes_on_with_a_new_base(&damaged, backups.path()).await;
}

fn lose_headers(damaged: &Damaged) {
    damaged.change_rows(|_| {
        let header = |number| [&b"\x02test\0"[..], object(number).id.as_bytes()].concat();
        let removal = |key: Vec<u8>| Row {
            key: key.into(),
            value: None,
        };
        let mut rows: Vec<_> = (0..OBJECTS).map(|number| removal(header(number))).collect();
        rows.sort_by(|a, b| a.key.cmp(&b.key));
        rows
    });
}

/// The rows of an object are removed, since nobody can say of which namespace it is.
#[tokio::test]
async fn rows_that_a_repair_has_lost_are_in_no_later_backup() {
    let damaged = Damaged::in_engine().await;
    let backups = tempfile::tempdir().unwrap();
    back_up(damaged.path(), backups.path());
    lose_headers(&damaged);
    goes_on_with_a_new_base(&damaged, backups.path()).await;
}

/// Cut short behind the rows, the second run finds nothing that is lost any more: a file has to say so.
#[tokio::test]
async fn a_repair_with_losses_that_was_cut_short_is_finished_before_anything_else() {
    let damaged = Damaged::in_engine().await;
    let backups = tempfile::tempdir().unwrap();
    back_up(damaged.path(), backups.path());
    lose_headers(&damaged);
    let mut half_repaired = Vec::new();
    damaged.cut_short_anywhere(RepairMode::AcceptLoss, |copy| {
        if copy.join("REPAIRING").exists() {
            let kept = tempfile::tempdir().unwrap();
            copy_folder(copy, kept.path());
            half_repaired.push(kept);
        }
    });
    assert!(!half_repaired.is_empty());
    for data in half_repaired {
        let error = LogStore::open(data.path(), options()).unwrap_err();
        assert!(matches!(error, OpenError::RepairCutShort { .. }), "{error}");
        repaired(data.path());
        let to = tempfile::tempdir().unwrap();
        copy_folder(backups.path(), to.path());
        continues_with_a_new_base(data.path(), to.path()).await;
    }
}
