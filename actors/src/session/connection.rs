//! The transport's end of a session.

use std::fmt;
use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Sleep, sleep};

use super::link::Hold;
use super::outbound::FromTheFuture;
use super::resume::{self, Reset, Welcome};
use super::{Close, Frame, SessionCore, SessionId, Text, Token, Wire};
use crate::catalog::{Full, Slot, What};
use crate::mailbox::{Admission, Envelope};
use crate::node::Node;
use crate::presence::PresenceRefused;

/// What a transport holds of a session: it pumps frames between this and its socket.
///
/// Dropping it means that the client vanished: the object hears a close with code 1006, or the session is
/// away when it can be taken up again.
pub struct Connection {
    node: Arc<Node>,
    slot: Arc<Slot>,
    core: Arc<SessionCore>,
    /// What the session was given into this connection's hands with.
    hold: Hold,
    begun: Begun,
    /// A frame that was not taken yet: the mailbox is full, or the node's memory used up.
    waiting: Option<Frame>,
    /// When to try again for want of memory, of which nobody tells.
    retry: Option<Pin<Box<Sleep>>>,
    /// Whether the client knows of the session; before that it cannot come back to it.
    is_accepted: bool,
    ended: bool,
}

/// How a connection came to its session.
pub(super) struct Begun {
    pub(super) resumed: bool,
    pub(super) reset: Option<Reset>,
    /// Messages of the client that have taken effect.
    pub(super) received: u64,
}

/// What became of a frame handed over with [`Connection::deliver`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// The object will handle it. Read no further frame until [`Outgoing::Readable`].
    Accepted,
    /// Answered below the object: write this, and read on.
    Answered(Frame),
    /// The kind takes no frames, the node drains, the session is elsewhere by now, or the client sends more
    /// than it may and is about to be closed: it was dropped; read on. A client that counts learns what
    /// was received.
    Ignored,
}

/// What the transport is to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outgoing {
    /// Write this frame.
    Frame(Frame),
    /// So many messages in a row are left out: tell a client that counts.
    Skip(u64),
    /// Write this text, which is not counted as a message.
    Control(Text),
    /// All the client's messages up to this number have taken effect: tell a client that counts.
    Ack(u64),
    /// Write this close frame and end; nothing comes after it.
    Close(Close),
    /// The frame handed over has been handled: read the next one.
    Readable,
}

/// How long a frame waits before it is tried again when the node's memory is used up.
const NO_MEMORY_PAUSE: Duration = Duration::from_millis(100);

impl Connection {
    /// Of a new session, which its object has yet to accept.
    pub(crate) fn new(
        node: Arc<Node>,
        slot: Arc<Slot>,
        core: Arc<SessionCore>,
        reset: Option<Reset>,
    ) -> Self {
        let hold = core.first_hold();
        let begun = Begun {
            resumed: false,
            reset,
            received: 0,
        };
        Self::of(node, slot, core, hold, begun)
    }

    /// Of a session that goes on.
    pub(super) fn resumed(
        node: Arc<Node>,
        slot: Arc<Slot>,
        core: Arc<SessionCore>,
        hold: Hold,
        received: u64,
    ) -> Self {
        let begun = Begun {
            resumed: true,
            reset: None,
            received,
        };
        // What it was told of those here went with its old connection.
        slot.sessions.presence().sync_anew([core.id]);
        let mut connection = Self::of(node, slot, core, hold, begun);
        connection.accepted();
        connection
    }

    fn of(
        node: Arc<Node>,
        slot: Arc<Slot>,
        core: Arc<SessionCore>,
        hold: Hold,
        begun: Begun,
    ) -> Self {
        Self {
            node,
            slot,
            core,
            hold,
            begun,
            waiting: None,
            retry: None,
            is_accepted: false,
            ended: false,
        }
    }

    /// The object has accepted the session.
    pub(crate) fn accepted(&mut self) {
        self.is_accepted = true;
    }

    /// What a client is to be told that can take its session up again; `None` when it cannot.
    #[must_use]
    pub fn welcome(&self) -> Option<Welcome> {
        let link = self.core.link.as_ref()?;
        Some(Welcome {
            session: self.core.id,
            token: Token::new(self.slot.object(), self.core.id, link.secret),
            resumed: self.begun.resumed,
            reset: self.begun.reset,
            received: self.begun.received,
            window: self.node.limits.resume_window,
        })
    }

