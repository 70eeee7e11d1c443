//! The receiver's side: up to which of its messages each sender was heard.
//!
//! The rows lie in [`Section::Incoming`] of the receiver:
//! ```text
//! 's' | sender (32)                            → codec'd Stored   the last message heard
//! 'e' | keep until ms (8, BE) | sender (32)    → empty            the same by time, for pruning
//! 'n'                                          → codec'd u64      how many senders there are
//! ```
//! **When a number may be forgotten.** Only when no message below it can come again:
//! - The sender says so, after the deletion of its row is durable. What it sent before, copies included,
//!   came into the mailbox before that. It says so once and only to an active receiver; the rows then
//!   leave with the receiver's next receipts, so that forgetting costs no commit of its own.
//! - Or the time has come when every message that the number stands for has expired, and with it a
//!   day in which the clock may have been set back: an expired message is not run, whatever is known
//!   of it. A receipt from a new sender takes up to [`PRUNED_MAX`] such rows with it.

use std::ops::Bound;
use std::time::Duration;

use abide_storage::{
    Direction, Object, ObjectId, ReadError, Scan, Section, Store, Timestamp, Write, WriteBatch,
    codec,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Sequence, encoded};
use crate::call::CallError;

/// Rows whose time has come that one receipt removes.
const PRUNED_MAX: usize = 8;
/// Senders that said goodbye and whose rows wait for the next receipt. Those of more stay until
/// their time comes.
const FORGOTTEN_MAX: usize = 64;
/// A row outlives the last message it stands for by this: the clock may be set back.
const GRACE: Duration = Duration::from_secs(24 * 60 * 60);
/// A row is entered for this much longer than needed, so that its place in the index by time is
/// moved once a day and not with every message.
const SLACK: Duration = Duration::from_secs(24 * 60 * 60);

const SENDER: u8 = b's';
const EXPIRY: u8 = b'e';
const COUNT: &[u8] = b"n";
const EXPIRY_KEY_HEAD_SIZE_BYTES: usize = 1 + 8;

/// A stored number, by the release of its shape. Never reorder: bincode numbers them.
#[derive(Debug, Serialize, Deserialize)]
enum Stored {
    V1(Known),
}

/// What is known of a sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Known {
    /// The last of its messages that was heard.
    pub(crate) last: Sequence,
    keep_until: Timestamp,
}

/// What an activation remembers of the rows.
#[derive(Debug, Default)]
pub(crate) struct Receipts {
    /// Senders in the store; `None` until the first message.
    count: Option<u64>,
    /// Senders whose rows the next receipt takes with it.
    forgotten: Vec<(ObjectId, Known)>,
}

impl Receipts {
    pub(crate) fn count(&self) -> Option<u64> {
        self.count
    }

    /// The sender will not repeat any message up to the one of `known`.
    pub(crate) fn forget(&mut self, sender: ObjectId, known: Known) {
        self.remember(sender);
        if self.forgotten.len() < FORGOTTEN_MAX {
            self.forgotten.push((sender, known));
        }
    }

    /// The sender is heard again, so its row stays.
    pub(crate) fn remember(&mut self, sender: ObjectId) {
        self.forgotten.retain(|(forgotten, _)| *forgotten != sender);
    }

    /// The commit with a receipt was accepted.
    pub(crate) fn entered(&mut self, count: u64) {
        self.count = Some(count);
        self.forgotten.clear();
    }

    /// The receipt of a message that is to be handled.
    pub(crate) fn receipt(
        &self,
        sender: ObjectId,
        sequence: Sequence,
        expires: Timestamp,
        found: Found,
    ) -> Receipt {
        Receipt {
            sender,
            sequence,
            expires,
            found,
            forgotten: self.forgotten.clone(),
        }
    }
}

/// What [`find`] found.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    /// The sender's row.
    pub(crate) known: Option<Known>,
    count: u64,
    /// Rows of other senders whose time has come: keys of the index by time.
    expired: Vec<Bytes>,
}

/// Looks for a sender, and when it is new, for rows whose time has come. `count` is what the last
/// receipt of the activation gave.
pub(crate) async fn find(
    store: &dyn Store,
    object: &Object,
    sender: &ObjectId,
    now: Timestamp,
    count: Option<u64>,
) -> Result<Found, CallError> {
    let known = known(store, object, sender).await?;
    let count = match count {
        Some(count) => count,
        None => stored_count(store, object).await?,
    };
    let expired = if known.is_none() && count > 0 {
        expired(store, object, now).await?
    } else {
        Vec::new()
    };
    Ok(Found {
        known,
        count,
        expired,
    })
}

