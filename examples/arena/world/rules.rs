//! The numbers of the game. `web/rules.js` says the same for the browser; `tests/` compares them.

use std::time::Duration;

/// Ticks per second.
pub(crate) const TICKS_PER_SECOND: u32 = 20;
/// One tick.
pub(crate) const TICK: Duration = Duration::from_millis(1_000 / TICKS_PER_SECOND as u64);
/// One tick in seconds: the step of the simulation.
pub(crate) const DT: f64 = 0.05;

/// The world is a square of this side, in units; a screen shows at most 1,360 of them.
pub(crate) const SIZE: f64 = 6_000.0;

/// Radians per second.
pub(crate) const TURN: f64 = 4.4;
/// Units per second squared.
pub(crate) const THRUST: f64 = 520.0;
/// The same with the afterburner lit.
pub(crate) const BOOST: f64 = 1_150.0;
/// Speed that is left after a tick.
pub(crate) const DRAG: f64 = 0.955;
/// Speed that is left after a bounce.
pub(crate) const BOUNCE: f64 = 0.55;
pub(crate) const SHIP_RADIUS: f64 = 20.0;

/// A full tank; the afterburner takes 4 per tick, a tick without it gives 1 back.
pub(crate) const ENERGY_MAX: i32 = 100;
pub(crate) const BOOST_COST: i32 = 4;
pub(crate) const ENERGY_BACK: i32 = 1;

pub(crate) const HULL_MAX: u8 = 5;
pub(crate) const SHIELD_MAX: u8 = 3;
/// Ticks between two shots.
pub(crate) const RELOAD: u32 = 5;
pub(crate) const RELOAD_RAPID: u32 = 3;
/// Units per second, on top of the ship's own.
pub(crate) const SHOT_SPEED: f64 = 880.0;
pub(crate) const SHOT_LIFE: u32 = 16;
pub(crate) const SHOT_RADIUS: f64 = 4.0;
/// Angle between the shots of a triple one, radians.
pub(crate) const SPREAD: f64 = 0.16;
/// How long a power-up lasts.
pub(crate) const POWER_TICKS: u32 = 12 * TICKS_PER_SECOND;
pub(crate) const POWER_RADIUS: f64 = 22.0;
/// How long one waits to be picked up.
pub(crate) const POWER_LIFE: u32 = 30 * TICKS_PER_SECOND;
/// A ship that has just come cannot be hit.
pub(crate) const SAFE_TICKS: u32 = 2 * TICKS_PER_SECOND;
/// After a bump no second one counts for as long as it takes to get away.
pub(crate) const BUMP_TICKS: u32 = TICKS_PER_SECOND / 2;
/// From a ship's end to its next life.
pub(crate) const DOWN_TICKS: u32 = 3 * TICKS_PER_SECOND;

/// Rocks drift about until there are this many large ones, or as much in smaller ones.
pub(crate) const ROCKS: u32 = 26;
/// Radius and hits of rocks, large ones first.
pub(crate) const ROCK_RADIUS: [f64; 3] = [74.0, 42.0, 22.0];
pub(crate) const ROCK_HULL: [u8; 3] = [4, 2, 1];
/// Large rocks a rock counts for, in ninths.
pub(crate) const ROCK_NINTHS: [u32; 3] = [9, 3, 1];

pub(crate) const POINTS_ROCK: [u32; 3] = [4, 6, 10];
pub(crate) const POINTS_KILL: u32 = 100;
pub(crate) const POINTS_DRONE: u32 = 40;
/// More for each kill that the loser had made in one life.
pub(crate) const POINTS_STREAK: u32 = 25;
