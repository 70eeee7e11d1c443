//! Idempotency keys: an object keeps the reply of a call, and whoever repeats the call gets it.
//!
//! What is kept joins the commit of the turn it answers, so that a crash leaves both or neither.
//! The rows lie in [`Section::Idempotency`] of the object:
//! ```text
//! 'k' | key                          → codec'd Stored        the reply
//! 'e' | expires ms (8, BE) | key     → empty                 the same by time, for pruning
//! 'n'                                → codec'd u64           how many there are
//! ```
//! A call with a new key adds one and takes up to [`PRUNED_MAX`] expired ones with it, so that what
//! is kept shrinks as it grows, and no clockwork is needed. Replies that expired and were not
//! pruned yet are found by nobody.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use abide_storage::{
    Direction, Object, ReadError, Scan, Section, Store, Timestamp, Version, Write, WriteBatch,
    codec,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::call::{Call, CallError, Reply};
use crate::payload::{Payload, StoredPayload, number};

/// Longest idempotency key, bytes.
pub const IDEMPOTENCY_KEY_SIZE_MAX_BYTES: usize = 255;

/// Expired replies that one call removes. More than one, so that what piled up in a burst goes.
const PRUNED_MAX: usize = 8;

const REPLY: u8 = b'k';
const EXPIRY: u8 = b'e';
const COUNT: &[u8] = b"n";

/// A word the caller makes up for one call, and sends again when it repeats that call. It is the
/// object's: another object, or the same after the retention, knows nothing of it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(Arc<str>);

impl IdempotencyKey {
    /// Checks that the text has 1 to 255 characters of visible ASCII.
    ///
    /// # Errors
    /// [`InvalidIdempotencyKey`] when it has not. No effect.
    pub fn new(text: &str) -> Result<Self, InvalidIdempotencyKey> {
        if text.is_empty() {
            return Err(InvalidIdempotencyKey::Empty);
        }
        let size_bytes = text.len();
        if size_bytes > IDEMPOTENCY_KEY_SIZE_MAX_BYTES {
            return Err(InvalidIdempotencyKey::TooLong { size_bytes });
        }
        match text.bytes().position(|byte| !byte.is_ascii_graphic()) {
            Some(at) => Err(InvalidIdempotencyKey::Unprintable { at }),
            None => Ok(Self(text.into())),
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// The text is no idempotency key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidIdempotencyKey {
    /// Not one character.
    #[error(
        "an idempotency key has 1 to {IDEMPOTENCY_KEY_SIZE_MAX_BYTES} characters, this one is empty"
    )]
    Empty,
    /// Longer than [`IDEMPOTENCY_KEY_SIZE_MAX_BYTES`].
    #[error(
        "an idempotency key has 1 to {IDEMPOTENCY_KEY_SIZE_MAX_BYTES} characters, this one has {size_bytes}"
    )]
    TooLong {
        /// Its size.
        size_bytes: usize,
    },
    /// A space, a control character, or one that is no ASCII.
    #[error(
        "an idempotency key has visible ASCII characters only, this one has another at byte {at}"
    )]
    Unprintable {
        /// Where, counted from 0.
        at: usize,
    },
}

/// What tells a repeat from another call with the same key.
pub(crate) type Fingerprint = [u8; 16];

/// Hashes all of a call that decides what it does and what its reply looks like.
///
/// The hash is stored, so that what goes into it, and in which order, stays.
pub(crate) fn fingerprint(call: &Call) -> Fingerprint {
    let mut hasher = blake3::Hasher::new_derive_key("abide 2026 fingerprint of a call v1");
    hasher.update(&(call.method.len() as u64).to_le_bytes());
    hasher.update(call.method.as_bytes());
    hasher.update(&[number(call.arguments.encoding), number(call.reply_encoding)]);
    hasher.update(&call.arguments.bytes);
    let mut fingerprint = Fingerprint::default();
    hasher.finalize_xof().fill(&mut fingerprint);
    fingerprint
}

/// A stored reply, by the release of its shape. Never reorder: bincode numbers them.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Stored {
    V1(Kept),
}

