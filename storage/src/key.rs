//! How rows are named in an engine. Engines see bytes only; their order is the order of scans.
//!
//! ```text
//! 0x01 | name                                          → codec'd Meta          "store"
//! 0x02 | namespace        | 0x00 | object id (32)      → codec'd Header        one per object
//! 0x10 | object id (32)   | section (1) | key          → the row's value       all sections
//! 0x20 | due ms (8, BE)   | object id (32) | name      → namespace, as text    alarms by time
//! ```
//!
//! - A namespace holds no 0x00, so that the byte after it ends it and the headers of one
//!   namespace lie together, in order of id.
//! - All rows of an object lie together; the sections that are loaded when it is opened come first.
//! - The alarm index is big-endian, so that byte order is order of time.
//!
//! **readable-forever**: the layout has no version of its own, so that a row costs no byte for
//! it; [`FORMAT`](crate::folder) of the data folder covers it, and values carry the codec's.

use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::batch::{SESSIONS_WAKE, Section};
use crate::codec;
use crate::id::{Epoch, Namespace, Object, ObjectId, Timestamp, Version};
use crate::store::{ReadError, ScheduledAlarm};

const META: u8 = 0x01;
const HEADER: u8 = 0x02;
pub(crate) const ROW: u8 = 0x10;
const ALARM: u8 = 0x20;

const ID_SIZE_BYTES: usize = 32;
const ROW_PREFIX_SIZE_BYTES: usize = 1 + ID_SIZE_BYTES;

/// First and last key of a scan.
pub(crate) type KeyRange = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// What is known of an object besides its rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Header {
    pub(crate) version: Version,
    pub(crate) epoch: Epoch,
    pub(crate) name: Option<Arc<str>>,
}

/// What is known of the store itself, one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Meta {
    /// Times the store has been opened; the high half of every epoch of that opening.
    pub(crate) generation: u64,
    /// The engine holds every batch up to this sequence; replay starts after it.
    pub(crate) checkpoint: u64,
}

/// Key of the one row of [`Meta`].
pub(crate) fn meta() -> Vec<u8> {
    let mut bytes = vec![META];
    bytes.extend_from_slice(b"store");
    bytes
}

/// Key of an object's [`Header`].
pub(crate) fn header(namespace: &Namespace, id: &ObjectId) -> Vec<u8> {
    let mut bytes = header_prefix(namespace);
    bytes.extend_from_slice(id.as_bytes());
    bytes
}

/// Keys of the headers of a namespace after the object `after`.
pub(crate) fn headers(namespace: &Namespace, after: Option<&ObjectId>) -> KeyRange {
    let mut end = header_prefix(namespace);
    *end.last_mut().expect("a prefix is never empty") = 0x01;
    let start = match after {
        Some(id) => Bound::Excluded(header(namespace, id)),
        None => Bound::Included(header_prefix(namespace)),
    };
    (start, Bound::Excluded(end))
}

/// The object whose header has this key.
pub(crate) fn decode_header_id(key: &[u8]) -> Result<ObjectId, ReadError> {
    let tail = key
        .len()
        .checked_sub(ID_SIZE_BYTES)
        .and_then(|at| id_at(key, at));
    tail.ok_or_else(|| corrupt("header", key))
}

/// Key of a row inside its object: section number and key.
pub(crate) fn local(section: Section, key: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 + key.len());
    bytes.push(section as u8);
    bytes.extend_from_slice(key);
    bytes
}

/// Keys of one section between two keys of it, inside their object.
pub(crate) fn local_range(section: Section, start: &Bound<Bytes>, end: &Bound<Bytes>) -> KeyRange {
    let start = match start {
        Bound::Included(key) => Bound::Included(local(section, key)),
        Bound::Excluded(key) => Bound::Excluded(local(section, key)),
        Bound::Unbounded => Bound::Included(vec![section as u8]),
    };
    let end = match end {
        Bound::Included(key) => Bound::Included(local(section, key)),
        Bound::Excluded(key) => Bound::Excluded(local(section, key)),
        // No section has the number 0xff, so that the next number always exists.
        Bound::Unbounded => Bound::Excluded(vec![section as u8 + 1]),
    };
    (start, end)
}

