//! What a document does with the frames of a session.

use abide::prelude::*;

use super::awareness::Owned;
use super::hocuspocus::{self, HOCUSPOCUS};
use super::protocol::{self, Message, Presence};
use super::replica::{self, News};
use super::wire::{Malformed, Reader};
use super::{Document, SIZE_MAX_BYTES};

/// Close code for a change that does not fit. y-websocket takes 4400 to 4499 as final, like HTTP's
/// 4xx, and does not reconnect only to be refused again.
const TOO_LARGE: u16 = 4413;
/// What a frame has beside an update, at most: kinds, lengths, the document's name.
const ENVELOPE_BYTES: u64 = 4 * 1024;

/// Why a frame was not handled.
pub(super) enum Problem {
    /// The client's doing: its session ends, the document goes on.
    Close(Close),
    /// Ours: the turn fails.
    Failed(ActorError),
}

impl From<Malformed> for Problem {
    fn from(malformed: Malformed) -> Self {
        Self::Close(Close::new(malformed.close_code(), malformed.to_string()))
    }
}

impl From<CallError> for Problem {
    fn from(error: CallError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<ActorError> for Problem {
    fn from(error: ActorError) -> Self {
        Self::Failed(error)
    }
}

impl Document {
    /// Handles one frame of a session.
    pub(super) async fn receive(
        &mut self,
        ctx: &mut Context<Self>,
        session: &Session,
        frame: &Frame,
    ) -> Result<(), Problem> {
        let Frame::Binary(bytes) = frame else {
            return Err(Malformed::Unsupported("y-protocols uses binary frames").into());
        };
        // Whatever is in it does not fit, so that nobody need look.
        if bytes.len() as u64 > SIZE_MAX_BYTES + ENVELOPE_BYTES {
            return Err(too_large());
        }
        if speaks_hocuspocus(session) {
            return self.receive_named(ctx, session, bytes).await;
        }
        let mut reader = Reader::new(bytes);
        while !reader.is_empty() {
            let message = Message::read(&mut reader)?;
            self.handle(ctx, session, message).await?;
        }
        Ok(())
    }

    /// Handles one message, in whatever dialect it came.
    pub(super) async fn handle(
        &mut self,
        ctx: &mut Context<Self>,
        session: &Session,
        message: Message<'_>,
    ) -> Result<(), Problem> {
        match message {
            Message::Step1(state_vector) => {
                let lacking = self.replica.changes_since(state_vector)?;
                tell(ctx, session, protocol::step_2(&lacking));
            }
            Message::Changes(update) => self.merge(ctx, session, update).await?,
            Message::Awareness(all) => self.hear(ctx, session, all)?,
            Message::QueryAwareness => self.tell_awareness(ctx, session),
            Message::AskSaved(number) => {
                let state = self.replica.state_vector();
                tell(ctx, session, protocol::saved(number, &state));
            }
        }
        Ok(())
    }

    /// Takes in a client's update. What the document has already is neither stored nor told again.
    async fn merge(
        &mut self,
        ctx: &mut Context<Self>,
        session: &Session,
        bytes: &[u8],
    ) -> Result<(), Problem> {
        let update = replica::decode(bytes)?;
        if !self.make_room(ctx, bytes.len())? {
            return Err(too_large());
        }
        match self.replica.apply(update) {
            Ok(News::None) => {}
            Ok(News::Changes(news)) => self.record(ctx, &news, &[session])?,
            Ok(News::Whole) => self.record(ctx, bytes, &[session])?,
            Err(malformed) => {
                self.replica = self.log.load(ctx).await?;
                return Err(malformed.into());
            }
        }
        Ok(())
    }

    /// Takes in what a client tells about itself and others.
    fn hear(
        &mut self,
        ctx: &mut Context<Self>,
        session: &Session,
        all: Vec<Presence<'_>>,
    ) -> Result<(), CallError> {
        let mut owned = session.attachment::<Owned>();
        if let (None, [own]) = (owned, &all[..]) {
            let own = Owned {
                client: own.client,
                clock: own.clock,
            };
            self.awareness.belongs(session.id(), own.client);
            session.attach(&own)?;
            owned = Some(own);
        }
        let news = self.awareness.hear(session.id(), all);
        if let Some(Owned { client, clock }) = owned
            && let Some(newer) = self.awareness.clock(client).filter(|newer| *newer > clock)
        {
            session.attach(&Owned {
                client,
                clock: newer,
            })?;
        }
        if !news.is_empty() {
            // To the one who told it, too: y-websocket takes 30 seconds without a frame for a
            // dead connection, and the echo of its own renewals is what a lone client hears.
            tell_all(ctx, protocol::awareness(&news), &[]);
        }
        Ok(())
    }

    /// Tells a session who is here.
    pub(super) fn tell_awareness(&self, ctx: &Context<Self>, session: &Session) {
        let here = self.awareness.here();
        if !here.is_empty() {
            tell(ctx, session, protocol::awareness(&here));
        }
    }
}

fn too_large() -> Problem {
    Problem::Close(Close::new(TOO_LARGE, "the document is too large"))
}

/// Sends a message to one session, as its dialect has it.
pub(super) fn tell(ctx: &Context<Document>, session: &Session, message: Vec<u8>) {
    if speaks_hocuspocus(session) {
        session.send(hocuspocus::named(ctx.name().unwrap_or_default(), &message));
    } else {
        session.send(message);
    }
}

/// Sends a message to all sessions but these; each dialect is encoded once.
pub(super) fn tell_all(ctx: &mut Context<Document>, message: Vec<u8>, except: &[&Session]) {
    if ctx.sessions_tagged(HOCUSPOCUS).is_empty() {
        ctx.broadcast_except(message, except);
        return;
    }
    let named = hocuspocus::named(ctx.name().unwrap_or_default(), &message);
    let (named, plain) = (Frame::from(named), Frame::from(message));
    for session in ctx.sessions() {
        if !except.contains(&&session) {
            let frame = if speaks_hocuspocus(&session) {
                &named
            } else {
                &plain
            };
            session.send(frame.clone());
        }
    }
}

pub(super) fn speaks_hocuspocus(session: &Session) -> bool {
    session.tags().iter().any(|tag| &**tag == HOCUSPOCUS)
}
