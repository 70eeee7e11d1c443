//! What the fuzzers drive of the log: reading it again, whatever its files hold.

use std::collections::BTreeMap;
use std::fs::TryLockError;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::segment::{self, SegmentHeader};
use super::{Disk, FileLock, LogFile, ReplayError, Replayed, record, replay, segment_path};
use crate::id::Timestamp;

/// Segments of a made-up log, and records in each.
const SEGMENTS_MAX: u8 = 3;
const RECORDS_MAX: u8 = 5;
/// Zeros behind the last record, as a segment that is not full has them.
const REST_SIZE_BYTES: usize = 64;

/// Reads a log again. The first byte says which:
///
/// - the files are these bytes: reading ends, in an answer;
/// - the checksums are right and everything else is these bytes: likewise, and the commits that
///   are handed out follow each other;
/// - a log is written, then damaged as these bytes say: what is handed out is the beginning of
///   what was written, and no record that is still whole is passed over in silence.
pub fn log_record(data: &[u8]) {
    let mut input = Input(data);
    match input.byte() % 3 {
        0 => raw(input),
        1 => forged(input),
        _ => damaged(input),
    }
}

fn raw(mut input: Input<'_>) {
    let files = usize::from(input.byte() % 2) + 1;
    let checkpoint = input.number();
    let size = input.0.len().div_ceil(files).max(1);
    let files = (1..).zip(input.0.chunks(size).map(<[u8]>::to_vec));
    let (handed_out, _) = read(files, checkpoint);
    check_order(&handed_out);
}

fn forged(mut input: Input<'_>) {
    let checkpoint = input.number();
    let mut files = Vec::new();
    let (mut number, mut sequence) = (0_u64, 1);
    for _ in 0..input.byte() % SEGMENTS_MAX + 1 {
        number = input.or_else_chosen(number.saturating_add(1));
        sequence = input.or_else_chosen(sequence);
        let header = header(number, sequence);
        let mut bytes = header.encode().to_vec();
        for _ in 0..input.byte() % RECORDS_MAX {
            sequence = input.or_else_chosen(sequence);
            let count = u32::try_from(input.number() & 0xffff_ffff).expect("32 bits were kept");
            let size = input.byte();
            append(&mut bytes, &header, sequence, count, input.take(size));
            sequence = sequence.wrapping_add(u64::from(count));
        }
        files.push((number, bytes));
    }
    let (handed_out, _) = read(files, checkpoint);
    check_order(&handed_out);
}

/// A record as it was written: where, and what.
struct Written {
    segment: usize,
    at: usize,
    first_sequence: u64,
    payload: Vec<u8>,
}

fn damaged(mut input: Input<'_>) {
    let mut files = Vec::new();
    let mut written = Vec::new();
    let mut sequence = 1;
    for index in 0..input.byte() % SEGMENTS_MAX + 1 {
        let number = u64::from(index) + 1;
        let header = header(number, sequence);
        let mut bytes = header.encode().to_vec();
        for _ in 0..input.byte() % RECORDS_MAX {
            let count = input.byte() % 4 + 1;
            let size = input.byte();
            written.push(Written {
                segment: usize::from(index),
                at: bytes.len(),
                first_sequence: sequence,
                payload: input.take(size).to_vec(),
            });
            let payload = &written[written.len() - 1].payload;
            append(&mut bytes, &header, sequence, count.into(), payload);
            sequence += u64::from(count);
        }
        bytes.resize(bytes.len() + REST_SIZE_BYTES, 0);
        files.push((number, bytes));
    }
    let checkpoint = u64::from(input.byte()) % sequence;
    let sound = files.clone();
    damage(&mut files, input);

    let (handed_out, answer) = read(files.clone(), checkpoint);
    let last_segment = files.len() - 1;
    let next_after = |index: usize| {
        written
            .get(index + 1)
            .map_or(sequence, |next| next.first_sequence)
    };
    let wanted = (0..written.len()).find(|&index| next_after(index) > checkpoint + 1);
    let wanted = wanted.map_or(&[][..], |first| &written[first..]);
    assert!(
        handed_out.len() <= wanted.len(),
        "a record that nobody wrote"
    );
    for (found, written) in handed_out.iter().zip(wanted) {
        assert_eq!(found.0, written.first_sequence);
        assert_eq!(found.1, written.payload, "a record with other bytes");
    }
    if files == sound {
        answer.expect("nothing is wrong with it");
        assert_eq!(handed_out.len(), wanted.len(), "a record was lost");
    } else if answer.is_ok() {
        for passed_over in &wanted[handed_out.len()..] {
            assert_eq!(
                passed_over.segment, last_segment,
                "only the end may be torn"
            );
            let head = record::HEADER_SIZE_BYTES + record::TIME_SIZE_BYTES;
            let end = passed_over.at + head + passed_over.payload.len();
            let bytes = |files: &[(u64, Vec<u8>)]| {
                files[last_segment]
                    .1
                    .get(passed_over.at..end)
                    .map(<[u8]>::to_vec)
            };
            assert_ne!(
                bytes(&files),
                bytes(&sound),
                "a whole record was passed over"
            );
        }
    }
}

