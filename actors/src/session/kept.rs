//! Sessions as rows of [`Section::Session`]: what a drain stores, and the next opening restores.
//!
//! ```text
//!   (empty)            what the object has for all of them
//!   session id (8, BE) one session: who it is, what it carries, what its client has not acknowledged
//! ```
//! The rows are there from a drain to the next opening of the object, no longer: a row that outlived that
//! would bring back, after a crash, a session that has gone on since.

use std::sync::Arc;

use abide_storage::{SESSIONS_WAKE, Section, Timestamp, Write, WriteBatch, codec};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::link::Link;
use super::outbound::{Image, Kept, Outbound};
use super::rate::Used;
use super::token::{SECRET_SIZE_BYTES, Secret};
use super::{AutoResponse, Frame, MessageRate, SessionCore, SessionId, SessionSet, Text, Traits};
use crate::memory::Memory;
use crate::payload::Blob;
use crate::presence::PresenceImage;
use crate::registry::Limits;

/// Rows are stored in commits of about this size, so that one object with many sessions does not make
/// one that is too large. Bytes of keys and values.
const COMMIT_BYTES: usize = 1 << 20;

/// More messages than any session sees.
const COUNT_MAX: u64 = 1 << 53;

/// The value of a row, by the release of its shape. Never reorder: bincode numbers them.
#[derive(Debug, Serialize, Deserialize)]
enum Stored {
    ObjectV1(ObjectRow),
    SessionV1(SessionRow),
}

/// Of the row without a key. Never change its fields.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct ObjectRow {
    /// When the entry that brings the object back is due.
    wake: Timestamp,
    auto_response: Option<(StoredFrame, StoredFrame)>,
}

/// Of the row of a session. Never change its fields.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SessionRow {
    secret: [u8; SECRET_SIZE_BYTES],
    /// Its place among those on the object, counted from 0.
    place: u64,
    tags: Vec<Arc<str>>,
    attachment: Option<Blob>,
    protocol: Option<Arc<str>>,
    /// What its client may send, when the object has said so: a second, and at once.
    rate: Option<(u32, u32)>,
    /// See [`Image`].
    sent: u64,
    written: u64,
    forgotten: u64,
    received: u64,
    kept: Vec<StoredMessage>,
    presence: PresenceImage,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct StoredMessage {
    number: u64,
    key: Option<Arc<str>>,
    frame: StoredFrame,
}

/// Never reorder.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
enum StoredFrame {
    Text(Blob),
    Binary(Blob),
}

/// What the rows of an object come to.
#[derive(Default)]
pub(crate) struct Restored {
    /// In the order they joined, and what each is to the object's presence.
    pub(crate) sessions: Vec<(Arc<SessionCore>, PresenceImage)>,
    pub(crate) auto_response: Option<AutoResponse>,
    /// Deletes the rows and what wakes the object for them.
    pub(crate) deletes: WriteBatch,
    /// Rows that do not decode, with the reason. They are deleted like the others.
    pub(crate) unreadable: Vec<String>,
}

/// The commits that store these sessions, whose client's messages have all settled. Those that are over are
/// left out. The first commit has what wakes the object at `wake`; there is none when nothing is to be stored.
pub(crate) fn store<'a>(
    set: &SessionSet,
    sessions: impl IntoIterator<Item = &'a Arc<SessionCore>>,
    wake: Timestamp,
) -> Vec<WriteBatch> {
    let mut batches: Vec<WriteBatch> = Vec::new();
    let mut size_bytes = 0;
    for (place, session) in (0..).zip(sessions) {
        let presence = set.presence().image(session);
        let Some(row) = SessionRow::of(session, place, presence) else {
            continue;
        };
        let value = encoded(&Stored::SessionV1(row));
        if batches.is_empty() || size_bytes + value.len() > COMMIT_BYTES {
            batches.push(WriteBatch::default());
            size_bytes = 0;
        }
        size_bytes += value.len();
        let batch = batches.last_mut().expect("one was just pushed");
        batch.writes.push(put(key_of(session.id), value));
    }
    if let Some(first) = batches.first_mut() {
        let name = Bytes::from_static(SESSIONS_WAKE);
        first.writes.push(Write::ScheduleAlarm { due: wake, name });
        let row = ObjectRow {
            wake,
            auto_response: set
                .the_auto_response()
                .map(|auto| (auto.request.into(), auto.response.into())),
        };
        first
            .writes
            .push(put(Bytes::new(), encoded(&Stored::ObjectV1(row))));
    }
    batches
}

