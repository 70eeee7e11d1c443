//! What a session tells its application.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::frame::Frame;
use crate::problem::Problem;

/// Something happened on a session; in the order it did.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The object sent a frame.
    Message(Frame),
    /// Frames of ours are durable, up to `acknowledged` of this session; `pending` are still under
    /// way. With none pending everything is saved. Several may be told as one.
    Saved {
        /// Frames since the session began, or since the last reset.
        acknowledged: u64,
        /// Frames that were sent and are not known to be durable.
        pending: usize,
    },
    /// Who is here has changed.
    Presence(Presence),
    /// The session began anew: what the object sends next is its snapshot.
    Reset(Reset),
    /// The connection came or went.
    State(State),
}

/// How a session stands.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum State {
    /// The first connection is being made.
    Connecting,
    /// Frames go in both directions. `resumed` when an earlier connection is continued without a gap.
    Open {
        /// Whether nothing was missed.
        resumed: bool,
    },
    /// The connection was lost, the next attempt is made after the pause.
    Reconnecting {
        /// The pause.
        after: Duration,
        /// Why it was lost, for people.
        reason: String,
    },
    /// The session is over, this is the last event.
    Closed(Ended),
}

/// The session was over or could not be continued, so another one was begun.
#[derive(Debug, Clone, PartialEq)]
pub struct Reset {
    /// Why.
    pub reason: ResetReason,
    /// What was sent in the old session and not acknowledged, oldest first. It may have taken effect,
    /// so it is not sent again by itself: compare it with the snapshot.
    pub unacknowledged: Vec<Frame>,
}

/// Why a session began anew.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResetReason {
    /// The server no longer knows the session: the window has passed, or the server crashed.
    Expired,
    /// The server no longer has all frames that were missed.
    Behind,
    /// The server refused the session's token.
    Refused,
    /// A plain session does not survive its connection.
    Plain,
    /// A reason of a later version.
    Other(String),
}

/// How a session ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    /// Why.
    pub reason: EndReason,
    /// What was sent and not acknowledged, oldest first.
    pub unacknowledged: Vec<Frame>,
}

/// Why a session ended.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum EndReason {
    /// This end closed it.
    Local,
    /// The object or the server closed it, with this code and reason.
    Closed {
        /// Close code of RFC 6455, section 7.4, or of the actor's choice.
        code: u16,
        /// A sentence.
        reason: String,
    },
    /// It was refused, and would be refused again.
    Refused(Box<Problem>),
    /// Another connection has taken the session over.
    TakenOver,
    /// The other end does not speak `abide.v1`, or no WebSocket at all.
    NotSupported(String),
    /// The other end broke the protocol.
    ProtocolError(String),
}

/// A change of who is here: either all that is listed, or what has changed since the last one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[non_exhaustive]
pub struct Presence {
    /// Members in all, of which a bounded number is listed.
    #[serde(default)]
    pub count: u64,
    /// All that are listed, in place of what was known: member and state.
    #[serde(default)]
    pub sync: Option<Vec<(String, Value)>>,
    /// Who came into the list.
    #[serde(default)]
    pub joined: Vec<(String, Value)>,
    /// Whose state is another.
    #[serde(default)]
    pub updated: Vec<(String, Value)>,
    /// Who left the list.
    #[serde(default)]
    pub left: Vec<String>,
}
