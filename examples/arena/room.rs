//! A room at work: players come and go, and with each tick the world moves on and is shown.

use abide::prelude::*;

use crate::arena::take_over;
use crate::best::Best;
use crate::lobby::{LOBBY, Lobby};
use crate::protocol::{Event, checked_name, checked_token};
use crate::saved;
use crate::seats::{SEATS_MAX, Seat, Seats, Sight};
use crate::view::{Block, View, Who};
use crate::world::body::Keys;
use crate::world::helm::Helm;
use crate::world::rules::TICKS_PER_SECOND;
use crate::world::ship::Pilot;
use crate::world::{self, World};

/// How long a ship waits for its player.
const AWAY_TICKS: u32 = 60 * TICKS_PER_SECOND;
/// How often ships are saved.
const SAVE_TICKS: u32 = 2 * TICKS_PER_SECOND;
/// Points of rocks are written together; those of a kill at once.
const BEST_TICKS: u32 = 2 * TICKS_PER_SECOND;
/// How often the score table and the minimap are told.
const ROSTER_TICKS: u32 = TICKS_PER_SECOND / 4;
/// The lobby is told of changes at most once a second, and that the room is there at least every 30.
const LOBBY_TICKS: u32 = TICKS_PER_SECOND;
const LOBBY_AGAIN_TICKS: u32 = 30 * TICKS_PER_SECOND;
/// With fewer players than this, drones fill the room up.
const LIVELY: usize = 7;

const DRONES: [&str; 9] = [
    "Vega", "Rigel", "Altair", "Deneb", "Mira", "Spica", "Antares", "Sirius", "Castor",
];
const DRONE_HUE: u16 = 0;

/// A world with its players and its onlookers.
#[derive(Debug)]
pub(crate) struct Room {
    world: World,
    seats: Seats,
    pub(crate) best: Best,
    pub(crate) view: View,
    /// Whether the saved row has ships. A room that nobody has played in writes nothing.
    has_saved: bool,
    /// What the lobby was told, and when.
    told: (u32, u32),
}

impl Room {
    pub(crate) fn new(world: World, seats: Seats, best: Best) -> Self {
        Self {
            has_saved: seats.len() > 0,
            world,
            seats,
            best,
            view: View::new(),
            told: (0, 0),
        }
    }

    /// The session's player takes part: in the ship that is still there, or in a new one.
    ///
    /// # Errors
    /// When the name or the token is no good, or the room is full.
    pub(crate) fn join(
        &mut self,
        ctx: &mut Context<crate::arena::Arena>,
        session: &Session,
        name: &str,
        token: String,
    ) -> Result<(), ActorError> {
        let (name, token) = (checked_name(name)?, checked_token(token)?);
        if self.seats.ship_of(session.id()).is_some() {
            return Err(ActorError::new("joined-before", "this session has a ship"));
        }
        if self.seats.by_token(&token).is_none() {
            if self.seats.len() >= SEATS_MAX {
                return Err(full());
            }
            self.make_room();
            let ship = self.world.launch(Pilot::Away).ok_or_else(full)?;
            let seat = Seat {
                name,
                hue: u16::try_from(ctx.random_u64() % 300).unwrap_or_default() + 40,
                ship,
                session: None,
                away_since: self.world.tick,
                sight: Sight::Newcomer,
            };
            self.seats.insert(token.clone(), seat);
        }
        session.attach(&token)?;
        Ok(self.sit(ctx, session, &token)?)
    }

    /// Gives the session the ship of the token, if there is one.
    ///
    /// # Errors
    /// When what is sent to the session does not fit.
    pub(crate) fn sit(
        &mut self,
        ctx: &mut Context<crate::arena::Arena>,
        session: &Session,
        token: &str,
    ) -> Result<(), CallError> {
        if let Some(before) = self.seats.take(token, session.id())
            && let Some(before) = ctx.sessions().iter().find(|other| other.id() == before)
        {
            take_over(before);
        }
        let Some(seat) = self.seats.by_token(token) else {
            return Ok(());
        };
        if let Some(ship) = self.world.ships.get_mut(&seat.ship) {
            let mut helm = Helm::default();
            helm.restart();
            ship.pilot = Pilot::Player(helm);
        }
        session.send_json(&Event::Joined {
            ship: seat.ship,
            tick: self.world.tick,
            best: &self.best.shown(),
        })
    }

