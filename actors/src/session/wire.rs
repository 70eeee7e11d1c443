//! Writing a frame where it is sent, without waking the transport's task.
//!
//! Waking a task for every receiver of a broadcast costs about as much as all else that we do for it. So
//! a transport [lends](crate::Connection::lend_wire) its [`Wire`] to the session whenever everything it had
//! is written, and [takes it back](crate::Connection::take_wire_back) before it writes anything itself.
//! Whoever sends while the wire is lent and nothing waits writes through it; else the frame is queued, and
//! the transport woken, as always.
//!
//! **in order**: a frame is written through only when nothing waits, neither in the session's queue nor
//! behind it in the transport. Lending, taking back and writing are each one step under the queue's lock.
//!
//! A transport writes all that waits with one call of the system, which is cheaper than one call for
//! each frame. So of what an activation lets out in one go, a **burst**, a session gets one frame this way; if
//! there are more, they wait for each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::Frame;

/// Frames that are written through in one burst. Whoever writes keeps its thread from other tasks, for two to
/// three microseconds each; the transports of the sessions beyond are woken, and other threads may help.
const BURST_FRAMES_MAX: u32 = 1_024;

/// What a transport lets others write to.
pub trait Wire: Send + Sync {
    /// Writes a frame, as much of it as goes without waiting. What does not go is kept, and is the first that
    /// the transport writes once it is woken. So is a frame that met an error: the transport will run into it,
    /// too, and it is the one who knows what to do.
    fn write_now(&self, frame: &Frame) -> Written;
}

/// What came of [`Wire::write_now`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// All is with the operating system.
    Whole,
    /// Some or all of it is kept: the transport is to be woken.
    Held,
}

/// A session's view of its connection's wire.
pub(super) struct Tap {
    wire: Arc<dyn Wire>,
    /// The transport has nothing left to write, and writes nothing.
    is_lent: bool,
    /// The last burst of which a frame was written through.
    burst: u64,
}

impl Tap {
    pub(super) fn new(wire: Arc<dyn Wire>) -> Self {
        Self {
            wire,
            is_lent: false,
            burst: 0,
        }
    }

    pub(super) fn lend(&mut self) {
        self.is_lent = true;
    }

    pub(super) fn take_back(&mut self) {
        self.is_lent = false;
    }

    /// Whether a frame of this burst may be written through now.
    pub(super) fn admits(&mut self, bursts: &Bursts) -> bool {
        if !self.is_lent {
            return false;
        }
        let now = bursts.number.load(Ordering::Relaxed);
        std::mem::replace(&mut self.burst, now) != now && bursts.take()
    }

    pub(super) fn write(&mut self, frame: &Frame) -> Written {
        assert!(self.is_lent, "the transport may be writing");
        let written = self.wire.write_now(frame);
        self.is_lent = written == Written::Whole;
        written
    }
}

/// Counts the bursts of an object, and what was written through in the last one. Only the object's
/// activation, which is one task, begins them and writes in them.
#[derive(Default)]
pub(crate) struct Bursts {
    number: AtomicU64,
    written: AtomicU32,
}

impl Bursts {
    /// The activation begins to run: what it lets out until it waits again is one burst.
    pub(crate) fn begin(&self) {
        let next = self.number.load(Ordering::Relaxed) + 1;
        self.number.store(next, Ordering::Relaxed);
        self.written.store(0, Ordering::Relaxed);
    }

    /// One more frame is to be written through, if the burst may.
    fn take(&self) -> bool {
        let written = self.written.load(Ordering::Relaxed);
        if written >= BURST_FRAMES_MAX {
            return false;
        }
        self.written.store(written + 1, Ordering::Relaxed);
        true
    }
}
