//! A store that is read for a backup: running, or stopped.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::HistoryError;
use super::groups::Origin;
use super::repository::{Repository, Timeline};
use crate::commit::{Options, engine_error, open_engine, read_meta};
use crate::engine::Engine;
use crate::folder::Folder;
use crate::key::Meta;
use crate::log::{self, Disk};

/// What a backup reads. Its log and its history stay as they are for as long as it lives, but for
/// what is added.
pub(crate) trait Source {
    fn engine(&self) -> &dyn Engine;

    /// The engine holds every commit up to this one.
    fn engine_sequence(&self) -> u64;

    /// The last durable commit. The engine holds none after it.
    fn last_commit(&self) -> u64;

    fn origin(&self) -> Origin;

    /// The folder of the log.
    fn log(&self) -> &Path;

    /// What is kept already.
    fn history(&self) -> &Repository;

    /// # Errors
    /// [`HistoryError::Interrupted`] when the work must end.
    fn go_on(&self) -> Result<(), HistoryError>;
}

/// A data folder that no process serves; locked for as long as this lives.
pub(crate) struct StoppedSource {
    engine: Arc<dyn Engine>,
    meta: Meta,
    last_commit: u64,
    log: PathBuf,
    history: Repository,
    _folder: Folder,
}

impl StoppedSource {
    /// Locks the folder and looks at its log, which it makes durable: a process that was killed may
    /// have left the end of it in memory only, and no backup may know more than the folder.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        path: &Path,
        options: &Options,
    ) -> Result<Self, HistoryError> {
        let (folder, kind) = Folder::open_existing(&*disk, path)?;
        let options = Options {
            engine: kind,
            ..options.clone()
        };
        let engine = open_engine(&folder.engine(), &options.clamped())
            .map_err(|error| engine_error(&folder.engine(), error))?;
        let meta = read_meta(&*engine)?;
        let log = folder.log();
        let replayed = log::replay(&*disk, &log, meta.checkpoint, &mut |_, _| Ok(()))?;
        log::make_durable(&*disk, &log, &replayed)
            .map_err(|error| HistoryError::io(&log, error))?;
        // A folder of an older release has none before it is served again.
        let history = Repository::open_or_create(disk, &folder.history(), Timeline::random())?;
        Ok(Self {
            engine,
            meta,
            last_commit: replayed.next_sequence - 1,
            log,
            history,
            _folder: folder,
        })
    }
}

impl Source for StoppedSource {
    fn engine(&self) -> &dyn Engine {
        &*self.engine
    }

    fn engine_sequence(&self) -> u64 {
        self.meta.checkpoint
    }

    fn last_commit(&self) -> u64 {
        self.last_commit
    }

    fn origin(&self) -> Origin {
        self.history.origin(self.meta.generation)
    }

    fn log(&self) -> &Path {
        &self.log
    }

    fn history(&self) -> &Repository {
        &self.history
    }

    fn go_on(&self) -> Result<(), HistoryError> {
        Ok(())
    }
}
