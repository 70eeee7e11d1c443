//! Collaborative documents: a Yjs replica that any y-websocket client syncs with.

// With paths, because the server's own main.rs includes this file from another folder.
#[path = "awareness.rs"]
mod awareness;
#[path = "guard.rs"]
mod guard;
#[path = "log.rs"]
mod log;
#[path = "protocol.rs"]
mod protocol;
#[path = "replica.rs"]
pub(crate) mod replica;
#[path = "sync.rs"]
mod sync;
#[path = "wire.rs"]
pub(crate) mod wire;

use abide::prelude::*;

use self::awareness::Awareness;
use self::log::Log;
use self::replica::Replica;
use self::sync::Problem;

/// Field of the text that is meant when a call names none: the one y-codemirror's guide uses.
const FIELD_DEFAULT: &str = "codemirror";
/// Largest document, as stored. A newcomer gets all of it in one frame, which must fit into its
/// session's outbound queue (2 MiB by default, 1 MiB in a runtime without the server) together with
/// everybody's awareness.
const SIZE_MAX_BYTES: u64 = 768 * 1024;

/// A collaborative document.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Document {
    log: Log,
    #[serde(skip)]
    replica: Replica,
    #[serde(skip)]
    awareness: Awareness,
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

#[actor]
impl Document {
    /// The plain text of a field; without one, of `codemirror`.
    #[call]
    fn text(&self, field: Option<String>) -> String {
        self.replica.text(field.as_deref().unwrap_or(FIELD_DEFAULT))
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

    /// Writes at the end of a field (without one, of `codemirror`), for everybody to see: how a
    /// backend takes part.
    #[call]
    fn append(
        &mut self,
        ctx: &mut Context<Self>,
        text: String,
        field: Option<String>,
    ) -> Result<(), ActorError> {
        if !self.make_room(ctx, text.len())? {
            let message = format!("a document has {SIZE_MAX_BYTES} bytes at most");
            return Err(ActorError::new("document-too-large", message).status(413));
        }
        let update = self
            .replica
            .append(field.as_deref().unwrap_or(FIELD_DEFAULT), &text);
        Ok(self.record(ctx, &update, &[])?)
    }

    async fn activated(&mut self, ctx: &mut Context<Self>) -> Result<(), ActorError> {
        self.replica = self.log.load(ctx).await?;
        let sessions = ctx.sessions();
        let owned = sessions
            .iter()
            .filter_map(|session| Some((session.id(), session.attachment()?)));
        self.awareness = Awareness::restored(owned);
        if !sessions.is_empty() {
            // Hibernation forgot who pointed where; the clients know.
            ctx.broadcast(protocol::query_awareness());
        }
        Ok(())
    }

    fn connected(&mut self, session: &Session, _request: &ConnectRequest) {
        session.send(protocol::step_1(&self.replica.state_vector()));
        self.tell_awareness(session);
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
            ctx.broadcast(protocol::awareness(&gone));
        }
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
        ctx.broadcast_except(protocol::update(update), except);
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
