//! Who flies the ships that nobody flies.

use std::f64::consts::{PI, TAU};

use super::body::{Body, Keys};

/// Drones see this far.
pub(crate) const SIGHT: f64 = 800.0;
/// They keep this distance, shoot within it, and only when they aim this well.
const DISTANCE: f64 = 260.0;
const RANGE: f64 = 560.0;
const AIM: f64 = 0.14;
/// How far ahead of a moving target they aim, in seconds.
const LEAD: f64 = 0.35;

/// The keys a drone holds down. `whim` is its mood, 0 to 1: it changes with time, so that no two
/// fly alike.
pub(crate) fn keys(me: &Body, target: Option<&Body>, whim: f64) -> Keys {
    let Some(target) = target else {
        // Cruising, in wide turns.
        let turn = match whim {
            ..0.2 => Keys::LEFT,
            0.8.. => Keys::RIGHT,
            _ => 0,
        };
        return Keys(turn | if whim < 0.6 { Keys::THRUST } else { 0 });
    };
    let (dx, dy) = (
        target.x + target.vx * LEAD - me.x,
        target.y + target.vy * LEAD - me.y,
    );
    let distance = dx.hypot(dy);
    // Not always straight at it, or all drones would end in one heap.
    let bearing = dy.atan2(dx) + (whim - 0.5) * 0.5;
    let off = (bearing - me.angle + PI).rem_euclid(TAU) - PI;
    let mut keys = match off {
        ..-0.12 => Keys::LEFT,
        0.12.. => Keys::RIGHT,
        _ => 0,
    };
    if distance > DISTANCE && off.abs() < 1.0 {
        keys |= Keys::THRUST;
    }
    // They pause between bursts: a fair opponent, not a turret.
    if distance < RANGE && off.abs() < AIM + 0.1 && whim > 0.6 {
        keys |= Keys::FIRE;
    }
    Keys(keys)
}