/// Flips bits, and cuts files short.
fn damage(files: &mut [(u64, Vec<u8>)], mut input: Input<'_>) {
    while !input.0.is_empty() {
        let kind = input.byte();
        let count = files.len();
        let file = &mut files[usize::from(kind >> 1) % count].1;
        let at = usize::from(input.byte()) << 8 | usize::from(input.byte());
        // Most of a header's page is zeros that mean nothing, so there are fewer places in it.
        let at = match at {
            0..48 => at,
            _ => at - 48 + segment::HEADER_SIZE_BYTES,
        };
        if kind & 1 == 0 {
            let by = input.byte();
            if let Some(byte) = file.get_mut(at) {
                *byte ^= by;
            }
        } else {
            file.truncate(at);
        }
    }
}

fn header(number: u64, first_sequence: u64) -> SegmentHeader {
    SegmentHeader {
        format: segment::FORMAT,
        number,
        first_sequence,
        salt: 0x5a17_0000 ^ number,
        size_bytes: 1 << 20,
    }
}

fn append(bytes: &mut Vec<u8>, header: &SegmentHeader, sequence: u64, count: u32, payload: &[u8]) {
    let mut buffer = Vec::new();
    record::begin(&mut buffer, Timestamp(sequence));
    buffer.extend_from_slice(payload);
    record::finish(&mut buffer, header, sequence, count);
    bytes.extend_from_slice(&buffer);
}

type HandedOut = Vec<(u64, Bytes)>;

fn read(
    files: impl IntoIterator<Item = (u64, Vec<u8>)>,
    checkpoint: u64,
) -> (HandedOut, Result<Replayed, ReplayError>) {
    let folder = Path::new("log");
    let files = files.into_iter();
    let disk = Files::new(files.map(|(number, bytes)| (segment_path(folder, number), bytes)));
    let mut handed_out = Vec::new();
    let answer = replay(&disk, folder, checkpoint, &mut |sequence, payload| {
        handed_out.push((sequence, payload));
        Ok(())
    });
    if let Err(error) = &answer {
        assert!(error.to_string().len() < 1_000, "{error}");
    }
    (handed_out, answer)
}

fn check_order(handed_out: &HandedOut) {
    assert!(handed_out.is_sorted_by_key(|(sequence, _)| *sequence));
}

/// Takes the fuzzer's bytes apart; what is missing is zero.
pub(crate) struct Input<'a>(pub(crate) &'a [u8]);

impl<'a> Input<'a> {
    pub(crate) fn take(&mut self, count: u8) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(self.0.len().min(count.into()));
        self.0 = rest;
        taken
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    /// Mostly a small number, sometimes a very large one.
    fn number(&mut self) -> u64 {
        match self.byte() {
            0xff => u64::MAX - u64::from(self.byte()),
            0xfe => {
                let mut bytes = [0; 8];
                let taken = self.take(8);
                bytes[..taken.len()].copy_from_slice(taken);
                u64::from_le_bytes(bytes)
            }
            small => small.into(),
        }
    }

