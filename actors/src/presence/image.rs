//! What is kept of a session's presence while its node restarts.
//!
//! It is a part of the session's own image, so that no row grows with the crowd. Whoever was here
//! before comes back at the same place in the order, whichever session is restored first.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::roster::Turn;
use super::{Home, Known, Presence};
use crate::session::SessionCore;

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

impl Presence {
    /// What the session is here; pending changes are of turns that are not over.
    pub(crate) fn image(&self, session: &SessionCore) -> PresenceImage {
        let known = self.0.lock();
        let Some(known) = &*known else {
            return PresenceImage::default();
        };
        let board = &known.board;
        let place = board.roster().place(session.id);
        let member = place.map(|((since, order), member, state)| MemberImage {
            id: member.id().to_owned(),
            state: state.as_ref().to_owned(),
            since: since.0,
            order: order.0,
        });
        PresenceImage {
            member,
            watches: board.watches(session.id),
            clients_may: board.clients_may(),
        }
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
