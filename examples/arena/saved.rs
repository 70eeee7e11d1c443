//! What of a world outlives a crash: the ships of the players, as they were up to two seconds before.
//!
//! Positions change twenty times a second, and nobody minds where exactly a ship is after a
//! power cut; so they are written together, now and then. Points are another matter: `best.rs`.

use abide::prelude::*;

use crate::seats::{Seat, Seats, Sight};
use crate::world::World;
use crate::world::body::Body;
use crate::world::rules::HULL_MAX;
use crate::world::ship::Pilot;

const KEY: &str = "ships";
/// Clients have seen ticks that were not saved; more of them than this there cannot be.
const TICKS_AHEAD: u32 = 1_000;

/// The row.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Saved {
    tick: u32,
    ships: Vec<SavedShip>,
}

#[derive(Debug, Serialize, Deserialize)]
struct SavedShip {
    token: String,
    name: String,
    hue: u16,
    score: u32,
    streak: u32,
    hull: u8,
    shield: u8,
    x: f64,
    y: f64,
    angle: f64,
}

/// Stages the players' ships.
///
/// # Errors
/// When the row cannot be staged.
pub(crate) fn stage<A>(
    ctx: &mut Context<A>,
    world: &World,
    seats: &Seats,
) -> Result<(), CallError> {
    let ships = seats.iter().filter_map(|(token, seat)| {
        let ship = world.ships.get(&seat.ship)?;
        Some(SavedShip {
            token: token.clone(),
            name: seat.name.clone(),
            hue: seat.hue,
            score: ship.score,
            streak: ship.streak,
            hull: ship.hull,
            shield: ship.shield,
            x: ship.body.x,
            y: ship.body.y,
            angle: ship.body.angle,
        })
    });
    let saved = Saved {
        tick: world.tick,
        ships: ships.collect(),
    };
    ctx.storage_mut().put(KEY, &saved)
}

/// A world with the ships that were saved, their players away.
///
/// # Errors
/// When the storage cannot be read.
pub(crate) async fn load<A>(ctx: &Context<A>) -> Result<(World, Seats), CallError> {
    let saved: Saved = ctx.storage().get(KEY).await?.unwrap_or_default();
    let mut world = World::new(ctx.random_u64(), saved.tick + TICKS_AHEAD);
    let mut seats = Seats::default();
    for saved in saved.ships {
        let Some(id) = world.launch(Pilot::Away) else {
            break;
        };
        let tick = world.tick;
        if let Some(ship) = world.ships.get_mut(&id) {
            let body = Body {
                x: saved.x,
                y: saved.y,
                angle: saved.angle,
                ..ship.body
            };
            ship.body = body;
            ship.score = saved.score;
            ship.streak = saved.streak;
            ship.hull = saved.hull.clamp(1, HULL_MAX);
            ship.shield = saved.shield;
        }
        let seat = Seat {
            name: saved.name,
            hue: saved.hue,
            ship: id,
            session: None,
            away_since: tick,
            sight: Sight::Newcomer,
        };
        seats.insert(saved.token, seat);
    }
    Ok((world, seats))
}
