//! The lobby: which rooms there are, and how many play in each.

use std::collections::BTreeMap;

use abide::prelude::*;

/// The one object of this kind.
pub(crate) const LOBBY: &str = "lobby";
/// Rooms that are listed.
const ROOMS_MAX: usize = 1_000;
/// A room that has not told for this long is not shown: its server may have been killed.
const FRESH_MS: u64 = 90_000;

/// Rooms by name. They tell of themselves with `ctx.send`, so a number is never lost and never told twice.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Lobby {
    rooms: BTreeMap<String, Told>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Told {
    players: u32,
    at: u64,
}

/// A room as the lobby shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Room {
    pub(crate) name: String,
    pub(crate) players: u32,
}

#[actor]
impl Lobby {
    /// How many play in a room now.
    #[call]
    fn report(
        &mut self,
        ctx: &mut Context<Self>,
        room: String,
        players: u32,
    ) -> Result<(), CallError> {
        let now = ctx.now().0;
        self.rooms.retain(|_, told| is_fresh(told, now));
        if players == 0 {
            self.rooms.remove(&room);
        } else if self.rooms.len() < ROOMS_MAX || self.rooms.contains_key(&room) {
            self.rooms.insert(room, Told { players, at: now });
        }
        ctx.broadcast_json(&self.listed(now))
    }

    /// The rooms where somebody plays, the fullest first.
    #[call]
    fn rooms(&self, ctx: &Context<Self>) -> Vec<Room> {
        self.listed(ctx.now().0)
    }

    fn connected(
        &mut self,
        ctx: &mut Context<Self>,
        session: &Session,
        _request: &ConnectRequest,
    ) -> Result<(), CallError> {
        session.send_json(&self.listed(ctx.now().0))
    }

    fn listed(&self, now: u64) -> Vec<Room> {
        let fresh = self.rooms.iter().filter(|(_, told)| is_fresh(told, now));
        let mut listed: Vec<Room> = fresh
            .map(|(name, told)| Room {
                name: name.clone(),
                players: told.players,
            })
            .collect();
        listed.sort_by_key(|room| std::cmp::Reverse(room.players));
        listed
    }
}

fn is_fresh(told: &Told, now: u64) -> bool {
    now.saturating_sub(told.at) < FRESH_MS
}
