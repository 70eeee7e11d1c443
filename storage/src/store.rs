//! The contract between actors and what keeps their bytes.

use std::fmt;
use std::future::Future;
use std::ops::Bound;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;

use crate::batch::{Commit, Section};
use crate::id::{Epoch, Namespace, Object, ObjectId, Timestamp, Version};
use crate::key::{self, Header};

/// A boxed future, because [`Store`] is used as `Arc<dyn Store>`.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Keeps the bytes of all objects of a node. Its laws are the functions of
/// `conformance.rs`, run against every implementation:
///
/// - **all-or-nothing**: after any crash a commit is there whole or not at all, and if it is
///   there, so is every earlier commit of its object.
/// - **durable**: when the ticket answers `Ok`, the commit survives SIGKILL and power loss.
/// - **fenced**: a commit is accepted only under the epoch of the object's newest [`open`](Store::open).
/// - **read-your-writes**: reads of an object see every accepted commit of it, durable or not.
/// - **in order**: tickets of one object answer in the order of its commits.
pub trait Store: Send + Sync + fmt::Debug + 'static {
    /// Takes the object for a new activation: a fresh epoch, higher than any before, and what was
    /// last committed. Creates nothing: an object never written costs no disk write.
    fn open<'a>(&'a self, object: &'a Object) -> BoxFuture<'a, Result<Opened, ReadError>>;

    /// Gives the object back. Commits under this epoch are refused from now on; those already
    /// accepted still complete. Does nothing when a newer epoch has been opened.
    fn close(&self, object: &Object, epoch: Epoch);

    /// Accepts a commit, in memory and in order, and answers with the ticket that tells when it
    /// is durable. Never blocks: the caller waits for [`room`](Store::room) before it starts a turn.
    ///
    /// # Errors
    /// Every error here has effect *none*; the ticket's may be *unknown*
    /// ([`CommitError::effect`]).
    fn commit(&self, commit: Commit) -> Result<Ticket, CommitError>;

    /// Whether the commit queue and the overlay are within their bounds just now.
    fn has_room(&self) -> bool;

    /// Waits until [`has_room`](Store::has_room), or until the store has failed for good (so
    /// that the next commit says why).
    ///
    /// # Cancel safety
    /// Yes.
    fn room(&self) -> BoxFuture<'_, ()>;

    /// One row.
    fn get<'a>(
        &'a self,
        object: &'a Object,
        section: Section,
        key: &'a [u8],
    ) -> BoxFuture<'a, Result<Option<Bytes>, ReadError>>;

    /// Rows of one section in key order (or reversed), at most `scan.limit`.
    fn scan<'a>(
        &'a self,
        object: &'a Object,
        scan: Scan,
    ) -> BoxFuture<'a, Result<Vec<(Bytes, Bytes)>, ReadError>>;

    /// Scheduled alarms in order of time, after the cursor (`None`: from the first), at most `limit`.
    fn alarms<'a>(
        &'a self,
        after: Option<ScheduledAlarm>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<ScheduledAlarm>, ReadError>>;

    /// Objects of a namespace that have been written, in order of id, after `after`.
    fn objects<'a>(
        &'a self,
        namespace: &'a Namespace,
        after: Option<ObjectId>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<ObjectSummary>, ReadError>>;

    /// Whether the store takes writes, for readiness and the log.
    fn health(&self) -> Health;

    /// Makes every accepted commit durable, checkpoints, and stops the store's threads. Commits
    /// after it are refused.
    fn shutdown(&self) -> BoxFuture<'_, ()>;
}

/// What [`Store::open`] found.
#[derive(Debug, Clone)]
pub struct Opened {
    /// The fencing token for this activation's commits.
    pub epoch: Epoch,
    /// The object's last version; 0 when it has never been written.
    pub version: Version,
    /// The name stored with the first commit.
    pub name: Option<Arc<str>>,
    /// The row of [`Section::State`].
    pub state: Option<Bytes>,
    /// The rows of [`Section::Alarm`], key and value, in key order.
    pub alarms: Vec<(Bytes, Bytes)>,
    /// The rows of [`Section::Outgoing`], key and value, in key order.
    pub outgoing: Vec<(Bytes, Bytes)>,
    /// The rows of [`Section::Session`], key and value, in key order.
    pub sessions: Vec<(Bytes, Bytes)>,
}

impl Opened {
    /// What the header says; the rows are added by [`take_row`](Self::take_row).
    pub(crate) fn new(epoch: Epoch, header: Option<Header>) -> Self {
        Self {
            epoch,
            version: header.as_ref().map_or(Version(0), |header| header.version),
            name: header.and_then(|header| header.name),
            state: None,
            alarms: Vec::new(),
            outgoing: Vec::new(),
            sessions: Vec::new(),
        }
    }

    /// Adds one of the rows of [`key::opening_range`].
    pub(crate) fn take_row(&mut self, local: &Bytes, value: Bytes) -> Result<(), ReadError> {
        match key::decode_local(local)? {
            (section, _) if section == Section::State as u8 => self.state = Some(value),
            (section, key) if section == Section::Alarm as u8 => self.alarms.push((key, value)),
            (section, key) if section == Section::Outgoing as u8 => {
                self.outgoing.push((key, value));
            }
            (_, key) => self.sessions.push((key, value)),
        }
        Ok(())
    }
}

