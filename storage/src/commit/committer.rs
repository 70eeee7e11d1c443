//! The thread that makes commits durable: takes everything queued, writes it as one record, syncs
//! once, answers the tickets in order.
//!
//! There is no timer: while one group is synced, the next one gathers. The slower the disk, the
//! larger the groups.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::counters::Counters;
use super::recovery;
use super::shared::{PanicGuard, Pending, Shared, Stop};
use crate::log::{AppendError, Log};
use crate::store::CommitError;
use crate::teeth::{Tooth, broken};

/// Largest group of several commits, bytes: bounds the time of one write and one sync.
const GROUP_SIZE_MAX_BYTES: usize = 4 << 20;
/// Longest pause before a group, when the overlay is full.
const PAUSE_MAX: Duration = Duration::from_millis(15);
/// How often the limit of a group is halved when the overlay is full. With the pause it makes
/// 17 MB/s, which any engine keeps up with.
const GROUP_HALVINGS_MAX: u32 = 4;

/// Owned by its thread.
#[derive(Debug)]
pub(super) struct Committer {
    shared: Arc<Shared>,
    log: Log,
    group_size_max_bytes: usize,
}

impl Committer {
    pub(super) fn new(shared: Arc<Shared>, log: Log) -> Self {
        let quarter = usize::try_from(shared.options.segment_size_bytes / 4).unwrap_or(usize::MAX);
        Self {
            shared,
            log,
            group_size_max_bytes: GROUP_SIZE_MAX_BYTES.min(quarter),
        }
    }

    /// Runs until it is stopped or the log fails.
    pub(super) fn run(mut self) {
        let _guard = PanicGuard(self.shared.clone(), "the committer thread panicked");
        let mut group = Vec::new();
        while self.take_group(&mut group) {
            thread::sleep(PAUSE_MAX * self.backlog_permille() / 1_000);
            if self.write(&mut group).is_break() {
                return;
            }
        }
    }

