//! Presence: who is here, with a little state each, told to those who watch without waking the object.
//!
//! ```text
//! session.present(…) ── staged ── output gate ─┐
//! a client's own state ────────────────────────┼─► Roster ─► Board ─► flusher ─► watchers
//! a session's end ─────────────────────────────┘   who        what they have    every 100 ms
//!                                                  is here    been shown        at most
//! ```
//!
//! It lies beside the object's sessions, so it outlives the activation. What makes it right:
//!
//! - **no ghosts**: a member is held by its sessions. It goes with the last of them, and nothing
//!   that comes late, as a commit that was under way, brings it back.
//! - **durable-before-visible**: what a turn stages is shown when the turn has left the gate. The
//!   turns of the object see it at once ([`Presence::view`]); should the commit fail, they do not
//!   any more, as nobody else ever did.
//! - **bounded**: watchers are shown who is here for the longest, so many and so many bytes, and the
//!   exact count. What all of it may cost an object's watchers in a second is bounded, too
//!   ([`board`](self::board)).

mod board;
mod client;
mod flusher;
mod image;
mod listing;
mod roster;
mod wire;

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use abide_storage::ObjectId;
use parking_lot::Mutex;
use serde::Serialize;

use board::{Board, Round};
pub use client::PresenceRefused;
pub(crate) use flusher::Flusher;
pub(crate) use image::PresenceImage;
pub use roster::Member;
pub(crate) use roster::Roster;

use crate::call::CallError;
use crate::node::Node;
use crate::session::{SessionCore, SessionId, SessionSet};

/// Largest state of a member, as JSON.
pub const PRESENCE_STATE_SIZE_MAX_BYTES: usize = 4 * 1024;
/// Longest key of a member.
pub const PRESENCE_KEY_SIZE_MAX_BYTES: usize = 256;

/// Something a turn changes about who is here or who watches.
pub(crate) enum Change {
    Present {
        session: Arc<SessionCore>,
        /// `None`: as the member it is, or by its own number.
        id: Option<Arc<str>>,
        state: Arc<str>,
    },
    Absent(Arc<SessionCore>),
    Watch(Arc<SessionCore>),
    Unwatch(Arc<SessionCore>),
    /// Whether clients set their own state.
    ClientsMay(bool),
}

impl Change {
    /// # Errors
    /// [`CallError::Unencodable`], or [`CallError::LimitExceeded`] for a key or a state too large.
    pub(crate) fn present<T: Serialize + ?Sized>(
        session: &Arc<SessionCore>,
        key: Option<&str>,
        state: &T,
    ) -> Result<Self, CallError> {
        let exceeded = |what, max_bytes| CallError::LimitExceeded {
            what,
            limit: format!("{max_bytes} bytes"),
        };
        if key.is_some_and(|key| key.len() > PRESENCE_KEY_SIZE_MAX_BYTES) {
            let what = "length of a member's key";
            return Err(exceeded(what, PRESENCE_KEY_SIZE_MAX_BYTES));
        }
        let state = serde_json::to_string(state).map_err(|error| CallError::Unencodable {
            what: "presence",
            detail: error.to_string(),
        })?;
        if state.len() > PRESENCE_STATE_SIZE_MAX_BYTES {
            let what = "size of a member's state";
            return Err(exceeded(what, PRESENCE_STATE_SIZE_MAX_BYTES));
        }
        Ok(Self::Present {
            session: session.clone(),
            id: key.map(Arc::from),
            state: state.into(),
        })
    }

    /// What it carries, bytes.
    pub(crate) fn size_bytes(&self) -> usize {
        match self {
            Self::Present { id, state, .. } => state.len() + id.as_ref().map_or(0, |id| id.len()),
            Self::Absent(_) | Self::Watch(_) | Self::Unwatch(_) | Self::ClientsMay(_) => 0,
        }
    }

    /// The session it is about.
    pub(crate) fn session(&self) -> Option<&Arc<SessionCore>> {
        match self {
            Self::Present { session, .. }
            | Self::Absent(session)
            | Self::Watch(session)
            | Self::Unwatch(session) => Some(session),
            Self::ClientsMay(_) => None,
        }
    }
}

