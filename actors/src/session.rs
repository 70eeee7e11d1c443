//! Sessions without sockets: what an actor holds, what a transport pumps, and what lies between.
//!
//! A session outlives the activation it talks to (hibernation): its queue, tags and attachment
//! live beside the object's mailbox, not inside the activation.

mod audience;
mod connection;
mod delivery;
mod durable;
mod figures;
mod kept;
mod link;
mod outbound;
mod rate;
mod resume;
mod set;
mod token;
mod wire;

use std::fmt;
use std::sync::Arc;

use abide_storage::codec;
use bytes::Bytes;
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use audience::Audience;
pub(crate) use audience::Excepted;
pub use connection::{Connection, Incoming, Outgoing};
pub use delivery::{Class, Delivery};
pub(crate) use durable::{Entered, Journal, Numbered, Plan, Sealing, Told};
pub(crate) use figures::Figures;
#[cfg(feature = "fuzzing")]
pub(crate) use kept::fuzzing;
pub(crate) use kept::{Restored, RestoredSession, deletes, restore, store, wake_of};
pub(crate) use link::Link;
pub use outbound::FromTheFuture;
pub(crate) use outbound::{Enqueued, Outbound};
pub use rate::MessageRate;
pub use resume::{Reset, Resumption, Welcome};
pub(crate) use resume::{keep, resume};
pub(crate) use set::{AutoResponse, Join, SessionSet};
pub(crate) use token::Secret;
pub use token::{InvalidToken, Token};
pub(crate) use wire::Bursts;
pub use wire::{Wire, Written};

use self::rate::Used;
use crate::call::{CallError, Origin};
use crate::memory::Memory;
use crate::presence::Change;
use crate::registry::Limits;
use crate::stage::{Effect, Stage};

/// Most tags of one session.
pub const TAGS_MAX: usize = 10;
/// Longest tag, characters.
pub const TAG_SIZE_MAX_CHARS: usize = 256;
/// Largest encoded attachment.
pub const ATTACHMENT_SIZE_MAX_BYTES: usize = 16 * 1024;
/// Longest close reason, set by RFC 6455, section 5.5.
pub const CLOSE_REASON_SIZE_MAX_BYTES: usize = 123;

/// One message on a session. Cloning shares the bytes, so a broadcast encodes once.
#[derive(Clone, PartialEq, Eq)]
pub enum Frame {
    /// UTF-8 text.
    Text(Text),
    /// Any bytes.
    Binary(Bytes),
}

/// Bytes that are known to be UTF-8.
#[derive(Clone, PartialEq, Eq)]
pub struct Text(Bytes);

impl Text {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("checked when it was made")
    }

    /// The bytes, known to be UTF-8.
    #[must_use]
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// The bytes, known to be UTF-8.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.0
    }
}

impl TryFrom<Bytes> for Text {
    type Error = std::str::Utf8Error;

    fn try_from(bytes: Bytes) -> Result<Self, Self::Error> {
        std::str::from_utf8(&bytes)?;
        Ok(Self(bytes))
    }
}

impl Frame {
    /// A text frame with the value as JSON.
    ///
    /// # Errors
    /// [`CallError::Unencodable`] when the value has no JSON form.
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self, CallError> {
        serde_json::to_string(value)
            .map(Self::from)
            .map_err(|error| CallError::Unencodable {
                what: "frame",
                detail: error.to_string(),
            })
    }

    /// Payload size in bytes.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.0.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    /// The text, when it is a text frame.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text.as_str()),
            Self::Binary(_) => None,
        }
    }
}

impl From<String> for Frame {
    fn from(text: String) -> Self {
        Self::Text(Text(text.into()))
    }
}

impl From<&str> for Frame {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<Text> for Frame {
    fn from(text: Text) -> Self {
        Self::Text(text)
    }
}

impl From<Vec<u8>> for Frame {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Binary(bytes.into())
    }
}

impl From<Bytes> for Frame {
    fn from(bytes: Bytes) -> Self {
        Self::Binary(bytes)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "Text({text:?})"),
            Self::Binary(bytes) => write!(f, "Binary({} bytes)", bytes.len()),
        }
    }
}

/// How a session ends: a close code of RFC 6455, section 7.4, and a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Close {
    /// 1000 to 4999.
    pub code: u16,
    /// At most [`CLOSE_REASON_SIZE_MAX_BYTES`]; longer ones are cut.
    pub reason: String,
}

