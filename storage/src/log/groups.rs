//! Reading a part of the log for history, also while the log is written on.
//!
//! What is asked for must be durable, so that it stands in the files before they are looked at: a
//! record that is not valid is then damage and nothing else. Nobody may let segments go meanwhile.

use std::io;
use std::path::Path;

use bytes::Bytes;

use super::replay::{OpenSegment, ReplayError, open_segments};
use super::{Disk, record, segment};
use crate::id::Timestamp;

/// A record of the log: commits that became durable together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    /// Sequence of its first commit.
    pub(crate) first_sequence: u64,
    pub(crate) count: u32,
    /// When it was written; 0 when the release that wrote it did not say.
    pub(crate) time: Timestamp,
    /// The commits.
    pub(crate) payload: Bytes,
}

impl Group {
    /// Sequence of its last commit.
    pub(crate) fn last_sequence(&self) -> u64 {
        // A group of none cannot be in a log that was ever opened; it would only repeat a number.
        let next = self.first_sequence.saturating_add(u64::from(self.count));
        next.saturating_sub(1)
    }
}

/// Sequence of the first commit in the log's files from which on no segment is missing; `None` when there are none. One
/// that could not be removed may lie before a gap.
pub(crate) fn first_sequence(disk: &dyn Disk, folder: &Path) -> Result<Option<u64>, ReplayError> {
    let segments = open_segments(disk, folder)?;
    let gap = segments
        .windows(2)
        .rposition(|pair| pair[1].header.number - pair[0].header.number > 1);
    let first = segments.get(gap.map_or(0, |gap| gap + 1));
    Ok(first.map(|first| first.header.first_sequence))
}

/// Hands every group with a commit after `after`, and none after `up_to`, to `visit`, in order.
pub(crate) fn read_groups<E: From<ReplayError>>(
    disk: &dyn Disk,
    folder: &Path,
    (after, up_to): (u64, u64),
    visit: &mut dyn FnMut(Group) -> Result<(), E>,
) -> Result<(), E> {
    let segments = open_segments(disk, folder)?;
    let mut next_sequence = after + 1;
    for (index, open) in segments.iter().enumerate() {
        let next_first = segments
            .get(index + 1)
            .map(|next| next.header.first_sequence);
        if next_sequence > up_to {
            break;
        }
        if next_first.is_some_and(|first| first <= next_sequence) {
            continue;
        }
        let io_error = |source| ReplayError::Io {
            file: open.path.clone(),
            source,
        };
        let mut offset = segment::HEADER_SIZE_BYTES as u64;
        let mut expected = open.header.first_sequence;
        while expected <= up_to {
            // Record by record: a segment may be larger than the memory that history should take.
            let bytes = read_record(open, offset).map_err(io_error)?;
            let record = record::read(&open.header, &bytes, 0)
                .filter(|record| record.first_sequence == expected);
            let Some(record) = record else { break };
            expected += u64::from(record.count);
            offset += record.size_bytes as u64;
            if expected > next_sequence {
                next_sequence = expected;
                visit(Group {
                    first_sequence: record.first_sequence,
                    count: record.count,
                    time: record.time.unwrap_or_default(),
                    payload: Bytes::copy_from_slice(record.payload),
                })?;
            }
        }
        let wanted = next_first.unwrap_or(u64::MAX).min(up_to + 1);
        if expected < wanted {
            let problem = format!("commit {expected} should stand there");
            let offset = usize::try_from(offset).unwrap_or(usize::MAX);
            return Err(open.corrupt(offset, problem).into());
        }
    }
    if next_sequence <= up_to {
        let problem = format!("it has no commit {next_sequence}");
        return Err(ReplayError::Corrupt {
            file: folder.into(),
            offset: 0,
            problem,
        }
        .into());
    }
    Ok(())
}

/// The bytes of the record at `offset`, whatever they are; none where no record begins.
fn read_record(open: &OpenSegment, offset: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; record::HEADER_SIZE_BYTES];
    let read = open.file.read_at(&mut bytes, offset)?;
    bytes.truncate(read);
    let room = usize::try_from(open.header.size_bytes.saturating_sub(offset));
    let claimed = record::claimed_by_header(&open.header, &bytes);
    // A damaged length must not take memory.
    let claimed = claimed.filter(|size| *size <= room.unwrap_or(usize::MAX));
    bytes.resize(claimed.unwrap_or(0), 0);
    let read = open.file.read_at(&mut bytes, offset)?;
    bytes.truncate(read);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::super::{RealDisk, segment_path};
    use super::*;
    use crate::log::create;

    /// A used segment that could not be removed, as those after it were, is not where the log begins.
    #[test]
    fn the_log_begins_after_a_missing_segment() {
        let folder = tempfile::tempdir().unwrap();
        for number in 1..=3 {
            let first = (number, number * 10);
            create(&RealDisk, folder.path(), first, 64 << 10).unwrap();
        }
        let begins = || first_sequence(&RealDisk, folder.path()).unwrap();
        assert_eq!(begins(), Some(10));
        std::fs::remove_file(segment_path(folder.path(), 2)).unwrap();
        assert_eq!(begins(), Some(30));
    }
}