/// Makes sessions of rows; they are away.
pub(crate) fn restore(rows: Vec<(Bytes, Bytes)>, limits: &Limits, memory: &Memory) -> Restored {
    let mut restored = Restored::default();
    let mut placed = Vec::new();
    for (key, value) in rows {
        let section = Section::Session;
        let decoded = decode(&key, &value);
        restored.deletes.writes.push(Write::Delete { section, key });
        match decoded {
            Ok((None, Stored::ObjectV1(row))) => {
                let name = Bytes::from_static(SESSIONS_WAKE);
                let unschedule = Write::UnscheduleAlarm {
                    due: row.wake,
                    name,
                };
                restored.deletes.writes.push(unschedule);
                restored.auto_response = row.auto_response.and_then(|(request, response)| {
                    Some(AutoResponse {
                        request: request.into_frame()?,
                        response: response.into_frame()?,
                    })
                });
            }
            Ok((Some(id), Stored::SessionV1(row))) => {
                let (place, presence) = (row.place, row.presence.clone());
                match row.into_core(id, limits, memory) {
                    Some(core) => placed.push((place, core, presence)),
                    None => restored.unreadable.push(format!("session {id}: a frame")),
                }
            }
            Ok(_) => restored.unreadable.push("a row under the wrong key".into()),
            Err(error) => restored.unreadable.push(error),
        }
    }
    placed.sort_by_key(|(place, session, _)| (*place, session.id));
    let placed = placed.into_iter();
    restored.sessions = placed
        .map(|(_, session, presence)| (session, presence))
        .collect();
    restored
}

fn decode(key: &[u8], value: &[u8]) -> Result<(Option<SessionId>, Stored), String> {
    let id = match key {
        [] => None,
        key => {
            let id = key.try_into().map_err(|_| "a key of the wrong size")?;
            Some(SessionId(u64::from_be_bytes(id)))
        }
    };
    let stored = codec::decode(value).map_err(|error| error.to_string())?;
    Ok((id, stored))
}

impl SessionRow {
    fn of(session: &SessionCore, place: u64, presence: PresenceImage) -> Option<Self> {
        let image = session.outbound.image()?;
        let link = session.link.as_ref()?;
        let traits = session.traits.lock();
        let message = |kept: Kept| StoredMessage {
            number: kept.number,
            key: kept.key,
            frame: kept.frame.into(),
        };
        Some(Self {
            secret: link.secret.0,
            place,
            tags: traits.tags.to_vec(),
            attachment: traits.attachment.clone().map(Blob),
            protocol: traits.protocol.clone(),
            rate: traits.rate.map(|rate| (rate.per_second, rate.burst)),
            sent: image.sent,
            written: image.written,
            forgotten: image.forgotten,
            received: image.received,
            kept: image.kept.into_iter().map(message).collect(),
            presence,
        })
    }

    /// What no release has stored would only show later, as a count that does not fit.
    fn is_sound(&self) -> bool {
        let counts = [self.sent, self.written, self.forgotten, self.received];
        counts.into_iter().all(|count| count <= COUNT_MAX)
            && self.written <= self.sent
            && self.forgotten <= self.sent
    }

    fn into_core(
        self,
        id: SessionId,
        limits: &Limits,
        memory: &Memory,
    ) -> Option<Arc<SessionCore>> {
        if !self.is_sound() {
            return None;
        }
        let mut kept = Vec::with_capacity(self.kept.len());
        let mut last = self.forgotten;
        for StoredMessage { number, key, frame } in self.kept {
            if number <= last || number > self.sent {
                return None;
            }
            last = number;
            let frame = frame.into_frame()?;
            kept.push(Kept { number, frame, key });
        }
        let image = Image {
            sent: self.sent,
            written: self.written,
            forgotten: self.forgotten,
            received: self.received,
            kept,
        };
        let traits = Traits {
            tags: self.tags.into(),
            attachment: self.attachment.map(|Blob(bytes)| bytes),
            protocol: self.protocol,
            rate: self
                .rate
                .map(|(per_second, burst)| MessageRate { per_second, burst }),
            used: Used::default(),
        };
        let (max, retained) = (limits.outbound_max_bytes, limits.resume_buffer_max_bytes);
        let outbound = Outbound::restore(image, max, retained, memory);
        let link = Link::restored(Secret(self.secret));
        Some(SessionCore::restored(id, outbound, traits, link))
    }
}

