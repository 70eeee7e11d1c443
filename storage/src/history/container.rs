//! The file format of everything in history: a header, then compressed blocks of items.
//!
//! ```text
//!   0          8        12    16        20     24         40      48     56           64
//! +----------+--------+-----+---------+------+----------+-------+------+------------+-----------+--
//! | abidehis | format | crc | content | zero | timeline | first | last | first time | last time |
//! +----------+--------+-----+---------+------+----------+-------+------+------------+-----------+--
//!   72           80      88     96
//! --+------------+-------+------+---------+----------+-----+-------+---------+----- …
//!   | generation | items | size | length  | raw size | crc | block | length  |
//! --+------------+-------+------+---------+----------+-----+-------+---------+----- …
//! ```
//!
//! Little-endian. `size` is that of the whole file, `generation` the store's when it was written.
//! A block is `length` bytes that LZ4 makes `raw size` bytes of: whole items, one after the other. Its CRC-32C
//! covers the two sizes and the block, and starts from its place in the file and the file's first
//! sequence, so that a block in a wrong place is noticed like a damaged one.
//!
//! **readable-forever**: the format stands before all that a later one may change.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::HistoryError;
use super::repository::Timeline;
use crate::id::Timestamp;
use crate::log::{Disk, LogFile};

const MAGIC: &[u8; 8] = b"abidehis";
const FORMAT: u32 = 1;
const HEADER_SIZE_BYTES: usize = 96;
const BLOCK_HEADER_SIZE_BYTES: usize = 12;

/// Items are compressed together up to this size, bytes; a larger item is a block of its own.
const BLOCK_SIZE_BYTES: usize = 1 << 20;
/// Bytes that one byte of LZ4 can stand for.
const LZ4_RATIO_MAX: usize = 255;
/// Bytes written between two syncs: the log's own syncs must not wait behind more.
const UNSYNCED_MAX_BYTES: u64 = 4 << 20;

/// What the items of a file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// Groups of commits (`groups.rs`).
    Commits,
    /// Rows of an engine (`base.rs`).
    Rows,
}

/// What a file says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) content: Content,
    pub(super) timeline: Timeline,
    /// Of commits: sequence of the first one. Of rows: every commit up to it is in them.
    pub(super) first: u64,
    /// Of commits: sequence of the last one. Of rows: no commit after it is in them.
    pub(super) last: u64,
    /// When the first group was written, or the reading of rows began.
    pub(super) first_time: Timestamp,
    /// When the last group was written, or the reading of rows ended.
    pub(super) last_time: Timestamp,
    /// Of the store that wrote it: epochs given out before are below the next one.
    pub(super) generation: u64,
    pub(super) items: u64,
    /// Size of the file, bytes.
    pub(super) size_bytes: u64,
}

impl Content {
    fn number(self) -> u32 {
        match self {
            Self::Commits => 1,
            Self::Rows => 2,
        }
    }

    /// How the names of such files end.
    pub(super) fn extension(self) -> &'static str {
        match self {
            Self::Commits => "commits",
            Self::Rows => "base",
        }
    }

    fn draft_name(self) -> &'static str {
        match self {
            Self::Commits => "commits.tmp",
            Self::Rows => "base.tmp",
        }
    }
}

