//! Collaborative documents: a Yjs replica that any y-websocket client syncs with.

// With paths, because the server's own main.rs includes this file from another folder.
#[path = "awareness.rs"]
mod awareness;
#[path = "edit.rs"]
pub(crate) mod edit;
#[path = "export.rs"]
mod export;
#[path = "guard.rs"]
mod guard;
#[path = "hocuspocus.rs"]
pub(crate) mod hocuspocus;
#[path = "log.rs"]
mod log;
#[path = "mutations.rs"]
mod mutations;
#[path = "protocol.rs"]
mod protocol;
#[path = "replica.rs"]
pub(crate) mod replica;
#[path = "sync.rs"]
mod sync;
#[path = "thinning.rs"]
pub(crate) mod thinning;
#[path = "versions.rs"]
pub(crate) mod versions;
#[path = "wire.rs"]
pub(crate) mod wire;

use abide::prelude::*;

use self::awareness::Awareness;
use self::hocuspocus::HOCUSPOCUS;
use self::log::Log;
use self::mutations::Restored;
use self::replica::Replica;
use self::sync::{Problem, tell_all};
use self::versions::{Cause, Version, Versions};

/// Field of the text that is meant when a call names none: the one y-codemirror's guide uses.
const FIELD_DEFAULT: &str = "codemirror";
/// Largest document, as stored. A newcomer gets all of it in one frame, which must fit into its
/// session's outbound queue (2 MiB) together with everybody's awareness.
const SIZE_MAX_BYTES: u64 = 1536 * 1024;
/// Largest frame of a client: far more than fits, so that who pastes too much is told so by a close that
/// y-websocket takes as final. Closed with 1009 it would come back with the same change, for ever.
const FRAME_SIZE_MAX_BYTES: usize = 8 << 20;

/// The alarm that keeps a version, and how long after a change it comes.
const VERSION_ALARM: &str = "version";
const VERSION_INTERVAL: Duration = Duration::from_secs(10 * 60);

/// A collaborative document.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Document {
    log: Log,
    #[serde(skip)]
    replica: Replica,
    #[serde(skip)]
    awareness: Awareness,
    #[serde(skip)]
    versions: Versions,
}

/// How large a document is.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Size {
    /// Updates stored since the last snapshot.
    pub(crate) updates: u64,
    /// Stored bytes, snapshot and updates.
    pub(crate) bytes: u64,
    /// Open sessions.
    pub(crate) clients: usize,
}

/// A version and what it says.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Past {
    pub(crate) version: Version,
    /// The text of the field that was asked for.
    pub(crate) text: String,
}

/// The query string of a session.
#[derive(Debug, Default, Deserialize)]
struct Dialect {
    /// `hocuspocus`; without it, y-websocket's.
    protocol: Option<String>,
}

#[actor(frame_size_max = FRAME_SIZE_MAX_BYTES)]
impl Document {
    /// The plain text of a field; without one, of `codemirror`.
    #[call]
    fn text(&self, field: Option<String>) -> String {
        self.replica.text(named(field.as_deref()))
    }

    /// How large the document is, and how many have it open.
    #[call]
    fn size(&self, ctx: &Context<Self>) -> Size {
        let clients = ctx.session_count();
        Size {
            updates: self.log.updates(),
            bytes: self.log.size_bytes(),
            clients,
        }
    }

    /// All fields as JSON: texts as strings, maps as objects, arrays as arrays, XML as its markup.
    #[call]
    fn json(&self) -> serde_json::Value {
        self.replica.json()
    }

    /// Writes at the end of a field (without one, of `codemirror`), for everybody to see: how a
    /// backend takes part.
    #[call]
    fn append(
        &mut self,
        ctx: &mut Context<Self>,
        text: String,
        field: Option<String>,
    ) -> Result<(), ActorError> {
        self.check_room(ctx, text.len())?;
        let update = self.replica.append(named(field.as_deref()), &text);
        Ok(self.record(ctx, &update, &[])?)
    }

    /// Writes at a place of a plain text, counted in UTF-16 units as JavaScript does.
    #[call]
    fn insert(
        &mut self,
        ctx: &mut Context<Self>,
        at: u32,
        text: String,
        field: Option<String>,
    ) -> Result<(), ActorError> {
        self.put_in(ctx, named(field.as_deref()), at, &text)
    }

    /// Puts `with` in the place of every `find` in a plain text; answers how many there were.
    #[call]
    fn replace(
        &mut self,
        ctx: &mut Context<Self>,
        find: String,
        with: String,
        field: Option<String>,
    ) -> Result<usize, ActorError> {
        self.put_for(ctx, named(field.as_deref()), &find, &with)
    }

    /// Makes a plain text say `text`. What is the same already stays, with everybody's cursor in it.
    #[call]
    fn write(
        &mut self,
        ctx: &mut Context<Self>,
        text: String,
        field: Option<String>,
    ) -> Result<(), ActorError> {
        self.put_all(ctx, named(field.as_deref()), &text)
    }

    /// The versions kept, the newest first.
    #[call]
    fn versions(&self) -> Vec<Version> {
        self.versions.list()
    }

    /// A version, with the text of a field (without one, of `codemirror`) as it was.
    #[call]
    async fn version(
        &self,
        ctx: &Context<Self>,
        number: u64,
        field: Option<String>,
    ) -> Result<Past, ActorError> {
        let (version, replica) = self.versions.open(ctx, number).await?;
        let text = replica.text(named(field.as_deref()));
        Ok(Past { version, text })
    }

