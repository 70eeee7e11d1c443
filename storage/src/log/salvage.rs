//! Reading a damaged log: every record that is still valid, and what is missing between them.
//!
//! A record proves itself by its checksum, which begins with the salt of its segment. So a segment whose header is
//! damaged elsewhere than in the salt gives up all of its records; one without its salt gives up none.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::groups::Group;
use super::replay::{ReplayError, read_file};
use super::segment::{self, HeaderError, SegmentHeader};
use super::{Disk, numbered_segments, record};

const NO_HEADER: &str = "the header is damaged, and with it all records";

/// A place where the log is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Gap {
    /// The damaged file, or the first one after what is missing, or the folder.
    pub(crate) file: PathBuf,
    pub(crate) offset: u64,
    pub(crate) problem: String,
    /// The commits that stood there: from this one …
    pub(crate) first: u64,
    /// … to the one before this; `None` when nobody can tell. Equal to `first` when none did.
    pub(crate) next: Option<u64>,
}

/// What a log still gives, in order.
#[derive(Debug)]
pub(crate) enum Salvaged {
    Group(Group),
    Gap(Gap),
}

/// What was read.
#[derive(Debug)]
pub(crate) struct Salvage {
    /// All segments, damaged or not, in order.
    pub(crate) segments: Vec<PathBuf>,
    /// The highest number of a segment; 0 without any.
    pub(crate) last_number: u64,
}

/// The sequence that the log's first readable segment begins with; `None` without one.
pub(crate) fn salvaged_start(disk: &dyn Disk, folder: &Path) -> Result<Option<u64>, ReplayError> {
    let segments = read_segments(disk, folder)?;
    let mut headers = segments.iter().filter_map(|segment| segment.header);
    Ok(headers.next().map(|header| header.first_sequence))
}

/// Reads the commits after `checkpoint` from what is left of the log. Changes nothing. A torn tail is no gap.
///
/// # Errors
/// [`ReplayError::Io`] when the folder cannot be listed or a file not be read, and
/// [`ReplayError::NewerFormat`]: such a log is not damaged.
pub(crate) fn salvage(
    disk: &dyn Disk,
    folder: &Path,
    checkpoint: u64,
    visit: &mut dyn FnMut(Salvaged),
) -> Result<Salvage, ReplayError> {
    let segments = read_segments(disk, folder)?;
    let wanted = checkpoint.saturating_add(1);
    // Of segments before the one that may hold the first commit wanted, the header alone matters.
    let begins = |segment: &Segment| segment.header.is_some_and(|h| h.first_sequence <= wanted);
    let first = segments.iter().rposition(begins).unwrap_or(0);
    let mut reading = Reading {
        folder,
        visit,
        next: wanted,
        end: 0,
        unreadable: None,
    };
    for (index, segment) in segments.iter().enumerate() {
        match segment.header {
            None => reading.skip(segment),
            Some(_) if index < first && segment.is_damaged => {
                reading.gap(&segment.path, 0, "the header is damaged", Some(wanted));
            }
            Some(_) if index < first => {}
            Some(header) => reading.read(disk, segment, header)?,
        }
    }
    reading.finish(segments.last(), checkpoint);
    Ok(Salvage {
        last_number: segments.last().map_or(0, |last| last.number),
        segments: segments.into_iter().map(|segment| segment.path).collect(),
    })
}

struct Segment {
    path: PathBuf,
    number: u64,
    /// As it stands, or as its records tell; `None` when its records cannot be read.
    header: Option<SegmentHeader>,
    is_damaged: bool,
}

fn read_segments(disk: &dyn Disk, folder: &Path) -> Result<Vec<Segment>, ReplayError> {
    numbered_segments(disk, folder)?
        .into_iter()
        .map(|(number, path)| read_segment(disk, path, number))
        .collect()
}

fn read_segment(disk: &dyn Disk, path: PathBuf, number: u64) -> Result<Segment, ReplayError> {
    let mut head = vec![0; segment::HEADER_SIZE_BYTES];
    let read = disk
        .open_to_read(&path)
        .and_then(|file| file.read_at(&mut head, 0));
    let read = match read {
        Ok(read) => read,
        Err(source) => return Err(ReplayError::Io { file: path, source }),
    };
    let whole = match SegmentHeader::decode(&head[..read]) {
        Ok(header) if header.number == number && header.first_sequence > 0 => Some(header),
        Err(HeaderError::NewerFormat { found, supported }) => {
            return Err(ReplayError::NewerFormat {
                file: path,
                found,
                supported,
            });
        }
        Ok(_) | Err(HeaderError::Damaged) => None,
    };
    let header = match whole {
        Some(header) => Some(header),
        None => header_from_records(&read_whole(disk, &path)?, number),
    };
    Ok(Segment {
        path,
        number,
        header,
        is_damaged: whole.is_none(),
    })
}

