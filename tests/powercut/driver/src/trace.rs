//! A recorded trace, read back.

use std::ops::Range;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};

use self::format::{HEADER_SIZE_BYTES, Kind};

#[path = "../../record/src/format.rs"]
mod format;

/// Everything a process did to the files under one folder, in order.
#[derive(Debug)]
pub(crate) struct Trace {
    pub(crate) operations: Vec<Operation>,
    bytes: Vec<u8>,
}

/// One change, or the beginning or end of a sync.
#[derive(Debug, Clone)]
pub(crate) enum Operation {
    File {
        node: u32,
        path: String,
    },
    Folder {
        node: u32,
        path: String,
    },
    Write {
        node: u32,
        offset: u64,
        data: Range<usize>,
    },
    Resize {
        node: u32,
        size_bytes: u64,
    },
    SyncBegin {
        node: u32,
        ticket: u64,
    },
    SyncEnd {
        node: u32,
        ticket: u64,
    },
    Rename {
        from: String,
        to: String,
    },
    Remove {
        path: String,
    },
}

impl Trace {
    pub(crate) fn read(file: &Path) -> anyhow::Result<Self> {
        let bytes =
            std::fs::read(file).with_context(|| format!("no trace at {}", file.display()))?;
        let mut operations = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let (operation, end) = read_operation(&bytes, at)
                .with_context(|| format!("record {} at byte {at}", operations.len()))?;
            operations.push(operation);
            at = end;
        }
        Ok(Self { operations, bytes })
    }

    /// The bytes of a write.
    pub(crate) fn data(&self, range: &Range<usize>) -> &[u8] {
        &self.bytes[range.clone()]
    }

    pub(crate) fn size_bytes(&self) -> usize {
        self.bytes.len()
    }
}

fn read_operation(bytes: &[u8], at: usize) -> anyhow::Result<(Operation, usize)> {
    let header = bytes.get(at..at + HEADER_SIZE_BYTES).context("cut short")?;
    let node = u32::from_le_bytes(header[1..5].try_into()?);
    let number = u64::from_le_bytes(header[5..13].try_into()?);
    let size = usize::try_from(u32::from_le_bytes(header[13..17].try_into()?))?;
    let data = at + HEADER_SIZE_BYTES..at + HEADER_SIZE_BYTES + size;
    let payload = bytes.get(data.clone()).context("cut short")?;
    let text = || anyhow::Ok(std::str::from_utf8(payload)?.to_owned());
    let end = data.end;
    let operation = match header[0] {
        kind if kind == Kind::File as u8 => Operation::File {
            node,
            path: text()?,
        },
        kind if kind == Kind::Folder as u8 => Operation::Folder {
            node,
            path: text()?,
        },
        kind if kind == Kind::Write as u8 => {
            ensure!(size > 0, "a write of nothing");
            Operation::Write {
                node,
                offset: number,
                data,
            }
        }
        kind if kind == Kind::Resize as u8 => Operation::Resize {
            node,
            size_bytes: number,
        },
        kind if kind == Kind::SyncBegin as u8 => Operation::SyncBegin {
            node,
            ticket: number,
        },
        kind if kind == Kind::SyncEnd as u8 => Operation::SyncEnd {
            node,
            ticket: number,
        },
        kind if kind == Kind::Rename as u8 => {
            let paths = text()?;
            let (from, to) = paths.split_once('\0').context("a rename with one path")?;
            Operation::Rename {
                from: from.into(),
                to: to.into(),
            }
        }
        kind if kind == Kind::Remove as u8 => Operation::Remove { path: text()? },
        kind => bail!("no kind of record: {kind}"),
    };
    Ok((operation, end))
}
