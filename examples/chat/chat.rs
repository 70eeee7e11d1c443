//! Chat rooms: a durable history, and presence that is read off the open sessions.

// With paths, because the server's own main.rs includes this file from another folder.
#[path = "line.rs"]
mod line;
#[path = "protocol.rs"]
mod protocol;

use std::collections::BTreeSet;

use abide::prelude::*;

use self::line::{Line, checked_name, checked_text};
use self::protocol::Event;

/// Lines a room remembers; older ones are forgotten.
const HISTORY_LINES_MAX: u64 = 1_000;
/// Lines a newcomer is shown.
const WELCOME_LINES: usize = 50;
/// Most lines one `history` call answers with.
const HISTORY_LIMIT_MAX: u32 = 200;
/// Most names one frame lists. A room may be larger, but telling everybody everybody's name at
/// each arrival would cost the square of it.
const MEMBERS_LISTED_MAX: usize = 200;

/// A chat room. Who is here is no part of its state: it could only drift from the truth, which is
/// the sessions that are open.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Chat {
    /// Number of the newest line; the first is 1.
    newest: u64,
}

/// The query string of a session.
#[derive(Debug, Deserialize)]
struct Join {
    name: String,
    /// Whether the session is to live through a crash of the server. It costs a commit for each message to
    /// its client, so a client that can come back asks for it.
    #[serde(default)]
    durable: bool,
}

#[actor]
impl Chat {
    /// Says `text` as `from`, who need not be connected: how a backend speaks in a room.
    #[call]
    fn post(
        &mut self,
        ctx: &mut Context<Self>,
        from: String,
        text: String,
    ) -> Result<Line, ActorError> {
        let from = checked_name(&from)?;
        let text = checked_text(&text)?;
        Ok(self.say(ctx, from, text)?)
    }

    /// Lines in the order they were said: the newest ones, or the ones before number `before`.
    /// At most `limit` of them (50 when absent, 200 at most).
    #[call]
    async fn history(
        &self,
        ctx: &Context<Self>,
        before: Option<u64>,
        limit: Option<u32>,
    ) -> Result<Vec<Line>, CallError> {
        let limit = limit.map_or(WELCOME_LINES, |limit| limit.min(HISTORY_LIMIT_MAX) as usize);
        let end = before.unwrap_or(u64::MAX);
        let range = Keys::range(&*line::key(0)..&*line::key(end))
            .reverse()
            .limit(limit);
        let newest_first = ctx.storage().list::<line::Stored>(range).await?;
        let oldest_first = newest_first.into_iter().rev();
        Ok(oldest_first
            .filter_map(|(key, line)| line.numbered(&key))
            .collect())
    }

    /// The names that are here, in alphabetical order; the first 200 of a larger room.
    #[call]
    fn members(&self, ctx: &Context<Self>) -> Vec<String> {
        listed(names_of(ctx.sessions()))
    }

    async fn connected(
        &mut self,
        ctx: &mut Context<Self>,
        session: &Session,
        request: &ConnectRequest,
    ) -> Result<(), ConnectError> {
        let (name, durable) = request
            .query::<Join>()
            .map_err(|error| error.to_string())
            .and_then(|join| match checked_name(&join.name) {
                Ok(name) => Ok((name, join.durable)),
                Err(refused) => Err(refused.message),
            })
            .map_err(|problem| ConnectError::Refused(Refusal::new(problem).status(400)))?;
        session.attach(&name)?;
        if durable {
            session.set_durable()?;
        }

        let mut names = names_of(ctx.sessions().into_iter().filter(|other| other != session));
        let is_new = names.insert(name.clone());
        let members = listed(names);
        let history = self.history(ctx, None, None).await?;
        let welcome = Event::Welcome {
            you: &name,
            members: &members,
            history: &history,
        };
        session.send_json(&welcome)?;
        if is_new {
            let joined = Event::Joined {
                name: &name,
                members: &members,
            };
            ctx.broadcast_except(Frame::json(&joined)?, &[session]);
        }
        Ok(())
    }

    fn message(
        &mut self,
        ctx: &mut Context<Self>,
        session: &Session,
        frame: Frame,
    ) -> Result<(), CallError> {
        let Some(name) = session.attachment() else {
            return Ok(());
        };
        let said = match frame.as_text() {
            Some(frame) => protocol::said(frame),
            None => Err(ActorError::new("not-text", "this room takes text frames")),
        };
        match said.as_deref().map_err(Clone::clone).and_then(checked_text) {
            Ok(text) => self.say(ctx, name, text).map(drop),
            // Told to the one who wrote it. To fail the turn would end the session.
            Err(ActorError { code, message, .. }) => session.send_json(&Event::Error {
                code: &code,
                detail: &message,
            }),
        }
    }

    fn disconnected(
        &mut self,
        ctx: &mut Context<Self>,
        session: &Session,
        _close: &Close,
    ) -> Result<(), CallError> {
        let Some(name) = session.attachment::<String>() else {
            return Ok(());
        };
        let names = names_of(ctx.sessions().into_iter().filter(|other| other != session));
        if !names.contains(&name) {
            let left = Event::Left {
                name: &name,
                members: &listed(names),
            };
            ctx.broadcast(Frame::json(&left)?);
        }
        Ok(())
    }

    /// Stores a line, forgets the one that falls out of the history, tells everybody.
    fn say(
        &mut self,
        ctx: &mut Context<Self>,
        from: String,
        text: &str,
    ) -> Result<Line, CallError> {
        self.newest += 1;
        let line = Line {
            seq: self.newest,
            from,
            text: text.to_owned(),
            at: ctx.now().0,
        };
        let mut storage = ctx.storage_mut();
        storage.put(&line::key(line.seq), &line::Stored::from(&line))?;
        if let Some(forgotten @ 1..) = self.newest.checked_sub(HISTORY_LINES_MAX) {
            storage.delete(&line::key(forgotten))?;
        }
        ctx.broadcast(Frame::json(&Event::Line(&line))?);
        Ok(line)
    }
}

/// Whoever has more than one session is one member.
fn names_of(sessions: impl IntoIterator<Item = Session>) -> BTreeSet<String> {
    sessions
        .into_iter()
        .filter_map(|session| session.attachment())
        .collect()
}

fn listed(names: BTreeSet<String>) -> Vec<String> {
    names.into_iter().take(MEMBERS_LISTED_MAX).collect()
}
