//! What must hold after a run, whatever failed in it.

use std::sync::Arc;
use std::time::Duration;

use abide_storage::fault::{DiskFault, DiskOperation, EngineFault, EngineOperation};
use abide_storage::{Health, LogStore, OpenError, Store, check_with};

use crate::faults::Fault;
use crate::history::{History, Outcome};
use crate::machine::Machine;
use crate::operations::Ended;

/// How long a store may take to notice that there is space again.
const RECOVERY_MAX: Duration = Duration::from_secs(10);

/// How a run ended, for its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    /// Nobody noticed but the log file.
    Unharmed,
    /// Something was refused or taken back with effect *none*, and service went on.
    Recovered,
    /// The store stopped: nothing was acknowledged after it, and the restart knows what is there.
    Stopped,
    /// The opening, or the check, failed with an error that names the folder.
    Refused,
}

impl Verdict {
    pub(crate) const ALL: [Self; 4] = [
        Self::Unharmed,
        Self::Recovered,
        Self::Stopped,
        Self::Refused,
    ];
}

/// Holds the run against what is declared, then restarts, cuts the power, restarts, and looks each time.
pub(crate) async fn judge(
    machine: &mut Machine,
    mut history: History,
    ended: Ended,
    fault: Fault,
    at: &str,
) -> Verdict {
    let verdict = match ended {
        Ended::Slandered(problem) => panic!("{at}: {problem}"),
        Ended::Closed => Verdict::Unharmed,
        Ended::Refused(error) => refused(machine, &error, fault, at),
        Ended::Open(store) => {
            let verdict = of_open(&store, &mut history, fault, at).await;
            drop(store);
            verdict
        }
    };
    if is_stall(fault) {
        assert_eq!(verdict, Verdict::Unharmed, "{at}");
    }
    if is_full(fault) {
        assert_ne!(verdict, Verdict::Stopped, "{at}: a full disk is not final");
    }
    restart_twice(machine, &mut history, at).await;
    verdict
}

async fn of_open(store: &Arc<LogStore>, history: &mut History, fault: Fault, at: &str) -> Verdict {
    if let Health::Failed(reason) = store.health() {
        assert!(!reason.is_empty(), "{at}");
        let outcome = history.commit(store, 1, 10).await;
        assert_eq!(
            outcome,
            Outcome::Nothing,
            "{at}: a failed store takes no writes"
        );
        return Verdict::Stopped;
    }
    assert!(
        !history.has(Outcome::Unknown),
        "{at}: unknown, and it goes on"
    );
    let is_harmed = history.has(Outcome::Nothing);
    assert!(
        !(is_harmed && is_stall(fault)),
        "{at}: a stall refused something"
    );
    // Whatever it was, the store takes commits again.
    let patience = async {
        while history.commit(store, 1, 10).await != Outcome::Durable {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let recovered = tokio::time::timeout(RECOVERY_MAX, patience).await;
    assert!(
        recovered.is_ok(),
        "{at}: it does not recover: {store:?} {:?}, {history:?}",
        store.health()
    );
    if is_harmed {
        Verdict::Recovered
    } else {
        Verdict::Unharmed
    }
}

fn refused(machine: &Machine, error: &OpenError, fault: Fault, at: &str) -> Verdict {
    let path = machine.path().display().to_string();
    assert!(error.to_string().contains(&path), "{at}: {error}");
    if is_full(fault) {
        assert!(matches!(error, OpenError::DiskFull { .. }), "{at}: {error}");
    }
    Verdict::Refused
}

/// Nothing fails any more. What the first opening shows is durable by then.
async fn restart_twice(machine: &mut Machine, history: &mut History, at: &str) {
    let reopen = |machine: &Machine, when: &str| match machine.open() {
        Ok(store) => store,
        Err(error) => panic!("{at}: {when} it does not open: {error}"),
    };
    let store = reopen(machine, "restarted");
    history.compare(&store, &format!("{at}: restarted")).await;
    drop(store);
    for seed in 0..2 {
        machine.lose_power(seed);
        let store = reopen(machine, "after a power cut");
        let when = format!("{at}: after a power cut with seed {seed}");
        history.compare(&store, &when).await;
        let outcome = history.commit(&store, 1, 10).await;
        assert_eq!(outcome, Outcome::Durable, "{when}");
        drop(store);
    }
    let report = check_with(&machine.path(), machine.options(), &machine.seams()).unwrap();
    assert_eq!(report.problems, [], "{at}");
}

fn is_stall(fault: Fault) -> bool {
    matches!(
        fault,
        Fault::Disk(_, DiskFault::Stall(_)) | Fault::Engine(_, EngineFault::Stall(_))
    )
}

/// A full disk that the system promises to get over: not one that a sync reports.
fn is_full(fault: Fault) -> bool {
    match fault {
        Fault::Disk(step, DiskFault::DiskFull) => !matches!(
            step.operation,
            DiskOperation::Sync | DiskOperation::SyncFolder
        ),
        Fault::Engine(EngineOperation::Apply, EngineFault::DiskFull) => true,
        _ => false,
    }
}
