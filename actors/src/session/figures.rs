//! What became of the messages to a node's sessions, counted where it is not the rule.

use std::sync::atomic::{AtomicU64, Ordering};

use super::outbound::Enqueued;

#[derive(Default)]
pub(crate) struct Figures {
    dropped: AtomicU64,
    replaced: AtomicU64,
    too_slow: AtomicU64,
}

impl Figures {
    /// A message that is queued or written as it should be costs nothing here.
    pub(crate) fn note(&self, enqueued: Enqueued) {
        let counter = match enqueued {
            Enqueued::Queued | Enqueued::Written | Enqueued::Ended => return,
            Enqueued::Dropped => &self.dropped,
            Enqueued::Replaced => &self.replaced,
            Enqueued::TooSlow => &self.too_slow,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    pub(crate) fn replaced(&self) -> u64 {
        self.replaced.load(Ordering::Relaxed)
    }

    /// Sessions closed with 1013.
    pub(crate) fn too_slow(&self) -> u64 {
        self.too_slow.load(Ordering::Relaxed)
    }
}
