//! One commit as it stands in the log, encoded once; rows of the overlay are slices of it.
//!
//! ```text
//! size (4) | id (32) | version (8) | epoch (8) | namespace size (1) | namespace
//!          | name size (2, 0xffff: none) | name | row …
//! row:       kind (1) | key size (2) | value size (4) | key | value
//!
//! kind 1  put           key = section (1) | key           value
//! kind 2  delete        key = section (1) | key           empty
//! kind 3  schedule      key = due ms (8, BE) | name       empty
//! kind 4  unschedule    key = due ms (8, BE) | name       empty
//! ```
//!
//! Little-endian but for the time, which sorts. `size` counts what follows it.

use std::sync::Arc;

use bytes::{Buf, Bytes};

use super::row::OverlayRow;
use crate::batch::{Commit, Write};
use crate::id::{Epoch, Namespace, Object, ObjectId, Timestamp, Version};
use crate::key::Header;

const PUT: u8 = 1;
const DELETE: u8 = 2;
const SCHEDULE: u8 = 3;
const UNSCHEDULE: u8 = 4;

const NO_NAME: u16 = u16::MAX;
const ROW_HEADER_SIZE_BYTES: usize = 7;
const DUE_SIZE_BYTES: usize = 8;

/// A commit read back.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) object: Object,
    pub(super) header: Header,
    pub(super) changes: Changes,
}

/// One row of a commit.
#[derive(Debug)]
pub(super) enum Change {
    Row(OverlayRow),
    Alarm {
        due: Timestamp,
        name: Bytes,
        is_scheduled: bool,
    },
}

/// The rows of a commit, read one after the other.
#[derive(Debug, Clone)]
pub(super) struct Changes(Bytes);

/// Encodes a commit; the second value reads its rows again.
pub(super) fn encode(commit: &Commit, name: Option<&Arc<str>>) -> (Bytes, Changes) {
    let Object { namespace, id } = &commit.object;
    let namespace = namespace.as_str().as_bytes();
    let name = name.map(|name| name.as_bytes());
    let head_size = 32 + 8 + 8 + 1 + namespace.len() + 2 + name.map_or(0, <[u8]>::len);
    let rows_size: usize = commit.batch.writes.iter().map(row_size_bytes).sum();

    let mut bytes = Vec::with_capacity(4 + head_size + rows_size);
    bytes.extend_from_slice(&u32_size(head_size + rows_size).to_le_bytes());
    bytes.extend_from_slice(id.as_bytes());
    bytes.extend_from_slice(&commit.version.0.to_le_bytes());
    bytes.extend_from_slice(&commit.epoch.0.to_le_bytes());
    bytes.push(u8::try_from(namespace.len()).expect("a namespace has at most 64 bytes"));
    bytes.extend_from_slice(namespace);
    let name_size = name.map_or(NO_NAME, |name| u16_size(name.len()));
    bytes.extend_from_slice(&name_size.to_le_bytes());
    bytes.extend_from_slice(name.unwrap_or_default());
    for write in &commit.batch.writes {
        encode_row(write, &mut bytes);
    }
    let bytes = Bytes::from(bytes);
    let changes = Changes(bytes.slice(4 + head_size..));
    (bytes, changes)
}

/// Takes the next commit off the payload of a record.
pub(super) fn decode(
    payload: &mut Bytes,
    namespace: impl FnOnce(&str) -> Option<Namespace>,
) -> Result<Entry, &'static str> {
    const SHORT: &str = "a commit is cut short";
    let mut take = |size: usize| {
        if payload.len() < size {
            Err(SHORT)
        } else {
            Ok(payload.split_to(size))
        }
    };
    let size = take(4)?.get_u32_le() as usize;
    let mut entry = take(size)?;
    let mut take = |size: usize| {
        if entry.len() < size {
            Err(SHORT)
        } else {
            Ok(entry.split_to(size))
        }
    };
    let id = take(32)?[..].try_into().expect("32 bytes were taken");
    let version = Version(take(8)?.get_u64_le());
    let epoch = Epoch(take(8)?.get_u64_le());
    let namespace_size = take(1)?[0] as usize;
    let text = take(namespace_size)?;
    let namespace = std::str::from_utf8(&text)
        .ok()
        .and_then(namespace)
        .ok_or("no namespace")?;
    let name = match take(2)?.get_u16_le() {
        NO_NAME => None,
        size => {
            let name = take(size as usize)?;
            Some(
                std::str::from_utf8(&name)
                    .map_err(|_| "the name is no UTF-8")?
                    .into(),
            )
        }
    };
    let changes = Changes(entry);
    if !changes.clone().all_valid() {
        return Err("a row does not decode");
    }
    Ok(Entry {
        object: Object {
            namespace,
            id: ObjectId::from_bytes(id),
        },
        header: Header {
            version,
            epoch,
            name,
        },
        changes,
    })
}

