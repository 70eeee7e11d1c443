//! One task per node tells what has changed, object by object in the order they are due.
//!
//! An object is in the queue once, while something is to be told, and comes back no sooner than its
//! last round is paid for: so none can keep the others waiting for longer than one round of each.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

use abide_storage::ObjectId;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::Presence;
use super::board::{Round, Telling};
use super::listing::Bounds;
use crate::clock::monotonic;
use crate::node::Node;
use crate::session::Enqueued;

/// Messages queued before other tasks have their turn.
const MESSAGES_PER_SLICE: usize = 256;

/// See the module's documentation.
#[derive(Default)]
pub(crate) struct Flusher {
    /// Objects of which something is to be told, by the time of their next round.
    due: Mutex<BTreeSet<(Instant, ObjectId)>>,
    sooner: Notify,
    /// Messages queued for watchers.
    messages: AtomicU64,
}

impl Flusher {
    /// Has the object's next round at a time, instead of the one it was to be at.
    pub(super) fn ring(&self, object: ObjectId, instead_of: Option<Instant>, at: Instant) {
        let mut due = self.due.lock();
        if let Some(before) = instead_of {
            due.remove(&(before, object));
        }
        due.insert((at, object));
        if due.first() == Some(&(at, object)) {
            self.sooner.notify_one();
        }
    }

    /// Tells what is to be told, until the node stops.
    pub(crate) async fn run(&self, node: &Node) {
        let limits = &node.limits;
        let bounds = Bounds::new(limits.presence_listed_max, limits.outbound_max_bytes);
        loop {
            let object = self.next().await;
            let slot = node.catalog.get(object);
            if let Some(slot) = slot {
                self.tell(node, slot.sessions.presence(), bounds).await;
            }
            // Many small rounds are as long as a large one.
            tokio::task::coop::consume_budget().await;
        }
    }

    /// The next object that is due, when it is.
    async fn next(&self) -> ObjectId {
        loop {
            let first = self.due.lock().first().copied();
            let Some((at, object)) = first else {
                self.sooner.notified().await;
                continue;
            };
            if at <= monotonic() {
                self.due.lock().remove(&(at, object));
                return object;
            }
            tokio::select! {
                () = tokio::time::sleep_until(at) => {}
                () = self.sooner.notified() => {}
            }
        }
    }

    /// One round of one object. It is not locked meanwhile, and rounds of one object never overlap.
    async fn tell(&self, node: &Node, presence: &Presence, bounds: Bounds) {
        let Some(Round { changes, sync }) = presence.round(bounds) else {
            return;
        };
        for Telling { message, to } in changes.into_iter().chain(sync) {
            for some in to.chunks(MESSAGES_PER_SLICE) {
                let mut missed = some.to_vec();
                missed.retain(|session| {
                    let enqueued = message.tell(session);
                    self.note(node, enqueued);
                    enqueued == Enqueued::Dropped
                });
                presence.sync_anew(missed.iter().map(|session| session.id));
                tokio::task::yield_now().await;
            }
        }
    }

    fn note(&self, node: &Node, enqueued: Enqueued) {
        match enqueued {
            Enqueued::Queued | Enqueued::Written | Enqueued::Replaced => {
                self.messages.fetch_add(1, Ordering::Relaxed);
            }
            // A session that it has ended counts like any that did not read.
            Enqueued::TooSlow => node.sessions.note(enqueued),
            // It is told all again later, which is no loss.
            Enqueued::Dropped | Enqueued::Ended => {}
        }
    }

    pub(crate) fn messages(&self) -> u64 {
        self.messages.load(Ordering::Relaxed)
    }
}
