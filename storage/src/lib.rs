//! Transactional persistence for durable objects. Knows objects, batches and epochs, not actors.
//!
//! In reading order:
//!
//! - [`Namespace`], [`ObjectId`], [`Epoch`], [`Version`]: who an object is (`id.rs`);
//! - [`WriteBatch`]: what one turn writes (`batch.rs`);
//! - [`Store`]: the contract (`store.rs`); its laws are functions (`conformance.rs`);
//! - [`ObjectImage`]: one object as a value (`image.rs`);
//! - [`MemoryStore`]: the contract in memory, with switches for tests;
//! - [`LogStore`]: the contract on a disk (`commit.rs`): a commit log (`log.rs`) makes commits
//!   durable, an overlay (`commit/overlay.rs`) makes them visible, checkpoints
//!   (`commit/checkpointer.rs`) move them into an [`Engine`] in the background;
//! - the bytes: keys (`key.rs`), values (`codec.rs`), commits in the log (`commit/entry.rs`),
//!   records and segments (`log/record.rs`, `log/segment.rs`), the data folder (`folder.rs`);
//! - the past: backups, restores, history (`history.rs`).

mod batch;
mod clock;
pub mod codec;
mod commit;
#[cfg(feature = "test-util")]
pub mod conformance;
mod engine;
#[cfg(feature = "test-util")]
pub mod fault;
mod folder;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod history;
mod id;
mod image;
mod key;
mod limits;
mod log;
mod memory_store;
mod store;
#[doc(hidden)]
pub mod teeth;

pub use batch::{
    Commit, KEY_SIZE_MAX_BYTES, OUTGOING_WAKE, SESSIONS_WAKE, Section, Write, WriteBatch,
};
pub use commit::{
    CheckReport, LogStore, OpenReport, Options, Problem, Seams, StoreMetrics, check, check_with,
};
pub use commit::{
    Loss, Repair, RepairError, RepairMode, RepairReport, RepairStep, repair, repair_with,
};
#[cfg(feature = "test-util")]
pub use commit::{Stepped, Stepper};
#[cfg(feature = "redb")]
pub use engine::RedbEngine;
#[cfg(feature = "sled")]
pub use engine::SledEngine;
pub use engine::{Engine, EngineError, EngineKind, MemoryEngine, Row};
pub use folder::OpenError;
pub use history::{
    Backup, BackupMode, BackupReport, HistoryError, HistoryReport, Progress, Restore,
    RestoreReport, Span, Step, Target, Timeline, VerifyReport, backup, history, object_at, restore,
    verify,
};
pub use id::{
    Epoch, InvalidNamespace, InvalidObjectId, InvalidTimestamp, NAME_SIZE_MAX_BYTES,
    NAMESPACE_SIZE_MAX_BYTES, Namespace, Object, ObjectId, Timestamp, Version,
};
pub use image::{IMAGE_SIZE_MAX_BYTES, ImageError, ObjectImage, Rows};
pub use log::{Disk, FileLock, LogFile, RealDisk};
pub use memory_store::{Aftermath, MemoryStore, Room};
pub use store::{
    BoxFuture, CommitError, Direction, Effect, Health, ObjectSummary, Opened, ReadError, Scan,
    ScheduledAlarm, Store, Ticket,
};
