//! The thread that keeps history, and the store as backups read it.
//!
//! With history off there is no thread: the checkpointer lets segments go by itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::shared::{PanicGuard, Shared};
use crate::clock;
use crate::engine::Engine;
use crate::history::{
    HistoryError, Limits, Origin, Repository, Source, Wanted, keep, retain, write_base,
};
use crate::log::ClosedSegments;

/// How often the age of history is looked at.
const TICK: Duration = Duration::from_secs(60);
/// Pause after a piece of work, in times of what it took: a fifth of one processor and of the disk is
/// what history may have.
const PAUSE: u32 = 4;
/// Longest pause after a piece of work.
const PAUSE_MAX: Duration = Duration::from_millis(40);
/// More closed segments than these are copied without a pause: they take space until then.
const SEGMENTS_PACED_MAX: usize = 2;

/// What belongs to the history of an open store. Shared by its thread, the checkpointer and
/// whoever makes a backup.
#[derive(Debug)]
pub(super) struct Keeper {
    pub(super) shared: Arc<Shared>,
    pub(super) closed: Arc<ClosedSegments>,
    pub(super) repository: Repository,
    pub(super) log: PathBuf,
    pub(super) generation: u64,
    pub(super) bell: Bell,
}

/// Tells the thread what there is to do.
#[derive(Debug, Default)]
pub(super) struct Bell {
    state: Mutex<BellState>,
    rung: Condvar,
}

#[derive(Debug, Default)]
struct BellState {
    /// The last checkpoint; segments before it may go.
    checkpoint: u64,
    is_new: bool,
    is_stopping: bool,
}

impl Keeper {
    /// Segments before this checkpoint, which is durable, are not needed for opening any more.
    pub(super) fn note_checkpoint(&self, checkpoint: u64) {
        if !self.is_on() {
            self.release(checkpoint);
            return;
        }
        let mut state = self.bell.state.lock();
        state.checkpoint = checkpoint;
        state.is_new = true;
        self.bell.rung.notify_all();
    }

    pub(super) fn stop(&self) {
        self.bell.state.lock().is_stopping = true;
        self.bell.rung.notify_all();
    }

    pub(super) fn is_on(&self) -> bool {
        self.limits().size_bytes > 0
    }

    /// Runs until it is stopped.
    pub(super) fn run(&self) {
        let _guard = PanicGuard(self.shared.clone(), "the history thread panicked");
        if let Err(error) = self.repository.remove_drafts() {
            // Only space is at stake; a next draft of the same kind replaces it.
            tracing::warn!(%error, "an unfinished file of history stays behind");
        }
        while let Some(checkpoint) = self.wait() {
            self.keep(checkpoint);
            match self.retain() {
                // A base that a shutdown cuts short is written after the next start.
                Ok(()) | Err(HistoryError::Interrupted) => {}
                Err(error) => {
                    tracing::warn!(%error, "history could not be brought within its limits");
                }
            }
        }
    }

    fn limits(&self) -> Limits {
        Limits {
            age: self.shared.options.history_age,
            size_bytes: self.shared.options.history_size_bytes,
        }
    }

    /// The last checkpoint, when there is a new one or time has passed; `None` to end.
    fn wait(&self) -> Option<u64> {
        let mut state = self.bell.state.lock();
        if !state.is_new && !state.is_stopping {
            _ = self.bell.rung.wait_for(&mut state, TICK);
        }
        state.is_new = false;
        (!state.is_stopping).then_some(state.checkpoint)
    }

    /// Copies segments that may go, and lets them go, copied or not.
    fn keep(&self, checkpoint: u64) {
        let Some(last) = self.closed.last_sequence_within(checkpoint) else {
            return;
        };
        if self.shared.space.is_low() {
            tracing::warn!(last, "the disk is almost full: history has a gap");
        } else if let Err(error) = self.copy(last) {
            tracing::warn!(%error, last, "commits could not be kept: history has a gap");
        }
        self.release(checkpoint);
    }

    fn copy(&self, last: u64) -> Result<(), HistoryError> {
        let mut pace = Pace::new();
        keep(self, last, &mut || {
            if self.closed.count() <= SEGMENTS_PACED_MAX && self.go_on().is_ok() {
                pace.pause();
            }
        })
    }

    fn release(&self, checkpoint: u64) {
        if let Err(error) = self.closed.release(checkpoint) {
            // Only space is at stake; it is tried again when the folder is opened.
            tracing::warn!(%error, "a used log segment stays behind");
        }
    }

    fn retain(&self) -> Result<(), HistoryError> {
        let wanted = {
            let Some(_alone) = self.closed.nobody_reads() else {
                return Ok(());
            };
            retain(self, self.limits())?
        };
        if wanted == Wanted::Nothing || self.shared.space.is_low() {
            return Ok(());
        }
        let mut pace = Pace::new();
        write_base(self, &mut || {
            self.go_on()?;
            // Segments must not pile up for as long as a large engine takes.
            let checkpoint = self.bell.state.lock().checkpoint;
            self.keep(checkpoint);
            pace.pause();
            Ok(())
        })?;
        // The new base may stand for older ones now.
        if let Some(_alone) = self.closed.nobody_reads() {
            retain(self, self.limits())?;
        }
        Ok(())
    }
}

/// Leaves processor and disk to the commits, between two pieces of work.
struct Pace(Instant);

impl Pace {
    fn new() -> Self {
        Self(clock::now())
    }

    fn pause(&mut self) {
        let worked = clock::now().duration_since(self.0);
        thread::sleep((worked * PAUSE).min(PAUSE_MAX));
        self.0 = clock::now();
    }
}

impl Source for Keeper {
    fn engine(&self) -> &dyn Engine {
        &*self.shared.engine
    }

    fn engine_sequence(&self) -> u64 {
        self.shared.overlay.tables.read().engine_sequence
    }

    fn last_commit(&self) -> u64 {
        self.shared.durable_sequence()
    }

    fn origin(&self) -> Origin {
        self.repository.origin(self.generation)
    }

    fn log(&self) -> &Path {
        &self.log
    }

    fn history(&self) -> &Repository {
        &self.repository
    }

    fn go_on(&self) -> Result<(), HistoryError> {
        match self.shared.queue.lock().closed {
            Some(_) => Err(HistoryError::Interrupted),
            None => Ok(()),
        }
    }
}
