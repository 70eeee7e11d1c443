//! What an activation knows of the rows of its object's durable sessions.
//!
//! ```text
//!  turn rows      v5      v7      v8      v9
//!                 ▓ ▓     ▓       ▓ ▓     ▓        a message that somebody has not acknowledged
//!  ada            4       5       6       7        one number per message, in the order of the commits
//!  bob            9               10               acknowledged up to 9: of v5 only ada's is wanted
//! ```
//! A turn row nobody wants any more goes with the next commit that there is anyway. With it goes what says that
//! the numbers were given, so that commit records as the *base* of each session what it has acknowledged.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use abide_storage::{Timestamp, Version};

use crate::session::kept::row::{Key, TurnMessage};
use crate::session::{SessionCore, SessionId};
use crate::teeth::{Tooth, broken};

/// Sessions whose acknowledgements are looked at by one turn, beside those that it sends to: a turn that
/// has nothing to do with a crowd should not pay for it.
const LOOKS_MAX: usize = 64;
/// What a session and a message cost in memory: their places in the maps.
const SESSION_BYTES: usize = 256;
const MESSAGE_BYTES: usize = 128;

/// See the module's documentation.
#[derive(Default)]
pub(crate) struct Journal {
    pub(super) sessions: BTreeMap<SessionId, Entry>,
    /// Rows of turns, with how many of their messages somebody may still want.
    pub(super) turns: BTreeMap<Version, usize>,
    /// All of those.
    pub(super) wanted: usize,
    /// Rows that the next commit deletes.
    pub(super) gone: Vec<Key>,
    /// Sessions among them whose end the object was told of before.
    pub(super) ended: Vec<SessionId>,
    /// Sessions that have acknowledged more than a row says.
    pub(super) unrecorded: BTreeSet<SessionId>,
    /// When the entry is due that brings the object back after a crash; `None` without durable sessions.
    pub(super) wake: Option<Timestamp>,
    /// Whose acknowledgements were looked at last.
    pub(super) looked_at: Option<SessionId>,
}

/// One durable session, as the store has it once all commits so far are durable.
pub(super) struct Entry {
    pub(super) core: Arc<SessionCore>,
    /// The client's messages that have taken effect.
    pub(super) received: u64,
    /// What a row says to be acknowledged.
    pub(super) base: u64,
    /// The store knows that it is over: it is sent nothing any more.
    pub(super) is_over: bool,
    pub(super) line: Line,
}

/// What one session was sent.
#[derive(Default)]
pub(super) struct Line {
    /// The number of the last message.
    pub(super) sent: u64,
    pub(super) acknowledged: u64,
    /// Messages in rows of turns that the client may still want, by number.
    pub(super) kept: BTreeMap<u64, Kept>,
    /// The newest of each key among them.
    latest: HashMap<Arc<str>, u64>,
}

pub(super) struct Kept {
    pub(super) version: Version,
    class: KeptClass,
}

enum KeptClass {
    Reliable,
    Latest(Arc<str>),
    /// Only the last number counts.
    Lossy,
}

/// **same-number**: the last number that a turn has given to a session; its queue must come to the same.
pub(crate) struct Numbered {
    pub(super) session: Arc<SessionCore>,
    pub(super) last: u64,
}

impl Numbered {
    /// All that the turn has sent is in the queue.
    pub(crate) fn compare(&self) {
        if let Some(sent) = self.session.outbound.sent_while_open() {
            assert_eq!(
                sent, self.last,
                "same-number: a message of a durable session has the number it was committed with"
            );
        }
    }
}