    /// Keeps the document of this moment under a name, until it is deleted; answers its number.
    #[call]
    fn save_version(&mut self, ctx: &mut Context<Self>, name: String) -> Result<u64, ActorError> {
        self.keep_version(ctx, Cause::Named(name))
    }

    /// Gives a version a name, or another one.
    #[call]
    fn name_version(
        &mut self,
        ctx: &mut Context<Self>,
        number: u64,
        name: String,
    ) -> Result<Version, ActorError> {
        self.versions.name(ctx, number, name)
    }

    /// Gives up a version.
    #[call]
    fn delete_version(&mut self, ctx: &mut Context<Self>, number: u64) -> Result<(), ActorError> {
        self.versions.delete(ctx, number)
    }

    /// Makes a plain text say what it said in a version. It is an edit like any other: what people
    /// write meanwhile stays, and what was there before is kept as a version, to go back to.
    #[call]
    async fn restore(
        &mut self,
        ctx: &mut Context<Self>,
        number: u64,
        field: Option<String>,
    ) -> Result<Restored, ActorError> {
        self.put_back(ctx, named(field.as_deref()), number).await
    }

    async fn activated(&mut self, ctx: &mut Context<Self>) -> Result<(), ActorError> {
        self.replica = self.log.load(ctx).await?;
        self.versions = Versions::load(ctx).await?;
        let sessions = ctx.sessions();
        let owned = sessions
            .iter()
            .filter_map(|session| Some((session.id(), session.attachment()?)));
        self.awareness = Awareness::restored(owned);
        if !sessions.is_empty() {
            // Hibernation forgot who pointed where; the clients know.
            tell_all(ctx, protocol::query_awareness(), &[]);
        }
        Ok(())
    }

    fn connected(
        &mut self,
        ctx: &mut Context<Self>,
        session: &Session,
        request: &ConnectRequest,
    ) -> Result<(), ConnectError> {
        let refused = |problem: String| ConnectError::Refused(Refusal::new(problem).status(400));
        let query = request.query::<Dialect>();
        let query = query.map_err(|problem| refused(problem.to_string()))?;
        match query.protocol.as_deref() {
            None => {
                session.send(protocol::step_1(&self.replica.state_vector()));
                self.tell_awareness(ctx, session);
            }
            // Its clients speak first.
            Some(HOCUSPOCUS) if ctx.name().is_some() => session.set_tags([HOCUSPOCUS])?,
            Some(HOCUSPOCUS) => {
                let problem = "hocuspocus needs the document's name in the address, not its id";
                return Err(refused(problem.to_owned()));
            }
            Some(_) => return Err(refused("'protocol' may be hocuspocus".to_owned())),
        }
        Ok(())
    }

    async fn message(
        &mut self,
        ctx: &mut Context<Self>,
        session: &Session,
        frame: Frame,
    ) -> Result<(), ActorError> {
        match self.receive(ctx, session, &frame).await {
            Ok(()) => Ok(()),
            Err(Problem::Close(Close { code, reason })) => {
                session.close(code, reason);
                Ok(())
            }
            Err(Problem::Failed(error)) => Err(error),
        }
    }

    fn disconnected(&mut self, ctx: &mut Context<Self>, session: &Session, _close: &Close) {
        let gone = self.awareness.leave(session.id());
        if !gone.is_empty() {
            tell_all(ctx, protocol::awareness(&gone), &[]);
        }
    }

    /// Some time has passed since the first change that no version has.
    fn alarm(&mut self, ctx: &mut Context<Self>, _alarm: Alarm) -> Result<(), ActorError> {
        if self.versions.current(self.log.changes()).is_none() {
            self.keep_version(ctx, Cause::Automatic)?;
        }
        Ok(())
    }

    /// The document as files.
    async fn fetch(
        &mut self,
        ctx: &Context<Self>,
        request: Request<Body>,
    ) -> Result<Response<Body>, ActorError> {
        let (method, uri) = (request.method().clone(), request.uri().clone());
        drop(request);
        self.file(ctx, &method, uri.path()).await
    }

    /// Stores an update that the replica has taken in, and passes it on.
    fn record(
        &mut self,
        ctx: &mut Context<Self>,
        update: &[u8],
        except: &[&Session],
    ) -> Result<(), CallError> {
        self.log.append(ctx, update)?;
        if self.log.is_long() {
            self.log.compact(ctx, self.replica.snapshot())?;
        }
        if ctx.alarm(VERSION_ALARM).is_none() {
            ctx.set_alarm(VERSION_ALARM, VERSION_INTERVAL)?;
        }
        tell_all(ctx, protocol::update(update), except);
        Ok(())
    }

    /// Whether so many bytes more fit. Deleted text still counts until the next snapshot, so when
    /// they do not, that is made now.
    fn make_room(&mut self, ctx: &mut Context<Self>, more: usize) -> Result<bool, CallError> {
        let fits = |log: &Log| log.size_bytes() + more as u64 <= SIZE_MAX_BYTES;
        if !fits(&self.log) && self.log.updates() > 0 {
            self.log.compact(ctx, self.replica.snapshot())?;
        }
        Ok(fits(&self.log))
    }
}

fn named(field: Option<&str>) -> &str {
    field.unwrap_or(FIELD_DEFAULT)
}

fn refusal(code: &'static str, message: impl Into<String>, status: u16) -> ActorError {
    ActorError::new(code, message).status(status)
}