/// A reply as it was given.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) fingerprint: Fingerprint,
    expires: Timestamp,
    version: Version,
    payload: StoredPayload,
}

impl Kept {
    pub(crate) fn into_reply(self) -> Result<Reply, CallError> {
        let payload = self.payload.into_payload();
        Ok(Reply {
            payload: payload.map_err(|detail| corrupt(format!("a kept reply has {detail}")))?,
            version: self.version,
            replayed: true,
        })
    }
}

/// What [`find`] found.
pub(crate) enum Found {
    /// The reply of an earlier call with the key, which has not expired.
    Kept(Kept),
    /// None, and what to know for keeping one.
    Nothing(Room),
}

/// What an object keeps already.
#[derive(Debug, Default)]
pub(crate) struct Room {
    /// Replies in the store, expired ones included.
    count: u64,
    /// Some of those that expired, to be removed: keys of the index by time.
    expired: Vec<Bytes>,
    /// Whether there may be more of them.
    expired_more: bool,
    /// When the first of the others expires.
    next: Option<Timestamp>,
}

impl Room {
    /// **bounded**: when there is no place for one more reply, how long until there is.
    ///
    /// A call that removes as many as it may takes more away than it adds, so it is never
    /// refused: a bound that was lowered is reached in steps.
    pub(crate) fn full(&self, limit: usize, now: Timestamp) -> Option<Duration> {
        let left = self.count.saturating_sub(self.expired.len() as u64);
        let is_full = !self.expired_more && left >= limit as u64;
        let next = self.next.unwrap_or(now);
        is_full.then(|| Duration::from_millis(next.0.saturating_sub(now.0)))
    }
}

/// Looks for the reply of an earlier call with the key. `count` is what the last
/// [`Promise::keep`] of the activation gave.
pub(crate) async fn find(
    store: &dyn Store,
    object: &Object,
    key: &IdempotencyKey,
    now: Timestamp,
    count: Option<u64>,
) -> Result<Found, CallError> {
    let section = Section::Idempotency;
    let row = reply_key(key.as_str().as_bytes());
    let kept = match store.get(object, section, &row).await? {
        Some(stored) => {
            let Stored::V1(kept) = codec::decode(&stored)
                .map_err(|error| corrupt(format!("a kept reply does not decode: {error}")))?;
            Some(kept)
        }
        None => None,
    };
    let old = match kept {
        Some(kept) if kept.expires > now => return Ok(Found::Kept(kept)),
        Some(expired) => Some(expiry_key(expired.expires, key)),
        None => None,
    };
    let count = match count {
        Some(count) => count,
        None => stored_count(store, object).await?,
    };
    let mut room = Room {
        count,
        ..Room::default()
    };
    if count > 0 {
        look_for_expired(store, object, now, &mut room).await?;
    }
    // Its row is about to be written again, so that its old place in time must go, whoever is first.
    if let Some(old) = old
        && !room.expired.contains(&old)
    {
        room.expired.push(old);
    }
    Ok(Found::Nothing(room))
}

async fn stored_count(store: &dyn Store, object: &Object) -> Result<u64, CallError> {
    let Some(stored) = store.get(object, Section::Idempotency, COUNT).await? else {
        return Ok(0);
    };
    codec::decode(&stored).map_err(|error| corrupt(format!("the count of kept replies: {error}")))
}

/// Reads the index by time from its beginning.
async fn look_for_expired(
    store: &dyn Store,
    object: &Object,
    now: Timestamp,
    room: &mut Room,
) -> Result<(), CallError> {
    let by_time = Scan {
        section: Section::Idempotency,
        start: Bound::Included(Bytes::from_static(&[EXPIRY])),
        end: Bound::Excluded(Bytes::from_static(&[EXPIRY + 1])),
        direction: Direction::Forward,
        limit: PRUNED_MAX + 1,
    };
    for (entry, _) in store.scan(object, by_time).await? {
        let expires = decode_expires(&entry)?;
        if expires > now {
            room.next = Some(expires);
            break;
        }
        if room.expired.len() == PRUNED_MAX {
            room.expired_more = true;
            break;
        }
        room.expired.push(entry);
    }
    Ok(())
}

