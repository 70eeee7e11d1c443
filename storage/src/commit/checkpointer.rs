//! The thread that moves commits from the overlay into the engine, in the background, so that
//! the log can be shortened.
//!
//! The order is what keeps commits whole: freeze; wait until all that is frozen is durable in the log
//! (the engine must never hold what the log could lose); apply; sync; note the checkpoint; sync;
//! only then let go of the log's segments.

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::thread;
use std::time::{Duration, Instant};

use super::counters::Counters;
use super::keeper::Keeper;
use super::memtable::Memtable;
use super::overlay::Frozen;
use super::shared::{PanicGuard, Shared, Stop};
use crate::clock;
use crate::engine::{EngineError, Row};
use crate::key::{self, Meta};
use crate::teeth::{Tooth, broken};

/// Rows given to the engine at once, bytes. Large sorted batches drove sled to gigabytes of memory.
const PIECE_SIZE_BYTES: usize = 256 << 10;
/// Pieces between two syncs of the engine: short syncs, so that the log's own never wait long
/// behind them.
const PIECES_PER_SYNC: usize = 4;
/// How often the age of the overlay and the free space are looked at.
const TICK: Duration = Duration::from_millis(250);
/// Pause before the engine is tried again after its disk was full.
const RETRY_PAUSE: Duration = Duration::from_millis(250);
/// Pause between two pieces while the overlay is small, in times of what the piece took: a fifth
/// of one processor and of the disk is what a checkpoint may have then.
const PAUSE_WHEN_SMALL: u32 = 4;
/// Longest pause between two pieces.
const PAUSE_MAX: Duration = Duration::from_millis(40);

/// Owned by its thread.
#[derive(Debug)]
pub(super) struct Checkpointer {
    shared: Arc<Shared>,
    keeper: Arc<Keeper>,
    /// Since when the active memtable has something.
    oldest: Option<Instant>,
}

/// Why a checkpoint ended early.
pub(super) enum Interrupted {
    /// The thread is to end now.
    Abandoned,
    /// The commits were taken back before they became durable.
    TakenBack,
    Engine(EngineError),
}

impl From<EngineError> for Interrupted {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

impl Shared {
    /// Wakes the checkpointer when it has reason to look.
    pub(super) fn nudge_checkpointer(&self) {
        let is_full =
            || self.overlay.snapshot().active.size_bytes() >= self.options.checkpoint_size_bytes;
        if self.checkpointer_idle.load(Ordering::Acquire) || is_full() {
            self.wake_checkpointer();
        }
    }

    /// Wakes the checkpointer if it waits for the rows that have just been put into the memtable: the committer
    /// may have made them durable, and nudged, before they were there.
    pub(super) fn wake_idle_checkpointer(&self) {
        fence(Ordering::SeqCst);
        if self.checkpointer_idle.load(Ordering::Relaxed) {
            self.wake_checkpointer();
        }
    }
}

impl Checkpointer {
    pub(super) fn new(shared: Arc<Shared>, keeper: Arc<Keeper>) -> Self {
        Self {
            shared,
            keeper,
            oldest: None,
        }
    }

    /// Runs until it is stopped, or the engine fails.
    pub(super) fn run(mut self) {
        let _guard = PanicGuard(self.shared.clone(), "the checkpointer thread panicked");
        loop {
            let stop = self.wait();
            if stop == Stop::Abandon {
                return;
            }
            match self.checkpoint() {
                Ok(()) | Err(Interrupted::TakenBack) => {}
                Err(Interrupted::Abandoned) => return,
                Err(Interrupted::Engine(error)) => {
                    let error = crate::store::ReadError::from(error);
                    self.shared.fail(&format!("the checkpoint failed: {error}"));
                    return;
                }
            }
            if stop == Stop::Drain {
                return;
            }
        }
    }

    /// Waits until a checkpoint is due or the thread is stopped.
    fn wait(&mut self) -> Stop {
        let shared = self.shared.clone();
        let mut wake = shared.checkpoint_wake.lock();
        loop {
            let stop = shared.checkpointer_stop.get();
            let active = shared.overlay.snapshot().active;
            if stop != Stop::No || self.is_due(&active) {
                return stop;
            }
            let is_idle = active.is_empty() && !shared.space.is_low();
            shared.checkpointer_idle.store(is_idle, Ordering::Release);
            // With the fence of `wake_idle_checkpointer`: either the rows are seen here, or whoever
            // put them there sees that nobody has.
            fence(Ordering::SeqCst);
            if is_idle && shared.overlay.snapshot().active.is_empty() {
                shared.checkpoint_wanted.wait(&mut wake);
            } else {
                _ = shared.checkpoint_wanted.wait_for(&mut wake, TICK);
            }
            shared.checkpointer_idle.store(false, Ordering::Release);
            if shared.space.is_low() {
                // Nobody writes now: somebody must notice when there is space again.
                shared.space.note_written(0);
            }
        }
    }

    fn is_due(&mut self, active: &Memtable) -> bool {
        if active.is_empty() {
            self.oldest = None;
            return false;
        }
        let now = clock::now();
        let age = now.duration_since(*self.oldest.get_or_insert(now));
        let options = &self.shared.options;
        active.size_bytes() >= options.checkpoint_size_bytes || age >= options.checkpoint_age
    }

    fn checkpoint(&mut self) -> Result<(), Interrupted> {
        let Some(frozen) = self.freeze() else {
            return Ok(());
        };
        self.wait_durable(&frozen)?;
        self.finish(&frozen)
    }

