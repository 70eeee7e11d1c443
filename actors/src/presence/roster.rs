//! Who is here: sessions, and the members they make. No time, no watchers, no locks.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::Change;
use super::listing::{Bounds, Listed, Listing};
use crate::session::{SessionId, SessionSet};

/// Counts members as they come and states as they are given, so that there is an order of both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Turn(pub(super) u64);

/// One who is here: a session, or all sessions of one key.
#[derive(Clone, PartialEq, Eq)]
pub struct Member {
    pub(super) id: Arc<str>,
    /// As JSON: what one of its sessions gave last, of those that are still here.
    pub(super) state: Arc<str>,
}

impl Member {
    /// The key the actor gave, or else the session's number.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its state; `None` when that is not a `T`.
    #[must_use]
    pub fn state<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_str(&self.state).ok()
    }

    /// Its state as JSON.
    #[must_use]
    pub fn state_json(&self) -> &str {
        &self.state
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.id, self.state)
    }
}

/// The members, in the order they came. A member is held by its sessions.
#[derive(Default)]
pub(crate) struct Roster {
    members: BTreeMap<Turn, Member>,
    by_id: HashMap<Arc<str>, Turn>,
    /// What each session gave, by its member and then in the order given. One map for all, so that
    /// a member of many sessions costs no more per session than many members.
    given: BTreeMap<(Turn, Turn), Arc<str>>,
    /// Where in `given` a session is found.
    places: HashMap<SessionId, (Turn, Turn)>,
    last: Turn,
    size_bytes: usize,
}

/// What a member, and a session of it, cost beside what they carry: their places in the maps.
const MEMBER_OVERHEAD_BYTES: usize = 192;
const SESSION_OVERHEAD_BYTES: usize = 160;

impl Roster {
    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }

    /// What it takes of the node's memory.
    pub(super) fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// Looks at what it would be after these changes. They are made and taken back one by one: a copy
    /// would cost each turn of a crowded object the whole crowd.
    pub(super) fn seen_after<T>(
        &mut self,
        changes: impl Iterator<Item = Arc<Change>>,
        sessions: &SessionSet,
        see: impl FnOnce(&Self) -> T,
    ) -> T {
        let mut before = Vec::new();
        for change in changes {
            if let Some(session) = change.session() {
                let place = self.place(session.id);
                let place =
                    place.map(|(place, member, state)| (place, member.id.clone(), state.clone()));
                before.push((session.id, place));
                self.take(&change, sessions);
            }
        }
        let seen = see(self);
        for (session, place) in before.into_iter().rev() {
            match place {
                Some((place, id, state)) => self.put_back(session, place, id, state),
                None => _ = self.absent(session),
            }
        }
        seen
    }

    /// Takes over a change, unless its session is not on the object. `ClientsMay` and watching are
    /// no part of who is here.
    fn take(&mut self, change: &Change, sessions: &SessionSet) {
        match change {
            Change::Present { session, id, state } if sessions.contains(session.id) => {
                self.present(session.id, id.clone(), state.clone());
            }
            Change::Absent(session) => _ = self.absent(session.id),
            Change::Present { .. }
            | Change::Watch(_)
            | Change::Unwatch(_)
            | Change::ClientsMay(_) => {}
        }
    }

    /// A session is here with this state; without an id as the member it is, or by its own number.
    pub(super) fn present(&mut self, session: SessionId, id: Option<Arc<str>>, state: Arc<str>) {
        let known = self.places.get(&session).copied();
        let current = known.map(|(member, _)| &self.members[&member].id);
        let id = id
            .or_else(|| current.cloned())
            .unwrap_or_else(|| session.to_string().into());
        if current == Some(&id) {
            // Its member stays where it is, even when this is its only session.
            self.take_back(session);
        } else {
            self.absent(session);
        }
        let member = match self.by_id.get(&id) {
            Some(member) => *member,
            None => self.enter(id, self.next()),
        };
        self.give(session, (member, self.next()), state);
    }

    /// A session is not here any more. `false`: it was not.
    pub(super) fn absent(&mut self, session: SessionId) -> bool {
        let Some((member, _)) = self.take_back(session) else {
            return false;
        };
        if !self.show_newest(member) {
            let gone = self.members.remove(&member);
            let gone = gone.expect("a member is there until its last session goes");
            self.size_bytes -= MEMBER_OVERHEAD_BYTES + gone.id.len();
            self.by_id.remove(&gone.id);
        }
        true
    }

    /// The place a session has, the id of its member and what it gave.
    pub(super) fn place(&self, session: SessionId) -> Option<((Turn, Turn), &Member, &Arc<str>)> {
        let place = self.places.get(&session)?;
        Some((*place, &self.members[&place.0], &self.given[place]))
    }

    /// Puts a session back where it was, or last where that is taken.
    pub(super) fn put_back(
        &mut self,
        session: SessionId,
        (member, order): (Turn, Turn),
        id: Arc<str>,
        state: Arc<str>,
    ) {
        self.absent(session);
        let member = match self.by_id.get(&id) {
            Some(member) => *member,
            None if self.members.contains_key(&member) => self.enter(id, self.next()),
            None => self.enter(id, member),
        };
        let is_taken = self.given.contains_key(&(member, order));
        let order = if is_taken { self.next() } else { order };
        self.give(session, (member, order), state);
        self.show_newest(member);
    }

    /// Those here for the longest, within bounds.
    pub(super) fn listing(&self, bounds: Bounds) -> Listing {
        let mut entries = Vec::new();
        let mut size_bytes = 0;
        for (since, member) in self.members.iter().take(bounds.members_max) {
            size_bytes += member.id.len() + member.state.len();
            if size_bytes > bounds.max_bytes {
                break;
            }
            entries.push(Listed {
                since: *since,
                member: member.clone(),
            });
        }
        let count = self.members.len();
        Listing { entries, count }
    }

    fn next(&self) -> Turn {
        Turn(self.last.0 + 1)
    }

    /// A member has the state that was given last. `false`: none of its sessions is left.
    fn show_newest(&mut self, member: Turn) -> bool {
        let given = (member, Turn(0))..=(member, Turn(u64::MAX));
        let newest = self.given.range(given).next_back();
        let Some((_, state)) = newest else {
            return false;
        };
        let member = self.members.get_mut(&member);
        member.expect("a session has a member").state = state.clone();
        true
    }

    /// A member comes; what state it has, its sessions say.
    fn enter(&mut self, id: Arc<str>, since: Turn) -> Turn {
        self.last = self.last.max(since);
        self.size_bytes += MEMBER_OVERHEAD_BYTES + id.len();
        self.by_id.insert(id.clone(), since);
        let state = "null".into();
        self.members.insert(since, Member { id, state });
        since
    }

    fn give(&mut self, session: SessionId, place: (Turn, Turn), state: Arc<str>) {
        self.last = self.last.max(place.1);
        self.size_bytes += SESSION_OVERHEAD_BYTES + state.len();
        self.given.insert(place, state.clone());
        self.places.insert(session, place);
        let member = self.members.get_mut(&place.0);
        member.expect("a session has a member").state = state;
    }

    /// Takes back what a session gave; its member stays for now.
    fn take_back(&mut self, session: SessionId) -> Option<(Turn, Turn)> {
        let place = self.places.remove(&session)?;
        let given = self.given.remove(&place);
        let given = given.expect("a session is where it was put");
        self.size_bytes -= SESSION_OVERHEAD_BYTES + given.len();
        Some(place)
    }
}
