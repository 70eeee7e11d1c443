//! How a test makes a [`MemoryStore`] hold, refuse, fail, fill up and crash.

use std::collections::VecDeque;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{Failure, Held, Inner, MemoryStore};
use crate::store::CommitError;
#[cfg(doc)]
use crate::store::Store;

/// What became of a commit whose ticket answers [`CommitError::Unknown`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aftermath {
    /// It is there when the object is opened again.
    Applied,
    /// It is not.
    Dropped,
}

/// Whether the store has room, for [`MemoryStore::set_room`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// Within its bounds.
    Free,
    /// At its bounds.
    Full,
}

impl MemoryStore {
    /// From now on commits are accepted but their tickets stay unanswered, as if the disk took
    /// its time. A [`Store::open`] of an object with such a commit waits too.
    pub fn hold_commits(&self) {
        let mut inner = self.inner.lock();
        if inner.held.is_none() {
            let durable = inner.rows.clone();
            inner.held = Some(Held {
                durable,
                pending: VecDeque::new(),
            });
        }
    }

    /// Answers the held tickets, in order, and holds no more.
    pub fn release_commits(&self) {
        let held = self.inner.lock().held.take();
        for pending in held.into_iter().flat_map(|held| held.pending) {
            // The caller may have dropped its ticket; that takes nothing back.
            _ = pending.answer.send(pending.outcome);
        }
        self.changed.notify_waiters();
    }

    /// Tickets that are waiting for [`release_commits`](Self::release_commits).
    #[must_use]
    pub fn held_commits(&self) -> usize {
        self.inner
            .lock()
            .held
            .as_ref()
            .map_or(0, |held| held.pending.len())
    }

    /// The next commit is accepted, but its ticket answers `error`, nothing of it is written, and
    /// its activation is fenced until the object is opened again.
    pub fn fail_next_commit(&self, error: CommitError) {
        self.inner.lock().failure = Some(Failure::Dropped(error));
    }

    /// As [`fail_next_commit`](Self::fail_next_commit) with [`CommitError::Unknown`], where the
    /// test chooses what became of the commit. A real store takes no more writes after this
    /// error; this one does, so that the test can look at what follows.
    pub fn lose_next_commit(&self, aftermath: Aftermath) {
        self.inner.lock().failure = Some(match aftermath {
            Aftermath::Applied => Failure::Applied,
            Aftermath::Dropped => Failure::Dropped(CommitError::Unknown),
        });
    }

    /// While `Some`, commits are refused for this reason, with effect *none*; reads go on.
    pub fn refuse_writes(&self, reason: Option<&str>) {
        self.inner.lock().refusal = reason.map(Into::into);
    }

    /// While `false`, [`Store::has_room`] is false and [`Store::room`] waits.
    pub fn set_room(&self, room: Room) {
        self.inner.lock().no_room = room == Room::Full;
        self.changed.notify_waiters();
    }

    /// What a new process would find after this one died now: durable commits only. This store
    /// is dead afterwards: its held tickets answer [`CommitError::Unknown`], its commits are refused.
    #[must_use]
    pub fn crash(&self) -> Self {
        let mut inner = self.inner.lock();
        inner.closed = true;
        let rows = match inner.held.take() {
            Some(held) => held.durable,
            None => inner.rows.clone(),
        };
        self.changed.notify_waiters();
        // The epochs of the next life must be above those of this one.
        let next = Inner {
            rows,
            last_epoch: inner.last_epoch,
            ..Inner::default()
        };
        Self {
            inner: Mutex::new(next),
            changed: Notify::new(),
        }
    }
}
