//! What the fuzzers in `tests/fuzz/` drive: one function for each kind of stored bytes, which
//! takes any bytes and panics when a promise about them does not hold; and the encodings that
//! a corpus starts from. Not part of the API.

use std::fmt::Debug;
use std::ops::Bound;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use crate::commit::fuzzing::{entry, entry_seeds};
pub use crate::history::fuzzing::{history_file, history_file_seeds};
pub use crate::log::fuzzing::{log_record, log_record_seeds};

use crate::batch::Section;
use crate::codec;
use crate::id::{Epoch, Namespace, Object, ObjectId, Timestamp, Version};
use crate::key::{self, EngineKey, Header, Meta};
use crate::store::ScheduledAlarm;

const ID_SIZE_BYTES: usize = 32;

/// Keys of an engine: any bytes decode or are refused, and what decodes is encoded as it was.
/// The same bytes, taken for the parts of keys, keep their order and stay in their ranges.
pub fn key(data: &[u8]) {
    decode_keys(&Bytes::copy_from_slice(data));
    if data.len() > 2 * ID_SIZE_BYTES {
        order_keys(data);
    }
}

fn decode_keys(data: &Bytes) {
    decode_any(data);
    // The kind byte is the range's business: a scan never leaves it.
    if let Ok(local) = key::decode_row(data) {
        let (section, rest) = key::decode_local(&local).expect("a row's key has a section");
        assert_eq!([&[section], &rest[..]].concat(), local);
        assert!(data.ends_with(&local));
    }
    if let Ok(id) = key::decode_header_id(data) {
        assert!(data.ends_with(id.as_bytes()));
    }
    let (value, key) = data.split_at(data.len().min(4));
    for namespace in [value, b"chat"] {
        let key = Bytes::copy_from_slice(key);
        if let Ok(alarm) = key::decode_alarm(&key, namespace) {
            let again = key::alarm(alarm.due, &alarm.object.id, &alarm.name);
            assert_eq!(again[1..], key[1..]);
            assert_eq!(alarm.object.namespace.as_str().as_bytes(), namespace);
        }
    }
}

/// The reading of `abide check`: with a value that each kind of key can have.
fn decode_any(key: &Bytes) {
    let header = Header {
        version: Version(1),
        epoch: Epoch(1),
        name: None,
    };
    let values = [
        key::encode_value(&Meta::default()),
        key::encode_value(&header),
        Bytes::from_static(b"chat"),
    ];
    for value in &values {
        let again = match key::decode(key, value) {
            Err(_) => continue,
            Ok(EngineKey::Meta) => key::meta(),
            Ok(EngineKey::Header { namespace, id }) => key::header(&namespace, &id),
            Ok(EngineKey::Row { id, section }) => {
                let local = [&[section], &key[1 + ID_SIZE_BYTES + 1..]].concat();
                key::row(&id, &local)
            }
            Ok(EngineKey::Alarm(alarm)) => key::alarm(alarm.due, &alarm.object.id, &alarm.name),
        };
        assert_eq!(again, *key);
    }
}

fn order_keys(data: &[u8]) {
    let (ids, rest) = data.split_at(2 * ID_SIZE_BYTES);
    let id =
        |at: usize| ObjectId::from_bytes(ids[at..at + ID_SIZE_BYTES].try_into().expect("32 bytes"));
    let ids = [id(0), id(ID_SIZE_BYTES)];
    let section = Section::ALL[usize::from(rest[0]) % Section::ALL.len()];
    let (first, second) = rest.split_at(rest.len() / 2);

    let rows = [(ids[0], first), (ids[1], second)]
        .map(|(id, tail)| key::row(&id, &key::local(section, tail)));
    assert_eq!(
        rows[0].cmp(&rows[1]),
        (ids[0], first).cmp(&(ids[1], second))
    );
    let range = (
        Bound::Included(Bytes::copy_from_slice(first)),
        Bound::Excluded(Bytes::copy_from_slice(second)),
    );
    let range = key::row_range(&ids[0], &key::local_range(section, &range.0, &range.1));
    for (id, tail) in [(ids[0], first), (ids[0], second), (ids[1], rest)] {
        let is_in = id == ids[0] && first <= tail && tail < second;
        let row = key::row(&id, &key::local(section, tail));
        assert_eq!(contains(&range, &row), is_in);
    }

    let due = |bytes: &[u8]| {
        let mut due = [0; 8];
        let size = bytes.len().min(8);
        due[8 - size..].copy_from_slice(&bytes[..size]);
        Timestamp(u64::from_be_bytes(due))
    };
    let namespace = Namespace::new("chat").expect("it is well formed");
    let alarms = [(ids[0], first), (ids[1], second)].map(|(id, name)| ScheduledAlarm {
        due: due(name),
        object: Object {
            namespace: namespace.clone(),
            id,
        },
        name: Bytes::copy_from_slice(name),
    });
    let keys = [0, 1].map(|at: usize| {
        let alarm = &alarms[at];
        key::alarm(alarm.due, &alarm.object.id, &alarm.name)
    });
    let order = |at: usize| {
        (
            alarms[at].due,
            alarms[at].object.id,
            alarms[at].name.clone(),
        )
    };
    assert_eq!(keys[0].cmp(&keys[1]), order(0).cmp(&order(1)));
    assert_eq!(
        contains(&key::alarms(Some(&alarms[0])), &keys[1]),
        order(0) < order(1)
    );
    for (alarm, key) in alarms.iter().zip(keys) {
        let again = key::decode_alarm(&key.into(), b"chat").expect("it was just encoded");
        assert_eq!(again, *alarm);
    }
}