impl Close {
    /// The peer or the actor is done.
    pub const NORMAL: u16 = 1000;
    /// The client is leaving for good, as when its page is closed.
    pub const GOING_AWAY: u16 = 1001;
    /// The peer vanished without a close frame; never sent.
    pub const ABNORMAL: u16 = 1006;
    /// A frame of a kind the actor does not take.
    pub const UNSUPPORTED: u16 = 1003;
    /// A frame whose content is not what its kind promises.
    pub const INVALID_PAYLOAD: u16 = 1007;
    /// The client does what it may not do: it should not come again as it is.
    pub const POLICY: u16 = 1008;
    /// The actor's code failed on a frame.
    pub const INTERNAL_ERROR: u16 = 1011;
    /// The node is draining: reconnect.
    pub const RESTART: u16 = 1012;
    /// The client does not read fast enough: reconnect and catch up.
    pub const TRY_AGAIN_LATER: u16 = 1013;
    /// Another connection has taken the session up.
    pub const TAKEN_OVER: u16 = 4001;

    /// A close with the reason cut to what fits a close frame.
    #[must_use]
    pub fn new(code: u16, reason: impl Into<String>) -> Self {
        let mut reason = reason.into();
        reason.truncate(reason.floor_char_boundary(CLOSE_REASON_SIZE_MAX_BYTES));
        Self { code, reason }
    }
}

/// What a client sent to open a session.
#[derive(Debug, Clone, Default)]
pub struct ConnectRequest {
    /// The raw query string, without `?`.
    pub query: String,
    /// The subprotocols it offers, in its order.
    pub protocols: Vec<String>,
    /// Where it comes from.
    pub origin: Origin,
    /// Whether the session is to outlive its connection.
    pub resumption: Resumption,
    /// The client cannot say what it has got, as one that reads a stream of events. Its session cannot
    /// be [durable](Session::set_durable).
    pub receives_only: bool,
}

impl ConnectRequest {
    /// The query string read as `T`, the way arguments of a read call are.
    ///
    /// # Errors
    /// [`crate::InvalidPayload`] naming the field that does not fit.
    pub fn query<T: DeserializeOwned>(&self) -> Result<T, crate::InvalidPayload> {
        crate::Payload {
            encoding: crate::Encoding::Query,
            bytes: Bytes::copy_from_slice(self.query.as_bytes()),
        }
        .decode()
    }
}

/// Number of a session, unique in its object for ever, and growing on its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u64);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// What lives as long as the session: shared by the transport, the object and its activations.
pub(crate) struct SessionCore {
    pub(crate) id: SessionId,
    pub(crate) outbound: Outbound,
    traits: Mutex<Traits>,
    /// Of one that can be taken up again. Boxed: plain sessions should not be larger for it.
    link: Option<Box<Link>>,
}

#[derive(Default)]
struct Traits {
    tags: Arc<[Arc<str>]>,
    attachment: Option<Bytes>,
    protocol: Option<Arc<str>>,
    /// The actor's choice instead of the node's.
    rate: Option<MessageRate>,
    used: Used,
}

impl SessionCore {
    pub(crate) fn new(id: SessionId, outbound_max_bytes: usize, memory: &Memory) -> Arc<Self> {
        Arc::new(Self {
            id,
            outbound: Outbound::plain(outbound_max_bytes, memory),
            traits: Mutex::default(),
            link: None,
        })
    }

    /// One that can be taken up again.
    pub(crate) fn resumable(
        id: SessionId,
        link: Link,
        limits: &Limits,
        memory: &Memory,
    ) -> Arc<Self> {
        let (max, retained) = (limits.outbound_max_bytes, limits.resume_buffer_max_bytes);
        Arc::new(Self {
            id,
            outbound: Outbound::resumable(max, retained, memory),
            traits: Mutex::default(),
            link: Some(Box::new(link)),
        })
    }

    /// One that was stored.
    fn restored(id: SessionId, outbound: Outbound, traits: Traits, link: Link) -> Arc<Self> {
        Arc::new(Self {
            id,
            outbound,
            traits: Mutex::new(traits),
            link: Some(Box::new(link)),
        })
    }

    /// What the turn on the oldest of the client's messages under way has done is durable.
    pub(crate) fn settle(&self) {
        self.outbound.settle();
        self.has_settled();
    }

    pub(crate) fn tags(&self) -> Arc<[Arc<str>]> {
        self.traits.lock().tags.clone()
    }

