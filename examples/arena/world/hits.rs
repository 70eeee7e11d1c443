//! What meets what: shots and ships, shots and rocks, ships and all that is solid.

use super::body::Body;
use super::rules::{
    BUMP_TICKS, DOWN_TICKS, DT, POINTS_DRONE, POINTS_KILL, POINTS_ROCK, POINTS_STREAK,
    POWER_RADIUS, ROCK_RADIUS, SHIP_RADIUS, SHOT_RADIUS,
};
use super::ship::{Pilot, Ship};
use super::things::Shot;
use super::{Event, World};

/// Something that can be run into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Solid {
    Ship(u32),
    Rock(u32),
}

/// Farthest that the centre of something solid can be from a thing that touches it, beside that
/// thing's own radius and its way.
const REACH: f64 = ROCK_RADIUS[0];

impl World {
    pub(super) fn collide(&mut self) -> Vec<Event> {
        self.fill_grid();
        let mut events = Vec::new();
        for (shot, solid) in self.shots_that_hit() {
            let Some(shot) = self.shots.remove(&shot) else {
                continue;
            };
            match solid {
                Solid::Ship(id) => self.hit_ship(id, Some(shot.by), &mut events),
                Solid::Rock(id) => self.hit_rock(id, shot.by, &mut events),
            }
        }
        for (ship, solid) in self.bumps() {
            self.bump(ship, solid, &mut events);
        }
        self.pick_up();
        events
    }

    fn fill_grid(&mut self) {
        self.solids.clear();
        for (id, ship) in self.ships.iter().filter(|(_, ship)| ship.is_flying()) {
            self.solids
                .insert(ship.body.x, ship.body.y, Solid::Ship(*id));
        }
        for (id, rock) in &self.rocks {
            let (x, y) = rock.course.at(self.tick);
            self.solids.insert(x, y, Solid::Rock(*id));
        }
    }

    /// Shots with the first thing on their way of this tick.
    fn shots_that_hit(&self) -> Vec<(u32, Solid)> {
        let hit = |shot: &Shot| {
            let (x, y) = shot.course.at(self.tick);
            // A new one has come no way yet.
            let back = if self.tick == shot.course.since {
                0.0
            } else {
                DT
            };
            let (from_x, from_y) = (x - shot.course.vx * back, y - shot.course.vy * back);
            let way = (x - from_x).hypot(y - from_y);
            let near = self.solids.near(x, y, REACH + SHOT_RADIUS + way);
            near.filter(|(_, _, solid)| *solid != Solid::Ship(shot.by))
                .filter_map(|(at_x, at_y, solid)| {
                    let reach = self.radius(solid) + SHOT_RADIUS;
                    meets((from_x, from_y), (x, y), (at_x, at_y), reach).map(|when| (when, solid))
                })
                .min_by(|(a, _), (b, _)| a.total_cmp(b))
                .map(|(_, solid)| solid)
        };
        let shots = self.shots.iter();
        shots
            .filter_map(|(id, shot)| Some((*id, hit(shot)?)))
            .collect()
    }

    fn radius(&self, solid: Solid) -> f64 {
        match solid {
            Solid::Ship(_) => SHIP_RADIUS,
            Solid::Rock(id) => self.rocks.get(&id).map_or(0.0, super::Rock::radius),
        }
    }

    fn hit_ship(&mut self, id: u32, by: Option<u32>, events: &mut Vec<Event>) {
        let tick = self.tick;
        let Some(ship) = self.ships.get_mut(&id).filter(|ship| ship.is_flying()) else {
            return;
        };
        if !ship.hit(tick) {
            return;
        }
        ship.down_until = Some(tick + DOWN_TICKS);
        let (x, y, streak) = (ship.body.x, ship.body.y, ship.streak);
        let worth = match ship.pilot {
            Pilot::Drone { .. } => POINTS_DRONE,
            Pilot::Player(_) | Pilot::Away => POINTS_KILL + POINTS_STREAK * streak,
        };
        events.push(Event::Down {
            ship: id,
            by,
            streak,
        });
        if let Some(winner) = by.and_then(|by| self.ships.get_mut(&by)) {
            winner.streak += 1;
            award(by.unwrap_or_default(), winner, worth, events);
        }
        self.add_power(x, y);
    }

