//! Sessions as rows of [`Section::Session`](abide_storage::Section::Session): what a drain stores, and what
//! an opening restores.
//!
//! Rows of **ordinary** sessions are there from a drain to the next opening of the object, no longer: a row
//! that outlived that would bring back, after a crash, a session that has gone on since. Rows of **durable**
//! sessions ([`durable`](super::durable)) are written by the commits of turns, are of the present at any
//! time, and stay as long as the session.

#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
pub(crate) mod row;

use std::collections::BTreeMap;
use std::sync::Arc;

use abide_storage::{SESSIONS_WAKE, Timestamp, Version, Write, WriteBatch};
use bytes::Bytes;

use self::row::{
    CountsRow, Key, ObjectRow, SessionRow, Stored, StoredFrame, StoredMessage, TurnRow,
};
use super::durable::{Journal, Past};
use super::link::Link;
use super::outbound::{Image, Kept, Outbound};
use super::rate::Used;
use super::token::Secret;
use super::{AutoResponse, MessageRate, SessionChange, SessionCore, SessionId, SessionSet, Traits};
use crate::memory::Memory;
use crate::payload::Blob;
use crate::presence::PresenceImage;
use crate::registry::Limits;

/// Rows are stored in commits of about this size, so that one object with many sessions does not make
/// one that is too large. Bytes of keys and values.
const COMMIT_BYTES: usize = 1 << 20;

/// More messages than any session sees.
pub(super) const COUNT_MAX: u64 = 1 << 53;

/// What the rows of an object come to.
#[derive(Default)]
pub(crate) struct Restored {
    /// In the order they joined. Those that are on the object already are as they are there.
    pub(crate) sessions: Vec<RestoredSession>,
    pub(crate) auto_response: Option<AutoResponse>,
    /// Deletes the rows that tell of the past, and what wakes the object for them.
    pub(crate) deletes: WriteBatch,
    /// The durable sessions; `None` when there are none.
    pub(crate) journal: Option<Box<Journal>>,
    /// Rows that do not decode, with the reason. They are deleted.
    pub(crate) unreadable: Vec<String>,
}

/// A session that rows tell of.
pub(crate) struct RestoredSession {
    pub(crate) core: Arc<SessionCore>,
    pub(crate) place: u64,
    pub(crate) presence: PresenceImage,
    /// Its rows stay, and it can be taken up at once.
    pub(crate) is_durable: bool,
}

/// The rows of an object, decoded.
#[derive(Default)]
struct Rows {
    object: Option<ObjectRow>,
    sessions: BTreeMap<SessionId, SessionRow>,
    counts: BTreeMap<SessionId, CountsRow>,
    turns: BTreeMap<Version, TurnRow>,
    /// With the keys, which may be anything.
    unreadable: Vec<(Bytes, String)>,
}

/// The commits that store these sessions, whose client's messages have all settled. Those that are over are
/// left out. The first commit has what wakes the object at `wake`; there is none when nothing is to be stored.
/// Of durable sessions only the row with what they carry is written: their others are in the store.
pub(crate) fn store<'a>(
    set: &SessionSet,
    sessions: impl IntoIterator<Item = &'a Arc<SessionCore>>,
    wake: Timestamp,
) -> Vec<WriteBatch> {
    let mut batches: Vec<WriteBatch> = Vec::new();
    let mut size_bytes = 0;
    for session in sessions {
        let presence = set.presence().image(session);
        let place = set.place(session.id);
        let Some(row) = SessionRow::of(session, place, presence) else {
            continue;
        };
        let value = row::encoded(&Stored::SessionV1(row));
        if batches.is_empty() || size_bytes + value.len() > COMMIT_BYTES {
            batches.push(WriteBatch::default());
            size_bytes = 0;
        }
        size_bytes += value.len();
        let batch = batches.last_mut().expect("one was just pushed");
        batch.writes.push(Write::Put {
            section: abide_storage::Section::Session,
            key: Key::Session(session.id).encode(),
            value,
        });
    }
    if let Some(first) = batches.first_mut() {
        let auto_response = set.the_auto_response();
        first
            .writes
            .extend(wake_writes(wake, auto_response.as_ref()));
    }
    batches
}

/// What brings an object back for its sessions.
pub(super) fn wake_writes(wake: Timestamp, auto_response: Option<&AutoResponse>) -> [Write; 2] {
    let name = Bytes::from_static(SESSIONS_WAKE);
    let row = ObjectRow {
        wake,
        auto_response: auto_response
            .cloned()
            .map(|auto| (auto.request.into(), auto.response.into())),
    };
    [
        Write::ScheduleAlarm { due: wake, name },
        Key::Object.put(&Stored::ObjectV1(row)),
    ]
}

/// Undoes it.
pub(super) fn no_wake_writes(wake: Timestamp) -> [Write; 2] {
    let name = Bytes::from_static(SESSIONS_WAKE);
    [
        Write::UnscheduleAlarm { due: wake, name },
        Key::Object.delete(),
    ]
}

/// When the entry that these rows have in the index of alarms is due.
pub(crate) fn wake_of(rows: Vec<(Bytes, Bytes)>) -> Option<Timestamp> {
    Rows::read(rows).object.map(|object| object.wake)
}

/// Deletes all of these rows and what wakes the object for them.
pub(crate) fn deletes(rows: Vec<(Bytes, Bytes)>) -> WriteBatch {
    let keys: Vec<Bytes> = rows.iter().map(|(key, _)| key.clone()).collect();
    let section = abide_storage::Section::Session;
    let mut writes: Vec<Write> = keys
        .into_iter()
        .map(|key| Write::Delete { section, key })
        .collect();
    if let Some(wake) = wake_of(rows) {
        writes.extend(no_wake_writes(wake));
    }
    WriteBatch { writes }
}

