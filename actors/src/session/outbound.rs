//! A session's queue towards its client: bounded in bytes, drained by the transport.

mod durable;
mod image;
mod numbered;
mod taken;
#[cfg(test)]
mod tests;
mod through;

use std::collections::VecDeque;
use std::task::{Poll, Waker};

use parking_lot::{Mutex, MutexGuard};

use self::numbered::Numbered;
use self::taken::Taken;
use super::wire::Tap;
use super::{Class, Close, Delivery, Frame, Outgoing, Text};
use crate::memory::{Charge, Memory};
use crate::teeth::{Tooth, broken};

pub(crate) use image::{Image, Kept};

/// What a queued frame costs beside its payload: the queue's own entry and the wire header.
const FRAME_OVERHEAD_BYTES: usize = 64;
/// What an open session costs with nothing queued: its task, its socket, its places in the object's set.
/// 4,143 bytes of resident memory were measured for a plain one (`benches/memory/crowd.sh`).
const MEASURED_BYTES: usize = 4 * 1024;
/// What tells one that can be resumed from it: its numbers and its link, with the allocator's rounding.
const RESUMABLE_BYTES: usize = 512;
/// What an open session is counted with; nearly all could be resumable.
const SESSION_BYTES: usize = MEASURED_BYTES + RESUMABLE_BYTES;

/// The queue of one session. A **plain** session ends with its connection. A **resumable** one may lose
/// it ([`detach`](Self::detach)) and take up another ([`attach`](Self::attach)); it retains what was
/// written until that is acknowledged, and counts what its client has sent.
///
/// **bounded**: when a message does not fit that must not be missed, the queue is dropped and the session
/// closes with 1013. A gap in the stream would be a silent loss; a close is an answer the client can act on.
pub(crate) struct Outbound {
    queue: Mutex<Queue>,
    max_bytes: usize,
}

struct Queue {
    line: Line,
    /// Bytes of what waits for the client.
    waiting_bytes: usize,
    /// What session and queue take of the node's memory. A frame to many counts for each.
    charge: Charge,
    /// Sent after the frames queued before it; nothing is queued after it.
    close: Option<Close>,
    state: State,
    frame: FrameInTurn,
    /// Of a connection that lets others write.
    tap: Option<Tap>,
    /// Whoever polls: the transport, or while there is none whoever waits for what becomes of the session.
    transport: Option<Waker>,
}

/// What waits. Most sessions are plain and send nothing but reliable frames: that is all they pay for.
enum Line {
    Frames(VecDeque<Frame>),
    /// With numbers: since a frame of another class or a control message was sent, or all along.
    Numbered(Box<Resumable>),
}

struct Resumable {
    numbered: Numbered,
    /// `None` of a plain session, whose client does not count.
    taken: Option<Taken>,
}

#[derive(PartialEq, Eq)]
enum State {
    Connected,
    Away,
    /// The transport is gone or has taken the close.
    Ended,
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

/// What became of a message that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Enqueued {
    Queued,
    /// Nothing was before it: it is on its way already.
    Written,
    /// In the place of one of its key that waited.
    Replaced,
    /// For want of room, or of a client.
    Dropped,
    /// There was no room, and it must not be missed: the session is closed with 1013.
    TooSlow,
    /// The session is over.
    Ended,
}

/// A client says it has received more than it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{sent} messages have been sent, not more")]
pub struct FromTheFuture {
    /// How many were.
    pub sent: u64,
}

/// Why a connection cannot take up a session. The session stays as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AttachError {
    #[error("the session is over")]
    Over,
    #[error("what the client has missed is no longer there")]
    Behind,
    #[error(transparent)]
    FromTheFuture(#[from] FromTheFuture),
}

impl Outbound {
    pub(super) fn plain(max_bytes: usize, memory: &Memory) -> Self {
        let line = Line::Frames(VecDeque::new());
        Self::new(line, State::Connected, max_bytes, memory)
    }

    /// One that can be resumed: `retained_max_bytes` of what was written are kept for that.
    pub(super) fn resumable(max_bytes: usize, retained_max_bytes: usize, memory: &Memory) -> Self {
        let line = Line::Numbered(Box::new(Resumable {
            numbered: Numbered::resumable(retained_max_bytes),
            taken: Some(Taken::default()),
        }));
        Self::new(line, State::Connected, max_bytes, memory)
    }

    /// As the image has it; away.
    pub(super) fn restore(
        image: Image,
        max_bytes: usize,
        retained_max_bytes: usize,
        memory: &Memory,
    ) -> Self {
        let line = Line::Numbered(Box::new(Resumable {
            taken: Some(Taken::from(image.received)),
            numbered: Numbered::restore(image, retained_max_bytes),
        }));
        Self::new(line, State::Away, max_bytes, memory)
    }