/// One object's presence. Costs a pointer and a lock as long as it is not used.
#[derive(Default)]
pub(crate) struct Presence(Mutex<Option<Box<Known>>>);

struct Known {
    board: Board,
    /// What turns have changed and has not left the gate, in order. A change that was let out, or
    /// whose commit failed, is dropped by the one who held it, and so is no more.
    pending: VecDeque<Weak<Change>>,
}

/// Where an object's presence is at home: needed when the first of it is shown.
#[derive(Clone, Copy)]
pub(crate) struct Home<'a> {
    pub(crate) node: &'a Node,
    pub(crate) object: ObjectId,
    pub(crate) sessions: &'a SessionSet,
}

impl Presence {
    /// A turn that has changed this is sealed: the next one is to see it.
    pub(crate) fn pend(&self, home: Home<'_>, change: &Arc<Change>) {
        let mut known = self.0.lock();
        let known = Known::made(&mut known, home);
        known.forget_past();
        known.pending.push_back(Arc::downgrade(change));
    }

    /// The turn has left the gate: its change is shown.
    ///
    /// Whether the session is on the object is looked at under this lock, and a session that ends
    /// is taken off its object before it is taken off here ([`gone`](Self::gone)). So either the one
    /// or the other sees it: **no ghosts**.
    pub(crate) fn show(&self, home: Home<'_>, change: &Change) {
        let mut known = self.0.lock();
        let here = Known::made(&mut known, home);
        here.forget_past();
        let session = change.session();
        if session.is_none_or(|session| home.sessions.contains(session.id)) {
            here.board.show(change);
        }
        Known::forget_if_empty(&mut known);
    }

    /// The session is not on the object any more.
    pub(crate) fn gone(&self, session: SessionId) {
        let mut known = self.0.lock();
        if let Some(known) = &mut *known {
            known.board.gone(session);
        }
        Known::forget_if_empty(&mut known);
    }

    /// Who is here as the object's own turns see it: with what earlier turns have changed and this
    /// one, of which `staged` is.
    pub(crate) fn view<T>(
        &self,
        sessions: &SessionSet,
        staged: &[Arc<Change>],
        see: impl FnOnce(&Roster) -> T,
    ) -> T {
        let mut known = self.0.lock();
        let Some(known) = &mut *known else {
            return Roster::default().seen_after(staged.iter().cloned(), sessions, see);
        };
        let pending = known.pending.iter().filter_map(Weak::upgrade);
        let ahead = pending.chain(staged.iter().cloned());
        known.board.roster_mut().seen_after(ahead, sessions, see)
    }

    /// How many are here.
    pub(crate) fn len(&self) -> usize {
        let known = self.0.lock();
        known.as_ref().map_or(0, |known| known.board.roster().len())
    }

    /// What is to be told to whom now; `None` when it is not due.
    fn round(&self, limits: listing::Bounds) -> Option<Round> {
        let mut known = self.0.lock();
        known.as_mut()?.board.round(limits)
    }

    /// What these sessions were told has not reached them, or is forgotten: they have a new
    /// connection. If they watch, they are told all of it again.
    pub(crate) fn sync_anew(&self, sessions: impl IntoIterator<Item = SessionId>) {
        if let Some(known) = &mut *self.0.lock() {
            for session in sessions {
                known.board.sync_anew(session);
            }
        }
    }
}

impl Known {
    fn made<'a>(known: &'a mut Option<Box<Self>>, home: Home<'_>) -> &'a mut Self {
        known.get_or_insert_with(|| {
            Box::new(Self {
                board: Board::new(home.node, home.object),
                pending: VecDeque::new(),
            })
        })
    }

    fn forget_past(&mut self) {
        let is_past = |change: &Weak<Change>| change.strong_count() == 0;
        while self.pending.front().is_some_and(is_past) {
            self.pending.pop_front();
        }
    }

    /// An object whose presence is not used any more pays nothing for it.
    fn forget_if_empty(known: &mut Option<Box<Self>>) {
        let unused = |known: &Self| {
            known.board.is_empty() && known.pending.iter().all(|past| past.strong_count() == 0)
        };
        if known.as_deref().is_some_and(unused) {
            *known = None;
        }
    }
}
