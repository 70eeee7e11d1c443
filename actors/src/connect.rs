//! The answer to a client that asked for a session and got none.

use crate::call::CallError;
use crate::message::Refusal;

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
    /// The turn of `connected` failed.
    #[error(transparent)]
    Call(#[from] CallError),
}