    fn new(line: Line, state: State, max_bytes: usize, memory: &Memory) -> Self {
        let mut queue = Queue {
            line,
            waiting_bytes: 0,
            charge: memory.charge(),
            close: None,
            state,
            frame: FrameInTurn::None,
            tap: None,
            transport: None,
        };
        queue.count();
        Self {
            queue: Mutex::new(queue),
            max_bytes,
        }
    }

    /// Queues a frame, or does what its class says when the client is too far behind.
    pub(crate) fn send(&self, delivery: Delivery) -> Enqueued {
        let queue = self.queue.lock();
        if queue.is_over() {
            return Enqueued::Ended;
        }
        self.queue(queue, delivery)
    }

    fn queue(&self, mut queue: MutexGuard<'_, Queue>, delivery: Delivery) -> Enqueued {
        let enqueued = match (&mut queue.line, &delivery.class) {
            (Line::Frames(_), Class::Reliable) => queue.push_plain(delivery.frame, self.max_bytes),
            _ => queue.numbered().numbered.send(delivery, self.max_bytes),
        };
        self.enqueued(queue, enqueued)
    }

    /// Queues a text that the client does not count, in order with the frames. It is dropped rather than
    /// taking the room of what must not be missed, and ends with the connection.
    pub(crate) fn control(&self, text: Text) -> Enqueued {
        let mut queue = self.queue.lock();
        if queue.is_over() {
            return Enqueued::Ended;
        }
        let enqueued = queue.numbered().numbered.control(text, self.max_bytes);
        self.enqueued(queue, enqueued)
    }

    fn enqueued(&self, mut queue: MutexGuard<'_, Queue>, enqueued: Enqueued) -> Enqueued {
        match enqueued {
            Enqueued::TooSlow if broken(Tooth::DropFrameWhenFull) => return Enqueued::Dropped,
            Enqueued::TooSlow => {
                let reason = format!("more than {} bytes were waiting to be read", self.max_bytes);
                queue.give_up(Close::new(Close::TRY_AGAIN_LATER, reason));
            }
            // A number is taken also by what is dropped, and the client must be told.
            Enqueued::Queued | Enqueued::Replaced | Enqueued::Dropped => queue.count(),
            Enqueued::Written | Enqueued::Ended => return enqueued,
        }
        wake(queue);
        enqueued
    }

