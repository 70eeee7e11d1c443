//! The commit log: what makes commits durable. One append and one sync per group of commits.
//!
//! ```text
//! log/000000000001.log   first segment of a store: small, so that an empty store opens fast
//! log/000000000002.log   full segments; they go when a durable checkpoint covers them
//! log/000000000003.log   the segment being written
//! log/spare-4.tmp        filled with zeros and synced, or a used segment: the next one to write
//! ```
//!
//! Segments are *filled* with zeros, not merely allocated: a sync of a write into extents that
//! were never written must also write metadata, which doubles its time. The exception is one
//! that is made while commits wait, because no spare is ready. Used segments are
//! written again under a new number and salt, which makes their old records invalid.
//!
//! Files: `segment.rs` the header of a segment, `record.rs` one group in it, `writer.rs`
//! appending and rolling, `spare.rs` the next segment, `replay.rs` reading it all again, `salvage.rs` reading a damaged one,
//! `groups.rs` reading a part of it for history, `disk.rs` the seam to the file system.

use std::path::{Path, PathBuf};

mod disk;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod groups;
mod record;
mod replay;
mod salvage;
mod segment;
mod spare;
mod writer;

pub use disk::{Disk, FileLock, LogFile, RealDisk};
pub(crate) use groups::{Group, first_sequence, read_groups};
pub(crate) use replay::{ReplayError, Replayed, replay};
pub(crate) use salvage::{Gap, Salvage, Salvaged, salvage, salvaged_start};
pub(crate) use spare::SpareMaker;
pub(crate) use writer::{AppendError, ClosedSegments, Log, LogOptions, create, make_durable};

/// Whether the error says that the disk, or the user's share of it, is full.
pub(crate) fn is_disk_full(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(
        error.kind(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge
    )
}

/// The file of the segment with this number.
fn segment_path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:012}.log"))
}

/// The number of the segment in this file, or `None` when it is no segment.
fn segment_number(path: &Path) -> Option<u64> {
    let digits = path.file_name()?.to_str()?.strip_suffix(".log")?;
    digits
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| digits.parse().ok())?
}

/// The segments in the folder with their numbers, in order.
fn numbered_segments(disk: &dyn Disk, folder: &Path) -> Result<Vec<(u64, PathBuf)>, ReplayError> {
    let listed = disk.list(folder).map_err(|source| ReplayError::Io {
        file: folder.into(),
        source,
    })?;
    let mut numbered: Vec<_> = listed
        .into_iter()
        .filter_map(|path| Some((segment_number(&path)?, path)))
        .collect();
    numbered.sort();
    Ok(numbered)
}

/// Whether the file is a spare, or what is left of one.
fn is_spare(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name.starts_with("spare-"))
}
