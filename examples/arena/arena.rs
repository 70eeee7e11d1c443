//! The actor of a room: a world, its clock, its players.
//!
//! The world is in memory and stepped by ticks; what must not be lost is in storage (`best.rs`, `saved.rs`).
//! So the state that is encoded with each turn is empty, and an input costs no commit.

use abide::prelude::*;

use crate::best::{Best, Line};
use crate::pace::{Pace, Stats};
use crate::protocol::{self, Event, Request};
use crate::room::Room;
use crate::saved;
use crate::seats::Sight;
use crate::world::rules::TICKS_PER_SECOND;

/// The code that tells a client that another one has taken its ship: it should not come back.
/// 4001 would say that of its session.
const TAKEN_OVER: u16 = 4_100;

/// Steps that are made up for after a hiccup: players step their ships in real time, so the room does.
const CATCH_UP: u32 = 4;

/// A room.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Arena {
    /// Made by `activated`.
    #[serde(skip)]
    room: Option<Room>,
    #[serde(skip)]
    pace: Pace,
}

#[actor]
impl Arena {
    /// The names with the most points of all times.
    #[call]
    fn best(&self) -> Vec<Line> {
        let best = self.room.as_ref().map(|room| room.best.shown());
        best.unwrap_or_default()
    }

    /// How punctual the room is, and how much is in it.
    #[call]
    fn stats(&self) -> Stats {
        let (players, ships, rows) = self.room.as_ref().map_or((0, 0, 0), Room::counts);
        Stats {
            players,
            ships,
            rows,
            pace: self.pace.figures(),
        }
    }

    async fn activated(&mut self, ctx: &mut Context<Self>) -> Result<(), ActorError> {
        let (world, seats) = saved::load(ctx).await?;
        let room = self
            .room
            .insert(Room::new(world, seats, Best::load(ctx).await?));
        // Sessions outlive activations: those who are here get their ships back, and all anew, because
        // what they hold is of tables that are gone.
        for session in ctx.sessions() {
            room.view.show(&session, Sight::Nothing)?;
            room.view.show(&session, Sight::Newcomer)?;
            if let Some(token) = session.attachment::<String>() {
                room.sit(ctx, &session, &token)?;
            }
        }
        ctx.set_tick(Tick::per_second(TICKS_PER_SECOND).catch_up(CATCH_UP));
        Ok(())
    }

    fn connected(&mut self, session: &Session, _request: &ConnectRequest) -> Result<(), CallError> {
        let Some(room) = &mut self.room else {
            return Ok(());
        };
        room.view.show(session, Sight::Newcomer)
    }

    /// A failed turn would cost everybody the world, so whatever a client sends is no reason for one.
    fn message(
        &mut self,
        ctx: &mut Context<Self>,
        session: &Session,
        frame: Frame,
    ) -> Result<(), ActorError> {
        let Some(room) = &mut self.room else {
            return Ok(());
        };
        let answer = match &frame {
            Frame::Binary(bytes) => match protocol::input(bytes) {
                Some((number, keys)) => {
                    room.steer(session.id(), number, keys);
                    return Ok(());
                }
                None => Err(ActorError::new("not-understood", "an input has five bytes")),
            },
            Frame::Text(text) => Request::read(text.as_str())
                .and_then(|Request::Join { name, token }| room.join(ctx, session, &name, token)),
        };
        if let Err(ActorError { code, message, .. }) = answer {
            session.send_json(&Event::Error {
                code: &code,
                detail: &message,
            })?;
        }
        Ok(())
    }

    fn disconnected(
        &mut self,
        ctx: &mut Context<Self>,
        session: &Session,
        _close: &Close,
    ) -> Result<(), CallError> {
        let Some(room) = &mut self.room else {
            return Ok(());
        };
        room.leave(session.id());
        // The last one turns off the light: without sessions there are no more ticks to tell of it.
        if room.is_deserted() {
            room.tell_the_lobby(ctx)?;
        }
        Ok(())
    }

    fn tick(&mut self, ctx: &mut Context<Self>, ticked: &Ticked) -> Result<(), ActorError> {
        self.pace.note(ticked);
        let Some(room) = &mut self.room else {
            return Ok(());
        };
        room.step(ctx)?;
        if room.has_news_for_the_lobby() {
            room.tell_the_lobby(ctx)?;
        }
        Ok(())
    }

    fn deactivating(&mut self, ctx: &mut Context<Self>) -> Result<(), CallError> {
        match &mut self.room {
            Some(room) => room.save(ctx),
            None => Ok(()),
        }
    }
}

/// Tells a session that another one has its ship now.
pub(crate) fn take_over(session: &Session) {
    session.close(TAKEN_OVER, "another page has taken this ship");
}
