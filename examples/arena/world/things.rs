//! What flies about besides ships: rocks, shots, power-ups. All drift along straight lines.

use super::body::within;
use super::rules::{DT, ROCK_RADIUS, SIZE};

/// A thing on a straight line: where it was at a tick, and how fast it goes. Where it is now follows
/// from that, so clients are told of it only when the line changes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Course {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) vx: f64,
    pub(crate) vy: f64,
    pub(crate) since: u32,
}

impl Course {
    /// Where it is at a tick.
    pub(crate) fn at(&self, tick: u32) -> (f64, f64) {
        let time = f64::from(tick - self.since) * DT;
        (self.x + self.vx * time, self.y + self.vy * time)
    }

    /// The same line, told from this tick on, unless a wall turns it round.
    fn bounce(&mut self, tick: u32, radius: f64) {
        let (x, y) = self.at(tick);
        let (inside_x, vx) = within(x, self.vx, radius, 1.0);
        let (inside_y, vy) = within(y, self.vy, radius, 1.0);
        if (vx, vy) != (self.vx, self.vy) {
            *self = Self {
                x: inside_x,
                y: inside_y,
                vx,
                vy,
                since: tick,
            };
        }
    }
}

/// An asteroid.
#[derive(Debug, Clone)]
pub(crate) struct Rock {
    pub(crate) course: Course,
    /// 0 large, 1 middling, 2 small.
    pub(crate) size: usize,
    pub(crate) hull: u8,
}

impl Rock {
    pub(crate) fn radius(&self) -> f64 {
        ROCK_RADIUS[self.size]
    }

    pub(crate) fn step(&mut self, tick: u32) {
        self.course.bounce(tick, self.radius());
    }
}

/// A shot on its way.
#[derive(Debug, Clone)]
pub(crate) struct Shot {
    pub(crate) course: Course,
    /// The ship it came from.
    pub(crate) by: u32,
    /// The last tick it flies.
    pub(crate) until: u32,
}

impl Shot {
    pub(crate) fn is_spent(&self, tick: u32) -> bool {
        let (x, y) = self.course.at(tick);
        let inside = 0.0..=SIZE;
        tick > self.until || !inside.contains(&x) || !inside.contains(&y)
    }
}

/// What a power-up gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gift {
    /// Takes the next hits.
    Shield,
    /// Three shots at once, for a while.
    Triple,
    /// Faster shots and a tank that is always full, for a while.
    Rush,
    /// A whole hull.
    Repair,
}

impl Gift {
    pub(crate) const ALL: [Self; 4] = [Self::Shield, Self::Triple, Self::Rush, Self::Repair];
}

/// A gift that waits to be picked up.
#[derive(Debug, Clone)]
pub(crate) struct Power {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) gift: Gift,
    /// The last tick it waits.
    pub(crate) until: u32,
}