/// A range of keys of one section.
#[derive(Debug, Clone)]
pub struct Scan {
    /// Which rows.
    pub section: Section,
    /// First key.
    pub start: Bound<Bytes>,
    /// Last key.
    pub end: Bound<Bytes>,
    /// Order of the answer, which `limit` counts from.
    pub direction: Direction,
    /// At most this many rows.
    pub limit: usize,
}

/// Order of a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the smallest key up.
    Forward,
    /// From the largest key down.
    Reverse,
}

/// One entry of the index of alarms by time. Ordered as the index is: by time, then object id, then
/// name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduledAlarm {
    /// When it is due.
    pub due: Timestamp,
    /// Whose alarm.
    pub object: Object,
    /// Its name.
    pub name: Bytes,
}

/// One entry of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectSummary {
    /// The object's id.
    pub id: ObjectId,
    /// Its name, when it was addressed by one.
    pub name: Option<Arc<str>>,
    /// Its last version.
    pub version: Version,
}

impl Ord for ScheduledAlarm {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        // Not derived: `Object` compares its namespace first, the index does not know namespaces.
        // An id belongs to one namespace, so comparing that last only keeps `Ord` true to `Eq`.
        let key = |alarm: &Self| (alarm.due, alarm.object.id);
        let by_id = key(self)
            .cmp(&key(other))
            .then_with(|| self.name.cmp(&other.name));
        by_id.then_with(|| self.object.namespace.cmp(&other.object.namespace))
    }
}

impl PartialOrd for ScheduledAlarm {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// Whether the store takes writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// Reads and writes.
    Ready,
    /// Writes are refused for now, with effect *none*; reads go on. The text says why, for operators.
    WritesRefused(String),
    /// Nothing is acknowledged any more until the process is restarted.
    Failed(String),
}

/// Tells when a commit is durable. Dropping it does not take the commit back.
///
/// # Cancel safety
/// Awaiting `&mut Ticket` may be cancelled and resumed.
#[derive(Debug)]
pub struct Ticket(pub(crate) tokio::sync::oneshot::Receiver<Result<(), CommitError>>);

impl Ticket {
    /// A ticket and the other end that answers it; for implementations of [`Store`].
    #[must_use]
    pub fn new() -> (tokio::sync::oneshot::Sender<Result<(), CommitError>>, Self) {
        let (answer, ticket) = tokio::sync::oneshot::channel();
        (answer, Self(ticket))
    }
}

impl Future for Ticket {
    type Output = Result<(), CommitError>;

    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Self::Output> {
        // A store that went away without answering cannot say what became of the commit.
        Pin::new(&mut self.0)
            .poll(cx)
            .map(|answer| answer.unwrap_or(Err(CommitError::Unknown)))
    }
}

/// Whether a failed operation may have changed anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing was changed; trying again is safe.
    None,
    /// The change may or may not be durable.
    Unknown,
}

/// Why a commit failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// Another activation holds a newer epoch, or this one was closed. Nothing was written.
    #[error("fenced: epoch {epoch} no longer holds the object")]
    Fenced {
        /// The epoch of the refused commit.
        epoch: Epoch,
    },
    /// The encoded batch is larger than one commit may be. Nothing was written.
    #[error("the turn wrote {size_bytes} bytes, one commit takes {limit_bytes}")]
    TooLarge {
        /// Size of the encoded batch.
        size_bytes: usize,
        /// The limit.
        limit_bytes: usize,
    },
    /// The disk has no room for it. Nothing was written; the store recovers when space returns.
    #[error(
        "the disk is full: {available_bytes} bytes are left, {reserve_bytes} are kept in reserve"
    )]
    DiskFull {
        /// Free bytes on the data folder's disk.
        available_bytes: u64,
        /// What the store keeps free.
        reserve_bytes: u64,
    },
    /// The store is shutting down, or has failed before. Nothing was written.
    #[error("the store takes no more writes: {reason}")]
    Refused {
        /// What happened before.
        reason: Arc<str>,
    },
    /// Writing or syncing failed after the write began. Durable or not is unknown until the
    /// store is opened again; the store takes no more writes.
    #[error("commit outcome unknown: the log could not be written or synced")]
    Unknown,
}

impl CommitError {
    /// Whether the commit may have become durable all the same.
    #[must_use]
    pub fn effect(&self) -> Effect {
        match self {
            Self::Fenced { .. }
            | Self::TooLarge { .. }
            | Self::DiskFull { .. }
            | Self::Refused { .. } => Effect::None,
            Self::Unknown => Effect::Unknown,
        }
    }
}

/// Why a read failed. Reads change nothing.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReadError {
    /// The engine could not be read.
    #[error("the engine could not be read: {0}")]
    Engine(Arc<str>),
    /// The stored bytes do not decode: damage, or a format of a newer release.
    #[error("stored bytes do not decode: {0}")]
    Corrupt(Arc<str>),
    /// The store has been shut down.
    #[error("the store is closed")]
    Closed,
}
