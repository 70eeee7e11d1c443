//! What the fuzzers drive of a commit in the log.

use bytes::Bytes;

use super::entry::{self, Change, Entry};
use crate::batch::{Commit, Section, Write, WriteBatch};
use crate::id::{Epoch, Namespace, Object, ObjectId, Timestamp, Version};

/// The payload of a record: any bytes decode or are refused, and a commit that decodes is encoded
/// as the bytes it was.
pub fn entry(data: &[u8]) {
    let mut payload = Bytes::copy_from_slice(data);
    while !payload.is_empty() {
        let before = payload.clone();
        let named = |name: &str| Namespace::new(name).ok();
        let Ok(decoded) = entry::decode(&mut payload, named) else {
            return;
        };
        let used = before.slice(..before.len() - payload.len());
        assert!(!used.is_empty(), "a commit takes bytes");
        if let Some((commit, name)) = commit_of(decoded) {
            assert_eq!(entry::encode(&commit, name.as_ref()).0, used);
        }
    }
}

/// The commit again; `None` when a row is of a section that this release does not write.
fn commit_of(entry: Entry) -> Option<(Commit, Option<std::sync::Arc<str>>)> {
    let writes: Option<Vec<Write>> = entry.changes.map(write_of).collect();
    let commit = Commit {
        object: entry.object,
        name: None,
        epoch: entry.header.epoch,
        version: entry.header.version,
        batch: WriteBatch { writes: writes? },
    };
    Some((commit, entry.header.name))
}

fn write_of(change: Change) -> Option<Write> {
    Some(match change {
        Change::Row(row) => {
            let (local, value) = row.parts();
            let section = Section::ALL
                .into_iter()
                .find(|section| *section as u8 == local[0])?;
            let key = local.slice(1..);
            match value {
                Some(value) => Write::Put {
                    section,
                    key,
                    value,
                },
                None => Write::Delete { section, key },
            }
        }
        Change::Alarm {
            due,
            name,
            is_scheduled: true,
        } => Write::ScheduleAlarm { due, name },
        Change::Alarm { due, name, .. } => Write::UnscheduleAlarm { due, name },
    })
}

/// Commits with every kind of row, alone and one after the other.
#[must_use]
pub fn entry_seeds() -> Vec<Vec<u8>> {
    let put = |section, key: &'static str, value: &'static str| Write::Put {
        section,
        key: key.into(),
        value: value.into(),
    };
    let (due, name) = (Timestamp(1_767_225_600_000), Bytes::from_static(b"expiry"));
    let batches = [
        vec![],
        vec![put(Section::State, "", "\u{1}\u{2}")],
        vec![
            put(Section::Data, "k/theme", "dark"),
            Write::Delete {
                section: Section::Data,
                key: "k/old".into(),
            },
        ],
        vec![
            put(Section::Alarm, "expiry", "\u{1}\u{7}"),
            Write::UnscheduleAlarm {
                due: Timestamp(1),
                name: name.clone(),
            },
            Write::ScheduleAlarm { due, name },
        ],
    ];
    let namespace = Namespace::new("kv").expect("it is well formed");
    let mut seeds: Vec<Vec<u8>> = (1..)
        .zip(batches)
        .map(|(version, writes)| {
            let commit = Commit {
                object: Object {
                    namespace: namespace.clone(),
                    id: ObjectId::from_name(&namespace, "settings"),
                },
                name: None,
                epoch: Epoch(1 << 32),
                version: Version(version),
                batch: WriteBatch { writes },
            };
            let name = (version == 1).then(|| "settings".into());
            entry::encode(&commit, name.as_ref()).0.to_vec()
        })
        .collect();
    seeds.push(seeds.concat());
    seeds
}
