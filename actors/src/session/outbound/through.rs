//! Frames that go past the queue to a [wire](crate::session::wire), and who may write to that.

use std::sync::Arc;

use super::{Enqueued, FRAME_OVERHEAD_BYTES, Line, Outbound, Queue, State, wake};
use crate::session::Delivery;
use crate::session::wire::{Bursts, Tap, Wire, Written};

impl Outbound {
    /// Writes a frame at once when nothing is before it, and otherwise [queues](Self::send) it.
    pub(crate) fn write_or_send(&self, delivery: &Delivery, bursts: &Bursts) -> Enqueued {
        let mut queue = self.queue.lock();
        if queue.is_over() {
            return Enqueued::Ended;
        }
        match queue.write_through(delivery, self.max_bytes, bursts) {
            Some(Written::Whole) => Enqueued::Written,
            Some(Written::Held) => {
                wake(queue);
                Enqueued::Written
            }
            None => self.queue(queue, delivery.clone()),
        }
    }

    /// The connection has a wire that may be [lent](Self::lend_wire). `None`: it has none any more.
    pub(in crate::session) fn set_wire(&self, wire: Option<Arc<dyn Wire>>) {
        self.queue.lock().tap = wire.map(Tap::new);
    }

    /// The transport has written all it had, and will take the wire back before it writes again.
    pub(in crate::session) fn lend_wire(&self) {
        if let Some(tap) = &mut self.queue.lock().tap {
            tap.lend();
        }
    }

    /// Nobody else writes when this returns, nor afterwards.
    pub(in crate::session) fn take_wire_back(&self) {
        if let Some(tap) = &mut self.queue.lock().tap {
            tap.take_back();
        }
    }
}

impl Queue {
    /// Writes the frame past the queue, or does nothing: something waits, or the client has to acknowledge
    /// something first, there is no wire just now, or the frame is larger than what may wait.
    ///
    /// An acknowledgement of the client's messages that is owed does not count as waiting: nothing depends on
    /// whether it comes before a frame or after it.
    fn write_through(
        &mut self,
        delivery: &Delivery,
        max_bytes: usize,
        bursts: &Bursts,
    ) -> Option<Written> {
        let is_drained = match &self.line {
            Line::Frames(frames) => frames.is_empty(),
            Line::Numbered(line) => {
                line.numbered.is_drained() && line.numbered.may_retain(delivery)
            }
        };
        let tap = self.tap.as_mut()?;
        if self.state != State::Connected
            || !is_drained
            || delivery.size_bytes() + FRAME_OVERHEAD_BYTES > max_bytes
            || !tap.admits(bursts)
        {
            return None;
        }
        let written = tap.write(&delivery.frame);
        if let Line::Numbered(line) = &mut self.line {
            line.numbered.written_through(delivery);
            self.count();
        }
        Some(written)
    }
}
