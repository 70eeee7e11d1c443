//! The operations, each with what is there before it.

use std::sync::Arc;
use std::time::Duration;

use abide_storage::fault::{DiskFault, DiskOperation, DiskStep, FileRole};
use abide_storage::{Health, LogStore, OpenError, Store, check_with};

use crate::history::{History, Outcome};
use crate::machine::Machine;

const SMALL: usize = 100;
/// Four of them fill a segment.
const LARGE: usize = 240 << 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// The first opening, which makes the folder, and a commit.
    Creation,
    /// Commits into one segment.
    Commits,
    /// Commits through several segments: spares are taken and made.
    Segments,
    /// Commits with a checkpoint after each: segments are let go, recycled, removed.
    Checkpoints,
    /// An opening after a shutdown.
    OpeningClean,
    /// An opening that reads several segments.
    OpeningReplay,
    /// An opening that cuts a torn group off.
    OpeningTorn,
    /// An opening after a process that ended because a sync had failed.
    OpeningUnsynced,
    /// The shutdown, with its last checkpoint.
    Shutdown,
    /// `abide check`.
    Check,
}

/// How an operation ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// The store is open.
    Open(Arc<LogStore>),
    /// It was never opened, or is closed again.
    Closed,
    /// It could not be opened, or checked.
    Refused(OpenError),
    /// The check calls something damaged which is not.
    Slandered(String),
}

impl Operation {
    pub(crate) fn machine(self) -> Machine {
        let checkpoint_size_bytes = match self {
            // Below every commit of it: each has a checkpoint of its own.
            Self::Checkpoints => 100 << 10,
            _ => 64 << 20,
        };
        Machine::new(checkpoint_size_bytes)
    }

    /// What stands before the operation; without faults.
    pub(crate) async fn prepare(
        self,
        machine: &Machine,
        history: &mut History,
    ) -> Option<Arc<LogStore>> {
        if self == Self::Creation {
            return None;
        }
        let store = machine.open().unwrap();
        machine.settle().await;
        match self {
            Self::Creation => {}
            Self::Commits | Self::Segments | Self::Checkpoints => {
                history.commit(&store, 1, SMALL).await;
                return Some(store);
            }
            Self::Shutdown => {
                history.commit(&store, 1, SMALL).await;
                history.commit(&store, 2, SMALL).await;
                return Some(store);
            }
            Self::OpeningClean => {
                history.commit(&store, 1, SMALL).await;
                store.shutdown().await;
            }
            Self::OpeningReplay | Self::Check => {
                for number in [1, 2, 1, 2, 1, 2] {
                    history.commit(&store, number, LARGE).await;
                }
            }
            Self::OpeningTorn => {
                history.commit(&store, 1, SMALL).await;
                fail_next(machine, DiskOperation::Write, DiskFault::Tear);
                let outcome = history.commit(&store, 1, SMALL).await;
                assert_eq!(outcome, Outcome::Unknown);
            }
            Self::OpeningUnsynced => {
                history.commit(&store, 1, SMALL).await;
                fail_next(machine, DiskOperation::Sync, DiskFault::Fail);
                let outcome = history.commit(&store, 1, SMALL).await;
                assert_eq!(outcome, Outcome::Unknown);
            }
        }
        machine.settle().await;
        None
    }

    /// The operation itself, which meets the fault.
    pub(crate) async fn run(
        self,
        machine: &Machine,
        store: Option<Arc<LogStore>>,
        history: &mut History,
    ) -> Ended {
        if self == Self::Check {
            return run_check(machine);
        }
        let store = match store {
            Some(store) => store,
            None => match machine.open() {
                Ok(store) => store,
                Err(error) => return Ended::Refused(error),
            },
        };
        match self {
            Self::Shutdown => {
                store.shutdown().await;
                drop(store);
                return Ended::Closed;
            }
            Self::Segments => {
                for number in [1, 2, 1, 2, 1, 2] {
                    history.commit(&store, number, LARGE).await;
                    machine.settle().await;
                }
            }
            Self::Checkpoints => {
                for number in [1, 2, 1, 2, 1, 2] {
                    let before = store.metrics().checkpoints;
                    let outcome = history.commit(&store, number, LARGE).await;
                    while outcome == Outcome::Durable
                        && store.metrics().checkpoints == before
                        && !matches!(store.health(), Health::Failed(_))
                    {
                        tokio::time::sleep(Duration::from_millis(2)).await;
                    }
                    machine.settle().await;
                }
            }
            _ => {
                for number in [1, 2, 1] {
                    history.commit(&store, number, SMALL).await;
                }
            }
        }
        machine.settle().await;
        Ended::Open(store)
    }
}

fn fail_next(machine: &Machine, operation: DiskOperation, fault: DiskFault) {
    let file = FileRole::Segment;
    machine
        .disk
        .fault_at_step(DiskStep { operation, file }, 1, fault);
}

fn run_check(machine: &Machine) -> Ended {
    match check_with(&machine.path(), machine.options(), &machine.seams()) {
        Ok(report) if report.problems.is_empty() => Ended::Closed,
        Ok(report) => Ended::Slandered(report.problems[0].to_string()),
        Err(error) => Ended::Refused(error),
    }
}