    fn hit_rock(&mut self, id: u32, by: u32, events: &mut Vec<Event>) {
        let Some(rock) = self.rocks.get_mut(&id) else {
            return;
        };
        rock.hull -= 1;
        if rock.hull > 0 {
            return;
        }
        let (size, (x, y)) = (rock.size, rock.course.at(self.tick));
        self.rocks.remove(&id);
        if size < 2 {
            for off in [-1.0, 0.0, 1.0] {
                let aside = ROCK_RADIUS[size] * 0.5 * off;
                self.add_rock(size + 1, x + aside, y - aside);
            }
        }
        if self.random.f64() < 0.12 {
            self.add_power(x, y);
        }
        if let Some(winner) = self.ships.get_mut(&by) {
            award(by, winner, POINTS_ROCK[size], events);
        }
    }

    /// Ships that touch something solid. Each pair of ships comes once.
    fn bumps(&self) -> Vec<(u32, Solid)> {
        let flying = self.ships.iter().filter(|(_, ship)| ship.is_flying());
        flying
            .flat_map(|(id, ship)| {
                let (x, y) = (ship.body.x, ship.body.y);
                let near = self.solids.near(x, y, REACH + SHIP_RADIUS);
                near.filter(move |(at_x, at_y, solid)| {
                    let reach = SHIP_RADIUS + self.radius(*solid) * 0.92;
                    let is_new = match solid {
                        Solid::Ship(other) => other > id,
                        Solid::Rock(_) => self.tick >= ship.bump_after,
                    };
                    is_new && (at_x - x).hypot(at_y - y) < reach
                })
                .map(|(_, _, solid)| (*id, solid))
            })
            .collect()
    }

    fn bump(&mut self, id: u32, solid: Solid, events: &mut Vec<Event>) {
        let tick = self.tick;
        match solid {
            Solid::Rock(rock) => {
                let Some((x, y)) = self.rocks.get(&rock).map(|rock| rock.course.at(tick)) else {
                    return;
                };
                if let Some(ship) = self.ships.get_mut(&id) {
                    push_away(&mut ship.body, x, y, 260.0);
                    ship.bump_after = tick + BUMP_TICKS;
                }
                self.hit_ship(id, None, events);
            }
            // Bumping is rude, not deadly.
            Solid::Ship(other) => {
                let at = |world: &Self, id| world.ships.get(&id).map(|ship: &Ship| ship.body);
                if let (Some(one), Some(two)) = (at(self, id), at(self, other)) {
                    for (id, from) in [(id, two), (other, one)] {
                        if let Some(ship) = self.ships.get_mut(&id) {
                            push_away(&mut ship.body, from.x, from.y, 120.0);
                        }
                    }
                }
            }
        }
    }

    fn pick_up(&mut self) {
        let tick = self.tick;
        let mut taken = Vec::new();
        for (id, power) in &self.powers {
            let reach = POWER_RADIUS + SHIP_RADIUS;
            let near = self.solids.near(power.x, power.y, reach);
            let touching = near.filter(|(x, y, _)| (x - power.x).hypot(y - power.y) < reach);
            let mut ships = touching.filter_map(|(_, _, solid)| match solid {
                Solid::Ship(ship) => Some(ship),
                Solid::Rock(_) => None,
            });
            // One that was shot down in this tick is still in the grid, where its own gift lies.
            let ship = ships.find(|ship| self.ships.get(ship).is_some_and(Ship::is_flying));
            if let Some(ship) = ship {
                taken.push((*id, ship, power.gift));
            }
        }
        for (id, ship, gift) in taken {
            if let Some(ship) = self.ships.get_mut(&ship) {
                ship.receive(gift, tick);
                self.powers.remove(&id);
            }
        }
    }
}

fn award(id: u32, ship: &mut Ship, points: u32, events: &mut Vec<Event>) {
    ship.score += points;
    events.push(Event::Points { ship: id, points });
}

/// Speed that leads away from a place, whatever it was before.
fn push_away(body: &mut Body, x: f64, y: f64, speed: f64) {
    let (dx, dy) = (body.x - x, body.y - y);
    let distance = dx.hypot(dy).max(1.0);
    body.vx = body.vx * 0.3 + dx / distance * speed;
    body.vy = body.vy * 0.3 + dy / distance * speed;
}

/// When, from 0 to 1, something that goes along a line first comes as near to a place as `reach`.
fn meets(from: (f64, f64), to: (f64, f64), place: (f64, f64), reach: f64) -> Option<f64> {
    let (way_x, way_y) = (to.0 - from.0, to.1 - from.1);
    let (dx, dy) = (place.0 - from.0, place.1 - from.1);
    let way_squared = way_x * way_x + way_y * way_y;
    let when = if way_squared > 0.0 {
        ((dx * way_x + dy * way_y) / way_squared).clamp(0.0, 1.0)
    } else {
        0.0
    };
    let distance = (dx - way_x * when).hypot(dy - way_y * when);
    (distance < reach).then_some(when)
}
