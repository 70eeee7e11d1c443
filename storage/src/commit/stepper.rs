//! A [`LogStore`] without threads, whose steps a simulation takes one by one.
//!
//! The code of the steps is that of the threads: a group is taken, written, synced and answered by
//! the committer, a checkpoint frozen and finished by the checkpointer. What is not there is
//! their concurrency within a step, their pauses, and the thread that makes spare segments.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Mutex, RwLock};

use super::LogStore;
use super::checkpointer::{Checkpointer, Interrupted};
use super::committer::Committer;
use super::opening::{Assembled, Ground, assemble};
use super::options::Options;
use super::overlay::Frozen;
use super::readers::Readers;
use super::shared::Shared;
use crate::clock;
use crate::engine::Engine;
use crate::folder::OpenError;
use crate::history::Repository;
use crate::log::{Disk, SpareMaker};

/// Whether a step found something to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stepped {
    /// It did its work, whether that succeeded or failed.
    Done,
    /// There was nothing to do, or it has to wait for another step.
    Nothing,
}

/// Does what the threads of a store would do. Dropping it loses what is not durable.
#[derive(Debug)]
pub struct Stepper {
    shared: Arc<Shared>,
    committer: Committer,
    checkpointer: Checkpointer,
    /// A checkpoint that has begun.
    frozen: Option<Frozen>,
}

impl LogStore {
    /// Opens a store over this disk and engine, both in memory, without threads and without a
    /// folder of the real file system. `options` are taken as they are, so that segments can be small.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    ///
    /// # Panics
    /// When the engine's reads need threads, or history is on.
    pub fn open_stepped(
        folder: &Path,
        options: Options,
        engine: Arc<dyn Engine>,
        disk: Arc<dyn Disk>,
    ) -> Result<(Arc<Self>, Stepper), OpenError> {
        assert!(
            engine.reads_are_memory(),
            "reads are made where they are asked for"
        );
        let (readers, _no_threads) =
            Readers::start(engine.clone(), 0).map_err(|error| OpenError::from_io(folder, error))?;
        let ground = Ground {
            root: folder,
            engine_folder: folder,
            log_folder: folder,
            engine,
            disk: disk.clone(),
            spare_maker: SpareMaker::Nobody,
            // Nothing of it is used: it is off.
            open_history: &|| Ok(Repository::unopened(disk.clone(), folder)),
        };
        let Assembled {
            shared,
            keeper,
            committer,
            checkpointer,
            report,
        } = assemble(ground, options)?;
        assert!(
            !keeper.is_on(),
            "history needs a folder of the real file system"
        );
        let store = Self {
            shared: shared.clone(),
            keeper,
            readers: RwLock::new(Some(Arc::new(readers))),
            threads: Mutex::new(None),
            report,
            _folder: None,
        };
        let stepper = Stepper {
            shared,
            committer,
            checkpointer,
            frozen: None,
        };
        Ok((Arc::new(store), stepper))
    }
}

impl Stepper {
    /// Moves the clock by which stores on this thread look after their disk.
    pub fn set_time(now: Instant) {
        clock::set::to(now);
    }

    /// Makes what is queued durable, as one group.
    pub fn commit(&mut self) -> Stepped {
        if self.shared.queue.lock().items.is_empty() || self.has_failed() {
            return Stepped::Nothing;
        }
        let mut group = Vec::new();
        self.committer.take_group(&mut group);
        // A failed log is told of by `has_failed`.
        _ = self.committer.write(&mut group);
        Stepped::Done
    }

    /// Begins a checkpoint, or ends the one that has begun when all of it is durable.
    pub fn checkpoint(&mut self) -> Stepped {
        let shared = self.shared.clone();
        if shared.space.is_low() {
            // Somebody must notice when there is space again; the engine is left alone until then.
            shared.space.note_written(0);
            return Stepped::Nothing;
        }
        if self.has_failed() {
            return Stepped::Nothing;
        }
        let Some(frozen) = self.frozen.take() else {
            self.frozen = self.checkpointer.freeze();
            return self
                .frozen
                .as_ref()
                .map_or(Stepped::Nothing, |_| Stepped::Done);
        };
        let current = shared.overlay.snapshot().frozen;
        if !current.is_some_and(|current| Arc::ptr_eq(&current.table, &frozen.table)) {
            // Its commits were taken back.
            return Stepped::Done;
        }
        if shared.durable_sequence() < frozen.sequence {
            self.frozen = Some(frozen);
            return Stepped::Nothing;
        }
        if let Err(Interrupted::Engine(error)) = self.checkpointer.finish(&frozen) {
            shared.fail(&format!("the checkpoint failed: {error}"));
        }
        Stepped::Done
    }

    /// Whether the store acknowledges nothing any more.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.shared.failure.get().is_some()
    }

    /// The process dies: whoever waits for the store waits for nothing.
    pub fn die(self) {
        self.shared.fail("the process has died");
    }
}