impl Header {
    /// Of commits that nobody made, for tests.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn made_up(content: Content, (first, last): (u64, u64), items: u64) -> Self {
        Self {
            content,
            timeline: Timeline([7; 16]),
            first,
            last,
            first_time: Timestamp(1),
            last_time: Timestamp(2),
            generation: 1,
            items,
            size_bytes: 0,
        }
    }

    pub(super) fn file_name(&self) -> String {
        let extension = self.content.extension();
        format!("{:020}-{:020}.{extension}", self.first, self.last)
    }

    fn encode(&self) -> [u8; HEADER_SIZE_BYTES] {
        let mut bytes = [0; HEADER_SIZE_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.content.number().to_le_bytes());
        bytes[24..40].copy_from_slice(&self.timeline.0);
        let numbers = [
            self.first,
            self.last,
            self.first_time.0,
            self.last_time.0,
            self.generation,
            self.items,
            self.size_bytes,
        ];
        for (place, number) in bytes[40..].chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        let crc = crc32c::crc32c(&bytes);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    fn decode(path: &Path, bytes: &[u8]) -> Result<Self, HistoryError> {
        let damaged = |problem: &str| HistoryError::corrupt(path, 0, problem);
        let mut bytes: [u8; HEADER_SIZE_BYTES] = bytes
            .try_into()
            .map_err(|_| damaged("it is too short to be one"))?;
        if &bytes[..8] != MAGIC {
            return Err(damaged("it does not begin as it should"));
        }
        // The format is looked at before the CRC: a newer one may compute it in another way.
        let format = u32_at(&bytes, 8);
        if format > FORMAT {
            return Err(HistoryError::NewerFormat {
                path: path.into(),
                found: format,
                supported: FORMAT,
            });
        }
        let crc = u32_at(&bytes, 12);
        bytes[12..16].fill(0);
        if crc32c::crc32c(&bytes) != crc || format == 0 {
            return Err(damaged("the header is damaged"));
        }
        let content = match u32_at(&bytes, 16) {
            1 => Content::Commits,
            2 => Content::Rows,
            _ => return Err(damaged("its content is of no known kind")),
        };
        let number = |index: usize| {
            let at = 40 + index * 8;
            u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"))
        };
        let header = Self {
            content,
            timeline: Timeline(bytes[24..40].try_into().expect("16 bytes")),
            first: number(0),
            last: number(1),
            first_time: Timestamp(number(2)),
            last_time: Timestamp(number(3)),
            generation: number(4),
            items: number(5),
            size_bytes: number(6),
        };
        let name = path.file_name().and_then(|name| name.to_str());
        if name != Some(&header.file_name()) || header.first > header.last {
            return Err(damaged("the header is that of another file"));
        }
        let has_commit_0 = content == Content::Commits && header.first == 0;
        if has_commit_0 || header.last == u64::MAX {
            return Err(damaged("its numbers are none that commits have"));
        }
        Ok(header)
    }
}

/// A file that is being written. It has no name of its own before it is finished; dropped, it goes.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    disk: &'a dyn Disk,
    folder: &'a Path,
    content: Content,
    first: u64,
    path: PathBuf,
    file: Arc<dyn LogFile>,
    offset: u64,
    unsynced_bytes: u64,
    /// Items not yet compressed.
    raw: Vec<u8>,
    items: u64,
    is_finished: bool,
}

impl<'a> Draft<'a> {
    /// Begins a file whose header will say `first`.
    pub(super) fn create(
        disk: &'a dyn Disk,
        folder: &'a Path,
        content: Content,
        first: u64,
    ) -> Result<Self, HistoryError> {
        let path = folder.join(content.draft_name());
        let io_error = |error| HistoryError::io(&path, error);
        if disk.list(folder).map_err(io_error)?.contains(&path) {
            // A process before us was stopped in the middle.
            disk.remove(&path).map_err(io_error)?;
        }
        let file = disk.create(&path).map_err(io_error)?;
        Ok(Self {
            disk,
            folder,
            content,
            first,
            path,
            file,
            offset: HEADER_SIZE_BYTES as u64,
            unsynced_bytes: 0,
            raw: Vec::new(),
            items: 0,
            is_finished: false,
        })
    }

    /// Adds one item, of `parts`.
    pub(super) fn push(&mut self, parts: &[&[u8]]) -> Result<(), HistoryError> {
        let size_bytes: usize = parts.iter().map(|part| part.len()).sum();
        if self.raw.len() + size_bytes > BLOCK_SIZE_BYTES {
            self.write_block()?;
        }
        for part in parts {
            self.raw.extend_from_slice(part);
        }
        self.items += 1;
        Ok(())
    }

