//! The power goes at every operation of the disk: a folder of backups is as valid as before, a
//! restore that was cut short is no data folder.

use std::path::Path;
use std::sync::Arc;

use abide_storage::fault::{DiskFault, DiskOperation, DiskStep, FaultDisk, FileRole, PowerSwitch};
use abide_storage::{
    Backup, EngineKind, HistoryError, LogStore, OpenError, Options, Restore, Target, backup,
    history, restore, verify,
};

use crate::restored::compare;
use crate::written::{Written, options};

/// Enough for every operation of what is tried.
const OPERATIONS_MAX: u64 = 200;

fn backup_until(data: &Path, to: &Path, operations: u64, seed: u64) -> Result<(), HistoryError> {
    let disk = Arc::new(FaultDisk::new(PowerSwitch::after(operations)));
    let request = Backup {
        disk: disk.clone(),
        ..Backup::to(to)
    };
    let done = backup(data, &request, &mut |_| {});
    // What the process could not take back with the power gone.
    disk.lose_power(seed);
    done.map(|_| ())
}

#[tokio::test]
async fn a_backup_that_is_cut_short_leaves_a_valid_folder() {
    let mut written = Written::new(options(EngineKind::Redb), 5);
    let repository = tempfile::tempdir().unwrap();
    let mut known = 0;
    for round in 0..2 {
        written.start().await;
        written.commits(60).await;
        written.shutdown().await;
        let mut was_done = false;
        for operations in 1..OPERATIONS_MAX {
            was_done =
                backup_until(written.path(), repository.path(), operations, operations).is_ok();
            if let Ok(report) = history(repository.path()) {
                assert_eq!(
                    verify(repository.path(), &mut |_| {}).unwrap().problems,
                    [""; 0]
                );
                let last = report.spans.last().map_or(0, |span| span.last);
                assert!(
                    last >= known,
                    "what was restorable stays: {last} after {known}"
                );
                known = last;
            } else {
                assert_eq!((round, known), (0, 0), "it was a folder of backups already");
            }
            if was_done {
                break;
            }
        }
        assert!(was_done, "the last attempt had all operations it needs");
        assert_eq!(known, written.last_commit());
        let latest = Target::Latest;
        compare(repository.path(), latest, &written.options, written.now()).await;
    }
}

#[tokio::test]
async fn a_restore_that_is_cut_short_is_no_data_folder() {
    let mut written = Written::new(options(EngineKind::Redb), 6);
    written.start().await;
    written.commits(20).await;
    written.shutdown().await;
    let repository = tempfile::tempdir().unwrap();
    written.backup(repository.path());
    for operations in 1..OPERATIONS_MAX {
        let folder = tempfile::tempdir().unwrap();
        let request = Restore {
            options: written.options.clone(),
            disk: Arc::new(FaultDisk::new(PowerSwitch::after(operations))),
            ..Restore::new(repository.path(), folder.path())
        };
        if restore(&request, &mut |_| {}).is_ok() {
            assert!(operations > 8, "it makes folders, a log and a timeline");
            return;
        }
        if !folder.path().join("RESTORING").exists() {
            // Nothing but a lock is there yet: the folder is as empty as it was.
            assert!(operations <= 3, "{operations}");
            continue;
        }
        let options = Options::clone(&written.options);
        if folder.path().join("FORMAT").exists() {
            // It is whole; only its name, or the leaving of the mark, may have failed.
            let store = LogStore::open(folder.path(), options).unwrap();
            assert_eq!(store.metrics().durable_sequence, written.last_commit());
            continue;
        }
        let error = LogStore::open(folder.path(), options).unwrap_err();
        assert!(matches!(error, OpenError::NotADataFolder { .. }), "{error}");
        assert!(error.to_string().contains("was interrupted"), "{error}");
        let again = Restore::new(repository.path(), folder.path());
        let error = restore(&again, &mut |_| {}).unwrap_err();
        assert!(matches!(error, HistoryError::NotEmpty { .. }), "{error}");
    }
    panic!("a restore needs fewer operations");
}

/// A sync has failed, and the kernel takes what it should have written for clean: the commit is in the file until the power goes.
#[tokio::test]
async fn a_backup_after_a_failed_sync_knows_no_more_than_the_folder() {
    let mut written = Written::new(options(EngineKind::Redb), 7);
    written.start().await;
    written.commits(5).await;
    let sync = DiskStep {
        operation: DiskOperation::Sync,
        file: FileRole::Segment,
    };
    written.disk.fault_at_step(sync, 1, DiskFault::Fail);
    assert!(!written.try_commit_large().await);
    written.crash();
    let to = tempfile::tempdir().unwrap();
    let request = Backup {
        disk: written.disk.clone(),
        ..Backup::to(to.path())
    };
    let known = backup(written.path(), &request, &mut |_| {}).unwrap();
    written.disk.lose_power(1);
    written.recover().await;
    assert!(
        written.last_commit() >= known.last_commit,
        "the next commit would be another one under the number of one in the backup"
    );
    written.shutdown().await;
}
