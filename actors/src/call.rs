//! A call, its reply, and every way it can fail.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use abide_storage::{CommitError, Effect, Object, ReadError, Version};
use tokio::time::Instant;

use crate::alarm::InvalidCron;
use crate::idempotency::IdempotencyKey;
use crate::memory::MemoryExhausted;
use crate::payload::{Encoding, InvalidPayload, Payload};

/// A request to an actor, whatever the transport it came by.
#[derive(Debug, Clone)]
pub struct Call {
    /// Method of the actor's kind.
    pub method: Arc<str>,
    /// The arguments as they came.
    pub arguments: Payload,
    /// The encoding the caller wants its reply in.
    pub reply_encoding: Encoding,
    /// What a call may do: GET requests only read.
    pub access: Access,
    /// When the caller stops waiting.
    pub deadline: Deadline,
    /// Where the call comes from, for logs and for finding cycles.
    pub origin: Origin,
    /// Makes a call that may write happen once: the object keeps its reply, in the commit of its
    /// turn, and a repeat with the same key gets that reply ([`Limits::idempotency_retention`]).
    /// A failed turn keeps nothing, so a repeat of it runs. Methods that only read ignore it.
    ///
    /// [`Limits::idempotency_retention`]: crate::Limits::idempotency_retention
    pub idempotency_key: Option<IdempotencyKey>,
}

impl Call {
    /// A call from outside with a deadline from now, no trace, and a reply in the encoding of the
    /// arguments.
    #[must_use]
    pub fn new(method: impl Into<Arc<str>>, arguments: Payload, deadline: Deadline) -> Self {
        Self {
            method: method.into(),
            reply_encoding: arguments.encoding.for_reply(),
            arguments,
            access: Access::Write,
            deadline,
            origin: Origin::default(),
            idempotency_key: None,
        }
    }
}

/// What a call may do to the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Only `&self` methods: anything else is refused with [`CallError::NotARead`].
    Read,
    /// Every method.
    Write,
}

/// The moment a caller stops waiting, on the node's monotonic clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(pub Instant);

impl Deadline {
    /// This long from now.
    #[must_use]
    pub fn after(wait: Duration) -> Self {
        Self(crate::clock::monotonic() + wait)
    }

    /// Whether it has passed.
    #[must_use]
    pub fn has_passed(self) -> bool {
        crate::clock::monotonic() >= self.0
    }
}

/// Where a call comes from.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// Id of the request that began it, as given to the client and to the logs.
    pub request_id: Option<Arc<str>>,
    /// W3C `traceparent` of the request, passed on unchanged.
    pub traceparent: Option<Arc<str>>,
    /// The objects whose turns wait for this call, outermost first.
    pub chain: CallChain,
}

/// The objects whose turns wait for a call, outermost first. A call to one of them could never be
/// answered.
#[derive(Clone, Default)]
pub struct CallChain(pub(crate) Option<Arc<Link>>);

pub(crate) struct Link {
    pub(crate) object: Object,
    pub(crate) outer: CallChain,
}

impl CallChain {
    /// The chain with `object` as its innermost.
    #[must_use]
    pub fn and(&self, object: Object) -> Self {
        Self(Some(Arc::new(Link {
            object,
            outer: self.clone(),
        })))
    }

    /// The objects, outermost first.
    #[must_use]
    pub fn objects(&self) -> Vec<Object> {
        let mut objects = Vec::new();
        let mut link = &self.0;
        while let Some(inner) = link {
            objects.push(inner.object.clone());
            link = &inner.outer.0;
        }
        objects.reverse();
        objects
    }
}

impl fmt::Debug for CallChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.objects().iter().map(ToString::to_string))
            .finish()
    }
}

/// An actor's answer to a call.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The value, in the encoding the caller asked for.
    pub payload: Payload,
    /// The object's version the value reveals.
    pub version: Version,
    /// Whether it is the kept reply of an earlier call with the same [`IdempotencyKey`], so that
    /// this call did nothing.
    pub replayed: bool,
}

