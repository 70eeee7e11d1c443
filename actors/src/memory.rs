//! What the objects of a node take of its memory, and what happens when that is too much.
//!
//! ```text
//! 0 ──────────── low water ── high water ── max
//!                     ◄─ evict ──┘           └─ refuse what needs more
//! ```
//!
//! Counted is what the runtime holds and knows the size of: activations with their encoded state and
//! their messages to others, messages in mailboxes, what turns stage until it leaves, frames that
//! wait for clients, bodies that are being read. Not counted is what it cannot see: what an actor keeps outside its state,
//! the store's caches, the allocator's slack. For those the resident memory of the process is a
//! second signal ([`Memory::set_resident_bytes`]). It evicts, and refuses nothing: an allocator
//! gives pages back seconds after they are free, and refusing calls for that long would turn a
//! peak into an outage.
//!
//! Counting is one atomic addition; a charge gives back what it holds when it is dropped, so no
//! way out of a turn can forget to.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Eviction begins at the budget less an eighth, and goes on until a quarter is free: rounds are
/// rare, and a burst finds room before they have worked.
const HIGH_WATER_FREE_SHARE: usize = 8;
const LOW_WATER_FREE_SHARE: usize = 4;
/// How much of what is counted each look at too large a resident size asks to be evicted. It is
/// little, because what one round frees shows in the resident size only later.
const RESIDENT_SHARE: usize = 16;

/// A node's memory budget. Cheap to clone; all clones are the same budget.
#[derive(Clone)]
pub struct Memory(Arc<Budget>);

struct Budget {
    max_bytes: usize,
    used_bytes: AtomicUsize,
    /// Bytes that the resident size asks to be evicted, whatever is counted.
    wanted_back_bytes: AtomicUsize,
    pressed: Notify,
    refused: AtomicU64,
}

/// The budget is used up: what was to be added was not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server's objects take {used_bytes} bytes of memory, {max_bytes} is the most they may")]
pub struct MemoryExhausted {
    /// Bytes in use.
    pub used_bytes: usize,
    /// The budget.
    pub max_bytes: usize,
}

impl Memory {
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self(Arc::new(Budget {
            max_bytes,
            used_bytes: AtomicUsize::new(0),
            wanted_back_bytes: AtomicUsize::new(0),
            pressed: Notify::new(),
            refused: AtomicU64::new(0),
        }))
    }

    /// Bytes counted now.
    #[must_use]
    pub fn used_bytes(&self) -> usize {
        self.0.used_bytes.load(Ordering::Relaxed)
    }

    /// The budget.
    #[must_use]
    pub fn max_bytes(&self) -> usize {
        self.0.max_bytes
    }

    /// Messages and bodies that were refused because the budget was used up.
    #[must_use]
    pub fn refused_count(&self) -> u64 {
        self.0.refused.load(Ordering::Relaxed)
    }

    /// A charge of nothing yet, to be added to.
    #[must_use]
    pub fn charge(&self) -> Charge {
        Charge {
            memory: self.clone(),
            bytes: 0,
        }
    }

    /// Tells how large the process is. Above the high-water mark, idle activations are evicted.
    pub fn set_resident_bytes(&self, resident_bytes: usize) {
        if resident_bytes >= self.high_water_bytes() {
            let wanted = self.used_bytes() / RESIDENT_SHARE;
            self.0.wanted_back_bytes.store(wanted, Ordering::Relaxed);
            self.0.pressed.notify_one();
        }
    }

    /// Whether there is room for more.
    pub(crate) fn has_room(&self) -> bool {
        self.used_bytes() < self.0.max_bytes
    }

    /// Counts a refusal, and says why.
    pub(crate) fn refuse(&self) -> MemoryExhausted {
        self.0.refused.fetch_add(1, Ordering::Relaxed);
        MemoryExhausted {
            used_bytes: self.used_bytes(),
            max_bytes: self.0.max_bytes,
        }
    }

    /// Bytes to be evicted now; zero below the high-water mark.
    pub(crate) fn excess_bytes(&self) -> usize {
        let wanted_back = self.0.wanted_back_bytes.swap(0, Ordering::Relaxed);
        let used = self.used_bytes();
        if used < self.high_water_bytes() {
            return wanted_back;
        }
        let low_water = self.0.max_bytes - self.0.max_bytes / LOW_WATER_FREE_SHARE;
        wanted_back.max(used - low_water)
    }

    /// Returns when the high-water mark was passed, or the process has become too large.
    ///
    /// # Cancel safety
    /// Yes.
    pub(crate) async fn pressed(&self) {
        self.0.pressed.notified().await;
    }

    fn high_water_bytes(&self) -> usize {
        self.0.max_bytes - self.0.max_bytes / HIGH_WATER_FREE_SHARE
    }

    fn add(&self, bytes: usize) {
        let before = self.0.used_bytes.fetch_add(bytes, Ordering::Relaxed);
        let high_water = self.high_water_bytes();
        // Only the addition that crosses the mark tells: once is enough, the eviction looks again
        // until it is below.
        if before < high_water && before + bytes >= high_water {
            self.0.pressed.notify_one();
        }
    }

    fn sub(&self, bytes: usize) {
        let before = self.0.used_bytes.fetch_sub(bytes, Ordering::Relaxed);
        assert!(before >= bytes, "a charge gives back what it has taken");
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Memory({} of {})", self.used_bytes(), self.max_bytes())
    }
}