    pub(crate) fn protocol(&self) -> Option<Arc<str>> {
        self.traits.lock().protocol.clone()
    }

    /// Takes over what a successful turn changed.
    fn apply(&self, change: SessionChange) {
        let mut traits = self.traits.lock();
        if let Some(tags) = change.tags {
            traits.tags = tags;
        }
        if let Some(attachment) = change.attachment {
            traits.attachment = attachment;
        }
        if let Some(protocol) = change.protocol {
            traits.protocol = Some(protocol);
        }
        if let Some(rate) = change.rate {
            traits.rate = Some(rate);
        }
    }
}

/// What a turn wants changed about a session; applied when the turn succeeds.
#[derive(Default)]
pub(crate) struct SessionChange {
    tags: Option<Arc<[Arc<str>]>>,
    attachment: Option<Option<Bytes>>,
    protocol: Option<Arc<str>>,
    rate: Option<MessageRate>,
    /// It is to live through crashes.
    durable: bool,
}

impl SessionChange {
    pub(crate) fn is_durable(&self) -> bool {
        self.durable
    }
}

/// One client attached to an object, as its actor code sees it.
///
/// Everything done through it is staged: it happens when the turn has succeeded and is durable,
/// in the order staged. A session may be kept in the actor's memory; after hibernation get it
/// again from `ctx.sessions()`.
#[derive(Clone)]
pub struct Session {
    pub(crate) core: Arc<SessionCore>,
    pub(crate) stage: Arc<Mutex<Stage>>,
}

