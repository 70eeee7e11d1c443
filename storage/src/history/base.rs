//! Files of rows: an engine, read from its first key to its last while it is written.
//!
//! ```text
//! item:  key size (2) | value size (4) | key | value
//! ```
//!
//! Little-endian, in order of key. The store's own row is left out: it belongs to the folder, not
//! to what is in it.

use std::ops::Bound;
use std::path::Path;

use bytes::{Buf, Bytes};

use super::container::{Content, Draft, Header, Reader};
use super::error::HistoryError;
use super::source::Source;
use crate::engine::Row;
use crate::key;
use crate::log::Disk;
use crate::store::Direction;

const ITEM_HEADER_SIZE_BYTES: usize = 6;
/// Rows read from the engine at once; values may be large, so few.
const PAGE_ROWS: usize = 64;

/// Copies the engine of `source` into `folder`. `step` is called after each page with how far
/// it is, in parts of a thousand.
pub(super) fn write(
    source: &dyn Source,
    disk: &dyn Disk,
    folder: &Path,
    step: &mut dyn FnMut(u16) -> Result<(), HistoryError>,
) -> Result<Header, HistoryError> {
    let origin = source.origin();
    // Before the first row is read: whatever comes later is in commits after it.
    let first = source.engine_sequence();
    let first_time = disk.time();
    let mut draft = Draft::create(disk, folder, Content::Rows, first)?;
    let mut last_key: Option<Bytes> = None;
    loop {
        let start = match &last_key {
            Some(key) => Bound::Excluded(&key[..]),
            None => Bound::Unbounded,
        };
        let engine = source.engine();
        let page = engine.scan(start, Bound::Unbounded, Direction::Forward, PAGE_ROWS)?;
        let Some((key, _)) = page.last() else { break };
        let key = key.clone();
        for (key, value) in page.iter().filter(|(key, _)| *key != key::meta()) {
            push(&mut draft, key, value)?;
        }
        step(permille(&key))?;
        last_key = Some(key);
    }
    // After the last row was read: no row can come from a commit that is not durable by now.
    let last = source.last_commit().max(first);
    draft.finish(Header {
        content: Content::Rows,
        timeline: origin.timeline,
        first,
        last,
        first_time,
        last_time: disk.time().max(first_time),
        generation: origin.generation,
        items: 0,
        size_bytes: 0,
    })
}

/// How far a reading of the engine is that has come to this key. Most rows are those of objects,
/// whose ids are random, so that an id says how much lies before it.
fn permille(key: &[u8]) -> u16 {
    match key {
        [key::ROW, high, low, ..] => {
            let place = u32::from(u16::from_be_bytes([*high, *low]));
            u16::try_from(place * 1_000 / 0x1_0000).expect("below 1,000")
        }
        [kind, ..] if *kind > key::ROW => 1_000,
        _ => 0,
    }
}

pub(super) fn push(draft: &mut Draft<'_>, key: &[u8], value: &[u8]) -> Result<(), HistoryError> {
    let key_size = u16::try_from(key.len()).expect("keys of an engine have at most 2,090 bytes");
    let value_size = u32::try_from(value.len()).expect("a value is smaller than a commit");
    draft.push(&[
        &key_size.to_le_bytes(),
        &value_size.to_le_bytes(),
        key,
        value,
    ])
}

/// Hands the rows of a base to `visit`, a block at a time, in order of key.
pub(super) fn read(
    disk: &dyn Disk,
    path: &Path,
    visit: &mut dyn FnMut(Vec<Row>) -> Result<(), HistoryError>,
) -> Result<(), HistoryError> {
    let mut reader = Reader::open(disk, path)?;
    if reader.header.content != Content::Rows {
        return Err(reader.corrupt("it holds no rows"));
    }
    let (mut items, mut last_key) = (0, Bytes::new());
    while let Some(block) = reader.next_block()? {
        let mut block = Bytes::from(block);
        let mut rows = Vec::new();
        while !block.is_empty() {
            let row = take_row(&mut block).ok_or_else(|| reader.corrupt("it is no row"))?;
            if row.key <= last_key {
                return Err(reader.corrupt("rows are not in order"));
            }
            last_key = row.key.clone();
            rows.push(row);
        }
        items += rows.len() as u64;
        visit(rows)?;
    }
    if items != reader.header.items {
        return Err(reader.corrupt("rows are missing at its end"));
    }
    Ok(())
}

fn take_row(block: &mut Bytes) -> Option<Row> {
    if block.len() < ITEM_HEADER_SIZE_BYTES {
        return None;
    }
    let (key_size, value_size) = (block.get_u16_le() as usize, block.get_u32_le() as usize);
    (block.len() >= key_size + value_size).then(|| Row {
        key: block.split_to(key_size),
        value: Some(block.split_to(value_size)),
    })
}
