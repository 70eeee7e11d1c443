//! The answer to a client that asked for a session and got none.

use crate::call::CallError;
use crate::message::Refusal;
use crate::session::{FromTheFuture, InvalidToken};

/// Why there is no session.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ConnectError {
    /// The actor said no.
    #[error("refused: {0}")]
    Refused(#[from] Refusal),
    /// The object has as many sessions as one object may have. Nothing happened.
    #[error("the object has {limit} sessions, which is the most one object takes")]
    TooManySessions {
        /// The limit.
        limit: usize,
    },
    /// What was shown to take a session up again does not fit. Nothing happened.
    #[error(transparent)]
    InvalidToken(#[from] InvalidToken),
    /// The client has counted more messages than it was sent. The session is as it was.
    #[error("the client has counted more messages than it was sent: {0}")]
    FromTheFuture(#[from] FromTheFuture),
    /// While the session was being taken up, another connection has taken it up.
    #[error("another connection has taken the session up")]
    TakenOver,
    /// The turn of `connected` failed.
    #[error(transparent)]
    Call(#[from] CallError),
}
