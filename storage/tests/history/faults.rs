//! Every call that a backup, an incremental backup and a restore make to the file system, failing once: with an error of the
//! device, for lack of space, in the middle of a write, and stalling. An engine's own files are not among them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use abide_storage::fault::{DiskFault, DiskStep, FaultDisk, PowerSwitch};
use abide_storage::{
    Backup, EngineKind, HistoryError, Restore, Target, backup, history, restore, verify,
};

use crate::restored::compare;
use crate::written::{Written, options};

const STALL: Duration = Duration::from_millis(5);

/// Runs it without faults and counts its calls; then once for each call and each kind of fault. Answers calls, runs, and how many
/// of these failed.
fn try_all(run: impl Fn(Option<(DiskStep, u64, DiskFault)>, Arc<FaultDisk>) -> bool) -> [u64; 3] {
    let disk = || Arc::new(FaultDisk::new(PowerSwitch::never()));
    let counting = disk();
    assert!(run(None, counting.clone()));
    let steps = counting.steps();
    let (mut runs, mut failed) = (0, 0);
    for (step, count) in &steps {
        for fault in DiskFault::all_of(step.operation, STALL) {
            for nth in 1..=*count {
                let faulty = disk();
                faulty.fault_at_step(*step, nth, fault);
                let is_done = run(Some((*step, nth, fault)), faulty.clone());
                assert!(!faulty.is_armed(), "{step:?} {nth} is never made");
                if matches!(fault, DiskFault::Stall(_)) {
                    assert!(is_done, "{step:?} {nth}: a stall is no failure");
                }
                runs += 1;
                failed += u64::from(!is_done);
            }
        }
    }
    [steps.values().sum(), runs, failed]
}

fn back_up(data: &Path, to: &Path, disk: Arc<FaultDisk>) -> Result<u64, HistoryError> {
    let request = Backup {
        disk,
        ..Backup::to(to)
    };
    Ok(backup(data, &request, &mut |_| {})?.last_commit)
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

/// The folder of backups stays valid whatever fails, and the next backup has everything.
#[tokio::test]
async fn a_backup_whose_calls_fail_leaves_a_folder_that_the_next_one_finishes() {
    let mut written = Written::new(options(EngineKind::Redb), 8);
    let known = tempfile::tempdir().unwrap();
    for round in ["first", "incremental"] {
        written.start().await;
        written.commits(20).await;
        written.shutdown().await;
        let last = written.last_commit();
        let figures = try_all(|at, disk| {
            let to = tempfile::tempdir().unwrap();
            copy(known.path(), to.path());
            let done = back_up(written.path(), to.path(), disk);
            if let Ok(problems) = verify(to.path(), &mut |_| {}) {
                assert_eq!(problems.problems, [""; 0], "{at:?}");
            }
            let again = Arc::new(FaultDisk::new(PowerSwitch::never()));
            let finished = back_up(written.path(), to.path(), again);
            assert_eq!(finished.unwrap(), last, "{at:?}");
            let spans = history(to.path()).unwrap().spans;
            assert_eq!(spans.last().unwrap().last, last, "{at:?}");
            done.is_ok()
        });
        println!("| {round} backup | {figures:?} |");
        written.backup(known.path());
        let latest = Target::Latest;
        compare(known.path(), latest, &written.options, written.now()).await;
    }
}

/// A restore that failed says so, and once more into an empty folder it succeeds; the backups are as they were.
#[tokio::test]
async fn a_restore_whose_calls_fail_can_be_made_again() {
    let mut written = Written::new(options(EngineKind::Redb), 9);
    written.start().await;
    written.commits(20).await;
    written.shutdown().await;
    let known = tempfile::tempdir().unwrap();
    written.backup(known.path());
    let figures = try_all(|at, disk| {
        let folder = tempfile::tempdir().unwrap();
        let request = Restore {
            options: written.options.clone(),
            disk,
            ..Restore::new(known.path(), folder.path())
        };
        let done = restore(&request, &mut |_| {});
        if let Err(error) = &done {
            let path = folder.path().display().to_string();
            let of = [path, known.path().display().to_string()];
            let told = error.to_string();
            assert!(of.iter().any(|path| told.contains(path)), "{at:?}: {told}");
        }
        done.is_ok()
    });
    println!("| restore | {figures:?} |");
    let latest = Target::Latest;
    compare(known.path(), latest, &written.options, written.now()).await;
}
