//! The object-safe face of a kind of actor: what the runtime drives, whatever language the actor is written in.

use std::any::TypeId;
use std::fmt;
use std::sync::Arc;

use abide_storage::BoxFuture;

use crate::call::{Call, CallError};
use crate::message::{Answer, Message};
use crate::payload::Payload;
use crate::turn::TurnContext;

/// A kind of actor: one per namespace. The typed API ([`Actor`](crate::Actor)) is one; guests in
/// other languages will be others.
pub trait Kind: fmt::Debug + Send + Sync + 'static {
    /// What objects of the kind can be asked.
    fn description(&self) -> &Description;

    /// Makes the value of an activation from the last committed state, or a fresh one.
    ///
    /// # Errors
    /// A sentence saying why the bytes are not a state of this kind. Nothing is changed; the
    /// caller gets [`CallError::StateUnreadable`].
    fn load(&self, state: Option<&[u8]>) -> Result<Box<dyn Incarnation>, String>;

    /// A committed state as people read it, for exports; `None` when the kind cannot say it so.
    fn state_json(&self, _state: &[u8]) -> Option<serde_json::Value> {
        None
    }
}

/// The in-memory value of one activation.
pub trait Incarnation: Send + Sync {
    /// Handles one message that may write. When it fails, panics or is dropped at its deadline,
    /// the runtime takes nothing of what it staged and makes the value anew.
    fn turn<'a>(
        &'a mut self,
        cx: TurnContext,
        message: Message,
    ) -> BoxFuture<'a, Result<Answer, CallError>>;

    /// Handles one call of a method that only reads ([`MethodDescription::access`]). Reads of one
    /// object may run together.
    fn read<'a>(
        &'a self,
        cx: TurnContext,
        call: Arc<Call>,
    ) -> BoxFuture<'a, Result<Payload, CallError>>;

    /// Appends the encoded state; called after each turn that may have changed it.
    ///
    /// # Errors
    /// A sentence saying what cannot be encoded; the turn fails with [`CallError::Unencodable`].
    fn encode(&self, buffer: &mut Vec<u8>) -> Result<(), String>;
}

/// What objects of a kind can be asked: the source of OpenAPI and of the landing page.
#[derive(Debug, Clone, Default)]
pub struct Description {
    /// The kind's own documentation, Markdown.
    pub documentation: String,
    /// Its methods, in the order written.
    pub methods: Vec<MethodDescription>,
    /// Which callbacks it has.
    pub callbacks: Callbacks,
    /// Bytes a message of a session may have though the server's setting is less; `None`: the setting.
    pub frame_size_max_bytes: Option<usize>,
    /// The Rust type, when it is one; lets typed handles find the namespace.
    pub type_id: Option<TypeId>,
}

impl Description {
    /// The method of this name.
    #[must_use]
    pub fn method(&self, name: &str) -> Option<&MethodDescription> {
        self.methods.iter().find(|method| method.name == name)
    }
}

/// One `#[call]`.
#[derive(Debug, Clone)]
pub struct MethodDescription {
    /// Its name in URLs.
    pub name: &'static str,
    /// Its documentation, Markdown.
    pub documentation: &'static str,
    /// Whether it takes `&self` (may be answered to GET) or `&mut self`.
    pub access: crate::call::Access,
    /// JSON Schema (2020-12) of the arguments, an object; definitions under `#/components/schemas`.
    pub arguments: serde_json::Value,
    /// JSON Schema of the value.
    pub returns: serde_json::Value,
    /// Schemas the two refer to, by name.
    pub definitions: serde_json::Map<String, serde_json::Value>,
}

/// The callbacks of a kind; the runtime wakes no object for one it does not have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "a set of independent facts, named one by one"
)]
pub struct Callbacks {
    /// Runs before the first message of an activation.
    pub activated: bool,
    /// Accepts or refuses sessions. Without it every session is accepted if there is `message`.
    pub connected: bool,
    /// Takes frames. Without it frames are dropped.
    pub message: bool,
    /// Hears of sessions that ended.
    pub disconnected: bool,
    /// Takes due alarms. Without it an alarm that falls due is cleared with a warning.
    pub alarm: bool,
    /// Answers raw HTTP.
    pub fetch: bool,
    /// Runs at the rate set with `set_tick`.
    pub tick: bool,
    /// Runs as the last turn of an activation.
    pub deactivating: bool,
}

impl Callbacks {
    /// Whether objects of the kind have sessions at all.
    #[must_use]
    pub fn takes_sessions(self) -> bool {
        self.connected || self.message
    }

    /// The names of those there are, in the order of an object's life.
    #[must_use]
    pub fn names(self) -> Vec<&'static str> {
        [
            (self.activated, "activated"),
            (self.connected, "connected"),
            (self.message, "message"),
            (self.disconnected, "disconnected"),
            (self.alarm, "alarm"),
            (self.fetch, "fetch"),
            (self.tick, "tick"),
            (self.deactivating, "deactivating"),
        ]
        .into_iter()
        .filter_map(|(present, name)| present.then_some(name))
        .collect()
    }
}