    /// The session's number.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.core.id
    }

    /// The subprotocol the actor chose.
    #[must_use]
    pub fn protocol(&self) -> Option<Arc<str>> {
        self.core.protocol()
    }

    /// Hands a frame from the client to the object. One at a time: that is what keeps a session's
    /// frames in order and paces a client that sends faster than the object handles.
    ///
    /// # Panics
    /// When a frame handed over before has not been handled yet.
    pub fn deliver(&mut self, frame: Frame) -> Incoming {
        assert!(
            self.waiting.is_none(),
            "a session hands over one frame at a time"
        );
        // A client that counts is told what came of its messages before this one was read, and sends it
        // again to whoever serves the session then.
        if self.node.is_draining() {
            return Incoming::Ignored;
        }
        if !self.core.admits_message(self.node.limits.message_rate) {
            return Incoming::Ignored;
        }
        if self.core.is_durable() {
            // Also what needs no actor code: the count of it is in the store.
            self.try_push(frame);
            return Incoming::Accepted;
        }
        if let Some(response) = self.slot.sessions.auto_response(&frame) {
            return self.answer(response);
        }
        if !self.slot.entry.kind.description().callbacks.message {
            self.while_held(|core| core.outbound.pass());
            return Incoming::Ignored;
        }
        self.try_push(frame);
        Incoming::Accepted
    }

    /// Sets what the client shows of itself to those who watch who is here; `None` takes it back.
    /// Needs [`Context::allow_client_presence`](crate::Context::allow_client_presence), and does not
    /// wake the object. While the node drains nothing happens.
    ///
    /// # Errors
    /// [`PresenceRefused`]; nothing has changed.
    pub fn presence(&self, state: Option<&serde_json::Value>) -> Result<(), PresenceRefused> {
        if self.node.is_draining() {
            return Ok(());
        }
        let sessions = &self.slot.sessions;
        let is_here = || sessions.contains(self.core.id);
        sessions
            .presence()
            .set_by_client(self.core.id, is_here, state)
    }

    /// Answers below the object.
    fn answer(&self, response: Frame) -> Incoming {
        if !self.core.is_resumable() {
            return Incoming::Answered(response);
        }
        // It has to be counted like any other message to the client, so it takes its place in the queue.
        self.while_held(|core| {
            core.outbound.pass();
            core.outbound.send(response.into());
        });
        Incoming::Ignored
    }

    /// The client has got our messages up to this number. Says nothing of a session that is elsewhere.
    ///
    /// # Errors
    /// [`FromTheFuture`] when so many were not sent.
    pub fn acknowledge(&mut self, number: u64) -> Result<(), FromTheFuture> {
        self.while_held(|core| core.outbound.acknowledge(number))
            .unwrap_or(Ok(()))
    }

    fn while_held<T>(&self, act: impl FnOnce(&SessionCore) -> T) -> Option<T> {
        self.core.while_held(self.hold, || act(&self.core))
    }

    fn try_push(&mut self, frame: Frame) {
        // Counted before it is in the mailbox, so that whoever takes the session up waits for it.
        if self.while_held(|core| core.outbound.begin_turn()).is_none() {
            return;
        }
        let envelope = Envelope::Frame {
            session: self.core.clone(),
            frame,
        };
        let admission = Admission::Bounded(self.node.limits.mailbox_messages_max);
        let pushed = self
            .node
            .catalog
            .push(&self.node, &self.slot.target, envelope, admission);
        if let Err(Full {
            envelope: Envelope::Frame { frame, .. },
            what,
            ..
        }) = pushed
        {
            self.core.outbound.hand_back();
            self.core.has_settled();
            self.waiting = Some(frame);
            self.retry = (what == What::Memory).then(|| Box::pin(sleep(NO_MEMORY_PAUSE)));
        }
    }

    /// What to do next. After a frame was handed over, [`Outgoing::Readable`] comes once.
    pub fn poll_outgoing(&mut self, cx: &Context<'_>) -> Poll<Outgoing> {
        if self.is_pausing(cx) {
            return self.core.poll_connection(self.hold, cx);
        }
        if let Some(frame) = self.waiting.take() {
            // Enter first, try afterwards: room that appears in between is then seen or announced.
            self.slot.mailbox.wake_when_room(self.core.id, cx.waker());
            self.try_push(frame);
            // A new pause has to be polled once to wake us.
            self.is_pausing(cx);
        }
        self.core.poll_connection(self.hold, cx)
    }

    /// Whether the waiting frame is not to be tried yet.
    fn is_pausing(&mut self, cx: &Context<'_>) -> bool {
        let Some(retry) = &mut self.retry else {
            return false;
        };
        let polled = retry.as_mut().poll(&mut Context::from_waker(cx.waker()));
        if polled.is_ready() {
            self.retry = None;
        }
        polled.is_pending()
    }

    /// Has what is sent to the session written to this wire by whoever sends it, as long as it is
    /// [lent](Self::lend_wire). A transport without one is woken for each frame.
    pub fn set_wire(&self, wire: Arc<dyn Wire>) {
        self.while_held(|core| core.outbound.set_wire(Some(wire)));
    }

    /// Lets others write to the wire: all that was to be written is written, to the last byte, and
    /// [`poll_outgoing`](Self::poll_outgoing) had nothing more.
    pub fn lend_wire(&self) {
        self.while_held(|core| core.outbound.lend_wire());
    }

    /// Ends that. Must be called before anything is written to the wire, be it a ping.
    pub fn take_wire_back(&self) {
        // Whoever takes the session out of our hands takes the wire from it, too.
        self.while_held(|core| core.outbound.take_wire_back());
    }

    /// The session is over: it was closed, or its client broke the rules.
    pub fn closed(mut self, close: Close) {
        self.end(close);
    }

    /// The client has closed the connection. One that can come back says with the code whether it means
    /// to: 1000 and 1001 are for good.
    pub fn left(self, close: Close) {
        let is_for_good = matches!(close.code, Close::NORMAL | Close::GOING_AWAY);
        if is_for_good || !self.core.is_resumable() {
            self.closed(close);
        }
    }

    /// The object refused: there is no session to end.
    pub(crate) fn never_was(mut self) {
        self.ended = true;
    }

    fn end(&mut self, close: Close) {
        if !std::mem::replace(&mut self.ended, true) {
            resume::end(&self.node, &self.slot, &self.core, self.hold, close);
        }
    }

    /// The connection is lost. The session goes on without, if it can.
    fn lose(&mut self) {
        if self.is_accepted
            && !self.ended
            && let Some(hold) = self.core.let_go(self.hold)
        {
            self.ended = true;
            resume::keep(&self.node, &self.slot, self.core.clone(), hold);
        }
        self.end(Close::new(Close::ABNORMAL, "the connection was lost"));
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.lose();
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection({} on {})", self.core.id, self.slot.object())
    }
}
