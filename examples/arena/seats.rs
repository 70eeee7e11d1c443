//! Who plays in a room: players by their token, each with a ship.

use std::collections::BTreeMap;

use abide::prelude::*;

use crate::view::Block;

/// Players of one room, those who are away among them; the rest of the world's ships are drones.
pub(crate) const SEATS_MAX: usize = 240;

/// A player's place.
#[derive(Debug, Clone)]
pub(crate) struct Seat {
    pub(crate) name: String,
    pub(crate) hue: u16,
    pub(crate) ship: u32,
    /// `None` once the player's session has ended. One that has only lost its connection is still here.
    pub(crate) session: Option<SessionId>,
    /// The tick at which it ended.
    pub(crate) away_since: u32,
    /// What its session watches.
    pub(crate) sight: Sight,
}

/// What a session watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sight {
    /// The score table, as everybody does who comes.
    Newcomer,
    /// The score table and four sectors.
    Sectors(Block),
    /// Nothing: there is no connection to show it to.
    Nothing,
}

/// The players by their tokens, and by what else they are looked for.
#[derive(Debug, Default)]
pub(crate) struct Seats {
    by_token: BTreeMap<String, Seat>,
    ships: BTreeMap<SessionId, u32>,
    tokens: BTreeMap<u32, String>,
}

impl Seats {
    pub(crate) fn insert(&mut self, token: String, seat: Seat) {
        self.tokens.insert(seat.ship, token.clone());
        if let Some(session) = seat.session {
            self.ships.insert(session, seat.ship);
        }
        self.by_token.insert(token, seat);
    }

    pub(crate) fn remove(&mut self, ship: u32) {
        if let Some(token) = self.tokens.remove(&ship) {
            self.by_token.remove(&token);
        }
    }

    /// The session takes the seat; the one that had it before is given back.
    pub(crate) fn take(&mut self, token: &str, session: SessionId) -> Option<SessionId> {
        let seat = self.by_token.get_mut(token)?;
        let before = seat.session.replace(session);
        seat.sight = Sight::Newcomer;
        self.ships.insert(session, seat.ship);
        if let Some(before) = before.filter(|before| *before != session) {
            self.ships.remove(&before);
            return Some(before);
        }
        None
    }

    /// The session has ended. Answers the ship whose player is away now: none, when another session
    /// has taken over.
    pub(crate) fn leave(&mut self, session: SessionId, tick: u32) -> Option<u32> {
        let ship = self.ships.remove(&session)?;
        let seat = self.of_mut(ship)?;
        if seat.session != Some(session) {
            return None;
        }
        seat.session = None;
        seat.away_since = tick;
        Some(ship)
    }

    pub(crate) fn by_token(&self, token: &str) -> Option<&Seat> {
        self.by_token.get(token)
    }

    /// The player of a ship; a drone has none.
    pub(crate) fn of(&self, ship: u32) -> Option<&Seat> {
        self.by_token.get(self.tokens.get(&ship)?)
    }

    fn of_mut(&mut self, ship: u32) -> Option<&mut Seat> {
        self.by_token.get_mut(self.tokens.get(&ship)?)
    }

    pub(crate) fn ship_of(&self, session: SessionId) -> Option<u32> {
        self.ships.get(&session).copied()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&String, &Seat)> {
        self.by_token.iter()
    }

    /// The seat that a session has.
    pub(crate) fn of_session_mut(&mut self, session: SessionId) -> Option<&mut Seat> {
        self.of_mut(self.ship_of(session)?)
    }

    pub(crate) fn len(&self) -> usize {
        self.by_token.len()
    }

    /// Those who have a session.
    pub(crate) fn here(&self) -> usize {
        self.by_token
            .values()
            .filter(|seat| seat.session.is_some())
            .count()
    }
}
