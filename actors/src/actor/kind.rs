//! Every [`Actor`] as a [`Kind`].

use std::any::TypeId;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use abide_storage::{BoxFuture, codec};

use crate::actor::Actor;
use crate::call::{Call, CallError};
use crate::context::Context;
use crate::kind::{Description, Incarnation, Kind};
use crate::message::{Answer, Message};
use crate::payload::Payload;
use crate::turn::TurnContext;

/// The [`Kind`] whose objects are values of `A`.
pub struct ActorKind<A> {
    description: Description,
    actor: PhantomData<fn() -> A>,
}

impl<A: Actor> ActorKind<A> {
    /// The kind, as the registry takes it.
    #[must_use]
    #[expect(
        clippy::new_ret_no_self,
        reason = "a kind is only ever used behind its trait"
    )]
    pub fn new() -> Arc<dyn Kind> {
        let description = Description {
            type_id: Some(TypeId::of::<A>()),
            ..A::description()
        };
        Arc::new(Self {
            description,
            actor: PhantomData,
        })
    }
}

impl<A: Actor> Kind for ActorKind<A> {
    fn description(&self) -> &Description {
        &self.description
    }

    fn load(&self, state: Option<&[u8]>) -> Result<Box<dyn Incarnation>, String> {
        let actor = match state {
            None => A::default(),
            Some(bytes) => codec::decode(bytes).map_err(|error| error.to_string())?,
        };
        Ok(Box::new(Value(actor)))
    }

    fn state_json(&self, state: &[u8]) -> Option<serde_json::Value> {
        let actor: A = codec::decode(state).ok()?;
        // JSON has no word for some values, as for maps whose keys are no text.
        serde_json::to_value(&actor).ok()
    }
}

impl<A> fmt::Debug for ActorKind<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ActorKind<{}>", std::any::type_name::<A>())
    }
}

/// The value of one activation.
struct Value<A>(A);

impl<A: Actor> Incarnation for Value<A> {
    fn turn<'a>(
        &'a mut self,
        cx: TurnContext,
        message: Message,
    ) -> BoxFuture<'a, Result<Answer, CallError>> {
        // The only allocation of a turn: `Actor`'s own futures are not boxed.
        Box::pin(async move { self.0.turn(&mut Context::new(cx), message).await })
    }

    fn read<'a>(
        &'a self,
        cx: TurnContext,
        call: Arc<Call>,
    ) -> BoxFuture<'a, Result<Payload, CallError>> {
        Box::pin(async move { self.0.read(&Context::new(cx), &call).await })
    }

    fn encode(&self, buffer: &mut Vec<u8>) -> Result<(), String> {
        codec::encode(&self.0, buffer).map_err(|error| error.to_string())
    }
}