/// A reply that is to be kept, once its turn has succeeded.
#[derive(Debug)]
pub(crate) struct Promise {
    pub(crate) key: IdempotencyKey,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) expires: Timestamp,
    pub(crate) room: Room,
}

impl Promise {
    /// Puts the reply into the batch of its turn, and takes expired ones out. Gives how many there
    /// are afterwards.
    pub(crate) fn keep(self, reply: &Payload, version: Version, batch: &mut WriteBatch) -> u64 {
        let section = Section::Idempotency;
        let Self {
            key,
            fingerprint,
            expires,
            room,
        } = self;
        let count = room.count.saturating_sub(room.expired.len() as u64) + 1;
        for entry in room.expired {
            let key = Bytes::from(reply_key(&entry[EXPIRY_KEY_HEAD_SIZE_BYTES..]));
            batch.writes.extend([
                Write::Delete { section, key },
                Write::Delete {
                    section,
                    key: entry,
                },
            ]);
        }
        let stored = Stored::V1(Kept {
            fingerprint,
            expires,
            version,
            payload: StoredPayload::of(reply),
        });
        let mut put = |key: Bytes, value: Bytes| {
            batch.writes.push(Write::Put {
                section,
                key,
                value,
            });
        };
        // After the deletes: a key that has expired may be this very one, and the later write wins.
        put(reply_key(key.as_str().as_bytes()).into(), encoded(&stored));
        put(expiry_key(expires, &key), Bytes::new());
        put(Bytes::from_static(COUNT), encoded(&count));
        count
    }
}

/// Checks rows that come from outside: each decodes, and the three kinds tell the same replies.
pub(crate) fn check_rows<'a>(
    rows: impl Iterator<Item = (&'a Bytes, &'a Bytes)>,
) -> Result<(), String> {
    let (mut replies, mut entries) = (BTreeSet::new(), BTreeSet::new());
    let mut count = 0;
    for (key, value) in rows {
        match key.split_first() {
            Some((&REPLY, name)) => {
                let Stored::V1(kept) = codec::decode(value).map_err(|error| error.to_string())?;
                replies.insert((kept.expires, name));
                kept.into_reply().map_err(|error| error.to_string())?;
            }
            Some((&EXPIRY, _)) => {
                let expires = decode_expires(key).map_err(|error| error.to_string())?;
                entries.insert((expires, &key[EXPIRY_KEY_HEAD_SIZE_BYTES..]));
            }
            Some(_) if key == COUNT => {
                count = codec::decode(value).map_err(|error| error.to_string())?;
            }
            _ => return Err(format!("no release writes a row with the key {key:?}")),
        }
    }
    if replies == entries && count == replies.len() as u64 {
        Ok(())
    } else {
        let (replies, entries) = (replies.len(), entries.len());
        Err(format!(
            "{replies} replies, {entries} times of expiry and a count of {count} do not go together"
        ))
    }
}

const EXPIRY_KEY_HEAD_SIZE_BYTES: usize = 1 + 8;

fn reply_key(key: &[u8]) -> Vec<u8> {
    [&[REPLY], key].concat()
}

fn expiry_key(expires: Timestamp, key: &IdempotencyKey) -> Bytes {
    let parts: [&[u8]; 3] = [&[EXPIRY], &expires.0.to_be_bytes(), key.as_str().as_bytes()];
    parts.concat().into()
}

/// The time of an entry of the index by time.
fn decode_expires(entry: &[u8]) -> Result<Timestamp, CallError> {
    let time = entry.get(1..EXPIRY_KEY_HEAD_SIZE_BYTES);
    let time = time.and_then(|time| time.try_into().ok());
    let time = time.ok_or_else(|| corrupt("no entry of kept replies by time"))?;
    Ok(Timestamp(u64::from_be_bytes(time)))
}

fn encoded<T: Serialize>(value: &T) -> Bytes {
    let mut bytes = Vec::new();
    codec::encode(value, &mut bytes).expect("numbers and bytes always encode");
    bytes.into()
}

fn corrupt(detail: impl Into<String>) -> CallError {
    CallError::Read(ReadError::Corrupt(detail.into().into()))
}

#[cfg(test)]
mod tests;
