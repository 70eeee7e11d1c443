//! Why a call failed, and what that means for making it again.

use std::time::Duration;

use crate::problem::{Effect, Problem};

/// What lies below an error, for people.
pub(crate) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// The address given to [`Client::new`](crate::Client::new) cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAddress {
    /// It is no `http://host[:port][/path]`.
    #[error("'{0}' is no address such as http://127.0.0.1:7878")]
    NotHttp(String),
    /// It begins with `https://`, and this crate was built without its feature `tls`.
    #[error("'{0}' needs the feature 'tls' of abide-client")]
    NoTls(String),
    /// The system's root certificates cannot be read.
    #[error("the certificates of the system cannot be read: {0}")]
    NoCertificates(String),
}

/// A call or a read has no reply.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The server refused, or the call failed there.
    #[error("{0}")]
    Refused(Box<Problem>),
    /// The arguments have no JSON form; nothing was sent.
    #[error("the arguments cannot be encoded")]
    Arguments(#[source] Cause),
    /// No connection was made; nothing was sent.
    #[error("no connection to the server")]
    Unreachable(#[source] Cause),
    /// The connection ended before the answer.
    #[error("the connection ended before the answer")]
    Lost(#[source] Cause),
    /// The time for the call is over.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// The answer is none of Abide's: a proxy's, or that of another server.
    #[error("answered with status {status} and no problem that can be read")]
    Unexpected {
        /// HTTP status.
        status: u16,
    },
    /// The call was answered, but not with what the caller asked for.
    #[error("the reply is not of the type asked for")]
    Reply(#[source] Cause),
}

impl CallError {
    /// Whether anything may have changed.
    #[must_use]
    pub fn effect(&self) -> Effect {
        match self {
            Self::Refused(problem) => problem.effect,
            Self::Arguments(_) | Self::Unreachable(_) => Effect::None,
            Self::Lost(_) | Self::TimedOut(_) | Self::Unexpected { .. } => Effect::Unknown,
            Self::Reply(_) => Effect::Done,
        }
    }

    /// When it makes sense to come again; `None` when it makes none to repeat the call as it is.
    ///
    /// It may be repeated when the [effect](Self::effect) is none or it has an idempotency key.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(problem) => problem.retry_after().or_else(|| {
                // Nobody knows what became of it: asking again, with the key, is how to find out.
                (problem.effect == Effect::Unknown).then_some(Duration::ZERO)
            }),
            Self::Unreachable(_) | Self::Lost(_) => Some(Duration::ZERO),
            Self::Unexpected { status } => (*status >= 500).then_some(Duration::ZERO),
            Self::Arguments(_) | Self::TimedOut(_) | Self::Reply(_) => None,
        }
    }

    /// The server's code for it, such as `overloaded`; `None` when it did not answer with one.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.problem().map(|problem| &*problem.code)
    }

    /// All that the server said, if it said something.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Refused(problem) => Some(problem),
            _ => None,
        }
    }
}
