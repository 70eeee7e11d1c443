//! Files of commits: the groups of the log, as they were, without its segments.
//!
//! ```text
//! item:  first sequence (8) | time (8) | count (4) | size (4) | payload
//! ```
//!
//! Little-endian; the payload is that of the log's record (`commit/entry.rs`). Groups follow each
//! other without a gap, within a file and from file to file.

use std::path::Path;

use bytes::{Buf, Bytes};

use super::container::{Content, Draft, Header, Reader};
use super::error::HistoryError;
use super::repository::Timeline;
use crate::id::Timestamp;
use crate::log::{Disk, Group};

const ITEM_HEADER_SIZE_BYTES: usize = 24;
/// A file is finished at this size, bytes: what is lost with one file, and what retention drops at once.
const FILE_SIZE_MAX_BYTES: u64 = 32 << 20;

/// What every file of one store says of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin {
    pub(crate) timeline: Timeline,
    pub(crate) generation: u64,
}

/// Writes groups into as many files as it takes.
#[derive(Debug)]
pub(super) struct GroupWriter<'a> {
    disk: &'a dyn Disk,
    folder: &'a Path,
    origin: Origin,
    open: Option<OpenFile<'a>>,
    /// Size of the files that are finished, bytes.
    pub(super) written_bytes: u64,
}

#[derive(Debug)]
struct OpenFile<'a> {
    draft: Draft<'a>,
    header: Header,
}

impl<'a> GroupWriter<'a> {
    pub(super) fn new(disk: &'a dyn Disk, folder: &'a Path, origin: Origin) -> Self {
        Self {
            disk,
            folder,
            origin,
            open: None,
            written_bytes: 0,
        }
    }

    /// Adds the group that follows the last one.
    pub(super) fn push(&mut self, group: &Group) -> Result<(), HistoryError> {
        let open = match &mut self.open {
            Some(open) => open,
            none => {
                let first = group.first_sequence;
                let draft = Draft::create(self.disk, self.folder, Content::Commits, first)?;
                none.insert(OpenFile {
                    draft,
                    header: header(group, self.origin),
                })
            }
        };
        let size_bytes = u32::try_from(group.payload.len()).expect("a group is below 4 GiB");
        open.draft.push(&[
            &group.first_sequence.to_le_bytes(),
            &group.time.0.to_le_bytes(),
            &group.count.to_le_bytes(),
            &size_bytes.to_le_bytes(),
            &group.payload,
        ])?;
        open.header.last = group.last_sequence();
        open.header.last_time = group.time;
        if open.draft.size_bytes() >= FILE_SIZE_MAX_BYTES {
            self.finish()?;
        }
        Ok(())
    }

    /// Makes durable what is not yet.
    pub(super) fn finish(&mut self) -> Result<(), HistoryError> {
        if let Some(open) = self.open.take() {
            let header = open.draft.finish(open.header)?;
            self.written_bytes += header.size_bytes;
        }
        Ok(())
    }
}

/// Of a file that begins with this group; the draft fills in the rest.
fn header(group: &Group, origin: Origin) -> Header {
    Header {
        content: Content::Commits,
        timeline: origin.timeline,
        first: group.first_sequence,
        last: group.last_sequence(),
        first_time: group.time,
        last_time: group.time,
        generation: origin.generation,
        items: 0,
        size_bytes: 0,
    }
}

/// Hands every group of a file with a commit after `after` and none after `up_to` to `visit`, or that with both. Reads
/// no further than it must.
pub(super) fn read_file(
    disk: &dyn Disk,
    path: &Path,
    (after, up_to): (u64, u64),
    visit: &mut dyn FnMut(Group) -> Result<(), HistoryError>,
) -> Result<(), HistoryError> {
    let mut reader = Reader::open(disk, path)?;
    let header = reader.header;
    if header.content != Content::Commits {
        return Err(reader.corrupt("it holds no commits"));
    }
    let (mut expected, mut items) = (header.first, 0);
    while let Some(block) = reader.next_block()? {
        let mut block = Bytes::from(block);
        while !block.is_empty() {
            let group = take_group(&mut block).ok_or_else(|| reader.corrupt("it is no group"))?;
            if group.first_sequence != expected {
                return Err(reader.corrupt(&format!("commit {expected} should stand there")));
            }
            expected = group.last_sequence() + 1;
            items += 1;
            if group.first_sequence > up_to {
                return Ok(());
            }
            if group.last_sequence() > after {
                visit(group)?;
            }
        }
    }
    if items != header.items || expected.checked_sub(1) != Some(header.last) {
        return Err(reader.corrupt("groups are missing at its end"));
    }
    Ok(())
}

fn take_group(block: &mut Bytes) -> Option<Group> {
    if block.len() < ITEM_HEADER_SIZE_BYTES {
        return None;
    }
    let (first_sequence, time) = (block.get_u64_le(), block.get_u64_le());
    let (count, size) = (block.get_u32_le(), block.get_u32_le() as usize);
    // The sequence after its last one must be a number, too.
    first_sequence.checked_add(count.into())?;
    (block.len() >= size && count > 0).then(|| Group {
        first_sequence,
        count,
        time: Timestamp(time),
        payload: block.split_to(size),
    })
}