impl Changes {
    /// The next row; `None` at the end, and where the bytes are no row.
    fn take_change(&mut self) -> Option<Change> {
        // By position, because every part taken off as `Bytes` costs two atomic operations.
        let header = self.0.get(..ROW_HEADER_SIZE_BYTES)?;
        let kind = header[0];
        let key_size_bytes = u16::from_le_bytes([header[1], header[2]]);
        let key_size = usize::from(key_size_bytes);
        let value_size = u32::from_le_bytes([header[3], header[4], header[5], header[6]]) as usize;
        let key_end = ROW_HEADER_SIZE_BYTES + key_size;
        let end = key_end + value_size;
        if self.0.len() < end {
            return None;
        }
        let row = || self.0.slice(ROW_HEADER_SIZE_BYTES..end);
        let change = match kind {
            PUT if key_size >= 1 => Change::Row(OverlayRow::put(row(), key_size_bytes)),
            DELETE if key_size >= 1 && value_size == 0 => {
                Change::Row(OverlayRow::deletion(row(), key_size_bytes))
            }
            SCHEDULE | UNSCHEDULE if key_size >= DUE_SIZE_BYTES && value_size == 0 => {
                let mut name = self.0.slice(ROW_HEADER_SIZE_BYTES..key_end);
                let due = Timestamp(name.get_u64());
                Change::Alarm {
                    due,
                    name,
                    is_scheduled: kind == SCHEDULE,
                }
            }
            _ => return None,
        };
        self.0.advance(end);
        Some(change)
    }

    fn all_valid(mut self) -> bool {
        while !self.0.is_empty() {
            if self.take_change().is_none() {
                return false;
            }
        }
        true
    }
}

impl Iterator for Changes {
    type Item = Change;

    fn next(&mut self) -> Option<Change> {
        self.take_change()
    }
}

fn row_size_bytes(write: &Write) -> usize {
    ROW_HEADER_SIZE_BYTES
        + match write {
            Write::Put { key, value, .. } => 1 + key.len() + value.len(),
            Write::Delete { key, .. } => 1 + key.len(),
            Write::ScheduleAlarm { name, .. } | Write::UnscheduleAlarm { name, .. } => {
                8 + name.len()
            }
        }
}

fn encode_row(write: &Write, bytes: &mut Vec<u8>) {
    let mut row = |kind: u8, prefix: &[u8], key: &[u8], value: &[u8]| {
        bytes.push(kind);
        bytes.extend_from_slice(&u16_size(prefix.len() + key.len()).to_le_bytes());
        bytes.extend_from_slice(&u32_size(value.len()).to_le_bytes());
        for part in [prefix, key, value] {
            bytes.extend_from_slice(part);
        }
    };
    match write {
        Write::Put {
            section,
            key,
            value,
        } => row(PUT, &[*section as u8], key, value),
        Write::Delete { section, key } => row(DELETE, &[*section as u8], key, &[]),
        Write::ScheduleAlarm { due, name } => row(SCHEDULE, &due.0.to_be_bytes(), name, &[]),
        Write::UnscheduleAlarm { due, name } => row(UNSCHEDULE, &due.0.to_be_bytes(), name, &[]),
    }
}

fn u16_size(size: usize) -> u16 {
    u16::try_from(size).expect("limits.rs refuses longer keys and names")
}