impl Line {
    /// The next message, in the row of this version. Gives the rows in which a message was that this one
    /// makes needless.
    pub(super) fn push(
        &mut self,
        number: u64,
        version: Version,
        message: &TurnMessage,
    ) -> Vec<Version> {
        let mut needless = Vec::new();
        // The number of a message that may be left out matters until there is a higher one.
        if let Some((&last, kept)) = self.kept.last_key_value()
            && matches!(kept.class, KeptClass::Lossy)
        {
            needless.extend(self.take(last));
        }
        let class = match message {
            TurnMessage::Reliable(_) => KeptClass::Reliable,
            TurnMessage::Latest(key, _) => {
                if let Some(older) = self.latest.get(key).copied() {
                    needless.extend(self.take(older));
                }
                self.latest.insert(key.clone(), number);
                KeptClass::Latest(key.clone())
            }
            TurnMessage::Lossy => KeptClass::Lossy,
        };
        self.kept.insert(number, Kept { version, class });
        self.sent = number;
        needless
    }

    fn take(&mut self, number: u64) -> Option<Version> {
        let kept = self.kept.remove(&number)?;
        if let KeptClass::Latest(key) = &kept.class
            && self.latest.get(key) == Some(&number)
        {
            self.latest.remove(key);
        }
        Some(kept.version)
    }

    /// The client has all up to this. Gives the rows in which that was.
    pub(super) fn acknowledge(&mut self, number: u64) -> Vec<Version> {
        self.acknowledged = self.acknowledged.max(number).min(self.sent);
        let mut needless = Vec::new();
        while let Some((&number, _)) = self.kept.first_key_value()
            && number <= self.acknowledged
        {
            needless.extend(self.take(number));
        }
        needless
    }

    /// Nothing is wanted any more. Gives the rows in which something was.
    pub(super) fn forget(&mut self) -> Vec<Version> {
        self.latest = HashMap::new();
        let kept = std::mem::take(&mut self.kept);
        kept.into_values().map(|kept| kept.version).collect()
    }
}

impl Journal {
    /// Whether a durable session has this id.
    pub(crate) fn has(&self, session: SessionId) -> bool {
        self.sessions.contains_key(&session)
    }

    /// Whether there are rows of a durable session of this id, be it one that has ended.
    pub(crate) fn has_rows(&self, session: SessionId) -> bool {
        self.has(session) || self.ended.contains(&session)
    }

    /// Whether there is nothing left that a commit should know of.
    pub(crate) fn is_empty(&self) -> bool {
        self.sessions.is_empty() && self.gone.is_empty() && self.wake.is_none()
    }

    /// What it takes of the node's memory.
    pub(crate) fn size_bytes(&self) -> usize {
        self.sessions.len() * SESSION_BYTES + self.wanted * MESSAGE_BYTES
    }

    /// Takes over what some of the clients have acknowledged.
    pub(super) fn look_around(&mut self) {
        let from = self.looked_at.map_or(Bound::Unbounded, Bound::Excluded);
        let next = self.sessions.range((from, Bound::Unbounded));
        let ids: Vec<SessionId> = next.map(|(id, _)| *id).take(LOOKS_MAX).collect();
        self.looked_at = ids.last().copied().filter(|_| ids.len() == LOOKS_MAX);
        for id in ids {
            self.look_at(id);
        }
    }

    /// Takes over what this client has acknowledged.
    pub(super) fn look_at(&mut self, session: SessionId) {
        if let Some(entry) = self.sessions.get_mut(&session) {
            let acknowledged = if broken(Tooth::ForgetDurableEarly) {
                entry.line.sent
            } else {
                entry.core.outbound.acknowledged()
            };
            let needless = entry.line.acknowledge(acknowledged);
            if entry.line.acknowledged > entry.base {
                self.unrecorded.insert(session);
            }
            self.are_needless(needless);
        }
    }

    /// One message less is wanted of each of these rows.
    pub(super) fn are_needless(&mut self, rows: impl IntoIterator<Item = Version>) {
        for version in rows {
            let wanted = self.turns.get_mut(&version);
            let wanted = wanted.expect("a row lasts as long as a message of it is wanted");
            *wanted -= 1;
            self.wanted -= 1;
            if *wanted == 0 {
                self.turns.remove(&version);
                self.gone.push(Key::Turn(version));
            }
        }
    }
}
