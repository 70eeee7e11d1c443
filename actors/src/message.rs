//! What a turn can be about, and what it can answer: the words between the runtime and a kind.

use std::sync::Arc;

use abide_storage::Timestamp;

use crate::body::Body;
use crate::call::Call;
use crate::payload::Payload;
use crate::session::{Close, ConnectRequest, Frame, Session};
use crate::tick::Ticked;

/// One item of a mailbox as actor code sees it.
#[derive(Debug)]
pub enum Message {
    /// The activation begins; comes before anything else.
    Activated,
    /// A call. Answer: [`Answer::Value`].
    Call(Arc<Call>),
    /// A client asks for a session. Answer: [`Answer::Accepted`], or [`Answer::Refused`].
    Connected {
        /// The session as it will be when accepted; frames sent to it wait for the acceptance.
        session: Session,
        /// What the client sent.
        request: Arc<ConnectRequest>,
    },
    /// A frame from a session. Answer: [`Answer::Nothing`].
    Frame {
        /// Whose.
        session: Session,
        /// What.
        frame: Frame,
    },
    /// A session has ended. Answer: [`Answer::Nothing`].
    Disconnected {
        /// Which; its tags and attachment can still be read, sending does nothing.
        session: Session,
        /// How.
        close: Close,
    },
    /// An alarm is due. `Ok` clears it unless it was set again, in the same commit. Answer:
    /// [`Answer::Nothing`].
    Alarm(Alarm),
    /// A raw HTTP request. Answer: [`Answer::Response`].
    Fetch(Box<http::Request<Body>>),
    /// A tick set with `set_tick` is due. Answer: [`Answer::Nothing`].
    Tick(Ticked),
    /// The activation ends; the last turn. Answer: [`Answer::Nothing`].
    Deactivating,
}

impl Message {
    /// The name of the callback, for logs and errors.
    #[must_use]
    pub fn callback(&self) -> &'static str {
        match self {
            Self::Activated => "activated",
            Self::Call(_) => "call",
            Self::Connected { .. } => "connected",
            Self::Frame { .. } => "message",
            Self::Disconnected { .. } => "disconnected",
            Self::Alarm(_) => "alarm",
            Self::Fetch(_) => "fetch",
            Self::Tick(_) => "tick",
            Self::Deactivating => "deactivating",
        }
    }
}

/// What a turn answers; which one fits is said at [`Message`].
#[derive(Debug)]
pub enum Answer {
    /// Done.
    Nothing,
    /// The value of a call.
    Value(Payload),
    /// The response to a raw HTTP request.
    Response(Box<http::Response<Body>>),
    /// The session is accepted.
    Accepted,
    /// The session is refused. The turn commits all the same: refusing is no failure.
    Refused(Refusal),
}

/// Why an actor refused a session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Refusal {
    /// HTTP status of the refusal, 400 to 599.
    pub status: u16,
    /// Sentence for people.
    pub reason: String,
}

impl Refusal {
    /// A refusal with status 403.
    #[must_use]
    pub fn new(reason: impl Into<String>) -> Self {
        Self {
            status: 403,
            reason: reason.into(),
        }
    }

    /// Answers with another HTTP status; one outside 400 to 599 becomes 403.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.status = if (400..600).contains(&status) {
            status
        } else {
            403
        };
        self
    }
}

/// A durable wake-up that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// Its name; empty for the unnamed one.
    pub name: Arc<str>,
    /// When it was set for.
    pub scheduled: Timestamp,
    /// How often it has failed before. Survives restarts.
    pub retries: u32,
}
