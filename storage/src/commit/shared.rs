//! What the store's threads and its callers share.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use dashmap::DashMap;
use parking_lot::{Condvar, Mutex};
use tokio::sync::{Notify, oneshot};

use super::counters::Counters;
use super::options::Options;
use super::overlay::Overlay;
use super::space::Space;
use crate::engine::Engine;
use crate::id::{Epoch, ObjectId, Version};
use crate::store::CommitError;

/// Bytes that a queued commit is counted with besides its own.
const PENDING_OVERHEAD_BYTES: u64 = 128;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) options: Options,
    pub(super) engine: Arc<dyn Engine>,
    pub(super) overlay: Overlay,
    /// Objects with an open activation: who may commit.
    pub(super) live: DashMap<ObjectId, Live>,
    pub(super) next_epoch: AtomicU64,
    pub(super) queue: Mutex<Queue>,
    /// Rung for the committer.
    pub(super) work: Condvar,
    pub(super) queue_size_bytes: AtomicU64,
    pub(super) durable: Mutex<u64>,
    /// Rung with every change of `durable`, for the checkpointer.
    pub(super) durable_changed: Condvar,
    /// Rung when commits have become durable or have failed, for openings that wait for them.
    pub(super) settled: Notify,
    /// Rung when there may be room again.
    pub(super) room: Notify,
    pub(super) space: Space,
    /// Why nothing is acknowledged any more.
    pub(super) failure: OnceLock<Arc<str>>,
    pub(super) counters: Counters,
    pub(super) checkpoint_wake: Mutex<()>,
    pub(super) checkpoint_wanted: Condvar,
    pub(super) checkpointer_idle: AtomicBool,
    pub(super) committer_stop: StopFlag,
    pub(super) checkpointer_stop: StopFlag,
}

/// The activation that holds an object.
#[derive(Debug, Clone)]
pub(super) struct Live {
    pub(super) epoch: Epoch,
    /// The object's last accepted commit; `None` until the opening has read it.
    pub(super) version: Option<Version>,
    pub(super) name: Option<Arc<str>>,
}

#[derive(Debug)]
pub(super) struct Queue {
    pub(super) items: Vec<Pending>,
    pub(super) next_sequence: u64,
    /// The committer waits for `work`.
    pub(super) is_committer_waiting: bool,
    /// Set once nothing more is taken.
    pub(super) closed: Option<Arc<str>>,
}

/// A commit on its way to the log.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) object: ObjectId,
    pub(super) epoch: Epoch,
    pub(super) bytes: Bytes,
    pub(super) answer: oneshot::Sender<Result<(), CommitError>>,
}

impl Pending {
    pub(super) fn size_bytes(&self) -> u64 {
        self.bytes.len() as u64 + PENDING_OVERHEAD_BYTES
    }

    /// The caller may have dropped its ticket; that takes nothing back.
    pub(super) fn answer(self, outcome: Result<(), CommitError>) {
        _ = self.answer.send(outcome);
    }
}

/// Whether a thread goes on.
#[derive(Debug, Default)]
pub(super) struct StopFlag(AtomicU8);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// Go on.
    No,
    /// Finish what there is, then end.
    Drain,
    /// End now; what is not durable stays so.
    Abandon,
}

impl StopFlag {
    pub(super) fn get(&self) -> Stop {
        match self.0.load(Ordering::Acquire) {
            0 => Stop::No,
            1 => Stop::Drain,
            _ => Stop::Abandon,
        }
    }

    pub(super) fn set(&self, stop: Stop) {
        let number = match stop {
            Stop::No => 0,
            Stop::Drain => 1,
            Stop::Abandon => 2,
        };
        self.0.fetch_max(number, Ordering::AcqRel);
    }
}

impl Shared {
    /// Ends the taking of commits for good. The first reason stays.
    pub(super) fn fail(&self, reason: &str) {
        if self.failure.set(reason.into()).is_ok() {
            tracing::error!(reason, "the store has failed: nothing more is acknowledged");
        }
        self.close_queue(reason);
        self.settled.notify_waiters();
        self.durable_changed.notify_all();
    }

    /// Refuses commits from now on; those queued stay queued.
    pub(super) fn close_queue(&self, reason: &str) {
        self.queue
            .lock()
            .closed
            .get_or_insert_with(|| reason.into());
        self.room.notify_waiters();
    }

    pub(super) fn has_room(&self) -> bool {
        self.queue_size_bytes.load(Ordering::Relaxed) < self.options.queue_size_max_bytes
            && self.overlay.size_bytes() < self.options.overlay_size_max_bytes
    }

    pub(super) fn durable_sequence(&self) -> u64 {
        *self.durable.lock()
    }

    /// Tells the threads to end, waking them from whatever they wait for.
    pub(super) fn stop_committer(&self, stop: Stop) {
        self.committer_stop.set(stop);
        // Under the lock, so that the committer is either before its look at the flag or waiting.
        drop(self.queue.lock());
        self.work.notify_all();
    }

    pub(super) fn stop_checkpointer(&self, stop: Stop) {
        self.checkpointer_stop.set(stop);
        self.wake_checkpointer();
        drop(self.durable.lock());
        self.durable_changed.notify_all();
    }

    pub(super) fn wake_checkpointer(&self) {
        drop(self.checkpoint_wake.lock());
        self.checkpoint_wanted.notify_all();
    }
}

/// Declares the store failed if its thread panics: callers must not wait for a thread that is gone.
#[derive(Debug)]
pub(super) struct PanicGuard(pub(super) Arc<Shared>, pub(super) &'static str);

impl Drop for PanicGuard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail(self.1);
        }
    }
}
