//! What a repair finds, does, and costs.

use std::fmt;
use std::path::PathBuf;

use crate::commit::Options;
use crate::folder::OpenError;

/// Steps told one by one; of more, only the number.
const STEPS_TOLD_MAX: usize = 1_000;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Repair {
    /// The data folder of a stopped server.
    pub data: PathBuf,
    /// Of the store; the engine is the one that the folder was made with.
    pub options: Options,
    /// Whether to change anything.
    pub mode: RepairMode,
}

/// How far a repair goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RepairMode {
    /// Says what it would do, and changes nothing.
    DryRun,
    /// Repairs what costs nothing, and refuses when anything would be lost.
    Lossless,
    /// Repairs everything; what is lost is in the report.
    AcceptLoss,
}

/// What a step costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Loss {
    /// All of it is there elsewhere.
    Nothing,
    /// This is gone.
    Some(String),
}

/// One thing that is wrong, and what is done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepairStep {
    /// Where: a file and a byte, or a row by kind and object.
    pub place: String,
    /// What is wrong there.
    pub what: String,
    /// What is done.
    pub remedy: &'static str,
    /// What it costs.
    pub loss: Loss,
}

impl fmt::Display for RepairStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.place, self.what, self.remedy)?;
        match &self.loss {
            Loss::Nothing => Ok(()),
            Loss::Some(loss) => write!(f, "; lost: {loss}"),
        }
    }
}

/// What was found, and done unless it was a dry run.
#[derive(Debug, Clone)]
pub struct RepairReport {
    /// The first thousand steps.
    pub steps: Vec<RepairStep>,
    /// All steps.
    pub steps_count: u64,
    /// How many of all steps lose something.
    pub lossy_count: u64,
    /// Where everything that was changed lies as it was; `None` when nothing was changed.
    pub aside: Option<PathBuf>,
}

/// Why a folder was not repaired.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// It cannot be looked at: no data folder, in use, of a newer release, or a file that cannot be read. Nothing
    /// was changed.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Something would be lost, and that was not accepted. Nothing was changed.
    #[error("{} of {} steps lose something; nothing was changed", report.lossy_count, report.steps_count)]
    Lossy {
        /// What it would have done.
        report: RepairReport,
    },
    /// An engine in memory has nothing to repair a log with. Nothing was changed.
    #[error(
        "a data folder of engine memory is its log alone, and cannot be repaired: restore it from a backup"
    )]
    VolatileEngine,
    /// There is no room for a copy of what would be changed. Nothing was changed.
    #[error("{} needs {needed_bytes} bytes for a copy of what would be changed, {available_bytes} are free", path.display())]
    NoRoom {
        /// The data folder.
        path: PathBuf,
        /// What the copy takes.
        needed_bytes: u64,
        /// What is free.
        available_bytes: u64,
    },
    /// A file or the engine failed on the way. What was changed lies aside as it was.
    #[error("the repair of {} was interrupted: {problem}; run it again", path.display())]
    Interrupted {
        /// The data folder.
        path: PathBuf,
        /// What the operating system or the engine says.
        problem: String,
    },
}

/// The report as it grows.
#[derive(Debug)]
pub(super) struct Findings(pub(super) RepairReport);

impl Findings {
    pub(super) fn new() -> Self {
        Self(RepairReport {
            steps: Vec::new(),
            steps_count: 0,
            lossy_count: 0,
            aside: None,
        })
    }

    pub(super) fn add(&mut self, place: String, what: &str, remedy: &'static str, loss: Loss) {
        let report = &mut self.0;
        report.steps_count += 1;
        report.lossy_count += u64::from(loss != Loss::Nothing);
        if report.steps.len() < STEPS_TOLD_MAX {
            report.steps.push(RepairStep {
                place,
                what: what.into(),
                remedy,
                loss,
            });
        }
    }
}