impl From<Frame> for StoredFrame {
    fn from(frame: Frame) -> Self {
        match frame {
            Frame::Text(text) => Self::Text(Blob(text.into_bytes())),
            Frame::Binary(bytes) => Self::Binary(Blob(bytes)),
        }
    }
}

impl StoredFrame {
    fn into_frame(self) -> Option<Frame> {
        match self {
            Self::Text(Blob(bytes)) => Text::try_from(bytes).ok().map(Frame::Text),
            Self::Binary(Blob(bytes)) => Some(Frame::Binary(bytes)),
        }
    }
}

fn key_of(session: SessionId) -> Bytes {
    Bytes::copy_from_slice(&session.0.to_be_bytes())
}

fn put(key: Bytes, value: Bytes) -> Write {
    Write::Put {
        section: Section::Session,
        key,
        value,
    }
}

fn encoded(stored: &Stored) -> Bytes {
    let mut bytes = Vec::new();
    codec::encode(stored, &mut bytes).expect("numbers, texts and bytes always encode");
    bytes.into()
}

/// For the fuzzers: any bytes are a row or are refused, and what is restored is stored as it was.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz_row(row: &[u8]) {
    let limits = Limits::default();
    let memory = Memory::new(1 << 30);
    let id = SessionId(7);
    let of = |value: Bytes| vec![(key_of(id), value)];
    let restored = restore(of(Bytes::copy_from_slice(row)), &limits, &memory);
    assert_eq!(restored.sessions.len() + restored.unreadable.len(), 1);
    let stored = |sessions: &[Arc<SessionCore>]| {
        let batches = store(&SessionSet::default(), sessions, Timestamp(3));
        let writes = batches.into_iter().flat_map(|batch| batch.writes);
        writes
            .filter_map(|write| match write {
                Write::Put { key, value, .. } if !key.is_empty() => Some(value),
                _ => None,
            })
            .next()
    };
    let cores = |restored: Restored| {
        let sessions = restored.sessions.into_iter().map(|(session, _)| session);
        sessions.collect::<Vec<_>>()
    };
    if let Some(first) = stored(&cores(restored)) {
        let again = restore(of(first.clone()), &limits, &memory);
        assert_eq!(stored(&cores(again)), Some(first));
    }
}

