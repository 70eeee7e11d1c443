//! What clients see of a world: two tables.
//!
//! `sector`, every tick: ships, rocks, shots and power-ups, by the sector of the map that they are in. A
//! session watches the four sectors around its ship. `room`, four times a second: every ship's
//! name, points and rough place, for the score table and the minimap.

use abide::prelude::*;
use abide::sync::{Error, Field, RowId, Table, Value};

use crate::seats::Sight;
use crate::world::World;
use crate::world::body::Keys;
use crate::world::rules::SIZE;
use crate::world::ship::Ship;
use crate::world::things::{Course, Gift};

/// Sectors along each side of the world.
const SECTORS: usize = 4;
const SECTOR: f64 = SIZE / 4.0;
/// How far beyond the middle of a sector a ship goes before it watches other ones: who flies along
/// a border does not change them all the time. A screen shows 680 units each way, so that
/// all of it is always watched: 750 less this.
const SLACK: f64 = 60.0;
/// Places of the minimap along each side.
const MINIMAP: f64 = 120.0;

/// Kinds of rows, as they are sent.
const SHIP: u8 = 0;
const ROCK: u8 = 1;
const SHOT: u8 = 2;
const POWER: u8 = 3;

/// Bits of the field `look`, beside the keys of thrust and boost.
const LOOK_SAFE: u8 = 32;
const LOOK_TRIPLE: u8 = 64;
const LOOK_RUSH: u8 = 128;

/// The upper left one of four sectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Block {
    column: usize,
    row: usize,
}

impl Block {
    /// The four sectors to be watched from a place, which are those of before as long as they will do.
    pub(crate) fn around(x: f64, y: f64, before: Option<Self>) -> Self {
        Self {
            column: corner(x, before.map(|before| before.column)),
            row: corner(y, before.map(|before| before.row)),
        }
    }
}

fn corner(at: f64, before: Option<usize>) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to 0, 1 or 2"
    )]
    let ideal = |at: f64| (at / SECTOR - 0.5).floor().clamp(0.0, 2.0) as usize;
    match before {
        Some(before) if (ideal(at - SLACK)..=ideal(at + SLACK)).contains(&before) => before,
        _ => ideal(at),
    }
}

/// The two tables.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) sectors: Table,
    pub(crate) room: Table,
    names: Vec<String>,
}

impl View {
    pub(crate) fn new() -> Self {
        // Those that change with every tick come first: their bits make a mask of one byte.
        let sectors = vec![
            Field::fixed("x", 8),
            Field::fixed("y", 8),
            Field::fixed("vx", 8),
            Field::fixed("vy", 8),
            Field::fixed("angle", 1_000),
            Field::new("ack"),
            Field::new("energy"),
            Field::new("kind"),
            Field::new("size"),
            Field::new("since"),
            Field::new("look"),
            Field::new("hull"),
        ];
        let room = ["x", "y", "name", "hue", "points", "state"].map(Field::new);
        let places = (0..SECTORS * SECTORS).map(|at| (at / SECTORS, at % SECTORS));
        Self {
            sectors: Table::new("sector", sectors),
            room: Table::new("room", room.into()),
            names: places
                .map(|(row, column)| format!("sector/{column}.{row}"))
                .collect(),
        }
    }

    /// Has a session watch this and no more.
    ///
    /// # Errors
    /// When that is too many tags.
    pub(crate) fn show(&mut self, session: &Session, sight: Sight) -> Result<(), CallError> {
        let (room, block): (&[&str], _) = match sight {
            Sight::Newcomer => (&["room"], None),
            Sight::Sectors(block) => (&["room"], Some(block)),
            Sight::Nothing => (&[], None),
        };
        let name = |block: Block, (right, down): (usize, usize)| {
            let (column, row) = (block.column + right, block.row + down);
            self.names[row * SECTORS + column].as_str()
        };
        let corners = [(0, 0), (1, 0), (0, 1), (1, 1)];
        let sectors = block.map(|block| corners.map(|corner| name(block, corner)));
        self.room.watch(session, room)?;
        self.sectors
            .watch(session, sectors.as_ref().map_or(&[], |names| &names[..]))
    }