    /// Bytes that wait for the client.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.queue.lock().waiting_bytes
    }

    /// Bytes the queue holds: of what waits, and of what is retained.
    pub(crate) fn held_bytes(&self) -> usize {
        self.queue.lock().held_bytes()
    }

    /// Messages that were dropped, and replaced by newer ones.
    pub(crate) fn left_out(&self) -> (u64, u64) {
        match &self.queue.lock().line {
            Line::Frames(_) => (0, 0),
            Line::Numbered(line) => (line.numbered.dropped(), line.numbered.replaced()),
        }
    }

    /// Closes the session for the memory its queue takes: the same answer as to one queue too long.
    pub(crate) fn evict(&self) -> Enqueued {
        let mut queue = self.queue.lock();
        if queue.is_over() {
            return Enqueued::Ended;
        }
        let reason = "the server's memory is used up, and frames were waiting to be read";
        queue.give_up(Close::new(Close::TRY_AGAIN_LATER, reason));
        wake(queue);
        Enqueued::TooSlow
    }

    /// Ends the session after what is queued. The first close wins.
    pub(crate) fn close(&self, close: Close) {
        let mut queue = self.queue.lock();
        if !queue.is_over() {
            queue.close = Some(close);
            if let Line::Numbered(line) = &mut queue.line {
                line.numbered.retain_no_more();
            }
            wake(queue);
        }
    }

    /// The transport is gone: nothing can be sent any more.
    pub(super) fn end(&self) {
        let mut queue = self.queue.lock();
        queue.state = State::Ended;
        queue.tap = None;
        queue.clear();
        queue.charge.set(0);
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.queue.lock().state == State::Connected
    }

    /// Whether its client counts, and so tells control messages from others.
    pub(crate) fn is_resumable(&self) -> bool {
        self.queue.lock().taken().is_some()
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.queue.lock().state == State::Ended
    }

    /// Whether nothing is sent any more, the transport may have yet to be told.
    pub(super) fn is_over(&self) -> bool {
        self.queue.lock().is_over()
    }

    /// The transport hands over a frame for the actor.
    pub(super) fn begin_turn(&self) {
        let mut queue = self.queue.lock();
        assert!(
            queue.frame == FrameInTurn::None,
            "a session hands over one frame at a time"
        );
        queue.frame = FrameInTurn::Pending;
        if let Some(taken) = queue.taken() {
            taken.hand_over();
        }
    }

    /// The actor is done with the session's frame: the transport may read on.
    pub(crate) fn end_turn(&self) {
        let mut queue = self.queue.lock();
        queue.frame = FrameInTurn::Handled;
        wake(queue);
    }

    /// What the turn on the oldest frame under way has done is durable: the client may be told.
    pub(crate) fn settle(&self) {
        let mut queue = self.queue.lock();
        if let Some(taken) = queue.taken() {
            taken.settle();
            wake(queue);
        }
    }

    /// A frame of the client was answered below the object, or is of no interest to it.
    pub(super) fn pass(&self) {
        let mut queue = self.queue.lock();
        if let Some(taken) = queue.taken() {
            taken.pass();
            wake(queue);
        }
    }

    /// The frame handed over has not found its way into the mailbox, and is not going to: it does not
    /// count as received.
    pub(super) fn hand_back(&self) {
        let mut queue = self.queue.lock();
        queue.frame = FrameInTurn::None;
        if let Some(taken) = queue.taken() {
            taken.hand_back();
        }
    }

    /// The client has received everything up to `number`.
    pub(super) fn acknowledge(&self, number: u64) -> Result<(), FromTheFuture> {
        let mut queue = self.queue.lock();
        // What was sent may be forgotten by now, and the client has yet to read that it is over.
        if queue.is_over() {
            return Ok(());
        }
        if let Line::Numbered(line) = &mut queue.line {
            line.numbered.acknowledge(number)?;
            // What was held back may go on.
            let goes_on = line.numbered.retains_all() && line.numbered.waiting_bytes() > 0;
            queue.count();
            if goes_on {
                wake(queue);
            }
        }
        Ok(())
    }

    /// The connection is lost, the session stays: messages go on to be queued for the next connection.
    /// `false` when there is nothing to stay for: the session is over, or plain.
    pub(super) fn detach(&self) -> bool {
        let mut queue = self.queue.lock();
        if queue.is_over() || queue.taken().is_none() {
            return false;
        }
        queue.state = State::Away;
        queue.tap = None;
        queue.numbered().numbered.detach();
        queue.count();
        // A transport that is there must learn that it is not wanted any more.
        wake(queue);
        true
    }

    /// Whether a client that has received `received` messages can take the session up; nothing changes.
    /// While nothing is written and nothing acknowledged the answer stays what it is.
    pub(super) fn fits(&self, received: u64) -> Result<(), AttachError> {
        let mut queue = self.queue.lock();
        if queue.is_over() {
            return Err(AttachError::Over);
        }
        queue.numbered().numbered.fits(received)
    }

    /// A connection takes the session up: the client has received `received` messages, those after it
    /// are sent again. Gives the number of the client's messages that have taken effect. Everything
    /// must have settled ([`is_settled`](Self::is_settled)).
    pub(super) fn attach(&self, received: u64) -> Result<u64, AttachError> {
        let mut queue = self.queue.lock();
        if queue.is_over() {
            return Err(AttachError::Over);
        }
        assert!(
            queue.state == State::Away,
            "a session has one connection at a time"
        );
        assert!(
            queue.is_settled(),
            "what is under way settles before a client goes on"
        );
        queue.numbered().numbered.attach(received)?;
        queue.state = State::Connected;
        queue.frame = FrameInTurn::None;
        queue.count();
        let taken = queue.taken().expect("a session that is away is resumable");
        taken.told_by_welcome();
        let settled = taken.settled();
        wake(queue);
        Ok(settled)
    }

    /// Whether none of the client's messages is in mailbox, turn or gate, or the session is over.
    pub(crate) fn is_settled(&self) -> bool {
        let mut queue = self.queue.lock();
        queue.is_over() || queue.is_settled()
    }

    /// The number of the last message that was sent.
    #[cfg(test)]
    pub(crate) fn sent(&self) -> u64 {
        match &self.queue.lock().line {
            Line::Frames(_) => 0,
            Line::Numbered(line) => line.numbered.sent(),
        }
    }

    /// What a restart carries over; `None` of a plain session, and of one that is over.
    pub(crate) fn image(&self) -> Option<Image> {
        let mut queue = self.queue.lock();
        if queue.is_over() {
            return None;
        }
        let received = queue.taken()?.settled();
        Some(queue.numbered().numbered.image(received))
    }

    /// Something to write, or `Readable` once when the frame handed over has been handled. While the
    /// session is away there is nothing but its close.
    pub(super) fn poll(&self, cx: &std::task::Context<'_>) -> Poll<Outgoing> {
        let mut queue = self.queue.lock();
        if let Some(next) = queue.next() {
            return Poll::Ready(next);
        }
        queue.wait(cx);
        Poll::Pending
    }
}

