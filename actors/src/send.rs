//! Sends: messages from object to object that take effect exactly once.
//!
//! A turn stages messages as it stages everything else. They become rows of its own commit, in the
//! sender's [`Section::Outgoing`], so that a crash leaves the turn with its messages or neither. When
//! the commit is durable they leave, and the receiver runs each as a call. In the commit of that
//! turn it enters up to which message it has heard this sender ([`receipts`]); a message that comes
//! again is below that and is only acknowledged. Then the sender deletes the row.
//! ```text
//!   sender                                    receiver
//!   commit: writes + row       ── durable ──► message
//!                                             commit: writes + number heard
//!   commit: row deleted        ◄── durable ── acknowledged
//!                              ── durable ──► number may be forgotten
//! ```
//! A crash between any two of these steps repeats the steps from the row on; the number makes the
//! repetition do nothing.
//!
//! **Numbers** are the version the sender's commit made and the message's place in its turn: they grow
//! and never come twice, without a counter to store. A commit that failed may leave its version to
//! another one, but then its messages never left.
//!
//! **Order.** Of one sender to one receiver there is one message under way at a time, the oldest. So
//! order is kept, and one number per sender tells all that was heard.
//!
//! **Who delivers** is the sender's activation itself, beside its turns ([`outbox`]): no other task
//! holds a message, so that none can arrive after the activation that sent it has been replaced. An
//! activation with messages to deliver is not idle. When it ends all the same (evicted, drained,
//! broken) or the node dies, an entry in the store's index of alarms brings the object back: it is
//! scheduled in the commit of the first row, under [`OUTGOING_WAKE`], and leaves in the commit
//! that deletes the last.
//!
//! **What becomes of a message** that does not simply succeed:
//! | the receiver | the message |
//! |---|---|
//! | is overloaded, cannot be activated, cannot commit; its namespace is gone | is tried again, after 100 ms doubling to 102 s, until it expires |
//! | answers `Err`, has no such method, cannot read the arguments, exceeds a limit of its turn | was heard: nothing but the number is committed, the error goes to the log; trying again would do the same |
//! | answers `Err` with the code `outbox-full` | is tried again: messages it would send have no room, and that passes |
//! | panics, or does not end in time | is tried again, [`FAULTS_MAX`] times since the sender's activation began, then dropped with an error in the log; a message to the object itself once |
//! | — the message is older than `send_retention` | is dropped with an error in the log |
//!
//! **Bounds.** An object has so many messages and bytes outgoing, and a turn that would send more gets
//! [`CallError::OutboxFull`](crate::CallError::OutboxFull). It keeps numbers of so many senders, and
//! [`receipts`] says when one may be forgotten; until then a message of one more is tried again. The bound
//! is far above what goodbyes that went astray leave in the nine days until their rows expire.

#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
pub(crate) mod outbox;
pub(crate) mod receipts;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use abide_storage::{Namespace, Object, ObjectId, Timestamp, Version, codec};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

#[cfg(doc)]
use abide_storage::{OUTGOING_WAKE, Section};

use crate::call::CallError;
use crate::node::Target;
use crate::payload::{Payload, StoredPayload};
use crate::rng::Rng;

/// Faults of a receiver on one message before the message is dropped.
const FAULTS_MAX: u32 = 8;
/// First retry comes after this, doubling with each failure: what is overloaded recovers fast.
const RETRY_FIRST_MS: u64 = 100;
/// Doublings before the wait stays the same: 100 ms · 2¹⁰ = 102 s.
const RETRY_DOUBLINGS_MAX: u32 = 10;
/// Jitter on top of each wait, as a part of it.
const RETRY_JITTER_DIVISOR: u64 = 4;

/// How long to wait after the `failures`-th failure in a row (1 is the first).
fn retry_wait(failures: u32, rng: &Rng) -> Duration {
    let doublings = failures.saturating_sub(1).min(RETRY_DOUBLINGS_MAX);
    let wait_ms = RETRY_FIRST_MS << doublings;
    Duration::from_millis(wait_ms + rng.jitter_ms(wait_ms / RETRY_JITTER_DIVISOR))
}

/// The place of a message among all its sender ever sends. Stored: never change its fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Sequence {
    /// The version its turn's commit made.
    pub(crate) version: Version,
    /// Its place in the turn.
    pub(crate) index: u32,
}

impl Sequence {
    /// Key of the message's row: byte order is order of sending.
    fn key(self) -> Bytes {
        let parts: [&[u8]; 2] = [&self.version.0.to_be_bytes(), &self.index.to_be_bytes()];
        parts.concat().into()
    }

    fn decode(key: &[u8]) -> Option<Self> {
        let (version, index) = key.split_first_chunk::<8>()?;
        Some(Self {
            version: Version(u64::from_be_bytes(*version)),
            index: u32::from_be_bytes(index.try_into().ok()?),
        })
    }
}

