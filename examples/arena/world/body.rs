//! How a ship moves: one function from a body and the keys to the body a tick later.
//!
//! The browser runs the same function (`web/physics.js`) for its own ship, ahead of the server. Any
//! change here is made there too; a test feeds both the same keys and compares.

use std::f64::consts::TAU;

use super::rules::{
    BOOST, BOOST_COST, BOUNCE, DRAG, DT, ENERGY_BACK, ENERGY_MAX, SHIP_RADIUS, SIZE, THRUST, TURN,
};

/// The keys that are down, one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Keys(pub(crate) u8);

impl Keys {
    pub(crate) const THRUST: u8 = 1;
    pub(crate) const LEFT: u8 = 2;
    pub(crate) const RIGHT: u8 = 4;
    pub(crate) const FIRE: u8 = 8;
    pub(crate) const BOOST: u8 = 16;

    pub(crate) fn has(self, key: u8) -> bool {
        self.0 & key != 0
    }
}

/// Where a ship is and how it moves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Body {
    pub(crate) x: f64,
    pub(crate) y: f64,
    /// Units per second.
    pub(crate) vx: f64,
    pub(crate) vy: f64,
    /// Radians, clockwise on the screen from the right; 0 to 2π.
    pub(crate) angle: f64,
    pub(crate) energy: i32,
}

impl Body {
    pub(crate) fn resting(x: f64, y: f64, angle: f64) -> Self {
        Self {
            x,
            y,
            vx: 0.0,
            vy: 0.0,
            angle,
            energy: ENERGY_MAX,
        }
    }

    /// The body one tick later.
    #[must_use]
    pub(crate) fn step(mut self, keys: Keys) -> Self {
        let turn = f64::from(i8::from(keys.has(Keys::RIGHT)) - i8::from(keys.has(Keys::LEFT)));
        self.angle = (self.angle + turn * TURN * DT + TAU) % TAU;

        let boosts = keys.has(Keys::BOOST) && self.energy >= BOOST_COST;
        self.energy = if boosts {
            self.energy - BOOST_COST
        } else {
            (self.energy + ENERGY_BACK).min(ENERGY_MAX)
        };
        let push = match (boosts, keys.has(Keys::THRUST)) {
            (true, _) => BOOST,
            (false, true) => THRUST,
            (false, false) => 0.0,
        };
        self.vx = (self.vx + self.angle.cos() * push * DT) * DRAG;
        self.vy = (self.vy + self.angle.sin() * push * DT) * DRAG;
        (self.x, self.vx) = within(self.x + self.vx * DT, self.vx, SHIP_RADIUS, BOUNCE);
        (self.y, self.vy) = within(self.y + self.vy * DT, self.vy, SHIP_RADIUS, BOUNCE);
        self
    }
}

/// Keeps a circle inside the world along one axis, and turns its speed round at the wall.
pub(crate) fn within(at: f64, speed: f64, radius: f64, bounce: f64) -> (f64, f64) {
    if at < radius {
        (radius, speed.abs() * bounce)
    } else if at > SIZE - radius {
        (SIZE - radius, -speed.abs() * bounce)
    } else {
        (at, speed)
    }
}