/// The header that makes the first record valid, if the salt is still there.
fn header_from_records(bytes: &[u8], number: u64) -> Option<SegmentHeader> {
    let salt = u64::from_le_bytes(bytes.get(32..40)?.try_into().expect("8 bytes"));
    let formats = (1..=segment::FORMAT).rev();
    let mut headers = formats.map(|format| SegmentHeader {
        format,
        number,
        first_sequence: 1,
        salt,
        size_bytes: bytes.len() as u64,
    });
    headers.find_map(|header| {
        let at = segment::HEADER_SIZE_BYTES;
        let record = record::read(&header, bytes, at)?;
        Some(SegmentHeader {
            first_sequence: record.first_sequence,
            ..header
        })
    })
}

fn read_whole(disk: &dyn Disk, path: &Path) -> Result<Vec<u8>, ReplayError> {
    let bytes = disk.open_to_read(path).and_then(|file| read_file(&*file));
    bytes.map_err(|source| ReplayError::Io {
        file: path.into(),
        source,
    })
}

struct Reading<'a> {
    folder: &'a Path,
    visit: &'a mut dyn FnMut(Salvaged),
    /// Sequence of the commit that should come next.
    next: u64,
    /// Sequence of the commit after the last one that is readable in a segment.
    end: u64,
    /// A segment without readable records, of which the next one tells how much stood in it.
    unreadable: Option<PathBuf>,
}

impl Reading<'_> {
    fn skip(&mut self, segment: &Segment) {
        self.unreadable.get_or_insert_with(|| segment.path.clone());
    }

    /// Tells of a gap that ends before the commit `next`.
    fn gap(&mut self, file: &Path, offset: usize, problem: &str, next: Option<u64>) {
        let first = self.next;
        let next = next.map(|next| next.max(first));
        (self.visit)(Salvaged::Gap(Gap {
            file: file.to_owned(),
            offset: offset as u64,
            problem: problem.into(),
            first,
            next,
        }));
        self.next = next.unwrap_or(first);
    }

    fn read(
        &mut self,
        disk: &dyn Disk,
        segment: &Segment,
        header: SegmentHeader,
    ) -> Result<(), ReplayError> {
        let path = &segment.path;
        let start = header.first_sequence;
        if let Some(file) = self.unreadable.take() {
            self.gap(&file, 0, NO_HEADER, Some(start));
        }
        if segment.is_damaged {
            let problem = "the header is damaged, its records are not";
            self.gap(path, 0, problem, Some(self.next));
        }
        if start > self.next {
            self.gap(path, 0, "the commits before it are missing", Some(start));
        }
        let bytes = read_whole(disk, path)?;
        let mut at = segment::HEADER_SIZE_BYTES;
        let mut expected = start;
        loop {
            let record = record::read(&header, &bytes, at);
            let Some(record) = record.filter(|record| record.first_sequence == expected) else {
                self.end = expected;
                let Some(later) = record::find_after(&header, &bytes, at, expected) else {
                    return Ok(());
                };
                let resumed = record::read(&header, &bytes, later)
                    .map_or(expected, |record| record.first_sequence);
                self.gap(
                    path,
                    at,
                    "damaged, though valid records follow",
                    Some(resumed),
                );
                (at, expected) = (later, resumed);
                continue;
            };
            at += record.size_bytes;
            expected = expected.saturating_add(u64::from(record.count));
            if expected > self.next {
                self.next = expected;
                (self.visit)(Salvaged::Group(Group {
                    first_sequence: record.first_sequence,
                    count: record.count,
                    time: record.time.unwrap_or_default(),
                    payload: Bytes::copy_from_slice(record.payload),
                }));
            }
        }
    }

    /// What is missing at the end, where nothing follows that would tell how much it was. The engine never gets a
    /// commit that the log does not hold durably.
    fn finish(&mut self, last: Option<&Segment>, checkpoint: u64) {
        let path = last.map_or(self.folder, |last| &last.path);
        if let Some(file) = self.unreadable.take() {
            self.gap(&file, 0, NO_HEADER, None);
        } else if self.end <= checkpoint && checkpoint > 0 {
            let path = path.to_owned();
            self.gap(
                &path,
                0,
                "it ends before the last commit of the engine",
                None,
            );
        }
    }
}
