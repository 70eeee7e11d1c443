//! History: what a data folder keeps of its past, and backups, which are the same thing elsewhere.
//!
//! ```text
//! history/  (or any folder of backups)
//!   TIMELINE                       text: format, and which line of commits this is
//!   LOCK                           held by a backup that writes here
//!   000…0001-000…4711.commits      groups of commits, as the log had them
//!   000…4000-000…4250.base         rows of the engine, read while commits 4,000 to 4,250 came in
//!   commits.tmp, base.tmp          what a crash left of a file that was not finished
//! ```
//!
//! **The names are the index**: a file gets its name when it is whole and durable, so there is no
//! list that could disagree with the files, and a crash at any moment leaves a valid folder. A file
//! that is lost shows as a gap in the sequences.
//!
//! **A base is fuzzy**: the engine is read in order of key while it is written. Rows in the log are
//! after-images, so replaying every commit from its first sequence on makes it exact at any
//! sequence from its last one on. What can be restored is therefore a *span*: from the last
//! sequence of a base to the end of the commits that follow its first one without a gap.
//!
//! **A timeline** is a number drawn when a data folder is made or restored: two lines of commits
//! that share sequences and not commits are never mixed in one folder.
//!
//! In reading order: `container.rs` the file format, `groups.rs` and `base.rs` what is in the
//! files, `repository.rs` a folder of them, `spans.rs` what can be restored from it, `source.rs`
//! a store as a whole, `backup.rs`, `restore.rs`, `object.rs`, `verify.rs` what is done with them, `keeper.rs` and
//! `retention.rs` the history of a running store.

mod backup;
mod base;
mod container;
mod error;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
#[cfg(test)]
mod golden;
mod groups;
mod keeper;
mod object;
mod repository;
mod restore;
mod retention;
mod source;
mod spans;
mod verify;

pub(crate) use backup::run as back_up;
pub use backup::{Backup, BackupMode, BackupReport, Progress, Step, backup};
pub use error::HistoryError;
pub(crate) use groups::Origin;
pub(crate) use keeper::{Wanted, keep, retain, write_base};
pub use object::object_at;
pub(crate) use object::object_of_source;
pub(crate) use repository::Repository;
pub use repository::Timeline;
pub use restore::{Restore, RestoreReport, restore};
pub(crate) use retention::Limits;
pub(crate) use source::Source;
pub(crate) use spans::report;
pub use spans::{HistoryReport, Span, Target, history};
pub use verify::{VerifyReport, verify};
