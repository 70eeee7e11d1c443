//! A session's queue towards its client: bounded in bytes, drained by the transport.

use std::collections::VecDeque;
use std::task::{Poll, Waker};

use parking_lot::Mutex;

use super::{Close, Frame, Outgoing};
use crate::memory::{Charge, Memory};
use crate::teeth::{Tooth, broken};

/// What a queued frame costs beside its payload: the queue's own entry and the wire header.
const FRAME_OVERHEAD_BYTES: usize = 64;
/// What an open session costs with nothing queued: its task, its socket's buffers, its places in
/// the object's set (measured, see `benches/memory`).
const SESSION_BYTES: usize = 6 * 1024;

/// **bounded**: when a frame does not fit, the queue is dropped and the session closes with 1013.
/// A gap in the stream would be a silent loss; a close is an answer the client can act on.
pub(crate) struct Outbound {
    queue: Mutex<Queue>,
    max_bytes: usize,
}

struct Queue {
    frames: VecDeque<Frame>,
    queued_bytes: usize,
    /// What session and queue take of the node's memory. A frame to many counts for each.
    charge: Charge,
    /// Sent after the frames queued before it; nothing is queued after it.
    close: Option<Close>,
    /// The transport is gone or has taken the close.
    ended: bool,
    frame: FrameInTurn,
    transport: Option<Waker>,
}

/// The frame a transport has handed over; it reads the next one when this one was handled.
#[derive(Default, PartialEq, Eq)]
enum FrameInTurn {
    #[default]
    None,
    /// In the mailbox, or the actor is at it.
    Pending,
    /// The transport has yet to be told.
    Handled,
}

impl Outbound {
    pub(super) fn new(max_bytes: usize, memory: &Memory) -> Self {
        let mut charge = memory.charge();
        charge.add(SESSION_BYTES);
        let queue = Queue {
            frames: VecDeque::new(),
            queued_bytes: 0,
            charge,
            close: None,
            ended: false,
            frame: FrameInTurn::None,
            transport: None,
        };
        Self {
            queue: Mutex::new(queue),
            max_bytes,
        }
    }

    /// Queues a frame, or closes the session when the client is too far behind.
    pub(crate) fn send(&self, frame: Frame) {
        let mut queue = self.queue.lock();
        if queue.ended || queue.close.is_some() {
            return;
        }
        let cost = frame.size_bytes() + FRAME_OVERHEAD_BYTES;
        if queue.queued_bytes + cost > self.max_bytes {
            if broken(Tooth::DropFrameWhenFull) {
                return;
            }
            queue.drop_frames();
            let reason = format!("more than {} bytes were waiting to be read", self.max_bytes);
            queue.close = Some(Close::new(Close::TRY_AGAIN_LATER, reason));
        } else {
            queue.queued_bytes += cost;
            queue.charge.add(cost);
            queue.frames.push_back(frame);
            if broken(Tooth::FramesOutOfOrder) {
                queue.frames.rotate_right(1);
            }
        }
        wake(queue);
    }

    /// Bytes that wait for the client.
    pub(crate) fn queued_bytes(&self) -> usize {
        self.queue.lock().queued_bytes
    }

    /// Closes the session for the memory its queue takes: the same answer as to one queue too long.
    pub(crate) fn evict(&self) {
        let mut queue = self.queue.lock();
        if !queue.ended && queue.close.is_none() {
            queue.drop_frames();
            let reason = "the server's memory is used up, and frames were waiting to be read";
            queue.close = Some(Close::new(Close::TRY_AGAIN_LATER, reason));
            wake(queue);
        }
    }

    /// Ends the session after what is queued. The first close wins.
    pub(crate) fn close(&self, close: Close) {
        let mut queue = self.queue.lock();
        if !queue.ended && queue.close.is_none() {
            queue.close = Some(close);
            wake(queue);
        }
    }

    /// The transport is gone: nothing can be sent any more.
    pub(super) fn end(&self) {
        let mut queue = self.queue.lock();
        queue.ended = true;
        queue.drop_frames();
        queue.charge.set(0);
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.queue.lock().ended
    }

    pub(super) fn begin_turn(&self) {
        let mut queue = self.queue.lock();
        assert!(
            queue.frame == FrameInTurn::None,
            "a session hands over one frame at a time"
        );
        queue.frame = FrameInTurn::Pending;
    }

    /// The actor is done with the session's frame: the transport may read on.
    pub(crate) fn end_turn(&self) {
        let mut queue = self.queue.lock();
        queue.frame = FrameInTurn::Handled;
        wake(queue);
    }

    /// Something to write, or `Readable` once when the frame handed over has been handled.
    pub(super) fn poll(&self, cx: &std::task::Context<'_>) -> Poll<Outgoing> {
        let mut queue = self.queue.lock();
        if let Some(frame) = queue.frames.pop_front() {
            let cost = frame.size_bytes() + FRAME_OVERHEAD_BYTES;
            queue.queued_bytes -= cost;
            queue.charge.sub(cost);
            if queue.frames.is_empty() && queue.frames.capacity() > 64 {
                // An idle session must cost little: give back what one burst needed.
                queue.frames = VecDeque::new();
            }
            return Poll::Ready(Outgoing::Frame(frame));
        }
        if let Some(close) = queue.close.take() {
            queue.ended = true;
            return Poll::Ready(Outgoing::Close(close));
        }
        if queue.frame == FrameInTurn::Handled {
            queue.frame = FrameInTurn::None;
            return Poll::Ready(Outgoing::Readable);
        }
        match &mut queue.transport {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            transport => *transport = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}

impl Queue {
    fn drop_frames(&mut self) {
        self.frames = VecDeque::new();
        self.charge.sub(std::mem::take(&mut self.queued_bytes));
    }
}

/// Wakes the transport after the lock is released, so that it does not run into it.
fn wake(mut queue: parking_lot::MutexGuard<'_, Queue>) {
    let transport = queue.transport.take();
    drop(queue);
    if let Some(waker) = transport {
        waker.wake();
    }
}
