//! A backup that has what a repair has lost.

use std::path::Path;
use std::sync::Arc;

use abide_storage::conformance::Activation;
use abide_storage::{
    Backup, BackupReport, Repair, RepairMode, Restore, Row, Store, backup, repair, restore,
};
use bytes::Bytes;

use crate::damaged::{Damaged, OBJECTS, commit_to_all, object, open, options};

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

fn back_up(damaged: &Damaged, to: &Path) -> BackupReport {
    backup(damaged.path(), &Backup::to(to), &mut |_| {}).unwrap()
}

/// Repairs it, commits to one object that lost nothing, backs it up, and compares what is restored.
async fn goes_on_with_a_new_base(damaged: &Damaged, backups: &Path) {
    let request = Repair {
        data: damaged.path().into(),
        options: options(),
        mode: RepairMode::AcceptLoss,
    };
    assert!(repair(&request).unwrap().lossy_count > 0);
    let store = open(damaged.path());
    commit_to_all(&store, 5..6, 10).await;
    drop(store);
    let report = back_up(damaged, backups);
    let restored = tempfile::tempdir().unwrap();
    let request = Restore {
        options: options(),
        ..Restore::new(backups, restored.path())
    };
    restore(&request, &mut |_| {}).unwrap();
    assert_eq!(
        content(restored.path()).await,
        content(damaged.path()).await
    );
    assert!(report.base_rows.is_some(), "{report:?}");
}

#[tokio::test]
async fn commits_that_a_repair_has_lost_are_in_no_later_backup() {
    let damaged = Damaged::in_log().await;
    let backups = tempfile::tempdir().unwrap();
    back_up(&damaged, backups.path());
    let segment = damaged.segments().pop().unwrap();
    Damaged::flip(&segment, Damaged::records(&segment)[14] + 50);
    goes_on_with_a_new_base(&damaged, backups.path()).await;
}

/// The rows of an object are removed, since nobody can say of which namespace it is.
#[tokio::test]
async fn rows_that_a_repair_has_lost_are_in_no_later_backup() {
    let damaged = Damaged::in_engine().await;
    let backups = tempfile::tempdir().unwrap();
    back_up(&damaged, backups.path());
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
    goes_on_with_a_new_base(&damaged, backups.path()).await;
}
