//! Reading the log from the first commit that the engine may lack.
//!
//! An invalid record is a *torn tail* when nothing after it was acknowledged. The writer writes
//! a record only after the one before is durable, so a valid record later on proves that
//! acknowledged commits stood in the damaged place: opening must stop, not skip.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::segment::{self, HeaderError, SegmentHeader};
use super::{Disk, LogFile, numbered_segments, record};
use crate::clock;
use crate::id::Timestamp;

/// How often a long recovery says how far it is.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

/// What reading the log found.
#[derive(Debug)]
pub(crate) struct Replayed {
    /// Sequence of the next commit.
    pub(crate) next_sequence: u64,
    /// When the last record was written, as far as records say.
    pub(super) last_time: Timestamp,
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
    /// Where the last record begins; `end` when none was read.
    pub(super) last_record: usize,
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

/// Reads the folder's segments and hands the payload of each record that has a commit after
/// `checkpoint` to `visit`, with the sequence of the record's first commit. Changes nothing.
pub(crate) fn replay(
    disk: &dyn Disk,
    folder: &Path,
    checkpoint: u64,
    visit: &mut dyn FnMut(u64, Bytes) -> Result<(), String>,
) -> Result<Replayed, ReplayError> {
    let Some(first_wanted) = checkpoint.checked_add(1) else {
        return Err(ReplayError::Corrupt {
            file: folder.into(),
            offset: 0,
            problem: format!("the engine claims to be at commit {checkpoint}, which cannot be"),
        });
    };
    let mut replayed = Replayed {
        next_sequence: first_wanted,
        last_time: Timestamp(0),
        records: 0,
        bytes: 0,
        cut_tail_bytes: 0,
        segments: Vec::new(),
    };
    let opened = open_segments(disk, folder)?;
    // The last one that may hold the first commit wanted; what is before it waits for removal only.
    let first = opened
        .iter()
        .rposition(|one| one.header.first_sequence <= first_wanted);
    let Some(first) = first else {
        return match opened.first() {
            None if checkpoint == 0 => Ok(replayed),
            None => {
                let problem = format!("no segment, though the engine is at commit {checkpoint}");
                Err(ReplayError::Corrupt {
                    file: folder.into(),
                    offset: 0,
                    problem,
                })
            }
            Some(one) => Err(one.corrupt(
                0,
                format!(
                    "it starts at commit {}, the engine ends at {checkpoint}: segments are missing",
                    one.header.first_sequence
                ),
            )),
        };
    };
    for pair in opened[..=first].windows(2) {
        replayed
            .segments
            .push(pair[0].found(pair[1].header.first_sequence, 0..0));
    }
    let mut before: Option<FoundSegment> = None;
    let mut progress = Progress::start(opened.len() - first);
    for (index, segment) in opened.iter().enumerate().skip(first) {
        progress.tell(index - first, &replayed);
        if let Some(before) = before {
            check_continuity(&before, segment)?;
        }
        let is_last = index + 1 == opened.len();
        let (bytes, found) = segment.read(checkpoint, &mut replayed, visit)?;
        if is_last {
            replayed.cut_tail_bytes = segment.check_tail(&bytes, &found)?;
        }
        replayed.segments.push(found.clone());
        before = Some(found);
    }
    let last = before.expect("the loop reads at least the segment it starts with");
    // The engine never gets a commit that the log does not hold durably.
    if last.next_sequence <= checkpoint {
        let found = last.next_sequence - 1;
        let problem =
            format!("the log ends with commit {found}, though the engine is at {checkpoint}");
        return Err(ReplayError::Corrupt {
            file: last.path,
            offset: last.end as u64,
            problem,
        });
    }
    replayed.next_sequence = last.next_sequence;
    Ok(replayed)
}

/// Tells the log how far a long recovery is.
struct Progress {
    segments: usize,
    told: Instant,
}

impl Progress {
    fn start(segments: usize) -> Self {
        Self {
            segments,
            told: clock::now(),
        }
    }

    fn tell(&mut self, done: usize, replayed: &Replayed) {
        let now = clock::now();
        if now.duration_since(self.told) >= PROGRESS_INTERVAL {
            self.told = now;
            let Replayed { records, bytes, .. } = replayed;
            tracing::info!(
                done,
                segments = self.segments,
                records,
                bytes,
                "reading the log"
            );
        }
    }
}

/// A segment with a valid header.
pub(super) struct OpenSegment {
    pub(super) path: PathBuf,
    pub(super) file: Arc<dyn LogFile>,
    pub(super) header: SegmentHeader,
}

/// All segments in order.
pub(super) fn open_segments(
    disk: &dyn Disk,
    folder: &Path,
) -> Result<Vec<OpenSegment>, ReplayError> {
    numbered_segments(disk, folder)?
        .into_iter()
        .map(|(number, path)| OpenSegment::new(disk, path, number))
        .collect()
}

impl OpenSegment {
    fn new(disk: &dyn Disk, path: PathBuf, number: u64) -> Result<Self, ReplayError> {
        let mut bytes = vec![0; segment::HEADER_SIZE_BYTES];
        let read = disk.open(&path).and_then(|file| {
            let read = file.read_at(&mut bytes, 0)?;
            Ok((file, read))
        });
        let (file, read) = match read {
            Ok(read) => read,
            Err(source) => return Err(ReplayError::Io { file: path, source }),
        };
        // A header is synced before the file gets its name: no crash leaves a torn one.
        let problem = match SegmentHeader::decode(&bytes[..read]) {
            Ok(header) if header.first_sequence == 0 => {
                "it starts at commit 0, the first is 1".into()
            }
            Ok(header) if header.number == number => return Ok(Self { path, file, header }),
            Ok(header) => format!("the header is that of segment {}", header.number),
            Err(HeaderError::Damaged) => "the header is damaged".into(),
            Err(HeaderError::NewerFormat { found, supported }) => {
                return Err(ReplayError::NewerFormat {
                    file: path,
                    found,
                    supported,
                });
            }
        };
        Err(ReplayError::Corrupt {
            file: path,
            offset: 0,
            problem,
        })
    }

