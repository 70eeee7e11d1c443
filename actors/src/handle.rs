//! Typed calls and messages: what `ctx.actor::<Counter>("visits")` and `ctx.send::<Counter>("visits")`
//! are made of.

use std::any::TypeId;
use std::fmt;

use abide_storage::{BoxFuture, Effect, Namespace};
use serde::de::DeserializeOwned;

use crate::actor::Actor;
use crate::call::{ActorError, CallError, Reply};
use crate::payload::Payload;
use crate::turn::TurnContext;

/// Whoever can carry a call to an object: the context of a turn, a runtime, a client.
pub trait Caller: Send + Sync {
    /// The namespace a Rust actor is registered under.
    ///
    /// # Errors
    /// [`CallError::UnknownNamespace`] when there is none, [`CallError::InvalidObject`] when there
    /// are several.
    fn namespace_of(&self, actor: TypeId) -> Result<Namespace, CallError>;

    /// Calls a method and waits for its reply.
    ///
    /// # Errors
    /// Every [`CallError`], with the effect the call may have had.
    ///
    /// # Cancel safety
    /// The call may be carried out all the same.
    fn call<'a>(
        &'a self,
        namespace: &'a str,
        name: &'a str,
        method: &'a str,
        arguments: Payload,
    ) -> BoxFuture<'a, Result<Reply, CallError>>;
}

impl Caller for TurnContext {
    fn namespace_of(&self, actor: TypeId) -> Result<Namespace, CallError> {
        Self::namespace_of(self, actor)
    }

    fn call<'a>(
        &'a self,
        namespace: &'a str,
        name: &'a str,
        method: &'a str,
        arguments: Payload,
    ) -> BoxFuture<'a, Result<Reply, CallError>> {
        Box::pin(Self::call(self, namespace, name, method, arguments))
    }
}

/// One object to call and the way to it: what every typed handle wraps.
#[derive(Clone)]
pub struct Callee<'a> {
    caller: &'a dyn Caller,
    /// Looked up when the handle is made, reported when it is used: getting a handle cannot fail.
    namespace: Result<Namespace, CallError>,
    name: String,
}

impl<'a> Callee<'a> {
    /// The object of this name in the one namespace `A` is registered under.
    #[must_use]
    pub fn of<A: Actor>(caller: &'a dyn Caller, name: &str) -> Self {
        let namespace = caller.namespace_of(TypeId::of::<A>());
        Self {
            caller,
            namespace,
            name: name.to_owned(),
        }
    }

    /// The object of this name in this namespace.
    #[must_use]
    pub fn within(caller: &'a dyn Caller, namespace: &str, name: &str) -> Self {
        Self {
            caller,
            namespace: namespace_named(namespace),
            name: name.to_owned(),
        }
    }

    /// Calls a method and reads the value of its reply.
    ///
    /// # Errors
    /// Every [`CallError`], with the effect the call may have had. A reply that is no `R` is
    /// [`CallError::Actor`] with the code `reply-mismatch`.
    ///
    /// # Cancel safety
    /// The call may be carried out all the same.
    pub async fn call<R: DeserializeOwned>(
        &self,
        method: &'static str,
        arguments: Result<Payload, CallError>,
    ) -> Result<R, CallError> {
        let namespace = self.namespace.as_ref().map_err(CallError::clone)?.as_str();
        let reply = self
            .caller
            .call(namespace, &self.name, method, arguments?)
            .await?;
        reply.payload.decode().map_err(|problem| {
            let message = format!("the reply of '{method}' is not of the expected type: {problem}");
            let mismatch = ActorError::new("reply-mismatch", message).status(502);
            // The method itself succeeded.
            CallError::Actor(ActorError {
                effect: Effect::Unknown,
                ..mismatch
            })
        })
    }
}

/// One object to send messages to: what every typed recipient wraps.
#[derive(Clone)]
pub struct Recipient<'a> {
    turn: &'a TurnContext,
    /// As with [`Callee`]: getting a recipient cannot fail, using it can.
    namespace: Result<Namespace, CallError>,
    name: String,
}

impl<'a> Recipient<'a> {
    /// The object of this name in the one namespace `A` is registered under.
    pub(crate) fn of<A: Actor>(turn: &'a TurnContext, name: &str) -> Self {
        Self {
            turn,
            namespace: turn.namespace_of(TypeId::of::<A>()),
            name: name.to_owned(),
        }
    }

    /// The object of this name in this namespace.
    pub(crate) fn within(turn: &'a TurnContext, namespace: &str, name: &str) -> Self {
        Self {
            turn,
            namespace: namespace_named(namespace),
            name: name.to_owned(),
        }
    }

    /// Stages a message.
    ///
    /// # Errors
    /// Those of [`TurnContext::send`]; nothing is staged.
    pub fn send(
        &self,
        method: &'static str,
        arguments: Result<Payload, CallError>,
    ) -> Result<(), CallError> {
        let namespace = self.namespace.as_ref().map_err(CallError::clone)?.as_str();
        self.turn.send(namespace, &self.name, method, arguments?)
    }
}

fn namespace_named(namespace: &str) -> Result<Namespace, CallError> {
    Namespace::new(namespace).map_err(|_| CallError::UnknownNamespace {
        namespace: namespace.to_owned(),
    })
}

impl fmt::Debug for Recipient<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Ok(namespace) => write!(f, "Recipient({namespace}/{})", self.name),
            Err(error) => write!(f, "Recipient({error})"),
        }
    }
}

impl fmt::Debug for Callee<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Ok(namespace) => write!(f, "Callee({namespace}/{})", self.name),
            Err(error) => write!(f, "Callee({error})"),
        }
    }
}
