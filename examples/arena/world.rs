//! The simulation: a value that is stepped once per tick. It knows no sessions, no clock, no disk.

pub(crate) mod body;
mod grid;
pub(crate) mod helm;
mod hits;
mod ids;
mod pilot;
pub(crate) mod rules;
pub(crate) mod ship;
pub(crate) mod things;

use std::collections::BTreeMap;
use std::f64::consts::TAU;

use self::body::{Body, Keys};
use self::grid::Grid;
use self::hits::Solid;
use self::ids::Ids;
use self::rules::{POWER_LIFE, ROCK_HULL, ROCK_NINTHS, ROCK_RADIUS, ROCKS, SIZE, TICKS_PER_SECOND};
use self::ship::{Pilot, Ship};
use self::things::{Course, Gift, Power, Rock, Shot};

/// Ships of one world, drones among them.
pub(crate) const SHIPS_MAX: usize = 255;

/// What has happened in a tick that somebody outside wants to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// A ship has won points.
    Points { ship: u32, points: u32 },
    /// A ship is down; `by` is another ship, or nobody but a rock.
    Down {
        ship: u32,
        by: Option<u32>,
        streak: u32,
    },
}

/// Everything there is.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) tick: u32,
    pub(crate) ships: BTreeMap<u32, Ship>,
    pub(crate) rocks: BTreeMap<u32, Rock>,
    pub(crate) shots: BTreeMap<u32, Shot>,
    pub(crate) powers: BTreeMap<u32, Power>,
    ship_ids: Ids,
    rock_ids: Ids,
    power_ids: Ids,
    shot_ids: Ids,
    solids: Grid<Solid>,
    random: fastrand::Rng,
}

impl World {
    pub(crate) fn new(seed: u64, tick: u32) -> Self {
        let mut world = Self {
            tick,
            ships: BTreeMap::new(),
            rocks: BTreeMap::new(),
            shots: BTreeMap::new(),
            powers: BTreeMap::new(),
            // Ships come in almost every frame: theirs are the small ones.
            ship_ids: Ids::new(1..256),
            rock_ids: Ids::new(256..1_024),
            power_ids: Ids::new(1_024..2_048),
            shot_ids: Ids::new(4_096..65_536),
            solids: Grid::default(),
            random: fastrand::Rng::with_seed(seed),
        };
        while world.has_room_for_a_rock() {
            let (x, y) = world.place(|random| random.f64() * SIZE);
            world.add_rock(0, x, y);
        }
        world
    }

    /// A new ship where there is most room; `None` when the world is full.
    pub(crate) fn launch(&mut self, pilot: Pilot) -> Option<u32> {
        let id = self.ship_ids.free(&self.ships)?;
        let body = self.clear_place();
        self.ships.insert(id, Ship::new(body, pilot, self.tick));
        Some(id)
    }

    /// One tick.
    pub(crate) fn step(&mut self) -> Vec<Event> {
        self.tick += 1;
        let tick = self.tick;
        self.revive();
        self.steer();
        for rock in self.rocks.values_mut() {
            rock.step(tick);
        }
        self.shots.retain(|_, shot| !shot.is_spent(tick));
        self.powers.retain(|_, power| tick <= power.until);
        let events = self.collide();
        if tick.is_multiple_of(TICKS_PER_SECOND) && self.has_room_for_a_rock() {
            // From the rim, where few are, and drifting inwards.
            let along = self.random.f64() * SIZE;
            let (x, y) = if self.random.bool() {
                (0.0, along)
            } else {
                (along, SIZE)
            };
            self.add_rock(0, x, y);
        }
        events
    }

    fn revive(&mut self) {
        let due = |ship: &Ship| ship.down_until.is_some_and(|until| self.tick >= until);
        let due: Vec<u32> = self
            .ships
            .iter()
            .filter(|(_, ship)| due(ship))
            .map(|(id, _)| *id)
            .collect();
        for id in due {
            let body = self.clear_place();
            let tick = self.tick;
            if let Some(ship) = self.ships.get_mut(&id) {
                ship.revive(body, tick);
            }
        }
    }