    /// The number that fits here, or one that the input chose.
    pub(crate) fn or_else_chosen(&mut self, fitting: u64) -> u64 {
        match self.byte() {
            0xf0.. => self.number(),
            _ => fitting,
        }
    }
}

/// Files that can only be read.
#[derive(Debug)]
pub(crate) struct Files(BTreeMap<PathBuf, Arc<File>>);

#[derive(Debug)]
struct File(Vec<u8>);

impl Files {
    pub(crate) fn new(files: impl IntoIterator<Item = (PathBuf, Vec<u8>)>) -> Self {
        let files = files.into_iter();
        Self(
            files
                .map(|(path, bytes)| (path, Arc::new(File(bytes))))
                .collect(),
        )
    }
}

fn read_only<T>() -> io::Result<T> {
    Err(io::ErrorKind::ReadOnlyFilesystem.into())
}

impl Disk for Files {
    fn create_folder(&self, _: &Path) -> io::Result<()> {
        read_only()
    }

    fn lock(&self, _: &Path, _: &str) -> Result<FileLock, TryLockError> {
        Err(TryLockError::Error(
            io::ErrorKind::ReadOnlyFilesystem.into(),
        ))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        match self.0.get(path) {
            Some(file) => Ok(file.0.clone()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        match self.0.get(path) {
            Some(file) => Ok(file.clone()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn create(&self, _: &Path) -> io::Result<Arc<dyn LogFile>> {
        read_only()
    }

    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        read_only()
    }

    fn remove(&self, _: &Path) -> io::Result<()> {
        read_only()
    }

    fn sync_folder(&self, _: &Path) -> io::Result<()> {
        read_only()
    }

    fn list(&self, _: &Path) -> io::Result<Vec<PathBuf>> {
        Ok(self.0.keys().cloned().collect())
    }

    fn available_bytes(&self, _: &Path) -> io::Result<u64> {
        Ok(0)
    }
}

impl LogFile for File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        let rest = self.0.get(offset..).unwrap_or_default();
        let size = rest.len().min(buffer.len());
        buffer[..size].copy_from_slice(&rest[..size]);
        Ok(size)
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<()> {
        read_only()
    }

    fn sync(&self) -> io::Result<()> {
        read_only()
    }

    fn size_bytes(&self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }
}

/// One of each kind, with and without damage.
#[must_use]
pub fn log_record_seeds() -> Vec<Vec<u8>> {
    let segment = header(1, 1);
    let mut bytes = segment.encode().to_vec();
    for (sequence, payload) in [(1, &b"first"[..]), (2, b"second")] {
        append(&mut bytes, &segment, sequence, 1, payload);
    }
    bytes.resize(bytes.len() + REST_SIZE_BYTES, 0);
    // Two segments: two records and three.
    let log = [
        &[2, 1][..],
        &[2, 0, 3, b'a', b'b', b'c', 1, 2, b'd', b'e'],
        &[3, 0, 1, b'f', 3, 0, 0, 4, b'g', b'h', b'i', b'j'],
        &[0],
    ]
    .concat();
    let with = |damage: &[u8]| [&log, damage].concat();
    vec![
        [&[0, 0, 0], &bytes[..]].concat(),
        [&[0, 1, 0], &bytes[..100]].concat(),
        vec![
            1, 0, 1, 0, 0, 2, 0, 1, 4, b'a', b'b', b'c', b'd', 0, 2, 0, 0, 0, 1, 0, 1, 1, b'e',
        ],
        vec![1, 0xff, 0, 0, 0xf0, 0xff, 0, 1, 0, 0xff, 0, 0],
        with(&[]),
        with(&[2, 0, 50, 0xff]),
        with(&[3, 0, 100]),
        with(&[0, 0, 17, 1]),
        with(&[2, 0, 130, 4]),
    ]
}
