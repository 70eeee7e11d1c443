//! The blocking contract of what keeps rows on disk: ordered bytes to bytes.
//!
//! The log in front makes commits durable and atomic, so an engine owes two laws only:
//!
//! - **a finished sync stays**: what was applied before [`Engine::sync`] was called is there after
//!   any crash or power loss that follows its `Ok`;
//! - **it opens after any crash**, with any part of what was applied since the last sync, in
//!   any mixture of old and new rows (the log writes them again).

use std::ops::Bound;

use bytes::Bytes;

use crate::store::{Direction, ReadError};

mod kind;
pub(crate) mod memory;
#[cfg(feature = "redb")]
mod redb;
#[cfg(feature = "sled")]
mod sled;

pub use kind::EngineKind;
pub use memory::MemoryEngine;
#[cfg(feature = "redb")]
pub use redb::RedbEngine;
#[cfg(feature = "sled")]
pub use sled::SledEngine;

/// One change of one row: the value it gets, or `None` to remove it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The key, as laid out by `key.rs`; at most 2,090 bytes.
    pub key: Bytes,
    /// The new value, or `None`: the row goes.
    pub value: Option<Bytes>,
}

/// Keeps rows. All methods block and are called on storage threads only; [`Engine::apply`] and
/// [`Engine::sync`] by one thread at a time, reads by several and at any time.
pub trait Engine: Send + Sync + std::fmt::Debug + 'static {
    /// One row.
    ///
    /// # Errors
    /// [`EngineError`]; reads change nothing.
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError>;

    /// At most `limit` rows between two keys, in order of `direction`. An empty or inverted range
    /// has no rows.
    ///
    /// # Errors
    /// [`EngineError`]; reads change nothing.
    fn scan(
        &self,
        start: Bound<&[u8]>,
        end: Bound<&[u8]>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, EngineError>;

    /// Makes the changes, which are sorted by key and name no key twice. Need not be atomic, and need not be
    /// durable before the next [`Engine::sync`]; reads see them when it returns.
    ///
    /// # Errors
    /// [`EngineError`]; any part of the changes may have been made.
    fn apply(&self, rows: &[Row]) -> Result<(), EngineError>;

    /// Returns when all that was applied before is durable.
    ///
    /// # Errors
    /// [`EngineError`]; final, because what was applied since the last sync may be lost in
    /// ways that no second sync can mend.
    fn sync(&self) -> Result<(), EngineError>;

    /// Bytes it takes on disk.
    ///
    /// # Errors
    /// [`EngineError`] when its files cannot be looked at.
    fn size_bytes(&self) -> Result<u64, EngineError>;

    /// Whether reads never wait for a disk, so that they may be made on any thread.
    fn reads_are_memory(&self) -> bool {
        false
    }

    /// Whether a new process finds it empty, so that the log must be kept whole.
    fn is_volatile(&self) -> bool {
        false
    }
}

/// An engine's operation failed.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The operating system said no.
    #[error("the engine's file operation failed")]
    Io(#[from] std::io::Error),
    /// The engine finds its own files damaged, or is in no state to go on.
    #[error("the engine failed: {0}")]
    Failed(String),
}

impl EngineError {
    /// Whether the disk is full: a state that may pass.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Self::Io(error) if crate::log::is_disk_full(error))
    }
}

impl From<EngineError> for ReadError {
    fn from(error: EngineError) -> Self {
        use std::error::Error as _;
        let text = match error.source() {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
        Self::Engine(text.into())
    }
}

/// Whether no key can lie in the range: `BTreeMap::range` and others panic on such a range.
pub(crate) fn is_empty_range(start: Bound<&[u8]>, end: Bound<&[u8]>) -> bool {
    match (start, end) {
        (Bound::Included(start), Bound::Included(end)) => start > end,
        (Bound::Included(start) | Bound::Excluded(start), Bound::Excluded(end))
        | (Bound::Excluded(start), Bound::Included(end)) => start >= end,
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
    }
}