impl Session {
    /// Its number.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.core.id
    }

    /// Whether its client is there just now. One that can be taken up again goes on without for a while;
    /// what is sent to it then waits.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.core.is_connected()
    }

    /// Sends a frame; as it is, reliably, or of another [`Class`] by [`Frame::latest`] and
    /// [`Frame::lossy`]. To a session that has ended it does nothing.
    pub fn send(&self, delivery: impl Into<Delivery>) {
        self.stage.lock().effect(Effect::Send {
            session: self.core.clone(),
            delivery: delivery.into(),
        });
    }

    /// Bytes that wait for the client to read them, with what they cost beside their payload. Near the
    /// bound (`outbound_queue_max`) a reliable frame ends the session: who can send less to a client
    /// that lags, should.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.core.outbound.waiting_bytes()
    }

    /// Frames that were dropped as their class allows: too much was waiting, or the client was away.
    #[must_use]
    pub fn dropped_frames(&self) -> u64 {
        self.core.outbound.left_out().0
    }

    /// Frames in whose place a newer one of their key was sent.
    #[must_use]
    pub fn replaced_frames(&self) -> u64 {
        self.core.outbound.left_out().1
    }

    /// Sends the value as a JSON text frame.
    ///
    /// # Errors
    /// [`CallError::Unencodable`]; nothing is staged.
    pub fn send_json<T: Serialize + ?Sized>(&self, value: &T) -> Result<(), CallError> {
        self.send(Frame::json(value)?);
        Ok(())
    }

    /// Ends the session, after the frames staged before.
    pub fn close(&self, code: u16, reason: impl Into<String>) {
        let close = Close::new(code, reason);
        self.stage.lock().effect(Effect::Close {
            session: self.core.clone(),
            close,
        });
    }

    /// Chooses one of the offered subprotocols; only in `connected`, later it does nothing.
    pub fn accept_protocol(&self, protocol: &str) {
        self.stage.lock().session(self.id()).protocol = Some(protocol.into());
    }

    /// Bounds how many messages the client may send from now on, instead of `session_rate_max` and
    /// `session_burst_max`. Above, the session is closed with 1008. Every frame from the client counts, those
    /// answered below the object too.
    pub fn limit_rate(&self, rate: MessageRate) {
        self.stage.lock().session(self.id()).rate = Some(rate);
    }

    /// Replaces the session's tags: at most [`TAGS_MAX`], each at most [`TAG_SIZE_MAX_CHARS`];
    /// doubles are dropped.
    ///
    /// # Errors
    /// [`CallError::LimitExceeded`]; the tags stay as they were.
    pub fn set_tags<T: AsRef<str>>(
        &self,
        tags: impl IntoIterator<Item = T>,
    ) -> Result<(), CallError> {
        let mut kept: Vec<Arc<str>> = Vec::new();
        for tag in tags {
            let tag = tag.as_ref();
            if tag.chars().count() > TAG_SIZE_MAX_CHARS {
                return Err(CallError::LimitExceeded {
                    what: "length of a session's tag",
                    limit: format!("{TAG_SIZE_MAX_CHARS} characters"),
                });
            }
            if !kept.iter().any(|known| &**known == tag) {
                kept.push(tag.into());
            }
        }
        if kept.len() > TAGS_MAX {
            return Err(CallError::LimitExceeded {
                what: "tags of a session",
                limit: TAGS_MAX.to_string(),
            });
        }
        self.stage.lock().session(self.id()).tags = Some(kept.into());
        Ok(())
    }

    /// The session's tags, with what this turn changed.
    #[must_use]
    pub fn tags(&self) -> Arc<[Arc<str>]> {
        let staged = self
            .stage
            .lock()
            .session_change(self.id())
            .and_then(|c| c.tags.clone());
        staged.unwrap_or_else(|| self.core.tags())
    }

    /// Keeps a small value with the session through hibernation; it is gone when the session is.
    ///
    /// # Errors
    /// [`CallError::Unencodable`], or [`CallError::LimitExceeded`] above
    /// [`ATTACHMENT_SIZE_MAX_BYTES`]; the attachment stays as it was.
    pub fn attach<T: Serialize>(&self, value: &T) -> Result<(), CallError> {
        let mut bytes = Vec::new();
        codec::encode(value, &mut bytes).map_err(|error| CallError::Unencodable {
            what: "attachment",
            detail: error.to_string(),
        })?;
        if bytes.len() > ATTACHMENT_SIZE_MAX_BYTES {
            return Err(CallError::LimitExceeded {
                what: "size of a session's attachment",
                limit: format!("{ATTACHMENT_SIZE_MAX_BYTES} bytes"),
            });
        }
        self.stage.lock().session(self.id()).attachment = Some(Some(bytes.into()));
        Ok(())
    }

    /// The attached value, with what this turn changed; `None` when there is none or it is not a `T`.
    #[must_use]
    pub fn attachment<T: DeserializeOwned>(&self) -> Option<T> {
        let staged = self
            .stage
            .lock()
            .session_change(self.id())
            .and_then(|c| c.attachment.clone());
        let bytes = staged.unwrap_or_else(|| self.core.traits.lock().attachment.clone())?;
        codec::decode(&bytes).ok()
    }

    /// Shows the session to those who [watch](Self::watch_presence) who is here, with a small
    /// state, or changes that state. It stays shown, through hibernation and resumption, until it
    /// ends or [`absent`](Self::absent) takes it back.
    ///
    /// The member's id is the session's number, or the key of an earlier
    /// [`present_as`](Self::present_as).
    ///
    /// # Errors
    /// [`CallError::Unencodable`], or [`CallError::LimitExceeded`] when the state takes more than
    /// [`PRESENCE_STATE_SIZE_MAX_BYTES`](crate::PRESENCE_STATE_SIZE_MAX_BYTES) as JSON; nothing is staged.
    pub fn present<T: Serialize + ?Sized>(&self, state: &T) -> Result<(), CallError> {
        self.show(Change::present(&self.core, None, state)?);
        Ok(())
    }

    /// As [`present`](Self::present), under a key: all sessions of one key are one member, with the
    /// state that one of them was given last. Who the client is makes a good key.
    ///
    /// # Errors
    /// As [`present`](Self::present), and [`CallError::LimitExceeded`] when the key has more than
    /// [`PRESENCE_KEY_SIZE_MAX_BYTES`](crate::PRESENCE_KEY_SIZE_MAX_BYTES).
    pub fn present_as<T: Serialize + ?Sized>(&self, key: &str, state: &T) -> Result<(), CallError> {
        self.show(Change::present(&self.core, Some(key), state)?);
        Ok(())
    }

    /// Shows the session no longer. Its member goes when no other session holds it.
    pub fn absent(&self) {
        self.show(Change::Absent(self.core.clone()));
    }

    /// Has the session told who is here, and what changes about it, ten times a second at most
    /// (`docs/presence.md` has the messages). It need not be shown itself.
    pub fn watch_presence(&self) {
        self.show(Change::Watch(self.core.clone()));
    }

    /// Ends that.
    pub fn unwatch_presence(&self) {
        self.show(Change::Unwatch(self.core.clone()));
    }

    fn show(&self, change: Change) {
        self.stage.lock().effect(Effect::Presence(change.into()));
    }
}

impl PartialEq for Session {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl Eq for Session {}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({})", self.core.id)
    }
}