/// A row for the fuzzers to begin with.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz_seed() -> Vec<u8> {
    let message = |number, key: Option<&str>, frame: Frame| StoredMessage {
        number,
        key: key.map(Into::into),
        frame: frame.into(),
    };
    encoded(&Stored::SessionV1(SessionRow {
        secret: [7; SECRET_SIZE_BYTES],
        place: 2,
        tags: vec!["red".into(), "guest".into()],
        attachment: Some(Blob(Bytes::from_static(b"\x01\x03ada"))),
        protocol: Some("chat".into()),
        rate: Some((5, 6)),
        sent: 9,
        written: 8,
        forgotten: 6,
        received: 4,
        kept: vec![
            message(7, None, "hello".into()),
            message(9, Some("cursor"), vec![0xff].into()),
        ],
        presence: PresenceImage::default(),
    }))
    .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session_row() -> SessionRow {
        SessionRow {
            secret: [7; 16],
            place: 2,
            tags: vec!["red".into()],
            attachment: Some(Blob(Bytes::from_static(b"\x01\x02"))),
            protocol: None,
            rate: Some((5, 6)),
            sent: 9,
            written: 8,
            forgotten: 6,
            received: 4,
            kept: vec![
                StoredMessage {
                    number: 7,
                    key: None,
                    frame: Frame::from("hi").into(),
                },
                StoredMessage {
                    number: 9,
                    key: Some("k".into()),
                    frame: Frame::from(vec![0xff]).into(),
                },
            ],
            presence: PresenceImage::default(),
        }
    }

    fn object_row() -> ObjectRow {
        ObjectRow {
            wake: Timestamp(9),
            auto_response: Some((Frame::from("ping").into(), Frame::from("pong").into())),
        }
    }

    /// These bytes are on disks: a change here is a new variant of `Stored`, never a new expectation.
    #[test]
    fn golden_rows() {
        let session = [
            // Format, SessionV1.
            &b"\x01\x01"[..],
            // Secret, place, tags, attachment, no protocol, rate.
            &[7; 16],
            b"\x02\x01\x03red\x01\x02\x01\x02\x00\x01\x05\x06",
            // Sent, written, forgotten, received; two messages: number, no key, text; number, key, binary.
            b"\x09\x08\x06\x04\x02\x07\x00\x00\x02hi\x09\x01\x01k\x01\x01\xff",
            // Presence: no member, watches nothing, clients may not.
            b"\x00\x00\x00",
        ]
        .concat();
        assert_eq!(encoded(&Stored::SessionV1(session_row()))[..], session);
        let object = b"\x01\x00\x09\x01\x00\x04ping\x00\x04pong";
        assert_eq!(encoded(&Stored::ObjectV1(object_row()))[..], object[..]);
        let decoded = codec::decode(&session).unwrap();
        assert!(matches!(decoded, Stored::SessionV1(row) if row == session_row()));
        let decoded = codec::decode(object).unwrap();
        assert!(matches!(decoded, Stored::ObjectV1(row) if row == object_row()));
        assert_eq!(key_of(SessionId(0x0102))[..], [0, 0, 0, 0, 0, 0, 1, 2]);
    }

    #[test]
    fn rows_come_back_as_sessions_that_are_away_and_all_are_deleted() {
        let rows = vec![
            (Bytes::new(), encoded(&Stored::ObjectV1(object_row()))),
            (
                key_of(SessionId(5)),
                encoded(&Stored::SessionV1(session_row())),
            ),
            (
                key_of(SessionId(6)),
                encoded(&Stored::SessionV1(SessionRow {
                    place: 1,
                    ..session_row()
                })),
            ),
            // A message beyond what was sent, an object's row in the place of a session's, no row.
            (
                key_of(SessionId(7)),
                encoded(&Stored::SessionV1(SessionRow {
                    sent: 8,
                    ..session_row()
                })),
            ),
            (
                key_of(SessionId(8)),
                encoded(&Stored::ObjectV1(object_row())),
            ),
            (Bytes::from_static(b"short"), Bytes::from_static(b"\x01")),
        ];
        let memory = Memory::new(1 << 20);
        let restored = restore(rows, &Limits::default(), &memory);
        let ids: Vec<_> = restored
            .sessions
            .iter()
            .map(|(session, _)| session.id)
            .collect();
        assert_eq!(ids, [SessionId(6), SessionId(5)]);
        assert!(
            restored
                .sessions
                .iter()
                .all(|(session, _)| !session.is_connected())
        );
        assert_eq!(restored.sessions[1].0.tags()[..], ["red".into()]);
        assert_eq!(restored.sessions[1].0.outbound.sent(), 9);
        assert_eq!(restored.auto_response.unwrap().response, "pong".into());
        assert_eq!(restored.unreadable.len(), 3);
        let name = Bytes::from_static(SESSIONS_WAKE);
        let due = Timestamp(9);
        assert!(
            restored
                .deletes
                .writes
                .contains(&Write::UnscheduleAlarm { due, name })
        );
        assert_eq!(restored.deletes.writes.len(), 7);
    }

    #[test]
    fn what_is_stored_is_restored_as_it_was() {
        let memory = Memory::new(1 << 20);
        let limits = Limits::default();
        let before = session_row().into_core(SessionId(5), &limits, &memory);
        let set = SessionSet::default();
        let batches = store(&set, &[before.unwrap()], Timestamp(3));
        let [batch] = &batches[..] else {
            panic!("one commit is enough")
        };
        let name = Bytes::from_static(SESSIONS_WAKE);
        let due = Timestamp(3);
        assert!(batch.writes.contains(&Write::ScheduleAlarm { due, name }));
        let row = SessionRow {
            place: 0,
            ..session_row()
        };
        let expected = put(key_of(SessionId(5)), encoded(&Stored::SessionV1(row)));
        assert!(batch.writes.contains(&expected));
        assert!(store(&set, &[], Timestamp(3)).is_empty());
    }
}