/// Keys of the sections that an opening loads inside their object: state, alarms, what it has sent,
/// the sessions it keeps.
pub(crate) fn opening_range() -> KeyRange {
    let (first, last) = (Section::State as u8, Section::Session as u8);
    (
        Bound::Included(vec![first]),
        Bound::Excluded(vec![last + 1]),
    )
}

/// Splits a key inside its object into section number and key.
pub(crate) fn decode_local(local: &Bytes) -> Result<(u8, Bytes), ReadError> {
    match local.first() {
        Some(&section) => Ok((section, local.slice(1..))),
        None => Err(corrupt("row", local)),
    }
}

/// Key of a row in the engine, from its key inside the object.
pub(crate) fn row(id: &ObjectId, local: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(ROW_PREFIX_SIZE_BYTES + local.len());
    bytes.push(ROW);
    bytes.extend_from_slice(id.as_bytes());
    bytes.extend_from_slice(local);
    bytes
}

/// A range inside an object as a range of the engine.
pub(crate) fn row_range(id: &ObjectId, range: &KeyRange) -> KeyRange {
    let row = |local: &Vec<u8>| row(id, local);
    (range.0.as_ref().map(row), range.1.as_ref().map(row))
}

/// Key inside its object, from a row's key in the engine.
pub(crate) fn decode_row(key: &Bytes) -> Result<Bytes, ReadError> {
    if key.len() > ROW_PREFIX_SIZE_BYTES {
        Ok(key.slice(ROW_PREFIX_SIZE_BYTES..))
    } else {
        Err(corrupt("row", key))
    }
}

/// A range as slices, as engines and maps take it.
pub(crate) fn as_slices(range: &KeyRange) -> (Bound<&[u8]>, Bound<&[u8]>) {
    (
        range.0.as_ref().map(Vec::as_slice),
        range.1.as_ref().map(Vec::as_slice),
    )
}

/// Key of an entry of the index of alarms; its value is the namespace.
pub(crate) fn alarm(due: Timestamp, id: &ObjectId, name: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(9 + ID_SIZE_BYTES + name.len());
    bytes.push(ALARM);
    bytes.extend_from_slice(&due.0.to_be_bytes());
    bytes.extend_from_slice(id.as_bytes());
    bytes.extend_from_slice(name);
    bytes
}

/// Keys of the index of alarms after one of its entries.
pub(crate) fn alarms(after: Option<&ScheduledAlarm>) -> KeyRange {
    let start = match after {
        Some(last) => Bound::Excluded(alarm(last.due, &last.object.id, &last.name)),
        None => Bound::Included(vec![ALARM]),
    };
    (start, Bound::Excluded(vec![ALARM + 1]))
}

/// An entry of the index of alarms from its row.
pub(crate) fn decode_alarm(key: &Bytes, value: &[u8]) -> Result<ScheduledAlarm, ReadError> {
    let error = || corrupt("alarm", key);
    let due = key
        .get(1..9)
        .and_then(|due| due.try_into().ok())
        .ok_or_else(error)?;
    let id = id_at(key, 9).ok_or_else(error)?;
    let namespace = std::str::from_utf8(value)
        .ok()
        .and_then(|name| Namespace::new(name).ok());
    Ok(ScheduledAlarm {
        due: Timestamp(u64::from_be_bytes(due)),
        object: Object {
            namespace: namespace.ok_or_else(error)?,
            id,
        },
        name: key.slice(9 + ID_SIZE_BYTES..),
    })
}

/// What a row of the engine is, as far as its key tells.
#[derive(Debug)]
pub(crate) enum EngineKey {
    Meta,
    Header { namespace: Namespace, id: ObjectId },
    Row { id: ObjectId, section: u8 },
    Alarm(ScheduledAlarm),
}

/// Reads any row of the engine; an error when no release writes such a row.
pub(crate) fn decode(key: &Bytes, value: &[u8]) -> Result<EngineKey, ReadError> {
    match key.first() {
        Some(&META) if *key == meta() => {
            decode_value::<Meta>(value)?;
            Ok(EngineKey::Meta)
        }
        Some(&HEADER) => {
            let (namespace, id) = decode_header(key).ok_or_else(|| corrupt("header", key))?;
            decode_value::<Header>(value)?;
            Ok(EngineKey::Header { namespace, id })
        }
        Some(&ROW) => match (id_at(key, 1), key.get(ROW_PREFIX_SIZE_BYTES)) {
            (Some(id), Some(&section)) => Ok(EngineKey::Row { id, section }),
            _ => Err(corrupt("row", key)),
        },
        Some(&ALARM) => decode_alarm(key, value).map(EngineKey::Alarm),
        _ => Err(corrupt("known kind", key)),
    }
}