/// The sender's row.
pub(crate) async fn known(
    store: &dyn Store,
    object: &Object,
    sender: &ObjectId,
) -> Result<Option<Known>, CallError> {
    let key = sender_key(sender);
    let Some(stored) = store.get(object, Section::Incoming, &key).await? else {
        return Ok(None);
    };
    let Stored::V1(known) = codec::decode(&stored)
        .map_err(|error| corrupt(format!("the number of a sender does not decode: {error}")))?;
    Ok(Some(known))
}

async fn stored_count(store: &dyn Store, object: &Object) -> Result<u64, CallError> {
    let Some(stored) = store.get(object, Section::Incoming, COUNT).await? else {
        return Ok(0);
    };
    codec::decode(&stored).map_err(|error| corrupt(format!("the count of senders: {error}")))
}

/// The first rows of the index by time, as far as their time has come.
async fn expired(
    store: &dyn Store,
    object: &Object,
    now: Timestamp,
) -> Result<Vec<Bytes>, CallError> {
    let now = expiry_key(now, &ObjectId::from_bytes([0; 32]));
    let by_time = Scan {
        section: Section::Incoming,
        start: Bound::Included(Bytes::from_static(&[EXPIRY])),
        end: Bound::Excluded(now),
        direction: Direction::Forward,
        limit: PRUNED_MAX,
    };
    let entries = store.scan(object, by_time).await?;
    Ok(entries.into_iter().map(|(entry, _)| entry).collect())
}

/// That a message was heard, on its way into the commit that says so.
#[derive(Debug, Clone)]
pub(crate) struct Receipt {
    sender: ObjectId,
    sequence: Sequence,
    expires: Timestamp,
    found: Found,
    forgotten: Vec<(ObjectId, Known)>,
}

impl Receipt {
    /// **bounded**: whether the sender would be one too many.
    pub(crate) fn has_no_room(&self, senders_max: usize) -> bool {
        // One that takes as many as it may with it always has: a bound that was lowered is
        // reached in steps.
        let prunes_all = self.found.expired.len() == PRUNED_MAX;
        self.found.known.is_none() && !prunes_all && self.count() > senders_max as u64
    }

    /// Senders in the store once this is.
    fn count(&self) -> u64 {
        let new = u64::from(self.found.known.is_none());
        let gone = self.found.expired.len() + self.leaving().count();
        (self.found.count + new).saturating_sub(gone as u64)
    }

    /// Those forgotten that the pruning does not take anyway.
    fn leaving(&self) -> impl Iterator<Item = (&ObjectId, Bytes)> {
        let entry = |(sender, known): &'_ (ObjectId, Known)| expiry_key(known.keep_until, sender);
        let entries = self
            .forgotten
            .iter()
            .map(move |forgotten| (&forgotten.0, entry(forgotten)));
        entries.filter(|(_, entry)| !self.found.expired.contains(entry))
    }

    /// Puts the number into the batch, and takes out what may be forgotten. Gives how many senders
    /// there are afterwards.
    pub(crate) fn enter(&self, batch: &mut WriteBatch) -> u64 {
        let section = Section::Incoming;
        let writes = &mut batch.writes;
        let mut delete = |key: Bytes| writes.push(Write::Delete { section, key });
        for entry in &self.found.expired {
            delete(
                [&[SENDER], &entry[EXPIRY_KEY_HEAD_SIZE_BYTES..]]
                    .concat()
                    .into(),
            );
            delete(entry.clone());
        }
        for (sender, entry) in self.leaving() {
            delete(sender_key(sender).into());
            delete(entry);
        }
        let needed = self.expires + GRACE;
        let kept = self.found.known.map(|known| known.keep_until);
        let keep_until = match kept {
            Some(kept) if kept >= needed => kept,
            Some(_) | None => needed + SLACK,
        };
        if let Some(kept) = kept
            && kept != keep_until
        {
            delete(expiry_key(kept, &self.sender));
        }
        let mut put = |key: Bytes, value: Bytes| {
            writes.push(Write::Put {
                section,
                key,
                value,
            });
        };
        if kept != Some(keep_until) {
            put(expiry_key(keep_until, &self.sender), Bytes::new());
        }
        let stored = Stored::V1(Known {
            last: self.sequence,
            keep_until,
        });
        put(sender_key(&self.sender).into(), encoded(&stored));
        let count = self.count();
        if count != self.found.count {
            put(Bytes::from_static(COUNT), encoded(&count));
        }
        count
    }
}

fn sender_key(sender: &ObjectId) -> Vec<u8> {
    [&[SENDER], &sender.as_bytes()[..]].concat()
}

fn expiry_key(keep_until: Timestamp, sender: &ObjectId) -> Bytes {
    let parts: [&[u8]; 3] = [&[EXPIRY], &keep_until.0.to_be_bytes(), sender.as_bytes()];
    parts.concat().into()
}

fn corrupt(detail: String) -> CallError {
    CallError::Read(ReadError::Corrupt(detail.into()))
}

#[cfg(test)]
mod tests;