    /// The session has ended, and with it the time in which it could have been taken up again; its
    /// ship drifts on for a while.
    pub(crate) fn leave(&mut self, session: SessionId) {
        let ship = self.seats.leave(session, self.world.tick);
        if let Some(ship) = ship.and_then(|ship| self.world.ships.get_mut(&ship)) {
            ship.pilot = Pilot::Away;
        }
    }

    /// An input has come.
    pub(crate) fn steer(&mut self, session: SessionId, number: u32, keys: Keys) {
        let ship = self.seats.ship_of(session);
        let ship = ship.and_then(|ship| self.world.ships.get_mut(&ship));
        if let Some(Pilot::Player(helm)) = ship.map(|ship| &mut ship.pilot) {
            helm.take(number, keys);
        }
    }

    /// One tick: the world moves, and everybody is told.
    ///
    /// # Errors
    /// When something cannot be staged.
    pub(crate) fn step(
        &mut self,
        ctx: &mut Context<crate::arena::Arena>,
    ) -> Result<(), ActorError> {
        self.forget_the_gone();
        self.fill_up();
        let has_kill = self.settle(ctx)?;
        let tick = self.world.tick;
        if (has_kill || tick.is_multiple_of(BEST_TICKS)) && self.best.stage(ctx)? {
            let best = self.best.shown();
            ctx.broadcast_to("room", Frame::json(&Event::Best { best: &best })?);
        }
        if tick.is_multiple_of(SAVE_TICKS) {
            self.save(ctx)?;
        }
        self.view.put(&self.world)?;
        self.look_around(ctx)?;
        self.view.sectors.publish(ctx, tick.into());
        if tick.is_multiple_of(ROSTER_TICKS) {
            self.list()?;
            self.view.room.publish(ctx, tick.into());
        }
        Ok(())
    }

    /// Stages the ships, if there are any, or were.
    ///
    /// # Errors
    /// When the row cannot be staged.
    pub(crate) fn save(&mut self, ctx: &mut Context<crate::arena::Arena>) -> Result<(), CallError> {
        self.best.stage(ctx)?;
        let has_ships = self.seats.len() > 0;
        if self.has_saved || has_ships {
            saved::stage(ctx, &self.world, &self.seats)?;
        }
        self.has_saved = has_ships;
        Ok(())
    }

    /// Whether it is time to tell the lobby: something has changed, or it might forget the room.
    pub(crate) fn has_news_for_the_lobby(&self) -> bool {
        let (told, at) = self.told;
        let due = if self.players() == told {
            LOBBY_AGAIN_TICKS
        } else {
            LOBBY_TICKS
        };
        self.world.tick.saturating_sub(at) >= due && (self.players(), told) != (0, 0)
    }

    /// Tells the lobby how many play here.
    ///
    /// # Errors
    /// When the message cannot be staged.
    pub(crate) fn tell_the_lobby(
        &mut self,
        ctx: &mut Context<crate::arena::Arena>,
    ) -> Result<(), CallError> {
        // One that is only known by its id could not be found by anybody.
        let Some(name) = ctx.name().map(str::to_owned) else {
            return Ok(());
        };
        let players = self.players();
        self.told = (players, self.world.tick);
        ctx.send::<Lobby>(LOBBY).report(name, players)
    }

    /// Nobody plays any more, and the lobby does not know.
    pub(crate) fn is_deserted(&self) -> bool {
        self.players() == 0 && self.told.0 != 0
    }

    fn players(&self) -> u32 {
        u32::try_from(self.seats.here()).unwrap_or(u32::MAX)
    }

    /// Players, ships and rows.
    pub(crate) fn counts(&self) -> (usize, usize, usize) {
        let rows = self.view.sectors.len() + self.view.room.len();
        (self.seats.here(), self.world.ships.len(), rows)
    }

