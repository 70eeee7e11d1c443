//! Who is evicted when the node wants memory back: the activations that have been of no use for
//! the longest.
//!
//! Evicting is asking: an activation ends when its mailbox is empty and all it holds has left
//! (**lossless-passivation**), its sessions stay (hibernation), and the next message activates it
//! again. One that handles a message, or has one waiting, is never asked.
//!
//! When all are busy and the budget is used up, clients that do not read are next: the sessions with
//! the most bytes queued are closed with 1013, as one whose own queue is full.
//!
//! No list is kept in the order of use: that would cost every turn a lock shared by all objects.
//! A turn notes the time in its own slot, and whoever evicts looks at all slots, which is rare,
//! since one round frees an eighth of the budget.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use abide_storage::ObjectId;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::catalog::Slot;
use crate::clock::monotonic;
use crate::node::Node;
use crate::session::SessionId;

/// Time for those asked to end before it is looked again.
const PAUSE: Duration = Duration::from_millis(20);
/// The same when nobody could be asked: all are busy, and looking costs a pass over all slots.
const ALL_BUSY_PAUSE: Duration = Duration::from_millis(250);
/// Activations asked in one round. Bounds what a round takes in memory; the next one goes on.
const ROUND_MAX: usize = 16_384;

/// What an activation says about itself, in its slot, without a lock.
pub(crate) struct Usage {
    /// Bytes it is charged.
    bytes: AtomicUsize,
    /// Milliseconds of the node's life when it was last of use; [`IN_USE`] during a turn.
    last: AtomicU64,
}

/// Stands for a time that is never the longest ago.
const IN_USE: u64 = u64::MAX;

impl Default for Usage {
    fn default() -> Self {
        Self {
            bytes: AtomicUsize::new(0),
            // Until it has been loaded and has handled its first message it is in use.
            last: AtomicU64::new(IN_USE),
        }
    }
}

impl Usage {
    /// A message is being handled.
    pub(crate) fn begin(&self) {
        self.last.store(IN_USE, Ordering::Relaxed);
    }

    /// It was handled, and this is what the activation takes now.
    pub(crate) fn end(&self, node: &Node, bytes: usize, now: Instant) {
        self.bytes.store(bytes, Ordering::Relaxed);
        self.last.store(node.evictor.millis(now), Ordering::Relaxed);
    }

    fn last(&self) -> Option<u64> {
        Some(self.last.load(Ordering::Relaxed)).filter(|last| *last != IN_USE)
    }
}

/// Wakes the eviction when there are too many activations, and counts.
pub(crate) struct Evictor {
    born: Instant,
    crowded: Notify,
    asked: AtomicU64,
}

impl Default for Evictor {
    fn default() -> Self {
        Self {
            born: monotonic(),
            crowded: Notify::new(),
            asked: AtomicU64::new(0),
        }
    }
}

impl Evictor {
    /// There are more activations than there may be.
    pub(crate) fn crowded(&self) {
        self.crowded.notify_one();
    }

    /// Activations that were asked to end.
    pub(crate) fn asked_count(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    fn millis(&self, now: Instant) -> u64 {
        let age = now.saturating_duration_since(self.born);
        u64::try_from(age.as_millis()).unwrap_or(IN_USE - 1)
    }

    /// Evicts whenever the node wants memory back, until it stops.
    pub(crate) async fn run(&self, node: &Node) {
        loop {
            tokio::select! {
                () = node.memory.pressed() => {}
                () = self.crowded.notified() => {}
            }
            while let Some(goal) = Goal::of(node) {
                let asked = ask(node, &goal);
                self.asked.fetch_add(asked as u64, Ordering::Relaxed);
                let closed = if asked == 0 && !node.memory.has_room() {
                    close_laggards(node, goal.bytes)
                } else {
                    0
                };
                tracing::debug!(?goal, asked, closed, "evicting");
                let gained = asked + closed > 0;
                let pause = if gained { PAUSE } else { ALL_BUSY_PAUSE };
                tokio::time::sleep(pause).await;
            }
        }
    }
}

/// What is to be gained.
#[derive(Debug)]
struct Goal {
    bytes: usize,
    activations: usize,
}

impl Goal {
    /// `None`: there is no need.
    fn of(node: &Node) -> Option<Self> {
        let bytes = node.memory.excess_bytes();
        let most = node.limits.activations_max;
        let activations = match node.catalog.activations.load(Ordering::Relaxed) {
            // A sixteenth more than needed, so that the next activation need not ask again.
            count if count > most => count - most + most / 16,
            _ => 0,
        };
        (bytes > 0 || activations > 0).then_some(Self { bytes, activations })
    }
}

/// An idle activation. The least goes first; the id decides between equals, so that a test's seed
/// decides everything.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    last: u64,
    id: ObjectId,
}

/// Asks the activations longest out of use until the goal is reached; says how many.
fn ask(node: &Node, goal: &Goal) -> usize {
    let (mut bytes, mut asked) = (0, 0);
    for slot in longest_unused(node) {
        if bytes >= goal.bytes && asked >= goal.activations {
            break;
        }
        // Between the look and the question it may have become busy; then it is refused.
        if slot.mailbox.evict() {
            bytes += slot.usage.bytes.load(Ordering::Relaxed);
            asked += 1;
        }
    }
    asked
}

/// At most [`ROUND_MAX`] idle activations, the one unused for the longest first.
fn longest_unused(node: &Node) -> Vec<Arc<Slot>> {
    let mut oldest: BinaryHeap<Candidate> = BinaryHeap::new();
    node.catalog.each(|slot| {
        let Some(last) = slot.usage.last().filter(|_| slot.is_live()) else {
            return;
        };
        let id = slot.object().id;
        let candidate = Candidate { last, id };
        if oldest.len() < ROUND_MAX {
            oldest.push(candidate);
        } else if oldest.peek().is_some_and(|youngest| candidate < *youngest) {
            oldest.pop();
            oldest.push(candidate);
        }
    });
    let found = oldest.into_sorted_vec().into_iter();
    found
        .filter_map(|candidate| node.catalog.get(candidate.id))
        .collect()
}

/// Closes the sessions with the most bytes queued, until so many are free; says how many.
fn close_laggards(node: &Node, bytes: usize) -> usize {
    // Reversed, so that the heap gives up its least when it holds as many as it may.
    let mut most: BinaryHeap<Reverse<(usize, SessionId)>> = BinaryHeap::new();
    node.catalog.each(|slot| {
        slot.sessions.each(|session| {
            let queued = session.outbound.held_bytes();
            if queued > 0 {
                most.push(Reverse((queued, session.id)));
            }
            if most.len() > ROUND_MAX {
                most.pop();
            }
        });
    });
    let (mut free, mut chosen) = (0, HashSet::new());
    for Reverse((queued, session)) in most.into_sorted_vec() {
        if free >= bytes {
            break;
        }
        free += queued;
        chosen.insert(session);
    }
    node.catalog.each(|slot| {
        slot.sessions.each(|session| {
            if chosen.contains(&session.id) {
                node.sessions.note(session.outbound.evict());
            }
        });
    });
    chosen.len()
}
