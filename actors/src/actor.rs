//! The typed face of a kind of actor: a Rust type whose value is the object's state.

pub mod generated;
mod kind;
mod returns;
mod schema;

use std::future::Future;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use kind::ActorKind;

use crate::call::{Call, CallError};
use crate::context::Context;
use crate::handle::{Callee, Recipient};
use crate::kind::Description;
use crate::message::{Answer, Message};
use crate::payload::Payload;

/// A Rust type whose values are durable objects: one value per object, its fields the state.
///
/// Derive `Default`, `Serialize` and `Deserialize`, and put [`#[actor]`](crate::actor) on the
/// `impl` block with the calls and callbacks; it implements this trait.
/// ```
/// # extern crate abide_actors as abide;
/// use abide::{ConnectRequest, Context, Session, actor};
/// use serde::{Deserialize, Serialize};
///
/// /// One durable number that tells everyone watching it.
/// #[derive(Default, Serialize, Deserialize)]
/// struct Counter {
///     value: u64,
/// }
///
/// #[actor]
/// impl Counter {
///     /// Adds `by`, returns the new value.
///     #[call]
///     async fn increment(&mut self, ctx: &mut Context<Self>, by: u64) -> u64 {
///         self.value += by;
///         ctx.broadcast(self.value.to_string());
///         self.value
///     }
///
///     /// Current value.
///     #[call]
///     async fn get(&self) -> u64 {
///         self.value
///     }
///
///     async fn connected(&mut self, session: &Session, _request: &ConnectRequest) {
///         session.send(self.value.to_string());
///     }
/// }
/// ```
///
/// # State
/// A new object is `Default::default()`. After every successful turn that could write, the value is
/// encoded, and committed if its bytes changed. Fields under `#[serde(skip)]` live in memory only:
/// they are at their default after each activation and after each failed turn. State too large to
/// encode every turn belongs in [`Context::storage_mut`].
///
/// # Callbacks
/// All are optional, `async` or not. `ctx: &mut Context<Self>` comes first where it is wanted.
///
/// | Callback | When | May return | What happens next |
/// |---|---|---|---|
/// | `#[call] method(&mut self, ctx, …)` | somebody calls it by name | `R` or `Result<R, E>` | `R`: commit, then frames and the reply leave. `Err`: nothing is written, the caller gets the error |
/// | `#[call] method(&self, ctx: &Context<Self>, …)` | as above, also by GET | `R` or `Result<R, E>` | the reply leaves as soon as what it may reveal is durable; nothing is committed |
/// | `activated(ctx)` | an activation begins, before its first message | `()` or `Result<(), E>` | commit, then the message that woke it. `Err`: the activation ends, the message fails with it |
/// | `connected(ctx, session: &Session, request: &ConnectRequest)` | a client asks for a session | `()` or `Result<(), E>` where `E` is [`Refusal`](crate::Refusal), [`CallError`] or [`ConnectError`](crate::ConnectError) | `Ok`: commit, the session opens, frames leave. A `Refusal`: commit, the client is refused. Another error: nothing is written, the client gets it. Without the callback every client is accepted if there is `message`, refused otherwise |
/// | `message(ctx, session: &Session, frame: Frame)` | a frame arrives | `()` or `Result<(), E>` | commit, then frames leave and the session's next frame is read. `Err`: nothing is written, the session is closed with 1011 |
/// | `disconnected(ctx, session: &Session, close: &Close)` | a session has ended, whoever ended it | `()` or `Result<(), E>` | commit; the session is forgotten in either case |
/// | `alarm(ctx, alarm: Alarm)` | an alarm is due | `()` or `Result<(), E>` | the alarm is cleared in the same commit, unless it was set again. `Err`: nothing is written, it is tried again later |
/// | `fetch(ctx, request: http::Request<Body>)` | a raw HTTP request | `http::Response<Body>` or `Result<_, E>` | commit, then the response leaves. `Err`: nothing is written, the client gets the error |
/// | `tick(ctx, ticked: &Ticked)` | at the rate of [`Context::set_tick`] while a session is connected; `ticked` may be left out | `()` or `Result<(), E>` | commit, then frames leave. `Err`: nothing is written, the next tick comes all the same |
/// | `deactivating(ctx)` | the activation ends: idle, evicted or draining | `()` or `Result<(), E>` | commit, then the value is dropped. A crash skips it, so it is no place for what must happen |
///
/// `E` is anything that converts into [`ActorError`](crate::ActorError): every
/// `std::error::Error`, or an `ActorError` itself to choose code and status. A panic, or a passed
/// deadline, is like `Err`: the turn is undone, and the value is made again from the last commit.
///
/// The methods of this trait are for the runtime; nobody calls them by hand.
pub trait Actor: State {
    /// What [`Context::actor`] returns: one async method per call.
    type Handle<'a>: From<Callee<'a>>;

    /// What [`Context::send`] returns: one method per call that may write.
    type Recipient<'a>: From<Recipient<'a>>;

    /// What objects of this kind can be asked.
    fn description() -> Description;

    /// Handles one message that may write.
    ///
    /// # Errors
    /// What the actor's code returned, or why it was not reached. The caller undoes the turn.
    ///
    /// # Cancel safety
    /// No: the value may be half changed, so the caller makes it anew.
    fn turn(
        &mut self,
        cx: &mut Context<Self>,
        message: Message,
    ) -> impl Future<Output = Result<Answer, CallError>> + Send;

    /// Handles one call of a method that only reads.
    ///
    /// # Errors
    /// What the actor's code returned, or why it was not reached.
    ///
    /// # Cancel safety
    /// Yes: a read changes nothing.
    fn read(
        &self,
        cx: &Context<Self>,
        call: &Call,
    ) -> impl Future<Output = Result<Payload, CallError>> + Send;
}

/// What can be an actor's state. Nobody implements it: whatever fits has it.
///
/// It exists so that the compiler names the derives that are missing instead of one trait of
/// serde after the other.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the state of an actor",
    label = "needs `#[derive(Default, Serialize, Deserialize)]`",
    note = "a new object is `Default::default()`; what a turn changed is stored by `Serialize` and \
            read back by `Deserialize`",
    note = "if it has these, look at its fields: the value moves between threads, so each field \
            must be `Send + Sync + 'static`"
)]
pub trait State: Default + Serialize + DeserializeOwned + Send + Sync + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Default + Serialize + DeserializeOwned + Send + Sync + 'static> State for T {}
