//! The rows of [`Section::Session`]: their keys, and their values in every form that releases have written.
//!
//! ```text
//!   (empty)              what the object has for all of them
//!   session id (8, BE)   one session: who it is, what it carries
//!   'c' ‖ session id     of a durable session: how far both sides have counted
//!   't' ‖ version (8, BE) what the turn with this commit has sent to durable sessions
//! ```

use std::sync::Arc;

use abide_storage::{Section, Timestamp, Version, Write, codec};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::payload::Blob;
use crate::presence::PresenceImage;
use crate::session::token::SECRET_SIZE_BYTES;
use crate::session::{Class, Close, Delivery, Frame, SessionId, Text};

/// Of the key of a durable session's counts.
const COUNTS: u8 = b'c';
/// Of the key of what a turn has sent.
pub(super) const TURN: u8 = b't';

/// Where a row stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    Object,
    Session(SessionId),
    Counts(SessionId),
    Turn(Version),
}

/// The value of a row, by the release of its shape. Never reorder: bincode numbers them.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Stored {
    ObjectV1(ObjectRow),
    SessionV1(SessionRow),
    CountsV1(CountsRow),
    TurnV1(TurnRow),
}

/// Of the row without a key. Never change its fields.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ObjectRow {
    /// When the entry that brings the object back is due.
    pub(crate) wake: Timestamp,
    pub(crate) auto_response: Option<(StoredFrame, StoredFrame)>,
}

/// Of the row of a session. Never change its fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SessionRow {
    pub(crate) secret: [u8; SECRET_SIZE_BYTES],
    /// Its place among those on the object: they are restored in this order.
    pub(crate) place: u64,
    pub(crate) tags: Vec<Arc<str>>,
    pub(crate) attachment: Option<Blob>,
    pub(crate) protocol: Option<Arc<str>>,
    /// What its client may send, when the object has said so: a second, and at once.
    pub(crate) rate: Option<(u32, u32)>,
    /// See [`Image`](crate::session::outbound::Image); of a durable session its other rows say it, and here it is 0.
    pub(crate) sent: u64,
    pub(crate) written: u64,
    pub(crate) forgotten: u64,
    pub(crate) received: u64,
    pub(crate) kept: Vec<StoredMessage>,
    pub(crate) presence: PresenceImage,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredMessage {
    pub(crate) number: u64,
    pub(crate) key: Option<Arc<str>>,
    pub(crate) frame: StoredFrame,
}

/// Of a durable session. Never change its fields.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CountsRow {
    /// The client's messages that have taken effect.
    pub(crate) received: u64,
    /// All messages to the client up to this number are acknowledged: their rows may be gone.
    pub(crate) base: u64,
    /// The session has ended, and its object has yet to hear of it.
    pub(crate) over: Option<StoredClose>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredClose {
    pub(crate) code: u16,
    pub(crate) reason: String,
}

/// What one turn has sent to durable sessions: each message once, whoever gets it. Never change its fields.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TurnRow {
    pub(crate) messages: Vec<TurnMessage>,
    pub(crate) to: Vec<Addressee>,
}

/// Never reorder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum TurnMessage {
    Reliable(StoredFrame),
    Latest(Arc<str>, StoredFrame),
    /// It has a number and nothing else: after a crash it is a hole.
    Lossy,
}

/// What one session was sent by a turn. Never change its fields.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Addressee {
    pub(crate) session: u64,
    /// The number of the first message; the others follow without a hole.
    pub(crate) first: u64,
    /// As [`CountsRow::base`].
    pub(crate) base: u64,
    /// Which of the turn's messages, in the order of their numbers.
    pub(crate) messages: Vec<u32>,
}

/// Never reorder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum StoredFrame {
    Text(Blob),
    Binary(Blob),
}

impl Key {
    pub(crate) fn encode(self) -> Bytes {
        let tagged = |tag: u8, number: u64| {
            let mut key = vec![tag];
            key.extend_from_slice(&number.to_be_bytes());
            key.into()
        };
        match self {
            Self::Object => Bytes::new(),
            Self::Session(session) => Bytes::copy_from_slice(&session.0.to_be_bytes()),
            Self::Counts(session) => tagged(COUNTS, session.0),
            Self::Turn(version) => tagged(TURN, version.0),
        }
    }

    fn decode(key: &[u8]) -> Option<Self> {
        let number = |bytes: &[u8]| Some(u64::from_be_bytes(bytes.try_into().ok()?));
        match key {
            [] => Some(Self::Object),
            [COUNTS, session @ ..] if session.len() == 8 => {
                number(session).map(|id| Self::Counts(SessionId(id)))
            }
            [TURN, version @ ..] if version.len() == 8 => {
                number(version).map(|version| Self::Turn(Version(version)))
            }
            session => number(session).map(|id| Self::Session(SessionId(id))),
        }
    }

    pub(crate) fn put(self, value: &Stored) -> Write {
        Write::Put {
            section: Section::Session,
            key: self.encode(),
            value: encoded(value),
        }
    }

    pub(crate) fn delete(self) -> Write {
        Write::Delete {
            section: Section::Session,
            key: self.encode(),
        }
    }
}

/// A row that fits its key; or what is wrong with it.
pub(crate) fn decode(key: &[u8], value: &[u8]) -> Result<(Key, Stored), String> {
    let key = Key::decode(key).ok_or("a key of the wrong size")?;
    let stored = codec::decode(value).map_err(|error| error.to_string())?;
    let fits = matches!(
        (key, &stored),
        (Key::Object, Stored::ObjectV1(_))
            | (Key::Session(_), Stored::SessionV1(_))
            | (Key::Counts(_), Stored::CountsV1(_))
            | (Key::Turn(_), Stored::TurnV1(_))
    );
    if fits {
        Ok((key, stored))
    } else {
        Err("a row under the wrong key".to_owned())
    }
}

pub(crate) fn encoded(stored: &Stored) -> Bytes {
    let mut bytes = Vec::new();
    codec::encode(stored, &mut bytes).expect("numbers, texts and bytes always encode");
    bytes.into()
}

impl TurnMessage {
    pub(crate) fn of(delivery: &Delivery) -> Self {
        match &delivery.class {
            Class::Reliable => Self::Reliable(delivery.frame.clone().into()),
            Class::Latest(key) => Self::Latest(key.clone(), delivery.frame.clone().into()),
            Class::Lossy => Self::Lossy,
        }
    }
}

impl From<Close> for StoredClose {
    fn from(Close { code, reason }: Close) -> Self {
        Self { code, reason }
    }
}

impl From<StoredClose> for Close {
    fn from(StoredClose { code, reason }: StoredClose) -> Self {
        Self::new(code, reason)
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
    pub(crate) fn into_frame(self) -> Option<Frame> {
        match self {
            Self::Text(Blob(bytes)) => Text::try_from(bytes).ok().map(Frame::Text),
            Self::Binary(Blob(bytes)) => Some(Frame::Binary(bytes)),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