    /// Puts everything that moves where it is now.
    ///
    /// # Errors
    /// When a row does not fit its table.
    pub(crate) fn put(&mut self, world: &World) -> Result<(), Error> {
        let tick = world.tick;
        let is_there = |RowId(id)| {
            world.ships.get(&id).is_some_and(Ship::is_flying)
                || world.rocks.contains_key(&id)
                || world.shots.contains_key(&id)
                || world.powers.contains_key(&id)
        };
        self.sectors.retain(is_there);
        for (id, ship) in world.ships.iter().filter(|(_, ship)| ship.is_flying()) {
            self.put_row(*id, (ship.body.x, ship.body.y), &ship_row(ship, tick))?;
        }
        for (id, rock) in &world.rocks {
            let size = u8::try_from(rock.size).unwrap_or_default();
            let row = course_row(ROCK, size, &rock.course, rock.hull);
            self.put_row(*id, rock.course.at(tick), &row)?;
        }
        for (id, shot) in &world.shots {
            // The ship it came from: 255 ships at most.
            let by = u8::try_from(shot.by).unwrap_or_default();
            self.put_row(
                *id,
                shot.course.at(tick),
                &course_row(SHOT, by, &shot.course, 0),
            )?;
        }
        for (id, power) in &world.powers {
            let gift = match power.gift {
                Gift::Shield => 0,
                Gift::Triple => 1,
                Gift::Rush => 2,
                Gift::Repair => 3,
            };
            let rests = Course {
                x: power.x,
                y: power.y,
                vx: 0.0,
                vy: 0.0,
                since: 0,
            };
            self.put_row(*id, (power.x, power.y), &course_row(POWER, gift, &rests, 0))?;
        }
        Ok(())
    }

    fn put_row(&mut self, id: u32, (x, y): (f64, f64), row: &[Value]) -> Result<(), Error> {
        let topic = &self.names[sector(y) * SECTORS + sector(x)];
        self.sectors.put(RowId(id), topic, row)
    }

    /// Puts a ship on the score table and the minimap.
    ///
    /// # Errors
    /// When the row does not fit.
    pub(crate) fn list(&mut self, id: u32, ship: &Ship, who: Who<'_>) -> Result<(), Error> {
        let state = if ship.is_flying() { 0 } else { 1 };
        let row = [
            rough(ship.body.x).into(),
            rough(ship.body.y).into(),
            who.name.into(),
            who.hue.into(),
            ship.score.into(),
            (state + if who.is_here { 0 } else { 2 }).into(),
        ];
        self.room.put(RowId(id), "room", &row)
    }
}

/// Who a ship is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Who<'a> {
    pub(crate) name: &'a str,
    pub(crate) hue: u16,
    pub(crate) is_here: bool,
}

fn ship_row(ship: &Ship, tick: u32) -> [Value; 12] {
    let body = &ship.body;
    let ack = match &ship.pilot {
        crate::world::ship::Pilot::Player(helm) => helm.done(),
        _ => 0,
    };
    let mut look = ship.keys.0 & (Keys::THRUST | Keys::BOOST);
    for (bit, is_on) in [
        (LOOK_SAFE, ship.is_safe(tick)),
        (LOOK_TRIPLE, ship.is_triple(tick)),
        (LOOK_RUSH, ship.is_rushing(tick)),
    ] {
        look |= if is_on { bit } else { 0 };
    }
    [
        body.x.into(),
        body.y.into(),
        body.vx.into(),
        body.vy.into(),
        body.angle.into(),
        ack.into(),
        body.energy.into(),
        SHIP.into(),
        ship.shield.into(),
        Value::Nil,
        look.into(),
        ship.hull.into(),
    ]
}

fn course_row(kind: u8, size: u8, course: &Course, hull: u8) -> [Value; 12] {
    [
        course.x.into(),
        course.y.into(),
        course.vx.into(),
        course.vy.into(),
        Value::Nil,
        Value::Nil,
        Value::Nil,
        kind.into(),
        size.into(),
        course.since.into(),
        Value::Nil,
        hull.into(),
    ]
}

fn sector(at: f64) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative, and clamped"
    )]
    let sector = (at.max(0.0) / SECTOR) as usize;
    sector.min(SECTORS - 1)
}

/// A place of the minimap: one byte.
fn rough(at: f64) -> u8 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0 to 120"
    )]
    let place = (at / SIZE * MINIMAP).clamp(0.0, MINIMAP) as u8;
    place
}