/// Bytes somebody holds of a [`Memory`]; given back when it is dropped.
#[derive(Debug)]
pub struct Charge {
    memory: Memory,
    bytes: usize,
}

impl Charge {
    /// Adds bytes that are held already: counted, however many there are.
    pub fn add(&mut self, bytes: usize) {
        if bytes > 0 {
            self.memory.add(bytes);
            self.bytes += bytes;
        }
    }

    /// Adds bytes that could still be refused.
    ///
    /// # Errors
    /// [`MemoryExhausted`]; nothing was added.
    pub fn try_add(&mut self, bytes: usize) -> Result<(), MemoryExhausted> {
        if !self.memory.has_room() {
            return Err(self.memory.refuse());
        }
        self.add(bytes);
        Ok(())
    }

    /// Gives all of it back.
    pub fn clear(&mut self) {
        self.sub(self.bytes);
    }

    /// Gives some of it back.
    pub(crate) fn sub(&mut self, bytes: usize) {
        self.bytes = self
            .bytes
            .checked_sub(bytes)
            .expect("no more is given back than was added");
        self.memory.sub(bytes);
    }

    /// Holds this much from now on.
    pub(crate) fn set(&mut self, bytes: usize) {
        if bytes > self.bytes {
            self.add(bytes - self.bytes);
        } else if bytes < self.bytes {
            self.sub(self.bytes - bytes);
        }
    }

    /// The budget it is of.
    pub(crate) fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Whether the budget it is of has room.
    pub(crate) fn has_room(&self) -> bool {
        self.memory.has_room()
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.memory.sub(self.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::Memory;

    #[test]
    fn what_a_charge_took_comes_back_with_it() {
        let memory = Memory::new(1_000);
        let mut first = memory.charge();
        first.add(300);
        first.set(500);
        assert_eq!(memory.used_bytes(), 500);
        first.sub(100);
        assert_eq!(memory.used_bytes(), 400);
        drop(first);
        assert_eq!(memory.used_bytes(), 0);
    }

    #[test]
    fn only_what_could_be_refused_is_refused() {
        let memory = Memory::new(1_000);
        let mut charge = memory.charge();
        charge.try_add(1_000).unwrap();
        let refused = charge.try_add(1).unwrap_err();
        assert_eq!((refused.used_bytes, refused.max_bytes), (1_000, 1_000));
        charge.add(1);
        assert_eq!((memory.used_bytes(), memory.refused_count()), (1_001, 1));
    }

    #[test]
    fn eviction_begins_at_the_high_and_ends_at_the_low_water_mark() {
        let memory = Memory::new(8_000);
        let mut charge = memory.charge();
        charge.add(6_999);
        assert_eq!(memory.excess_bytes(), 0);
        assert!(memory.pressed().now_or_never().is_none());
        charge.add(1);
        assert!(memory.pressed().now_or_never().is_some());
        assert_eq!(memory.excess_bytes(), 1_000);
    }

    #[test]
    fn a_process_too_large_wants_a_little_back_with_each_look() {
        let memory = Memory::new(8_000);
        let mut charge = memory.charge();
        charge.add(1_600);
        memory.set_resident_bytes(6_999);
        assert_eq!(memory.excess_bytes(), 0);
        memory.set_resident_bytes(7_000);
        assert!(memory.pressed().now_or_never().is_some());
        assert_eq!(memory.excess_bytes(), 100);
        assert_eq!(memory.excess_bytes(), 0, "once for each look");
        assert!(memory.has_room(), "nothing is refused for it");
    }
}