/// Makes sessions of rows; they are away, unless they are on the object already.
pub(crate) fn restore(
    rows: Vec<(Bytes, Bytes)>,
    set: &SessionSet,
    limits: &Limits,
    memory: &Memory,
) -> Restored {
    let mut rows = Rows::read(rows);
    let mut restored = Restored::default();
    let durable = rows.take_durable(&mut restored);
    if let Some(row) = rows.object.take() {
        restored.auto_response = row.auto_response.and_then(|(request, response)| {
            Some(AutoResponse {
                request: request.into_frame()?,
                response: response.into_frame()?,
            })
        });
        if durable.is_empty() {
            restored.deletes.writes.extend(no_wake_writes(row.wake));
        } else {
            let made = |id, row: SessionRow| row.into_core(id, limits, memory);
            Journal::restore(row.wake, durable, set, made, &mut restored);
        }
    }
    for (id, row) in rows.sessions {
        restored.deletes.writes.push(Key::Session(id).delete());
        let (place, presence) = (row.place, row.presence.clone());
        let core = set.get(id).or_else(|| row.into_core(id, limits, memory));
        match core {
            Some(core) => restored.sessions.push(RestoredSession {
                core,
                place,
                presence,
                is_durable: false,
            }),
            None => restored.unreadable.push(format!("session {id}: a frame")),
        }
    }
    for (key, why) in rows.unreadable {
        let section = abide_storage::Section::Session;
        restored.deletes.writes.push(Write::Delete { section, key });
        restored.unreadable.push(why);
    }
    restored
        .sessions
        .sort_by_key(|session| (session.place, session.core.id));
    restored
}

impl Rows {
    fn read(rows: Vec<(Bytes, Bytes)>) -> Self {
        let mut read = Self::default();
        for (key, value) in rows {
            match row::decode(&key, &value) {
                Ok((_, Stored::ObjectV1(row))) => read.object = Some(row),
                Ok((Key::Session(id), Stored::SessionV1(row))) => {
                    read.sessions.insert(id, row);
                }
                Ok((Key::Counts(id), Stored::CountsV1(row))) => {
                    read.counts.insert(id, row);
                }
                Ok((Key::Turn(version), Stored::TurnV1(row))) => {
                    read.turns.insert(version, row);
                }
                Ok(_) => unreachable!("a row that decodes fits its key"),
                Err(why) => read.unreadable.push((key, why)),
            }
        }
        read
    }

    /// Takes out the durable sessions, each with what its turns have sent. What tells of no session, and
    /// all of them when the object's own row is missing, is to be deleted.
    fn take_durable(&mut self, restored: &mut Restored) -> BTreeMap<SessionId, Past> {
        let mut durable = BTreeMap::new();
        let is_whole = self.object.is_some();
        for (id, counts) in std::mem::take(&mut self.counts) {
            match self.sessions.remove(&id).filter(|_| is_whole) {
                Some(row) => _ = durable.insert(id, Past::new(row, counts)),
                None => {
                    let writes = &mut restored.deletes.writes;
                    writes.extend([Key::Counts(id).delete(), Key::Session(id).delete()]);
                }
            }
        }
        // A row that cannot be read may have been sent to any of them: a gap that nobody would know of.
        let has_gap = |key: &Bytes| key.first() == Some(&row::TURN) && key.len() == 9;
        if self.unreadable.iter().any(|(key, _)| has_gap(key)) {
            durable.values_mut().for_each(Past::has_gap);
        }
        for (version, turn) in std::mem::take(&mut self.turns) {
            let mut is_wanted = false;
            for to in &turn.to {
                if let Some(past) = durable.get_mut(&SessionId(to.session)) {
                    is_wanted = true;
                    past.sent(version, to, &turn.messages);
                }
            }
            if !is_wanted {
                restored.deletes.writes.push(Key::Turn(version).delete());
            }
        }
        durable
    }
}

impl SessionRow {
    /// `None` of one that is over.
    fn of(session: &SessionCore, place: u64, presence: PresenceImage) -> Option<Self> {
        let image = session.outbound.image()?;
        let row = Self::carried(session, place, None, presence)?;
        if session.is_durable() {
            return Some(row);
        }
        let message = |kept: Kept| StoredMessage {
            number: kept.number,
            key: kept.key,
            frame: kept.frame.into(),
        };
        Some(Self {
            sent: image.sent,
            written: image.written,
            forgotten: image.forgotten,
            received: image.received,
            kept: image.kept.into_iter().map(message).collect(),
            ..row
        })
    }

    /// What the session carries after this change. `None` of a plain one.
    pub(super) fn carried(
        session: &SessionCore,
        place: u64,
        change: Option<&SessionChange>,
        presence: PresenceImage,
    ) -> Option<Self> {
        let link = session.link.as_ref()?;
        let traits = session.traits.lock();
        let none = SessionChange::default();
        let change = change.unwrap_or(&none);
        let tags = change.tags.as_ref().unwrap_or(&traits.tags);
        let attachment = change.attachment.as_ref().unwrap_or(&traits.attachment);
        let protocol = change.protocol.as_ref().or(traits.protocol.as_ref());
        let rate = change.rate.or(traits.rate);
        Some(Self {
            secret: link.secret.0,
            place,
            tags: tags.to_vec(),
            attachment: attachment.clone().map(Blob),
            protocol: protocol.cloned(),
            rate: rate.map(|rate| (rate.per_second, rate.burst)),
            sent: 0,
            written: 0,
            forgotten: 0,
            received: 0,
            kept: Vec::new(),
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
            let frame = StoredFrame::into_frame(frame)?;
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

#[cfg(test)]
mod tests;
