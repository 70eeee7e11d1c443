//! Why something with history or a backup failed.

use std::io;
use std::path::{Path, PathBuf};

use super::repository::Timeline;
use super::spans::{Span, Target, describe_spans};
use crate::folder::OpenError;
use crate::log::is_disk_full;
use crate::store::ReadError;

/// Why a backup, a restore or a look into history failed. Nothing that was there before is harmed:
/// a folder of backups keeps every file it had, and a restore that failed has made no data folder.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The folder holds something else.
    #[error("{} is no folder of backups: {problem}; name one that exists, or a new one to back up to", path.display())]
    NotARepository {
        /// The folder.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A newer release wrote the file.
    #[error("{} has format {found}, this release reads up to {supported}: use the release that wrote it, or a newer one", path.display())]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The highest one this release reads.
        supported: u32,
    },
    /// A file is not as it was written.
    #[error("{} is damaged at byte {offset}: {problem}; use another copy of it", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where in it, bytes.
        offset: u64,
        /// What is wrong.
        problem: String,
    },
    /// The backups are those of another data folder, or of this one before it was restored.
    #[error(
        "{} holds backups of timeline {found}, the data folder is on timeline {wanted}: it is another store, \
         or was restored since; choose another folder",
        path.display()
    )]
    OtherTimeline {
        /// The folder of backups.
        path: PathBuf,
        /// Its timeline.
        found: Timeline,
        /// That of the data folder.
        wanted: Timeline,
    },
    /// The data folder is older than its backup: somebody has put an old copy in its place.
    #[error(
        "{} holds commits up to {found}, the data folder ends with commit {wanted}: it was put back from a copy; \
         choose another folder",
        path.display()
    )]
    Ahead {
        /// The folder of backups.
        path: PathBuf,
        /// Its last commit.
        found: u64,
        /// The last commit of the data folder.
        wanted: u64,
    },
    /// Another backup writes to the same folder.
    #[error("another backup writes to {}: wait for its end", path.display())]
    InUse {
        /// The folder of backups.
        path: PathBuf,
    },
    /// There is no base, or not every commit, to restore this from.
    #[error("{target} is not retained: {}", describe_spans(retained))]
    NotRetained {
        /// What was asked for.
        target: Target,
        /// What there is.
        retained: Vec<Span>,
    },
    /// A restore makes a new data folder, and there is one already, or something else.
    #[error("{} is not empty: a restore makes a new data folder, name one that does not exist", path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// The engine asked for forgets its rows.
    #[error("a restore needs an engine that keeps its rows: sled or redb")]
    VolatileEngine,
    /// The data folder cannot be read.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The engine cannot be read or written.
    #[error(transparent)]
    Engine(#[from] ReadError),
    /// It was told to stop: the store is being shut down, or has failed.
    #[error("interrupted: the store is shutting down, or has failed")]
    Interrupted,
    /// There is no space.
    #[error("the disk of {} is full: free some space and try again", path.display())]
    DiskFull {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// Any other failure of the file system.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
}

impl HistoryError {
    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        let path = path.to_path_buf();
        if is_disk_full(&source) {
            Self::DiskFull { path, source }
        } else {
            Self::Io { path, source }
        }
    }

    pub(super) fn corrupt(path: &Path, offset: u64, problem: impl Into<String>) -> Self {
        Self::Corrupt {
            path: path.into(),
            offset,
            problem: problem.into(),
        }
    }
}

impl From<crate::engine::EngineError> for HistoryError {
    fn from(error: crate::engine::EngineError) -> Self {
        Self::Engine(error.into())
    }
}

impl From<crate::log::ReplayError> for HistoryError {
    fn from(error: crate::log::ReplayError) -> Self {
        Self::Open(error.into())
    }
}