/// Whether a row of the engine keeps a session, or brings an object back for its sessions.
pub(crate) fn is_of_sessions(key: &[u8]) -> bool {
    match key.first() {
        Some(&ROW) => key.get(ROW_PREFIX_SIZE_BYTES) == Some(&(Section::Session as u8)),
        Some(&ALARM) => key.get(9 + ID_SIZE_BYTES..) == Some(SESSIONS_WAKE),
        _ => false,
    }
}

/// Whose header has this key, if it is the key of one.
pub(crate) fn decode_header(key: &[u8]) -> Option<(Namespace, ObjectId)> {
    let id = decode_header_id(key).ok()?;
    // Between the kind and the zero byte in front of the id.
    let name = key.get(1..key.len().checked_sub(ID_SIZE_BYTES + 1)?)?;
    let namespace = Namespace::new(std::str::from_utf8(name).ok()?).ok()?;
    (*key == header(&namespace, &id)).then_some((namespace, id))
}

/// Encodes a header or the meta row.
pub(crate) fn encode_value<T: Serialize>(value: &T) -> Bytes {
    let mut bytes = Vec::new();
    codec::encode(value, &mut bytes).expect("numbers and text always encode");
    bytes.into()
}

/// Decodes a header or the meta row.
pub(crate) fn decode_value<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, ReadError> {
    codec::decode(bytes).map_err(|error| ReadError::Corrupt(error.to_string().into()))
}

fn header_prefix(namespace: &Namespace) -> Vec<u8> {
    let name = namespace.as_str().as_bytes();
    let mut bytes = Vec::with_capacity(2 + name.len() + ID_SIZE_BYTES);
    bytes.push(HEADER);
    bytes.extend_from_slice(name);
    bytes.push(0x00);
    bytes
}

fn id_at(key: &[u8], at: usize) -> Option<ObjectId> {
    let bytes = key.get(at..at + ID_SIZE_BYTES)?;
    Some(ObjectId::from_bytes(bytes.try_into().ok()?))
}