    /// Size of the file so far, bytes; what is not compressed yet is not in it.
    pub(super) fn size_bytes(&self) -> u64 {
        self.offset
    }

    /// Makes it durable and gives it its name. Of `header`, what only the writer knows is filled in.
    pub(super) fn finish(mut self, header: Header) -> Result<Header, HistoryError> {
        self.write_block()?;
        let header = Header {
            content: self.content,
            first: self.first,
            items: self.items,
            size_bytes: self.offset,
            ..header
        };
        let path = self.folder.join(header.file_name());
        self.file
            .write_at(&header.encode(), 0)
            .and_then(|()| self.file.sync())
            .and_then(|()| self.disk.rename(&self.path, &path))
            .and_then(|()| self.disk.sync_folder(self.folder))
            .map_err(|error| HistoryError::io(&path, error))?;
        self.is_finished = true;
        Ok(header)
    }

    fn write_block(&mut self) -> Result<(), HistoryError> {
        if self.raw.is_empty() {
            return Ok(());
        }
        let block = lz4_flex::block::compress(&self.raw);
        let mut bytes = Vec::with_capacity(BLOCK_HEADER_SIZE_BYTES + block.len());
        bytes.extend_from_slice(&u32_size(block.len()).to_le_bytes());
        bytes.extend_from_slice(&u32_size(self.raw.len()).to_le_bytes());
        let crc = block_checksum(self.first, self.offset, &bytes, &block);
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes.extend_from_slice(&block);
        let written = self.file.write_at(&bytes, self.offset).and_then(|()| {
            self.unsynced_bytes += bytes.len() as u64;
            if self.unsynced_bytes < UNSYNCED_MAX_BYTES {
                return Ok(());
            }
            self.unsynced_bytes = 0;
            self.file.sync()
        });
        written.map_err(|error| HistoryError::io(&self.path, error))?;
        self.offset += bytes.len() as u64;
        self.raw.clear();
        Ok(())
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        if self.is_finished {
            return;
        }
        // It takes space that may be needed; the next one of its kind removes it in any case.
        if let Err(error) = self.disk.remove(&self.path) {
            tracing::debug!(file = %self.path.display(), %error, "an unfinished file stays behind");
        }
    }
}

/// Reads a file, block by block.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) header: Header,
    path: PathBuf,
    file: Arc<dyn LogFile>,
    offset: u64,
}

impl Reader {
    /// Opens a file and reads its header.
    pub(super) fn open(disk: &dyn Disk, path: &Path) -> Result<Self, HistoryError> {
        let io_error = |error| HistoryError::io(path, error);
        let file = disk.open_to_read(path).map_err(io_error)?;
        let mut bytes = [0; HEADER_SIZE_BYTES];
        let read = file.read_at(&mut bytes, 0).map_err(io_error)?;
        let header = Header::decode(path, &bytes[..read])?;
        let size_bytes = file.size_bytes().map_err(io_error)?;
        if size_bytes != header.size_bytes {
            let problem = format!("it should have {} bytes", header.size_bytes);
            return Err(HistoryError::corrupt(path, size_bytes, problem));
        }
        Ok(Self {
            header,
            path: path.into(),
            file,
            offset: HEADER_SIZE_BYTES as u64,
        })
    }

    /// An error about the place the reader is at.
    pub(super) fn corrupt(&self, problem: &str) -> HistoryError {
        HistoryError::corrupt(&self.path, self.offset, problem)
    }