fn u32_size(size: usize) -> u32 {
    u32::try_from(size).expect("limits.rs refuses larger commits")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{Section, WriteBatch};

    fn commit() -> Commit {
        let writes = vec![
            Write::Put {
                section: Section::Data,
                key: "k".into(),
                value: "vw".into(),
            },
            Write::Delete {
                section: Section::State,
                key: Bytes::new(),
            },
            Write::ScheduleAlarm {
                due: Timestamp(258),
                name: "n".into(),
            },
            Write::UnscheduleAlarm {
                due: Timestamp(1),
                name: Bytes::new(),
            },
        ];
        Commit {
            object: Object {
                namespace: Namespace::new("ns").unwrap(),
                id: ObjectId::from_bytes([7; 32]),
            },
            name: None,
            epoch: Epoch(5),
            version: Version(6),
            batch: WriteBatch { writes },
        }
    }

    fn named(name: &str) -> Option<Namespace> {
        Namespace::new(name).ok()
    }

    /// These bytes are on disks: a change here is a new format number of the log.
    #[test]
    fn golden_entry() {
        let (bytes, _) = encode(&commit(), Some(&"x".into()));
        let expected: [&[u8]; 11] = [
            &[104, 0, 0, 0],
            &[7; 32],
            &[6, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0],
            b"\x02ns",
            b"\x01\0x",
            b"\x01\x02\0\x02\0\0\0\x10kvw",
            b"\x02\x01\0\0\0\0\0\x01",
            b"\x03\x09\0\0\0\0\0",
            b"\0\0\0\0\0\0\x01\x02n",
            b"\x04\x08\0\0\0\0\0",
            b"\0\0\0\0\0\0\0\x01",
        ];
        assert_eq!(bytes[..], expected.concat());
    }

    #[test]
    fn what_was_encoded_decodes() {
        for name in [None, Some("lobby".into())] {
            let (bytes, changes) = encode(&commit(), name.as_ref());
            let mut payload = Bytes::from([&bytes[..], &bytes].concat());
            for left in [1, 0] {
                let entry = decode(&mut payload, named).unwrap();
                assert_eq!(entry.object, commit().object);
                let header = Header {
                    version: Version(6),
                    epoch: Epoch(5),
                    name: name.clone(),
                };
                assert_eq!(entry.header, header);
                assert_eq!(entry.changes.0, changes.0);
                assert_eq!(payload.len(), left * bytes.len());
            }
        }
        let (_, changes) = encode(&commit(), None);
        let changes: Vec<_> = changes.collect();
        assert_eq!(changes.len(), 4);
        let rows: Vec<_> = changes
            .iter()
            .filter_map(|change| match change {
                Change::Row(row) => Some(row.parts()),
                Change::Alarm { .. } => None,
            })
            .collect();
        assert_eq!(
            rows,
            [("\x10k".into(), Some("vw".into())), ("\x01".into(), None)]
        );
        let alarms: Vec<_> = changes
            .iter()
            .filter_map(|change| match change {
                Change::Row(_) => None,
                Change::Alarm {
                    due,
                    name,
                    is_scheduled,
                } => Some((due.0, &name[..], *is_scheduled)),
            })
            .collect();
        assert_eq!(alarms, [(258, b"n".as_slice(), true), (1, b"", false)]);
    }

    /// Found by fuzzing: the bytes were dropped without a word.
    #[test]
    fn a_row_that_has_no_value_may_not_carry_one() {
        for kind in [DELETE, SCHEDULE, UNSCHEDULE] {
            let key = [0x10; 8];
            let row = |value: &[u8]| {
                let head = [kind, 8, 0, u8::try_from(value.len()).unwrap(), 0, 0, 0];
                Changes([&head, &key[..], value].concat().into())
            };
            assert!(row(b"").all_valid(), "kind {kind}");
            assert!(!row(b"v").all_valid(), "kind {kind}");
        }
    }

    #[test]
    fn truncated_entries_are_errors() {
        let (bytes, _) = encode(&commit(), Some(&"x".into()));
        for size in 0..bytes.len() {
            assert!(
                decode(&mut bytes.slice(..size), named).is_err(),
                "{size} bytes decoded"
            );
        }
    }
}
