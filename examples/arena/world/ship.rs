//! A ship: a body, who steers it, and what it can bear.

use super::body::{Body, Keys};
use super::helm::Helm;
use super::rules::{
    ENERGY_MAX, HULL_MAX, POWER_TICKS, RELOAD, RELOAD_RAPID, SAFE_TICKS, SHIELD_MAX, SHOT_LIFE,
    SHOT_SPEED, SPREAD,
};
use super::things::{Course, Gift, Shot};

/// Who decides on the keys.
#[derive(Debug)]
pub(crate) enum Pilot {
    Player(Helm),
    /// Nobody; its client is gone for now.
    Away,
    /// The machine, in a mood between 0 and 1.
    Drone {
        whim: f64,
    },
}

/// A ship, flying or down.
#[derive(Debug)]
pub(crate) struct Ship {
    pub(crate) body: Body,
    pub(crate) pilot: Pilot,
    /// The keys of the last step: clients draw flames by them.
    pub(crate) keys: Keys,
    pub(crate) hull: u8,
    pub(crate) shield: u8,
    /// Kills in this life.
    pub(crate) streak: u32,
    /// Points since it came.
    pub(crate) score: u32,
    /// It flies again at this tick; `None` while it flies.
    pub(crate) down_until: Option<u32>,
    triple_until: u32,
    rush_until: u32,
    safe_until: u32,
    reloaded: u32,
    /// No bump counts before.
    pub(crate) bump_after: u32,
}

impl Ship {
    pub(crate) fn new(body: Body, pilot: Pilot, tick: u32) -> Self {
        Self {
            body,
            pilot,
            keys: Keys::default(),
            hull: HULL_MAX,
            shield: 0,
            streak: 0,
            score: 0,
            down_until: None,
            triple_until: 0,
            rush_until: 0,
            safe_until: tick + SAFE_TICKS,
            reloaded: 0,
            bump_after: 0,
        }
    }

    /// A new life at another place; score and pilot stay.
    pub(crate) fn revive(&mut self, body: Body, tick: u32) {
        let pilot = std::mem::replace(&mut self.pilot, Pilot::Away);
        *self = Self {
            score: self.score,
            ..Self::new(body, pilot, tick)
        };
    }

    pub(crate) fn is_flying(&self) -> bool {
        self.down_until.is_none()
    }

    pub(crate) fn is_safe(&self, tick: u32) -> bool {
        tick < self.safe_until
    }

    pub(crate) fn is_triple(&self, tick: u32) -> bool {
        tick < self.triple_until
    }

    pub(crate) fn is_rushing(&self, tick: u32) -> bool {
        tick < self.rush_until
    }

    pub(crate) fn step(&mut self, keys: Keys, tick: u32) {
        if self.is_rushing(tick) {
            self.body.energy = ENERGY_MAX;
        }
        self.keys = keys;
        self.body = self.body.step(keys);
    }

    /// The shots it fires with this tick.
    pub(crate) fn fire(&mut self, by: u32, tick: u32) -> Vec<Shot> {
        if !self.keys.has(Keys::FIRE) || tick < self.reloaded {
            return Vec::new();
        }
        let reload = if self.is_rushing(tick) {
            RELOAD_RAPID
        } else {
            RELOAD
        };
        self.reloaded = tick + reload;
        self.safe_until = 0; // who shoots can be shot at
        let spread: &[f64] = if self.is_triple(tick) {
            &[-SPREAD, 0.0, SPREAD]
        } else {
            &[0.0]
        };
        let body = self.body;
        let shots = spread.iter().map(|off| {
            let (sin, cos) = (body.angle + off).sin_cos();
            Shot {
                course: Course {
                    x: body.x + cos * 24.0,
                    y: body.y + sin * 24.0,
                    vx: body.vx + cos * SHOT_SPEED,
                    vy: body.vy + sin * SHOT_SPEED,
                    since: tick,
                },
                by,
                until: tick + SHOT_LIFE,
            }
        });
        shots.collect()
    }

    /// Takes a hit; answers whether that was its end.
    pub(crate) fn hit(&mut self, tick: u32) -> bool {
        if self.is_safe(tick) {
            return false;
        }
        if self.shield > 0 {
            self.shield -= 1;
            return false;
        }
        self.hull = self.hull.saturating_sub(1);
        self.hull == 0
    }

    pub(crate) fn receive(&mut self, gift: Gift, tick: u32) {
        match gift {
            Gift::Shield => self.shield = SHIELD_MAX,
            Gift::Triple => self.triple_until = tick + POWER_TICKS,
            Gift::Rush => self.rush_until = tick + POWER_TICKS,
            Gift::Repair => self.hull = HULL_MAX,
        }
    }
}
