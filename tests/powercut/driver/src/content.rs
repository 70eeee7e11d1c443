//! What an object holds at each of its versions: known for every version, so that a check needs no history.

use std::collections::BTreeMap;

use abide_storage::{Commit, Epoch, Namespace, Object, ObjectId, Section, Timestamp, Version};
use abide_storage::{Write, WriteBatch};
use bytes::Bytes;

/// Objects of a workload.
pub(crate) const OBJECTS: u32 = 6;
/// Rows that stay for this many versions, so that most rows of an object are older than its last commit.
const RING: u64 = 7;
const NAMESPACE: &str = "powercut";

pub(crate) fn namespace() -> Namespace {
    Namespace::new(NAMESPACE).expect("it is a namespace")
}

pub(crate) fn object(number: u32) -> Object {
    let namespace = namespace();
    let id = ObjectId::from_name(&namespace, &number.to_string());
    Object { namespace, id }
}

/// The commit that makes this version.
pub(crate) fn commit(number: u32, epoch: Epoch, version: Version) -> Commit {
    let at = version.0;
    let put = |key: String| Write::Put {
        section: Section::Data,
        value: value(number, at, &key),
        key: key.into(),
    };
    let mut writes = vec![
        put("always".into()),
        put("also always".into()),
        put(format!("ring {}", at % RING)),
        Write::Put {
            section: Section::State,
            key: Bytes::new(),
            value: value(number, at, "state"),
        },
        Write::ScheduleAlarm {
            due: due(at),
            name: Bytes::from_static(b"wake"),
        },
    ];
    if at > 1 {
        writes.push(Write::UnscheduleAlarm {
            due: due(at - 1),
            name: Bytes::from_static(b"wake"),
        });
    }
    writes.push(if at.is_multiple_of(2) {
        Write::Delete {
            section: Section::Data,
            key: Bytes::from_static(b"odd"),
        }
    } else {
        put("odd".into())
    });
    Commit {
        object: object(number),
        name: None,
        epoch,
        version,
        batch: WriteBatch { writes },
    }
}

/// The state at this version.
pub(crate) fn state(number: u32, version: u64) -> Option<Bytes> {
    (version > 0).then(|| value(number, version, "state"))
}

/// The rows at this version.
pub(crate) fn rows(number: u32, version: u64) -> BTreeMap<Bytes, Bytes> {
    let mut rows = BTreeMap::new();
    if version == 0 {
        return rows;
    }
    let mut row = |key: String, at| _ = rows.insert(key.clone().into(), value(number, at, &key));
    row("always".into(), version);
    row("also always".into(), version);
    if !version.is_multiple_of(2) {
        row("odd".into(), version);
    }
    for at in version.saturating_sub(RING - 1).max(1)..=version {
        row(format!("ring {}", at % RING), at);
    }
    rows
}

/// When the one alarm of this version is due.
pub(crate) fn due(version: u64) -> Timestamp {
    Timestamp(1_000 + version)
}

/// Bytes that no other object, version or key has. Some are larger than what sled keeps in one piece.
fn value(number: u32, version: u64, key: &str) -> Bytes {
    let text = format!("{number}/{version}/{key}:");
    let seed = text.bytes().fold(u64::from(number), |seed, byte| {
        seed.wrapping_mul(1_099_511_628_211) ^ u64::from(byte)
    });
    let mut random = fastrand::Rng::with_seed(seed);
    let size = match random.u8(..24) {
        0 => random.usize(4_000..12_000),
        1..4 => random.usize(500..3_000),
        _ => random.usize(0..300),
    };
    let fill = std::iter::repeat_with(|| random.u8(..)).take(size);
    text.bytes().chain(fill).collect()
}