    /// Makes a group durable and answers its tickets, whatever comes of it. Breaks when the log has
    /// failed.
    pub(super) fn write(&mut self, group: &mut Vec<Pending>) -> ControlFlow<()> {
        match self.log.append(group.iter().map(|pending| &pending.bytes)) {
            Ok(size_bytes) => self.finish(group, size_bytes),
            Err(AppendError::DiskFull(error)) => {
                tracing::warn!(%error, commits = group.len(), "no space for the log");
                self.take_back(group);
            }
            Err(AppendError::Failed(error)) => {
                self.poison(std::mem::take(group), &error);
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    /// Moves the next group into `group`, waiting for one; `false` when it is time to end.
    pub(super) fn take_group(&self, group: &mut Vec<Pending>) -> bool {
        let shared = &*self.shared;
        let size_max_bytes = self.group_size_max_bytes();
        // The writers just answered are about to commit again: whoever is ready to run may do so
        // before the group is closed. Without others to run this returns at once; it is no wait.
        thread::yield_now();
        let mut queue = shared.queue.lock();
        loop {
            match shared.committer_stop.get() {
                Stop::Abandon => return false,
                Stop::Drain if queue.items.is_empty() => return false,
                Stop::Drain | Stop::No => {}
            }
            if !queue.items.is_empty() {
                break;
            }
            queue.is_committer_waiting = true;
            shared.work.wait(&mut queue);
            queue.is_committer_waiting = false;
        }
        let mut size_bytes = 0;
        let count = queue.items.iter().take_while(|pending| {
            size_bytes += pending.bytes.len();
            size_bytes <= size_max_bytes
        });
        // A commit above the limit goes alone.
        let count = count.count().max(1);
        if count == queue.items.len() {
            // The usual case; swapping keeps both allocations.
            std::mem::swap(&mut queue.items, group);
        } else {
            group.extend(queue.items.drain(..count));
        }
        true
    }

    /// How far checkpoints lag behind: 0 up to half of what the overlay may hold, 1,000 when it
    /// is full. Commits are slowed down by it long before they have to be stopped, so that their
    /// rate meets that of the engine without a jump.
    fn backlog_permille(&self) -> u32 {
        let shared = &*self.shared;
        let half = (shared.options.overlay_size_max_bytes / 2).max(1);
        let excess = shared.overlay.size_bytes().saturating_sub(half).min(half);
        if shared.committer_stop.get() != Stop::No {
            return 0;
        }
        u32::try_from(excess * 1_000 / half).expect("at most 1,000")
    }

    /// The limit of the next group, bytes.
    fn group_size_max_bytes(&self) -> usize {
        self.group_size_max_bytes >> (self.backlog_permille() * GROUP_HALVINGS_MAX / 1_000)
    }

    fn finish(&self, group: &mut Vec<Pending>, written_bytes: u64) {
        let shared = &*self.shared;
        let size_bytes: u64 = group.iter().map(Pending::size_bytes).sum();
        *shared.durable.lock() += group.len() as u64;
        shared.durable_changed.notify_all();
        shared
            .queue_size_bytes
            .fetch_sub(size_bytes, std::sync::atomic::Ordering::Relaxed);

        Counters::add(&shared.counters.commits, group.len() as u64);
        Counters::add(&shared.counters.groups, 1);
        Counters::add(&shared.counters.logged_bytes, written_bytes);
        group.drain(..).for_each(|pending| pending.answer(Ok(())));
        shared.settled.notify_waiters();
        shared.room.notify_waiters();

        shared.space.note_written(written_bytes);
        shared.nudge_checkpointer();
    }

    /// Undoes what cannot be written: the group, and all that was queued behind it, which may
    /// build on it. The overlay is made again from what the log holds.
    fn take_back(&mut self, group: &mut Vec<Pending>) {
        let shared = self.shared.clone();
        // Held to the end: no commit may see the overlay, the sequences or the epochs half undone.
        let mut tables = shared.overlay.tables.write();
        let mut queue = shared.queue.lock();
        let durable = shared.durable_sequence();

        // A frozen memtable that reaches beyond what is durable has not touched the engine yet;
        // the checkpointer notices that it is gone.
        let frozen = tables
            .frozen
            .take()
            .filter(|frozen| frozen.sequence <= durable);
        let start = frozen
            .as_ref()
            .map_or(tables.engine_sequence, |frozen| frozen.sequence);
        let active = match recovery::recover(
            self.log.disk(),
            self.log.folder(),
            start,
            shared.overlay.new_table(),
        ) {
            Ok(recovered) => recovered.active,
            Err(error) => {
                let rest = std::mem::take(&mut queue.items);
                drop((queue, tables));
                let error = std::io::Error::other(error.to_string());
                group.extend(rest);
                self.poison(std::mem::take(group), &error);
                self.shared.stop_committer(Stop::Abandon);
                return;
            }
        };
        if !broken(Tooth::KeepWhatWasTakenBack) {
            tables.active = Arc::new(active);
            tables.frozen = frozen;
        }
        queue.next_sequence = durable + 1;

        group.append(&mut queue.items);
        let size_bytes: u64 = group.iter().map(Pending::size_bytes).sum();
        shared
            .queue_size_bytes
            .fetch_sub(size_bytes, std::sync::atomic::Ordering::Relaxed);
        for pending in &*group {
            shared
                .live
                .remove_if(&pending.object, |_, live| live.epoch == pending.epoch);
        }
        shared.space.note_full();
        drop((queue, tables));

        for pending in group.drain(..) {
            pending.answer(Err(shared.space.refusal()));
        }
        // Idle, it would not look at the disk again, and nobody else does: no commit gets that far now.
        shared.wake_checkpointer();
        shared.durable_changed.notify_all();
        shared.settled.notify_waiters();
        shared.room.notify_waiters();
    }

    /// The log has failed. What was being written is unknown; what is queued was not written.
    fn poison(&self, group: Vec<Pending>, error: &std::io::Error) {
        let shared = &*self.shared;
        let reason: Arc<str> = format!("the log failed: {error}").into();
        shared.fail(&reason);
        let queued = std::mem::take(&mut shared.queue.lock().items);
        for pending in group {
            pending.answer(Err(CommitError::Unknown));
        }
        for pending in queued {
            pending.answer(Err(CommitError::Refused {
                reason: reason.clone(),
            }));
        }
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        // Whatever is left when the thread ends is dropped unanswered: after a panic or an
        // abandoned store its outcome is unknown, and that is what such a ticket says.
        let left = std::mem::take(&mut self.shared.queue.lock().items);
        drop(left);
    }
}
