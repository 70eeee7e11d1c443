//! Numbers about a store, for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counted since the store was opened.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) commits: AtomicU64,
    pub(super) groups: AtomicU64,
    pub(super) logged_bytes: AtomicU64,
    pub(super) checkpoints: AtomicU64,
}

impl Counters {
    pub(super) fn add(counter: &AtomicU64, count: u64) {
        counter.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn get(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }
}

/// Numbers about a [`LogStore`](crate::LogStore), since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreMetrics {
    /// Commits that have become durable.
    pub commits: u64,
    /// Groups written to the log: one write and one sync each.
    pub groups: u64,
    /// Bytes written to the log.
    pub logged_bytes: u64,
    /// Checkpoints completed.
    pub checkpoints: u64,
    /// Commits not yet in the engine, bytes of memory as estimated.
    pub overlay_bytes: u64,
    /// Commits not yet durable, bytes.
    pub queue_bytes: u64,
    /// Sequence of the last durable commit since the store was made.
    pub durable_sequence: u64,
    /// Whether the store has failed and acknowledges nothing any more.
    pub is_poisoned: bool,
}