/// Why a call was not answered with a value.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CallError {
    /// No such namespace is registered. Nothing happened.
    #[error("no namespace '{namespace}' is registered")]
    UnknownNamespace {
        /// As asked for.
        namespace: String,
    },
    /// The object id or name is not well formed. Nothing happened.
    #[error("{detail}")]
    InvalidObject {
        /// What is wrong with it.
        detail: String,
    },
    /// The actor's kind has no such method. Nothing happened.
    #[error("'{namespace}' has no method '{method}', it has: {}", .known.join(", "))]
    UnknownMethod {
        /// Where it was looked for.
        namespace: String,
        /// As asked for.
        method: String,
        /// The methods there are.
        known: Vec<String>,
    },
    /// The call may only read, the method writes. Nothing happened.
    #[error("'{method}' may write, so it cannot be called by a read request")]
    NotARead {
        /// As asked for.
        method: String,
    },
    /// The actor's kind has no callback for this: no sessions, or no raw HTTP. Nothing happened.
    #[error("objects of '{namespace}' do not have the callback '{callback}'")]
    NoCallback {
        /// The object's namespace.
        namespace: String,
        /// The callback it would take.
        callback: &'static str,
    },
    /// The arguments do not fit the method. Nothing happened.
    #[error("arguments of '{method}': {problem}")]
    InvalidArguments {
        /// The method.
        method: String,
        /// Which argument, and what was expected.
        problem: InvalidPayload,
    },
    /// The object has no alarm of this name. Nothing happened.
    #[error("object {object} has no alarm '{name}'")]
    UnknownAlarm {
        /// Which object.
        object: Object,
        /// As asked for.
        name: String,
    },
    /// A cron expression or its time zone cannot be used. Nothing happened.
    #[error(transparent)]
    InvalidCron(#[from] InvalidCron),
    /// The mailbox is full, or the call waited in it for half of its time while others waited behind
    /// it. Nothing happened.
    #[error("object {object} has {waiting} messages waiting")]
    Overloaded {
        /// Whose mailbox.
        object: Object,
        /// Messages in it.
        waiting: usize,
    },
    /// The node's memory is used up, and the call could need more. Nothing happened.
    #[error(transparent)]
    MemoryExhausted(MemoryExhausted),
    /// Another call came with this idempotency key before. Nothing happened.
    #[error(
        "the idempotency key '{key}' came before with another method, other arguments or another type of reply"
    )]
    IdempotencyKeyReused {
        /// The key.
        key: IdempotencyKey,
    },
    /// The object keeps as many replies for idempotency keys as it may. Nothing happened.
    #[error("the object keeps replies for {limit} idempotency keys, which is as many as it may")]
    TooManyIdempotencyKeys {
        /// As many as it may.
        limit: usize,
        /// Time until the first of them expires.
        retry_after: Duration,
    },
    /// The object has as many messages to other objects outgoing as it may. Nothing was staged.
    #[error(
        "object {object} has as many messages to deliver as it may: {messages_max}, or {max_bytes} bytes"
    )]
    OutboxFull {
        /// The sender.
        object: Object,
        /// Messages it may have outgoing.
        messages_max: usize,
        /// Their bytes, at most.
        max_bytes: usize,
    },
    /// The deadline passed.
    #[error("the deadline passed {}", match .effect { Effect::None => "before the turn was done", Effect::Unknown => "while the answer was awaited" })]
    DeadlineExceeded {
        /// *none* when the turn was rolled back or never began.
        effect: Effect,
    },
    /// Answering would need an object that waits for this call. Nothing happened in the callee.
    #[error("deadlock: {}", .chain.iter().map(ToString::to_string).collect::<Vec<_>>().join(" waits for "))]
    Deadlock {
        /// Each object waits for the next; the last is the first again.
        chain: Vec<Object>,
    },
    /// Actor code refused the call. Its turn was rolled back.
    #[error("{0}")]
    Actor(ActorError),
    /// Actor code panicked. Its turn was rolled back and its activation ended.
    #[error("the actor's code panicked")]
    Panicked,
    /// The object's stored state cannot be read by the registered kind. Nothing happened.
    #[error("the stored state of {object} cannot be read: {detail}")]
    StateUnreadable {
        /// Which object.
        object: Object,
        /// What the decoder said.
        detail: String,
    },
    /// The state or the reply cannot be encoded. The turn was rolled back.
    #[error("{what} cannot be encoded: {detail}")]
    Unencodable {
        /// "state" or "reply".
        what: &'static str,
        /// What the encoder said.
        detail: String,
    },
    /// A bound of the runtime was hit inside the turn. The turn was rolled back.
    #[error("{what}: {limit} at most")]
    LimitExceeded {
        /// What there was too much of.
        what: &'static str,
        /// The limit, with its unit.
        limit: String,
    },
    /// The store could not be read. The turn was rolled back.
    #[error("the store could not be read")]
    Read(#[from] ReadError),
    /// The turn could not be committed.
    #[error("the turn could not be committed: {0}")]
    Commit(#[from] CommitError),
    /// An earlier turn of the object could not be committed, so this one was undone with it.
    #[error("an earlier turn could not be committed: {0}")]
    EarlierCommit(CommitError),
    /// The node is draining. Nothing happened.
    #[error("the node is shutting down")]
    Draining,
    /// The runtime dropped the call without an answer, which it does only when it is torn down.
    #[error("the call was dropped without an answer")]
    Dropped,
}

impl CallError {
    /// The code of [`OutboxFull`](Self::OutboxFull), also as an [`ActorError`].
    pub(crate) const OUTBOX_FULL: &str = "outbox-full";

    /// Whether the call may have changed the object all the same.
    #[must_use]
    pub fn effect(&self) -> Effect {
        match self {
            Self::DeadlineExceeded { effect } => *effect,
            Self::Commit(error) | Self::EarlierCommit(error) => error.effect(),
            Self::Dropped => Effect::Unknown,
            Self::Actor(error) => error.effect,
            Self::UnknownNamespace { .. }
            | Self::InvalidObject { .. }
            | Self::UnknownMethod { .. }
            | Self::NotARead { .. }
            | Self::NoCallback { .. }
            | Self::InvalidArguments { .. }
            | Self::UnknownAlarm { .. }
            | Self::InvalidCron(_)
            | Self::Overloaded { .. }
            | Self::MemoryExhausted(_)
            | Self::IdempotencyKeyReused { .. }
            | Self::TooManyIdempotencyKeys { .. }
            | Self::OutboxFull { .. }
            | Self::Deadlock { .. }
            | Self::Panicked
            | Self::StateUnreadable { .. }
            | Self::Unencodable { .. }
            | Self::LimitExceeded { .. }
            | Self::Read(_)
            | Self::Draining => Effect::None,
        }
    }
}

/// A refusal by actor code: what `Err` of a `#[call]` becomes.
///
/// Any error converts into one with code `actor-error` and status 422, so `?` works on
/// everything; to choose, build one.
/// ```
/// # use abide_actors::ActorError;
/// let refusal = ActorError::new("insufficient-funds", "balance is 3, 5 asked for").status(409);
/// assert_eq!(refusal.code, "insufficient-funds");
/// ```
#[derive(Debug, Clone)]
pub struct ActorError {
    /// Stable word for programs, kebab-case.
    pub code: Cow<'static, str>,
    /// Sentence for people.
    pub message: String,
    /// HTTP status to answer with, 400 to 599.
    pub status: u16,
    /// More for programs; goes into the problem body as `data`.
    pub data: Option<Box<serde_json::Value>>,
    /// *unknown* only when it stands for a failed call to another object that may have had one.
    pub effect: Effect,
}

impl ActorError {
    /// A refusal with status 422.
    #[must_use]
    pub fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            status: 422,
            data: None,
            effect: Effect::None,
        }
    }

    /// Answers with another HTTP status; one outside 400 to 599 becomes 422.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.status = if (400..600).contains(&status) {
            status
        } else {
            422
        };
        self
    }

    /// Adds data for programs.
    #[must_use]
    pub fn data(mut self, data: serde_json::Value) -> Self {
        self.data = Some(Box::new(data));
        self
    }
}