fn contains(range: &key::KeyRange, key: &Vec<u8>) -> bool {
    std::ops::RangeBounds::contains(range, key)
}

/// Keys of every kind.
#[must_use]
pub fn key_seeds() -> Vec<Vec<u8>> {
    let namespace = Namespace::new("chat").expect("it is well formed");
    let id = ObjectId::from_name(&namespace, "lobby");
    let other = ObjectId::from_name(&namespace, "hall");
    let parts = |tail: &[u8]| [id.as_bytes(), other.as_bytes(), tail].concat();
    vec![
        key::meta(),
        key::header(&namespace, &id),
        key::row(&id, &key::local(Section::State, b"")),
        key::row(
            &id,
            &key::local(Section::Data, b"line/00000000000000000001"),
        ),
        [
            b"chat",
            &key::alarm(Timestamp(1_767_225_600_000), &id, b"expiry")[..],
        ]
        .concat(),
        parts(b"\x01aaaabbbb"),
        parts(b"\x02\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0\0\0\0\x01"),
    ]
}

/// A state with a bit of everything that actors keep.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Everything {
    numbers: (u8, u64, i128, f64),
    text: String,
    bytes: Vec<u8>,
    list: Vec<(String, Option<u32>)>,
    map: std::collections::BTreeMap<String, Vec<u64>>,
    choice: Choice,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Choice {
    Nothing,
    One(char),
    Named { at: Timestamp, name: Box<str> },
}

/// Stored values: any bytes decode or are refused, without memory for sizes that are lies, and
/// what was decoded survives another round.
pub fn codec(data: &[u8]) {
    value::<Header>(data);
    value::<Meta>(data);
    value::<String>(data);
    value::<Vec<Option<u64>>>(data);
    value::<Everything>(data);
}

fn value<T: Serialize + DeserializeOwned + Debug>(data: &[u8]) {
    let Ok(value) = codec::decode::<T>(data) else {
        return;
    };
    let encoded = |value: &T| {
        let mut bytes = Vec::new();
        codec::encode(value, &mut bytes).expect("what was decoded encodes");
        bytes
    };
    let bytes = encoded(&value);
    // Numbers have longer forms than the one that is written, so the first round may shorten.
    assert!(bytes.len() <= data.len(), "{value:?}");
    let again = codec::decode::<T>(&bytes).expect("what was encoded decodes");
    // By its bytes: a NaN is not equal to itself.
    assert_eq!(encoded(&again), bytes);
}

/// Values of each type.
#[must_use]
pub fn codec_seeds() -> Vec<Vec<u8>> {
    fn encoded<T: Serialize>(value: &T) -> Vec<u8> {
        let mut bytes = Vec::new();
        codec::encode(value, &mut bytes).expect("plain values encode");
        bytes
    }
    let everything = |choice| Everything {
        numbers: (7, 300, -70_000, 0.5),
        text: "wörld".into(),
        bytes: vec![1, 2, 3],
        list: vec![("a".into(), None), ("b".into(), Some(70_000))],
        map: [("k".into(), vec![1, u64::MAX])].into(),
        choice,
    };
    vec![
        encoded(&Header {
            version: Version(3),
            epoch: Epoch(1 << 32),
            name: Some("lobby".into()),
        }),
        encoded(&Meta {
            generation: 4,
            checkpoint: 70_000,
        }),
        encoded(&vec![Some(1_u64), None, Some(u64::MAX)]),
        encoded(&everything(Choice::Nothing)),
        encoded(&everything(Choice::One('ß'))),
        encoded(&everything(Choice::Named {
            at: Timestamp(9),
            name: "n".into(),
        })),
        // A text that says it is longer than any memory.
        [&[1, 0xfd][..], &[0xff; 8]].concat(),
        [&[1, 0xfd][..], &(1_u64 << 46).to_le_bytes()].concat(),
    ]
}