impl Queue {
    fn is_over(&self) -> bool {
        self.state == State::Ended || self.close.is_some()
    }

    fn push_plain(&mut self, frame: Frame, max_bytes: usize) -> Enqueued {
        let Line::Frames(frames) = &mut self.line else {
            unreachable!("asked for by who has looked");
        };
        if self.waiting_bytes + frame.size_bytes() + FRAME_OVERHEAD_BYTES > max_bytes {
            return Enqueued::TooSlow;
        }
        self.waiting_bytes += frame.size_bytes() + FRAME_OVERHEAD_BYTES;
        frames.push_back(frame);
        if broken(Tooth::FramesOutOfOrder) {
            frames.rotate_right(1);
        }
        Enqueued::Queued
    }

    fn next(&mut self) -> Option<Outgoing> {
        if self.state == State::Connected {
            if let Some(number) = self.taken().and_then(Taken::tell) {
                return Some(Outgoing::Ack(number));
            }
            if let Some(next) = self.next_in_line() {
                self.count();
                return Some(next);
            }
        }
        if let Some(close) = self.close.take() {
            self.state = State::Ended;
            return Some(Outgoing::Close(close));
        }
        if self.state == State::Connected && self.frame == FrameInTurn::Handled {
            self.frame = FrameInTurn::None;
            return Some(Outgoing::Readable);
        }
        None
    }

    fn next_in_line(&mut self) -> Option<Outgoing> {
        match &mut self.line {
            Line::Frames(frames) => {
                let frame = frames.pop_front()?;
                if frames.is_empty() && frames.capacity() > 64 {
                    // An idle session must cost little: give back what one burst needed.
                    *frames = VecDeque::new();
                }
                self.waiting_bytes -= frame.size_bytes() + FRAME_OVERHEAD_BYTES;
                Some(Outgoing::Frame(frame))
            }
            Line::Numbered(line) => line.numbered.next(),
        }
    }

    /// The line with numbers; a plain one gets them.
    fn numbered(&mut self) -> &mut Resumable {
        if let Line::Frames(frames) = &mut self.line {
            let numbered = Numbered::plain(std::mem::take(frames));
            let taken = None;
            self.line = Line::Numbered(Box::new(Resumable { numbered, taken }));
        }
        match &mut self.line {
            Line::Numbered(line) => line,
            Line::Frames(_) => unreachable!("it has just got numbers"),
        }
    }

    fn taken(&mut self) -> Option<&mut Taken> {
        match &mut self.line {
            Line::Frames(_) => None,
            Line::Numbered(line) => line.taken.as_mut(),
        }
    }

    fn is_settled(&mut self) -> bool {
        if broken(Tooth::WelcomeBeforeSettled) {
            return true;
        }
        self.frame != FrameInTurn::Pending && self.taken().is_none_or(|taken| taken.is_settled())
    }

    fn held_bytes(&self) -> usize {
        match &self.line {
            Line::Frames(_) => self.waiting_bytes,
            Line::Numbered(line) => line.numbered.held_bytes(),
        }
    }

    /// Takes over what the line holds now.
    fn count(&mut self) {
        if let Line::Numbered(line) = &self.line {
            self.waiting_bytes = line.numbered.waiting_bytes();
        }
        self.charge.set(SESSION_BYTES + self.held_bytes());
    }

    /// Ends the session without what is queued.
    fn give_up(&mut self, close: Close) {
        self.clear();
        self.count();
        self.close = Some(close);
    }

    fn clear(&mut self) {
        match &mut self.line {
            Line::Frames(frames) => *frames = VecDeque::new(),
            Line::Numbered(line) => line.numbered.clear(),
        }
        self.waiting_bytes = 0;
    }

    fn wait(&mut self, cx: &std::task::Context<'_>) {
        match &mut self.transport {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            transport => *transport = Some(cx.waker().clone()),
        }
    }
}

/// Wakes the transport after the lock is released, so that it does not run into it.
fn wake(mut queue: MutexGuard<'_, Queue>) {
    let transport = queue.transport.take();
    drop(queue);
    if let Some(waker) = transport {
        waker.wake();
    }
}