    /// The part of a checkpoint that changes the engine: all that is frozen is durable.
    pub(super) fn finish(&self, frozen: &Frozen) -> Result<(), Interrupted> {
        let shared = &*self.shared;
        if broken(Tooth::RecycleEarly) {
            self.note_checkpoint(frozen.sequence)?;
        }
        self.apply(frozen)?;
        {
            let mut tables = shared.overlay.tables.write();
            tables.frozen = None;
            tables.engine_sequence = frozen.sequence;
        }
        shared.room.notify_waiters();
        if !shared.engine.is_volatile() {
            self.note_checkpoint(frozen.sequence)?;
        }
        Counters::add(&shared.counters.checkpoints, 1);
        Ok(())
    }

    pub(super) fn freeze(&mut self) -> Option<Frozen> {
        let mut tables = self.shared.overlay.tables.write();
        debug_assert!(tables.frozen.is_none(), "one checkpoint at a time");
        if tables.active.is_empty() {
            return None;
        }
        let sequence = self.shared.queue.lock().next_sequence - 1;
        let table = std::mem::replace(
            &mut tables.active,
            Arc::new(self.shared.overlay.new_table()),
        );
        let frozen = Frozen { table, sequence };
        self.oldest = None;
        tables.frozen = Some(frozen.clone());
        Some(frozen)
    }

    fn wait_durable(&self, frozen: &Frozen) -> Result<(), Interrupted> {
        let shared = &*self.shared;
        loop {
            let is_ours = |ours: &Frozen| Arc::ptr_eq(&ours.table, &frozen.table);
            if !shared
                .overlay
                .snapshot()
                .frozen
                .as_ref()
                .is_some_and(is_ours)
            {
                return Err(Interrupted::TakenBack);
            }
            if shared.checkpointer_stop.get() == Stop::Abandon || shared.failure.get().is_some() {
                return Err(Interrupted::Abandoned);
            }
            let mut durable = shared.durable.lock();
            if *durable >= frozen.sequence {
                return Ok(());
            }
            // A limit, because the other two conditions are changed under other locks.
            _ = shared.durable_changed.wait_for(&mut durable, TICK);
        }
    }

    /// Gives the frozen rows to the engine, in sorted pieces, and syncs.
    fn apply(&self, frozen: &Frozen) -> Result<(), Interrupted> {
        let mut pieces = 0;
        frozen.table.drain(|part| {
            for piece in pieces_of(&part) {
                let started = clock::now();
                self.apply_piece(piece)?;
                pieces += 1;
                if pieces % PIECES_PER_SYNC == 0 {
                    self.shared.engine.sync()?;
                }
                self.shared.room.notify_waiters();
                self.pause(clock::now().duration_since(started));
            }
            Ok::<_, Interrupted>(())
        })?;
        self.shared.engine.sync()?;
        Ok(())
    }

    fn apply_piece(&self, piece: &[Row]) -> Result<(), Interrupted> {
        let shared = &*self.shared;
        loop {
            if shared.checkpointer_stop.get() == Stop::Abandon {
                return Err(Interrupted::Abandoned);
            }
            if !shared.space.is_critical() {
                match shared.engine.apply(piece) {
                    Err(error) if error.is_disk_full() => shared.space.note_full(),
                    result => return Ok(result?),
                }
            }
            if shared.checkpointer_stop.get() == Stop::Drain {
                // The log has it all; the next opening goes on from there.
                return Err(Interrupted::Abandoned);
            }
            thread::sleep(RETRY_PAUSE);
            shared.space.note_written(0);
        }
    }

    /// Leaves processor and disk to the commits: for a multiple of the time the piece took while
    /// the overlay is small, for none when commits wait for us already.
    ///
    /// A slow checkpoint is a cheap one: rows that change meanwhile are written once, with the
    /// next.
    fn pause(&self, worked: Duration) {
        let shared = &*self.shared;
        if shared.checkpointer_stop.get() != Stop::No {
            return;
        }
        let step = shared.options.checkpoint_size_bytes.max(1);
        let pause = match shared.overlay.size_bytes() / step {
            0..=1 => worked * PAUSE_WHEN_SMALL,
            2 => worked,
            _ => Duration::ZERO,
        };
        thread::sleep(pause.min(PAUSE_MAX));
    }

    fn note_checkpoint(&self, sequence: u64) -> Result<(), Interrupted> {
        let shared = &*self.shared;
        let meta = Meta {
            generation: self.keeper.generation,
            checkpoint: sequence,
        };
        self.apply_piece(&[meta.row()])?;
        shared.engine.sync()?;
        self.keeper.note_checkpoint(sequence);
        Ok(())
    }
}

/// Cuts sorted rows into pieces of bounded size.
pub(super) fn pieces_of(rows: &[Row]) -> impl Iterator<Item = &[Row]> {
    let mut rest = rows;
    std::iter::from_fn(move || {
        let mut size_bytes = 0;
        let fitting = rest.iter().take_while(|row| {
            size_bytes += row.key.len() + row.value.as_ref().map_or(0, bytes::Bytes::len);
            size_bytes <= PIECE_SIZE_BYTES
        });
        let count = fitting.count().max(1).min(rest.len());
        let (piece, left) = rest.split_at(count);
        rest = left;
        (!piece.is_empty()).then_some(piece)
    })
}

impl Meta {
    /// As a row of the engine.
    pub(super) fn row(&self) -> Row {
        Row {
            key: key::meta().into(),
            value: Some(key::encode_value(self)),
        }
    }
}