fn corrupt(kind: &str, key: &[u8]) -> ReadError {
    let shown: String = key
        .iter()
        .take(64)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    ReadError::Corrupt(format!("no key of a {kind}: {shown}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn namespace() -> Namespace {
        Namespace::new("chat").unwrap()
    }

    fn id(fill: u8) -> ObjectId {
        ObjectId::from_bytes([fill; 32])
    }

    fn joined(parts: &[&[u8]]) -> Vec<u8> {
        parts.concat()
    }

    /// These bytes are on disks: a change here is a new folder format.
    #[test]
    fn golden_keys() {
        assert_eq!(meta(), b"\x01store");
        assert_eq!(
            header(&namespace(), &id(7)),
            joined(&[b"\x02chat\0", &[7; 32]])
        );
        let row = |section, key| row(&id(7), &local(section, key));
        assert_eq!(
            row(Section::State, b""),
            joined(&[b"\x10", &[7; 32], b"\x01"])
        );
        assert_eq!(
            row(Section::Alarm, b"a"),
            joined(&[b"\x10", &[7; 32], b"\x02a"])
        );
        assert_eq!(
            row(Section::Outgoing, b"s"),
            joined(&[b"\x10", &[7; 32], b"\x03s"])
        );
        assert_eq!(
            row(Section::Session, b"s"),
            joined(&[b"\x10", &[7; 32], b"\x04s"])
        );
        assert_eq!(
            row(Section::Incoming, b"s"),
            joined(&[b"\x10", &[7; 32], b"\x22s"])
        );
        assert_eq!(
            row(Section::Data, b"k"),
            joined(&[b"\x10", &[7; 32], b"\x10k"])
        );
        assert_eq!(
            row(Section::Idempotency, b"k"),
            joined(&[b"\x10", &[7; 32], b"\x20k"])
        );
        assert_eq!(
            alarm(Timestamp(0x0102_0304_0506_0708), &id(7), b"n"),
            joined(&[b"\x20\x01\x02\x03\x04\x05\x06\x07\x08", &[7; 32], b"n"])
        );
    }

    #[test]
    fn golden_values() {
        let header = Header {
            version: Version(3),
            epoch: Epoch(2),
            name: Some("ab".into()),
        };
        assert_eq!(encode_value(&header)[..], [0x01, 3, 2, 1, 2, b'a', b'b']);
        assert_eq!(
            decode_value::<Header>(&encode_value(&header)).unwrap(),
            header
        );
        assert_eq!(
            encode_value(&Meta {
                generation: 4,
                checkpoint: 5
            })[..],
            [0x01, 4, 5]
        );
    }

    fn contains(range: &KeyRange, key: &Vec<u8>) -> bool {
        std::ops::RangeBounds::contains(range, key)
    }

    #[test]
    fn headers_of_one_namespace_are_a_range_of_their_own() {
        let range = headers(&namespace(), None);
        assert!(contains(&range, &header(&namespace(), &id(0))));
        assert!(contains(&range, &header(&namespace(), &id(0xff))));
        for other in ["chas", "chat0", "chat-", "chau", "c"] {
            let other = Namespace::new(other).unwrap();
            assert!(!contains(&range, &header(&other, &id(0))), "{other}");
            assert!(!contains(&range, &header(&other, &id(0xff))), "{other}");
        }
        let rest = headers(&namespace(), Some(&id(7)));
        assert!(!contains(&rest, &header(&namespace(), &id(7))));
        assert!(contains(&rest, &header(&namespace(), &id(8))));
        assert_eq!(
            decode_header_id(&header(&namespace(), &id(9))).unwrap(),
            id(9)
        );
    }

    #[test]
    fn rows_of_one_section_are_a_range_of_their_own() {
        let row = |fill, section, key| row(&id(fill), &local(section, key));
        let data = local_range(Section::Data, &Bound::Unbounded, &Bound::Unbounded);
        let range = row_range(&id(7), &data);
        assert!(contains(&range, &row(7, Section::Data, b"")));
        assert!(contains(&range, &row(7, Section::Data, &[0xff; 2_048])));
        assert!(!contains(&range, &row(7, Section::Alarm, &[0xff; 8])));
        assert!(!contains(&range, &row(7, Section::Idempotency, b"k")));
        assert!(!contains(&range, &row(6, Section::Data, b"k")));
        assert!(!contains(&range, &row(8, Section::Data, b"k")));
        let opening = row_range(&id(7), &opening_range());
        assert!(contains(&opening, &row(7, Section::State, b"")));
        assert!(contains(&opening, &row(7, Section::Alarm, &[0xff; 8])));
        assert!(contains(&opening, &row(7, Section::Outgoing, &[0xff; 8])));
        assert!(contains(&opening, &row(7, Section::Session, &[0xff; 8])));
        assert!(!contains(&opening, &row(7, Section::Data, b"")));
        assert!(!contains(&opening, &row(7, Section::Idempotency, b"")));
        let local = decode_row(&row(7, Section::Data, b"key").into()).unwrap();
        assert_eq!(
            decode_local(&local).unwrap(),
            (0x10, Bytes::from_static(b"key"))
        );
    }

    #[test]
    fn alarms_sort_by_time_and_decode() {
        let early = alarm(Timestamp(255), &id(9), b"z");
        let late = alarm(Timestamp(256), &id(1), b"a");
        assert!(early < late);
        let decoded = decode_alarm(&early.clone().into(), b"chat").unwrap();
        assert_eq!((decoded.due, decoded.object.id), (Timestamp(255), id(9)));
        assert_eq!(decoded.name, "z");
        let rest = alarms(Some(&decoded));
        assert!(!contains(&rest, &early) && contains(&rest, &late));
    }

    #[test]
    fn keys_of_the_wrong_size_are_errors() {
        assert!(decode_header_id(b"\x02c\0").is_err());
        assert!(decode_row(&Bytes::from_static(b"\x10abc")).is_err());
        assert!(decode_alarm(&Bytes::from_static(b"\x20abc"), b"chat").is_err());
        let key = Bytes::from(alarm(Timestamp(1), &id(1), b""));
        assert!(decode_alarm(&key, b"No Namespace").is_err());
    }
}
