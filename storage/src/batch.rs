//! What one turn writes.

use bytes::Bytes;

use crate::id::{Epoch, Object, Timestamp, Version};

/// Which of an object's rows a key belongs to. The number is part of the key on disk: never
/// renumber, never reuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Section {
    /// The encoded value of the actor itself; one row, empty key.
    State = 0x01,
    /// The object's alarms, by name. Loaded together with the state when it is opened.
    Alarm = 0x02,
    /// The messages the object has sent and that have not arrived yet, in the order of their keys.
    /// Loaded together with the state when it is opened.
    Outgoing = 0x03,
    /// Sessions that a restart is not to end, one row each, kept from a drain to the next opening.
    /// Loaded together with the state when it is opened.
    Session = 0x04,
    /// The object's key-value storage.
    Data = 0x10,
    /// The replies the object owes to those who repeat a call with its idempotency key.
    Idempotency = 0x20,
    /// Up to which of their messages the object has heard its senders.
    Incoming = 0x22,
    // 0x30 is reserved for the frames of sessions that are to outlive a crash.
}

impl Section {
    pub(crate) const ALL: [Self; 7] = [
        Self::State,
        Self::Alarm,
        Self::Data,
        Self::Idempotency,
        Self::Outgoing,
        Self::Incoming,
        Self::Session,
    ];

    /// Whether this release stores rows under the number.
    pub(crate) fn is_known(number: u8) -> bool {
        Self::ALL.iter().any(|section| *section as u8 == number)
    }
}

/// One change to one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// Sets the row.
    Put {
        /// Where.
        section: Section,
        /// Key inside the section, at most [`KEY_SIZE_MAX_BYTES`].
        key: Bytes,
        /// The row's new value.
        value: Bytes,
    },
    /// Removes the row; removing an absent row is fine.
    Delete {
        /// Where.
        section: Section,
        /// Key inside the section.
        key: Bytes,
    },
    /// Enters an alarm into the store's index by time ([`Store::alarms`](crate::Store::alarms)).
    ScheduleAlarm {
        /// When it is due.
        due: Timestamp,
        /// Its name, unique in the object.
        name: Bytes,
    },
    /// Removes an alarm from the index by time.
    UnscheduleAlarm {
        /// When it was due, exactly as scheduled.
        due: Timestamp,
        /// Its name.
        name: Bytes,
    },
}

/// Name of the entry that an object with rows in [`Section::Outgoing`] has in the index of alarms,
/// so that it is found again after a restart. It has no row in [`Section::Alarm`], and no alarm of
/// actor code can have this name: it is no UTF-8.
pub const OUTGOING_WAKE: &[u8] = &[0xff];

/// The same for an object with rows in [`Section::Session`].
pub const SESSIONS_WAKE: &[u8] = &[0xfe];

/// Longest key inside a section, bytes.
pub const KEY_SIZE_MAX_BYTES: usize = 2_048;

/// The writes of one turn, in order; a later write of the same row wins. Applied whole or not at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WriteBatch {
    /// The writes.
    pub writes: Vec<Write>,
}

impl WriteBatch {
    /// Whether there is nothing to commit.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }
}

/// A batch with all that the store must know to commit it.
#[derive(Debug, Clone)]
pub struct Commit {
    /// Whose rows.
    pub object: Object,
    /// The object's name when it has one; stored with the first commit, for listings.
    pub name: Option<std::sync::Arc<str>>,
    /// The epoch [`Store::open`](crate::Store::open) gave to this activation.
    pub epoch: Epoch,
    /// The version this commit makes: exactly one more than the activation's last one.
    pub version: Version,
    /// The writes.
    pub batch: WriteBatch,
}