impl fmt::Display for ActorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

// `ActorError` itself is no `std::error::Error`, which is what lets every other error become one.
impl<E: std::error::Error + 'static> From<E> for ActorError {
    fn from(error: E) -> Self {
        let any: &dyn std::any::Any = &error;
        if any.is::<InvalidCron>() {
            return Self::new("invalid-cron", error.to_string());
        }
        match any.downcast_ref::<CallError>() {
            // A refusal passed on keeps its code, status and data.
            Some(CallError::Actor(refusal)) => refusal.clone(),
            // What failed inside the turn itself is named for what it is.
            Some(own @ CallError::Read(_)) => {
                Self::new("store-unreadable", own.to_string()).status(500)
            }
            Some(own @ CallError::LimitExceeded { .. }) => {
                Self::new("limit-exceeded", own.to_string())
            }
            Some(own @ CallError::InvalidCron(_)) => Self::new("invalid-cron", own.to_string()),
            Some(own @ CallError::Unencodable { .. }) => {
                Self::new("unencodable", own.to_string()).status(500)
            }
            Some(own @ CallError::OutboxFull { .. }) => {
                Self::new(CallError::OUTBOX_FULL, own.to_string()).status(503)
            }
            Some(failed) => Self {
                effect: failed.effect(),
                ..Self::new("call-failed", failed.to_string()).status(502)
            },
            None => Self::new("actor-error", error.to_string()),
        }
    }
}