    pub(super) fn corrupt(&self, offset: usize, problem: String) -> ReplayError {
        ReplayError::Corrupt {
            file: self.path.clone(),
            offset: offset as u64,
            problem,
        }
    }

    fn found(&self, next_sequence: u64, last_record: Range<usize>) -> FoundSegment {
        FoundSegment {
            path: self.path.clone(),
            header: self.header,
            next_sequence,
            last_record: last_record.start,
            end: last_record.end,
        }
    }

    fn read(
        &self,
        checkpoint: u64,
        replayed: &mut Replayed,
        visit: &mut dyn FnMut(u64, Bytes) -> Result<(), String>,
    ) -> Result<(Vec<u8>, FoundSegment), ReplayError> {
        let header = &self.header;
        let bytes = read_file(&*self.file).map_err(|source| ReplayError::Io {
            file: self.path.clone(),
            source,
        })?;
        let mut next_sequence = header.first_sequence;
        let mut offset = segment::HEADER_SIZE_BYTES;
        let mut last_record = offset;
        while let Some(record) =
            record::read(header, &bytes, offset).filter(|r| r.first_sequence == next_sequence)
        {
            next_sequence = next_sequence
                .checked_add(u64::from(record.count))
                .ok_or_else(|| self.corrupt(offset, "more commits than can be counted".into()))?;
            // The record's last commit is the one before.
            if next_sequence - 1 > checkpoint {
                replayed.records += 1;
                replayed.bytes += record.payload.len() as u64;
                // Copied, so that rows kept from it do not keep the whole segment in memory.
                visit(
                    record.first_sequence,
                    Bytes::copy_from_slice(record.payload),
                )
                .map_err(|problem| self.corrupt(offset, problem))?;
            }
            replayed.last_time = record.time.unwrap_or(replayed.last_time);
            last_record = offset;
            offset += record.size_bytes;
        }
        Ok((bytes, self.found(next_sequence, last_record..offset)))
    }

    /// Makes sure that nothing acknowledged stands behind the last valid record. Answers the
    /// bytes of a torn one.
    fn check_tail(&self, bytes: &[u8], found: &FoundSegment) -> Result<u64, ReplayError> {
        match record::find_after(&self.header, bytes, found.end, found.next_sequence) {
            Some(later) => {
                let problem = format!("damaged, though a valid record follows at {later}");
                Err(self.corrupt(found.end, problem))
            }
            None => Ok(record::claimed_size_bytes(&self.header, bytes, found.end)),
        }
    }
}

/// Segments follow each other in number and in sequence.
fn check_continuity(before: &FoundSegment, next: &OpenSegment) -> Result<(), ReplayError> {
    // They are sorted by number, and no two files have the same.
    let wanted = before.header.number.saturating_add(1);
    if next.header.number != wanted {
        return Err(next.corrupt(0, format!("segment {wanted} before it is missing")));
    }
    if next.header.first_sequence != before.next_sequence {
        let (found, wanted) = (before.next_sequence - 1, next.header.first_sequence - 1);
        let problem = format!("its last valid record ends with commit {found} instead of {wanted}");
        let (file, offset) = (before.path.clone(), before.end as u64);
        return Err(ReplayError::Corrupt {
            file,
            offset,
            problem,
        });
    }
    Ok(())
}

pub(super) fn read_file(file: &dyn LogFile) -> io::Result<Vec<u8>> {
    let size_bytes = usize::try_from(file.size_bytes()?).map_err(io::Error::other)?;
    let mut bytes = vec![0; size_bytes];
    let read = file.read_at(&mut bytes, 0)?;
    bytes.truncate(read);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::{RealDisk, segment_path};
    use super::*;

    /// A log of one segment that begins with `first_sequence` and has one record, empty, of
    /// `count` commits.
    fn read(first_sequence: u64, count: u32, checkpoint: u64) -> Result<Replayed, String> {
        let header = SegmentHeader {
            format: segment::FORMAT,
            number: 1,
            first_sequence,
            salt: 7,
            size_bytes: 8_192,
        };
        let mut record = Vec::new();
        record::begin(&mut record, Timestamp(0));
        record::finish(&mut record, &header, first_sequence, count);
        let folder = tempfile::tempdir().unwrap();
        let bytes = [&header.encode()[..], &record].concat();
        fs::write(segment_path(folder.path(), 1), bytes).unwrap();
        replay(&RealDisk, folder.path(), checkpoint, &mut |_, _| Ok(()))
            .map_err(|error| error.to_string())
    }

    /// Found by fuzzing: each overflowed, and a panic at opening says nothing of file and offset.
    #[test]
    fn numbers_that_cannot_be_are_reported_as_damage() {
        assert_eq!(read(1, 3, 0).unwrap().next_sequence, 4);
        let beyond = read(1, 3, u64::MAX).unwrap_err();
        assert!(beyond.contains("which cannot be"), "{beyond}");
        let zero = read(0, 3, 0).unwrap_err();
        assert!(zero.contains("it starts at commit 0"), "{zero}");
        let many = read(u64::MAX - 1, 3, u64::MAX - 1).unwrap_err();
        assert!(many.contains("more commits than can be counted"), "{many}");
    }
}
