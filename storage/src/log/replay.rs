//! Reading the log from the first commit that the engine may lack.
//!
//! An invalid record is a *torn tail* when nothing after it was acknowledged. The writer writes
//! a record only after the one before is durable, so a valid record later on proves that
//! acknowledged commits stood in the damaged place: opening must stop, not skip.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::segment::{self, HeaderError, SegmentHeader};
use super::{Disk, record, segment_number};

/// What reading the log found.
#[derive(Debug)]
pub(crate) struct Replayed {
    /// Sequence of the next commit.
    pub(crate) next_sequence: u64,
    /// Records given to the visitor.
    pub(crate) records: u64,
    /// Bytes of their payloads.
    pub(crate) bytes: u64,
    /// Bytes of a torn record at the end, which is dropped.
    pub(crate) cut_tail_bytes: u64,
    /// The segments in order; the last one is written on.
    pub(super) segments: Vec<FoundSegment>,
}

/// A segment of the log.
#[derive(Debug, Clone)]
pub(super) struct FoundSegment {
    pub(super) path: PathBuf,
    pub(super) header: SegmentHeader,
    /// Sequence of the first commit after this segment.
    pub(super) next_sequence: u64,
    /// Where the records end.
    pub(super) end: usize,
}

/// Why the log cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReplayError {
    #[error("{}", file.display())]
    Io { file: PathBuf, source: io::Error },
    #[error("{} has format {found}, this release reads up to {supported}", file.display())]
    NewerFormat {
        file: PathBuf,
        found: u32,
        supported: u32,
    },
    #[error("{} at {offset}: {problem}", file.display())]
    Corrupt {
        file: PathBuf,
        offset: u64,
        problem: String,
    },
}

/// Reads all segments of the folder and hands the payload of each record that has a commit after
/// `checkpoint` to `visit`, with the sequence of the record's first commit. Changes nothing.
pub(crate) fn replay(
    disk: &dyn Disk,
    folder: &Path,
    checkpoint: u64,
    visit: &mut dyn FnMut(u64, Bytes) -> Result<(), String>,
) -> Result<Replayed, ReplayError> {
    let mut replayed = Replayed {
        next_sequence: checkpoint + 1,
        records: 0,
        bytes: 0,
        cut_tail_bytes: 0,
        segments: Vec::new(),
    };
    let numbered = numbered_segments(disk, folder)?;
    if numbered.is_empty() && checkpoint > 0 {
        let problem = format!("no segment is there, though the engine is at commit {checkpoint}");
        return Err(ReplayError::Corrupt {
            file: folder.into(),
            offset: 0,
            problem,
        });
    }
    let count = numbered.len();
    for (index, (number, path)) in numbered.into_iter().enumerate() {
        let is_last = index + 1 == count;
        read_segment(
            disk,
            path,
            number,
            is_last,
            checkpoint,
            &mut replayed,
            visit,
        )?;
    }
    match replayed.segments.last() {
        // The engine never gets a commit that the log does not hold durably.
        Some(last) if last.next_sequence <= checkpoint => Err(ReplayError::Corrupt {
            file: last.path.clone(),
            offset: last.end as u64,
            problem: format!(
                "the log ends with commit {}, though the engine is at commit {checkpoint}",
                last.next_sequence - 1
            ),
        }),
        _ => Ok(replayed),
    }
}

fn numbered_segments(disk: &dyn Disk, folder: &Path) -> Result<Vec<(u64, PathBuf)>, ReplayError> {
    let io_error = |source| ReplayError::Io {
        file: folder.into(),
        source,
    };
    let mut numbered: Vec<_> = disk
        .list(folder)
        .map_err(io_error)?
        .into_iter()
        .filter_map(|path| Some((segment_number(&path)?, path)))
        .collect();
    numbered.sort();
    Ok(numbered)
}

fn read_segment(
    disk: &dyn Disk,
    path: PathBuf,
    number: u64,
    is_last: bool,
    checkpoint: u64,
    replayed: &mut Replayed,
    visit: &mut dyn FnMut(u64, Bytes) -> Result<(), String>,
) -> Result<(), ReplayError> {
    let corrupt = |offset: usize, problem: String| ReplayError::Corrupt {
        file: path.clone(),
        offset: offset as u64,
        problem,
    };
    let bytes = read_file(disk, &path).map_err(|source| ReplayError::Io {
        file: path.clone(),
        source,
    })?;
    let header = match SegmentHeader::decode(&bytes) {
        Ok(header) if header.number == number => header,
        Ok(header) => {
            return Err(corrupt(
                0,
                format!("the header is that of segment {}", header.number),
            ));
        }
        Err(HeaderError::NewerFormat { found, supported }) => {
            return Err(ReplayError::NewerFormat {
                file: path,
                found,
                supported,
            });
        }
        // A header is synced before the file gets its name: no crash leaves a torn one.
        Err(HeaderError::Damaged) => return Err(corrupt(0, "the header is damaged".into())),
    };
    check_continuity(&header, checkpoint, replayed).map_err(|problem| corrupt(0, problem))?;

    let mut next_sequence = header.first_sequence;
    let mut offset = segment::HEADER_SIZE_BYTES;
    while let Some(record) =
        record::read(&header, &bytes, offset).filter(|r| r.first_sequence == next_sequence)
    {
        next_sequence += u64::from(record.count);
        if next_sequence > checkpoint + 1 {
            replayed.records += 1;
            replayed.bytes += record.payload.len() as u64;
            // Copied, so that rows kept from it do not keep the whole segment in memory.
            visit(
                record.first_sequence,
                Bytes::copy_from_slice(record.payload),
            )
            .map_err(|problem| corrupt(offset, problem))?;
        }
        offset += record::size_bytes(record.payload.len());
    }
    if is_last {
        if let Some(later) = record::find_after(&header, &bytes, offset, next_sequence) {
            let problem = format!("damaged, though a valid record follows at {later}");
            return Err(corrupt(offset, problem));
        }
        replayed.cut_tail_bytes = record::claimed_size_bytes(&header, &bytes, offset);
    }
    replayed.next_sequence = replayed.next_sequence.max(next_sequence);
    replayed.segments.push(FoundSegment {
        path,
        header,
        next_sequence,
        end: offset,
    });
    Ok(())
}

/// Segments follow each other in number and sequence, and the first one starts no later than
/// where the engine ends.
fn check_continuity(
    header: &SegmentHeader,
    checkpoint: u64,
    replayed: &Replayed,
) -> Result<(), String> {
    let first = header.first_sequence;
    match replayed.segments.last() {
        None if first > checkpoint + 1 => Err(format!(
            "it starts at commit {first}, the engine ends at {checkpoint}: segments are missing"
        )),
        Some(before) if before.header.number + 1 != header.number => {
            Err(format!("segment {} is missing", before.header.number + 1))
        }
        Some(before) if before.next_sequence != first => Err(format!(
            "it starts at commit {first}, but the segment before ends at byte {} with commit {}: \
             records in between are damaged",
            before.end,
            before.next_sequence.saturating_sub(1)
        )),
        _ => Ok(()),
    }
}

fn read_file(disk: &dyn Disk, path: &Path) -> io::Result<Bytes> {
    let file = disk.open(path)?;
    let size_bytes = usize::try_from(file.size_bytes()?).map_err(io::Error::other)?;
    let mut bytes = vec![0; size_bytes];
    let read = file.read_at(&mut bytes, 0)?;
    bytes.truncate(read);
    Ok(bytes.into())
}