    /// Every ship moves by the keys its pilot holds down, and fires.
    fn steer(&mut self) {
        let tick = self.tick;
        let prey: Vec<(u32, Body)> = self
            .ships
            .iter()
            .filter(|(_, ship)| ship.is_flying() && !matches!(ship.pilot, Pilot::Drone { .. }))
            .map(|(id, ship)| (*id, ship.body))
            .collect();
        let mut fired = Vec::new();
        for (id, ship) in &mut self.ships {
            let keys = match &mut ship.pilot {
                Pilot::Player(helm) => helm.next(),
                Pilot::Away => Keys::default(),
                Pilot::Drone { whim } => {
                    if (tick + id).is_multiple_of(16) {
                        *whim = self.random.f64();
                    }
                    let distance = |prey: &Body| (prey.x - ship.body.x).hypot(prey.y - ship.body.y);
                    let seen = prey.iter().map(|(_, prey)| (distance(prey), prey));
                    let nearest = seen
                        .filter(|(distance, _)| *distance < pilot::SIGHT)
                        .min_by(|(a, _), (b, _)| a.total_cmp(b));
                    pilot::keys(&ship.body, nearest.map(|(_, prey)| prey), *whim)
                }
            };
            if ship.is_flying() {
                ship.step(keys, tick);
                fired.extend(ship.fire(*id, tick));
            }
        }
        for shot in fired {
            if let Some(id) = self.shot_ids.free(&self.shots) {
                self.shots.insert(id, shot);
            }
        }
    }

    fn has_room_for_a_rock(&self) -> bool {
        let ninths: u32 = self.rocks.values().map(|rock| ROCK_NINTHS[rock.size]).sum();
        ninths + 9 <= ROCKS * 9
    }

    fn add_rock(&mut self, size: usize, x: f64, y: f64) {
        let Some(id) = self.rock_ids.free(&self.rocks) else {
            return;
        };
        #[expect(clippy::cast_precision_loss, reason = "0, 1 or 2")]
        let speed = 20.0 + self.random.f64() * 45.0 * (1.0 + size as f64);
        let (sin, cos) = (self.random.f64() * TAU).sin_cos();
        let margin = ROCK_RADIUS[size];
        let rock = Rock {
            course: Course {
                x: x.clamp(margin, SIZE - margin),
                y: y.clamp(margin, SIZE - margin),
                vx: cos * speed,
                vy: sin * speed,
                since: self.tick,
            },
            size,
            hull: ROCK_HULL[size],
        };
        self.rocks.insert(id, rock);
    }

    fn add_power(&mut self, x: f64, y: f64) {
        if let Some(id) = self.power_ids.free(&self.powers) {
            let gift = Gift::ALL[self.random.usize(..Gift::ALL.len())];
            let until = self.tick + POWER_LIFE;
            self.powers.insert(id, Power { x, y, gift, until });
        }
    }

    fn place(&mut self, mut coordinate: impl FnMut(&mut fastrand::Rng) -> f64) -> (f64, f64) {
        (coordinate(&mut self.random), coordinate(&mut self.random))
    }

    /// The one of some places that is farthest from everything that could hurt; but in the middle
    /// of the world, so that people find each other.
    fn clear_place(&mut self) -> Body {
        let tick = self.tick;
        let mut best = (f64::MIN, (SIZE / 2.0, SIZE / 2.0));
        for _ in 0..12 {
            let (x, y) = self.place(|random| SIZE * (0.25 + random.f64() * 0.5));
            let ships = self.ships.values().filter(|ship| ship.is_flying());
            let ships = ships.map(|ship| (ship.body.x, ship.body.y));
            let rocks = self.rocks.values().map(|rock| rock.course.at(tick));
            let nearest = ships
                .chain(rocks)
                .map(|(at_x, at_y)| (at_x - x).hypot(at_y - y))
                .fold(f64::MAX, f64::min);
            if nearest > best.0 {
                best = (nearest, (x, y));
            }
        }
        let (x, y) = best.1;
        Body::resting(x, y, self.random.f64() * TAU)
    }
}