    /// Steps the world, and does what follows from it. Answers whether somebody was shot down.
    fn settle(&mut self, ctx: &mut Context<crate::arena::Arena>) -> Result<bool, CallError> {
        let mut has_kill = false;
        for event in self.world.step() {
            match event {
                world::Event::Points { ship, points } => {
                    if let Some(seat) = self.seats.of(ship) {
                        self.best.add(&seat.name, points, 0);
                    }
                }
                world::Event::Down { ship, by, streak } => {
                    if let Some(seat) = by.and_then(|by| self.seats.of(by)) {
                        self.best.add(&seat.name, 0, 1);
                        has_kill = true;
                    }
                    let down = Event::Down {
                        ship,
                        who: self.name(ship),
                        by,
                        whose: by.map(|by| self.name(by)),
                        streak,
                    };
                    ctx.broadcast_to("room", Frame::json(&down)?);
                }
            }
        }
        Ok(has_kill)
    }

    /// Has each session watch the sectors around its ship. One without a connection watches nothing,
    /// so that it comes back to how things are, and not to all that happened meanwhile.
    fn look_around(&mut self, ctx: &mut Context<crate::arena::Arena>) -> Result<(), CallError> {
        for session in ctx.sessions() {
            let Some(seat) = self.seats.of_session_mut(session.id()) else {
                continue;
            };
            let before = match seat.sight {
                Sight::Sectors(block) => Some(block),
                Sight::Newcomer | Sight::Nothing => None,
            };
            let sight = match self.world.ships.get(&seat.ship) {
                _ if !session.is_connected() => Sight::Nothing,
                Some(ship) => Sight::Sectors(Block::around(ship.body.x, ship.body.y, before)),
                None => continue,
            };
            if seat.sight != sight {
                seat.sight = sight;
                self.view.show(&session, sight)?;
            }
        }
        Ok(())
    }

    fn list(&mut self) -> Result<(), abide::sync::Error> {
        let ships = &self.world.ships;
        self.view.room.retain(|row| ships.contains_key(&row.0));
        for (id, ship) in ships {
            let seat = self.seats.of(*id);
            let who = Who {
                name: seat.map_or_else(|| drone_name(*id), |seat| &seat.name),
                hue: seat.map_or(DRONE_HUE, |seat| seat.hue),
                is_here: seat.is_none_or(|seat| seat.session.is_some()),
            };
            self.view.list(*id, ship, who)?;
        }
        Ok(())
    }

    /// Ships whose players have been away for too long.
    fn forget_the_gone(&mut self) {
        let tick = self.world.tick;
        let is_gone = |seat: &Seat| seat.session.is_none() && tick >= seat.away_since + AWAY_TICKS;
        let seats = self.seats.iter().map(|(_, seat)| seat);
        let gone: Vec<u32> = seats
            .filter(|seat| is_gone(seat))
            .map(|seat| seat.ship)
            .collect();
        for ship in gone {
            self.seats.remove(ship);
            self.world.ships.remove(&ship);
        }
    }

    /// Drones come while few play, and go one by one as they are shot down.
    fn fill_up(&mut self) {
        let here = self.seats.here();
        let wanted = if here == 0 {
            0
        } else {
            LIVELY.saturating_sub(here)
        };
        let drones = self.world.ships.len() - self.seats.len();
        if drones < wanted && self.world.tick.is_multiple_of(10) {
            self.world.launch(Pilot::Drone { whim: 0.5 });
        } else if drones > wanted {
            let is_drone = |pilot: &Pilot| matches!(pilot, Pilot::Drone { .. });
            let ships = self.world.ships.iter();
            let down =
                ships.filter(|(_, ship)| is_drone(&ship.pilot) && (!ship.is_flying() || here == 0));
            if let Some(id) = down.map(|(id, _)| *id).next() {
                self.world.ships.remove(&id);
            }
        }
    }

    /// A player is worth more than a drone.
    fn make_room(&mut self) {
        if self.world.ships.len() >= world::SHIPS_MAX {
            let drone = self
                .world
                .ships
                .keys()
                .find(|id| self.seats.of(**id).is_none());
            if let Some(drone) = drone.copied() {
                self.world.ships.remove(&drone);
            }
        }
    }

    fn name(&self, ship: u32) -> &str {
        let seat = self.seats.of(ship);
        seat.map_or_else(|| drone_name(ship), |seat| &seat.name)
    }
}

fn drone_name(ship: u32) -> &'static str {
    DRONES[ship as usize % DRONES.len()]
}

fn full() -> ActorError {
    ActorError::new("room-full", format!("{SEATS_MAX} play here already"))
}
