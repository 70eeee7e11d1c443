//! The transport's end of a session.

use std::fmt;
use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Sleep, sleep};

use super::{Close, Frame, SessionCore, SessionId, Text};
use crate::catalog::{Full, Slot, What};
use crate::mailbox::{Admission, Attempt, Envelope};
use crate::node::Node;
use crate::presence::PresenceRefused;

/// What a transport holds of a session: it pumps frames between this and its socket.
///
/// Dropping it means that the client vanished: the object hears a close with code 1006.
pub struct Connection {
    node: Arc<Node>,
    slot: Arc<Slot>,
    core: Arc<SessionCore>,
    /// A frame that was not taken yet: the mailbox is full, or the node's memory used up.
    waiting: Option<Frame>,
    /// When to try again for want of memory, of which nobody tells.
    retry: Option<Pin<Box<Sleep>>>,
    ended: bool,
}

/// What became of a frame handed over with [`Connection::deliver`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// The object will handle it. Read no further frame until [`Outgoing::Readable`].
    Accepted,
    /// Answered below the object: write this, and read on.
    Answered(Frame),
    /// The kind takes no frames, the node drains, or the client sends more than it may and is about to be closed: it
    /// was dropped; read on.
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
    pub(crate) fn new(node: Arc<Node>, slot: Arc<Slot>, core: Arc<SessionCore>) -> Self {
        Self {
            node,
            slot,
            core,
            waiting: None,
            retry: None,
            ended: false,
        }
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
        if !self.core.admits_message(self.node.limits.message_rate) {
            return Incoming::Ignored;
        }
        if let Some(response) = self.slot.sessions.auto_response(&frame) {
            self.core.outbound.pass();
            return Incoming::Answered(response);
        }
        let takes_frames = self.slot.entry.kind.description().callbacks.message;
        if self.node.is_draining() {
            return Incoming::Ignored;
        }
        if !takes_frames {
            self.core.outbound.pass();
            return Incoming::Ignored;
        }
        self.core.outbound.begin_turn();
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

    fn try_push(&mut self, frame: Frame) {
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
            self.waiting = Some(frame);
            self.retry = (what == What::Memory).then(|| Box::pin(sleep(NO_MEMORY_PAUSE)));
        }
    }

    /// What to do next. After a frame was handed over, [`Outgoing::Readable`] comes once.
    pub fn poll_outgoing(&mut self, cx: &Context<'_>) -> Poll<Outgoing> {
        if self.is_pausing(cx) {
            return self.core.outbound.poll(cx);
        }
        if let Some(frame) = self.waiting.take() {
            // Enter first, try afterwards: room that appears in between is then seen or announced.
            self.slot.mailbox.wake_when_room(self.core.id, cx.waker());
            self.try_push(frame);
            // A new pause has to be polled once to wake us.
            self.is_pausing(cx);
        }
        self.core.outbound.poll(cx)
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

    /// The session has ended as the transport says: the client closed it, or the socket failed.
    pub fn closed(mut self, close: Close) {
        self.end(close);
    }

    /// The object refused: there is no session to end.
    pub(crate) fn never_was(mut self) {
        self.ended = true;
    }

    fn end(&mut self, close: Close) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.core.outbound.end();
        if self.slot.entry.kind.description().callbacks.disconnected {
            let session = self.core.clone();
            let envelope = Envelope::Disconnected {
                session,
                close,
                attempt: Attempt::First,
            };
            let taken =
                self.node
                    .catalog
                    .push(&self.node, &self.slot.target, envelope, Admission::Always);
            debug_assert!(taken.is_ok(), "an unbounded admission is never refused");
        } else {
            self.slot.sessions.remove(&self.core);
            self.node.catalog.forget_if_unused(&self.slot);
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.end(Close::new(Close::ABNORMAL, "the connection was lost"));
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection({} on {})", self.core.id, self.slot.object())
    }
}