    /// The items of the next block; `None` at the end.
    pub(super) fn next_block(&mut self) -> Result<Option<Vec<u8>>, HistoryError> {
        if self.offset == self.header.size_bytes {
            return Ok(None);
        }
        let rest = self.header.size_bytes - self.offset;
        let mut head = [0; BLOCK_HEADER_SIZE_BYTES];
        self.read_exactly(&mut head, self.offset)?;
        let (length, raw_size) = (u32_at(&head, 0) as usize, u32_at(&head, 4) as usize);
        // Before anything is allocated: the length may be damaged.
        if length as u64 > rest - BLOCK_HEADER_SIZE_BYTES as u64 {
            return Err(self.corrupt("a block is longer than the file"));
        }
        let mut block = vec![0; length];
        self.read_exactly(&mut block, self.offset + BLOCK_HEADER_SIZE_BYTES as u64)?;
        let crc = block_checksum(self.header.first, self.offset, &head[..8], &block);
        if crc != u32_at(&head, 8) {
            return Err(self.corrupt("a checksum does not fit"));
        }
        // LZ4 makes a byte of at most 255: more is a lie, and would be allocated.
        if raw_size / LZ4_RATIO_MAX > length {
            return Err(self.corrupt("a block cannot become as large as it says"));
        }
        let raw = lz4_flex::block::decompress(&block, raw_size)
            .ok()
            .filter(|raw| raw.len() == raw_size)
            .ok_or_else(|| self.corrupt("a block does not decompress"))?;
        self.offset += (BLOCK_HEADER_SIZE_BYTES + length) as u64;
        Ok(Some(raw))
    }

    fn read_exactly(&self, buffer: &mut [u8], offset: u64) -> Result<(), HistoryError> {
        let read = self.file.read_at(buffer, offset);
        match read.map_err(|error| HistoryError::io(&self.path, error))? {
            read if read == buffer.len() => Ok(()),
            _ => Err(self.corrupt("it is cut short")),
        }
    }
}

/// A file with right checksums around any numbers and blocks, and its name.
#[cfg(feature = "fuzzing")]
pub(super) fn forge(header: Header, blocks: &[Vec<u8>]) -> (String, Vec<u8>) {
    let mut bytes = vec![0; HEADER_SIZE_BYTES];
    for raw in blocks {
        let block = lz4_flex::block::compress(raw);
        let sizes = [u32_size(block.len()), u32_size(raw.len())].map(u32::to_le_bytes);
        let crc = block_checksum(header.first, bytes.len() as u64, &sizes.concat(), &block);
        bytes.extend_from_slice(&sizes.concat());
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes.extend_from_slice(&block);
    }
    let size_bytes = bytes.len() as u64;
    let header = Header {
        size_bytes,
        ..header
    };
    bytes[..HEADER_SIZE_BYTES].copy_from_slice(&header.encode());
    (header.file_name(), bytes)
}

fn block_checksum(first: u64, offset: u64, sizes: &[u8], block: &[u8]) -> u32 {
    let place = [first.to_le_bytes(), offset.to_le_bytes()].concat();
    let start = crc32c::crc32c_append(crc32c::crc32c(&place), sizes);
    crc32c::crc32c_append(start, block)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"))
}

fn u32_size(size: usize) -> u32 {
    u32::try_from(size).expect("a block is one item or below 1 MiB, and an item below 4 GiB")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::RealDisk;

    /// Their sum is right, so that nothing else would notice; what is made of them would overflow.
    #[test]
    fn numbers_that_no_commit_has_are_damage() {
        let folder = tempfile::tempdir().unwrap();
        for (content, first, last, is_read) in [
            (Content::Commits, 1, 1, true),
            (Content::Commits, 0, 1, false),
            (Content::Commits, 1, u64::MAX, false),
            (Content::Rows, 0, 1, true),
            (Content::Rows, 1, u64::MAX, false),
        ] {
            let draft = Draft::create(&RealDisk, folder.path(), content, first).unwrap();
            let written = draft
                .finish(Header::made_up(content, (first, last), 0))
                .unwrap();
            let path = folder.path().join(written.file_name());
            let read = Reader::open(&RealDisk, &path);
            assert_eq!(read.is_ok(), is_read, "{first} to {last}: {read:?}");
        }
    }
}