/// A message as its turn has staged it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outgoing {
    pub(crate) to: Target,
    pub(crate) method: Arc<str>,
    pub(crate) arguments: Payload,
    /// From now on it is neither sent nor taken.
    pub(crate) expires: Timestamp,
    /// Of the request that began it, for logs.
    pub(crate) request_id: Option<Arc<str>>,
    pub(crate) traceparent: Option<Arc<str>>,
}

/// What a message takes besides its text and arguments, bytes, rounded up.
const OVERHEAD_BYTES: usize = 160;

impl Outgoing {
    pub(crate) fn size_bytes(&self) -> usize {
        let texts = [
            self.to.name.as_deref(),
            self.request_id.as_deref(),
            self.traceparent.as_deref(),
            Some(&*self.method),
        ];
        let texts: usize = texts.iter().flatten().map(|text| text.len()).sum();
        OVERHEAD_BYTES + texts + self.arguments.bytes.len()
    }
}

/// A stored message, by the release of its shape. Never reorder: bincode numbers them.
#[derive(Debug, Serialize, Deserialize)]
enum Stored {
    V1(Row),
}

/// The value of a row of [`Section::Outgoing`].
#[derive(Debug, Serialize, Deserialize)]
struct Row {
    namespace: String,
    id: ObjectId,
    name: Option<Arc<str>>,
    method: Arc<str>,
    arguments: StoredPayload,
    expires: Timestamp,
    /// When the entry that brings the object back is due, the same in all rows there are.
    wake: Timestamp,
    request_id: Option<Arc<str>>,
    traceparent: Option<Arc<str>>,
}

impl Outgoing {
    fn encode(&self, wake: Timestamp) -> Bytes {
        let row = Row {
            namespace: self.to.object.namespace.as_str().to_owned(),
            id: self.to.object.id,
            name: self.to.name.clone(),
            method: self.method.clone(),
            arguments: StoredPayload::of(&self.arguments),
            expires: self.expires,
            wake,
            request_id: self.request_id.clone(),
            traceparent: self.traceparent.clone(),
        };
        encoded(&Stored::V1(row))
    }

    fn decode(value: &[u8]) -> Result<(Self, Timestamp), String> {
        let Stored::V1(row) = codec::decode(value).map_err(|error| error.to_string())?;
        let namespace = Namespace::new(&row.namespace).map_err(|error| error.to_string())?;
        let object = Object {
            namespace,
            id: row.id,
        };
        let outgoing = Self {
            to: Target {
                object,
                name: row.name,
            },
            method: row.method,
            arguments: row.arguments.into_payload()?,
            expires: row.expires,
            request_id: row.request_id,
            traceparent: row.traceparent,
        };
        Ok((outgoing, row.wake))
    }
}

/// A message in the mailbox of its receiver.
pub(crate) struct Sent {
    pub(crate) from: Object,
    pub(crate) sequence: Sequence,
    pub(crate) outgoing: Arc<Outgoing>,
    /// An error says that nothing of it was committed, or that nobody knows.
    pub(crate) reply: oneshot::Sender<Result<Heard, CallError>>,
}

/// What the receiver says to a message, once all it reveals is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// It was handled, now or before; or refused for good.
    Yes,
    /// It had expired when its turn came.
    TooLate,
    /// The receiver keeps the numbers of as many senders as it may.
    NoRoom,
}

/// The last turn whose messages may leave; moved on by the output gate.
#[derive(Debug, Clone)]
pub(crate) struct Departed(Arc<AtomicU64>);

impl Departed {
    pub(crate) fn at(version: Version) -> Self {
        Self(Arc::new(AtomicU64::new(version.0)))
    }

    /// The turn that made `version` is durable, and so is every earlier one.
    pub(crate) fn advance(&self, version: Version) {
        self.0.fetch_max(version.0, Ordering::Relaxed);
    }

    pub(crate) fn version(&self) -> Version {
        Version(self.0.load(Ordering::Relaxed))
    }
}

/// What became of the node's messages, for metrics.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Handled by their receivers.
    pub(crate) handled: AtomicU64,
    /// Answered with an error by their receivers, and not tried again.
    pub(crate) refused: AtomicU64,
    /// Attempts that are to be repeated.
    pub(crate) retried: AtomicU64,
    /// Given up by their senders: expired, or the receiver failed too often.
    pub(crate) dropped: AtomicU64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

fn encoded<T: Serialize>(value: &T) -> Bytes {
    let mut bytes = Vec::new();
    codec::encode(value, &mut bytes).expect("numbers, texts and bytes always encode");
    bytes.into()
}

#[cfg(test)]
mod tests;
