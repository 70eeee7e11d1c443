//! What is kept of a session's presence while its node restarts.
//!
//! It is a part of the session's own image, so that no row grows with the crowd. Whoever was here
//! before comes back at the same place in the order, whichever session is restored first.

use std::sync::{Arc, Weak};

use serde::{Deserialize, Serialize};

use super::board::Board;
use super::roster::{Roster, Turn};
use super::{Change, Home, Known, Presence};
use crate::session::{SessionCore, SessionId, SessionSet};

/// What one session is to its object's presence.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PresenceImage {
    member: Option<MemberImage>,
    watches: bool,
    /// Of the object, told by each of its sessions.
    clients_may: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct MemberImage {
    id: String,
    state: String,
    since: u64,
    order: u64,
}

impl PresenceImage {
    /// Without the member.
    fn of(board: &Board, session: SessionId) -> Self {
        Self {
            member: None,
            watches: board.watches(session),
            clients_may: board.clients_may(),
        }
    }
}

impl MemberImage {
    fn of(roster: &Roster, session: SessionId) -> Option<Self> {
        let place = roster.place(session);
        place.map(|((since, order), member, state)| Self {
            id: member.id().to_owned(),
            state: state.as_ref().to_owned(),
            since: since.0,
            order: order.0,
        })
    }
}

impl Presence {
    /// What the session is here; pending changes are of turns that are not over.
    pub(crate) fn image(&self, session: &SessionCore) -> PresenceImage {
        let known = self.0.lock();
        let Some(known) = &*known else {
            return PresenceImage::default();
        };
        PresenceImage {
            member: MemberImage::of(known.board.roster(), session.id),
            ..PresenceImage::of(&known.board, session.id)
        }
    }

    /// What the session is here once all turns so far have left the gate, and this one, of which `staged` is.
    pub(crate) fn image_after(
        &self,
        session: &SessionCore,
        sessions: &SessionSet,
        staged: &[Arc<Change>],
    ) -> PresenceImage {
        let of_roster = |roster: &Roster| MemberImage::of(roster, session.id);
        let member = self.view(sessions, staged, of_roster);
        let known = self.0.lock();
        let mut image = match &*known {
            None => PresenceImage::default(),
            Some(known) => PresenceImage::of(&known.board, session.id),
        };
        let pending = known.iter().flat_map(|known| &known.pending);
        let pending = pending.filter_map(Weak::upgrade);
        for change in pending.chain(staged.iter().cloned()) {
            match &*change {
                Change::Watch(watcher) if watcher.id == session.id => image.watches = true,
                Change::Unwatch(watcher) if watcher.id == session.id => image.watches = false,
                Change::ClientsMay(may) => image.clients_may = *may,
                _ => {}
            }
        }
        PresenceImage { member, ..image }
    }

    /// Puts a session back that is on the object again.
    pub(crate) fn restore(&self, home: Home<'_>, session: &Arc<SessionCore>, image: PresenceImage) {
        if image == PresenceImage::default() {
            return;
        }
        let mut known = self.0.lock();
        let board = &mut Known::made(&mut known, home).board;
        if image.clients_may {
            board.let_clients();
        }
        if image.watches {
            board.enter_watcher(session);
        }
        if let Some(MemberImage {
            id,
            state,
            since,
            order,
        }) = image.member
        {
            let place = (Turn(since), Turn(order));
            board.put_back(session.id, place, id.into(), state.into());
        }
        board.weigh();
    }
}

#[cfg(test)]
mod tests;
