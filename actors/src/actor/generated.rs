//! What the code written by `#[actor]` uses. Not for people: it changes with the macro.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use serde;

pub use crate::actor::returns::{
    Argument, ConnectedReturned, Failure, FetchReturned, Returned, Value,
};
pub use crate::actor::schema::{AnySchema, MethodSchemas, Presence, SchemaOf};
pub use crate::actor::{Actor, State};
pub use crate::call::{Access, Call, CallError};
pub use crate::context::Context;
pub use crate::handle::{Callee, Recipient};
pub use crate::kind::Description;
pub use crate::message::{Answer, Message};
pub use crate::payload::Payload;

use crate::payload::{Encoding, InvalidPayload};

/// Arguments of a call that takes none: `{}`, `[]` or nothing at all.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "no arguments")]
struct NoArguments {}

/// Reads a call's arguments.
///
/// # Errors
/// [`CallError::InvalidArguments`].
pub fn arguments<T: DeserializeOwned>(call: &Call) -> Result<T, CallError> {
    call.arguments
        .decode()
        .map_err(|problem| CallError::InvalidArguments {
            method: call.method.to_string(),
            problem,
        })
}

/// Checks that a call brings no arguments to a method that takes none.
///
/// # Errors
/// [`CallError::InvalidArguments`].
pub fn no_arguments(call: &Call) -> Result<(), CallError> {
    if call.arguments.bytes.is_empty() {
        return Ok(());
    }
    arguments::<NoArguments>(call).map(|NoArguments {}| ())
}

/// Encodes a call's value the way its caller wants it.
///
/// # Errors
/// [`CallError::Unencodable`].
pub fn reply<T: Value>(call: &Call, value: &T) -> Result<Payload, CallError> {
    Payload::encode(value, call.reply_encoding).map_err(|problem| CallError::Unencodable {
        what: "reply",
        detail: problem.to_string(),
    })
}

/// A call's own error.
pub fn refused<E: Failure>(error: E) -> CallError {
    error.into_error()
}

/// Exists only for types that can be an actor's state.
pub fn check_state<T: State>() {}

/// The answer of most callbacks.
///
/// # Errors
/// The callback's own.
pub fn answer<R: Returned>(returned: R) -> Result<Answer, CallError> {
    returned.into_answer()
}

/// The answer of `connected`.
///
/// # Errors
/// The callback's own.
pub fn answer_connected<R: ConnectedReturned>(returned: R) -> Result<Answer, CallError> {
    returned.into_answer()
}

/// The answer of `fetch`.
///
/// # Errors
/// The callback's own.
pub fn answer_fetch<R: FetchReturned>(returned: R) -> Result<Answer, CallError> {
    returned.into_answer()
}

/// The answer to a message the actor has no callback for. What wakes no object by itself is
/// ignored; who waits for an answer is told.
///
/// # Errors
/// [`CallError::NoCallback`] for sessions and raw HTTP.
pub fn unhandled<A>(cx: &Context<A>, message: &Message) -> Result<Answer, CallError> {
    match message {
        Message::Connected { .. } | Message::Fetch(_) => Err(CallError::NoCallback {
            namespace: cx.namespace().to_owned(),
            callback: message.callback(),
        }),
        Message::Activated
        | Message::Call(_)
        | Message::Frame { .. }
        | Message::Disconnected { .. }
        | Message::Alarm(_)
        | Message::Tick(_)
        | Message::Deactivating => Ok(Answer::Nothing),
    }
}

/// The error of a call that the actor does not have, or not as a turn, or not as a read. The
/// runtime looks at the description first, so this is reached only by one that does not.
#[cold]
pub fn unknown_method<A>(cx: &Context<A>, call: &Call, known: &[&str]) -> CallError {
    CallError::UnknownMethod {
        namespace: cx.namespace().to_owned(),
        method: call.method.to_string(),
        known: known.iter().map(|&name| name.to_owned()).collect(),
    }
}

/// A handle's arguments, by position, in the compact encoding.
///
/// # Errors
/// [`CallError::Unencodable`].
pub fn encode_arguments<T: Serialize>(arguments: &T) -> Result<Payload, CallError> {
    let problem = |problem: InvalidPayload| CallError::Unencodable {
        what: "an argument",
        detail: problem.to_string(),
    };
    Payload::encode(arguments, Encoding::MessagePack).map_err(problem)
}

/// A handle's arguments when there are none; the reply comes in the compact encoding all the same.
///
/// # Errors
/// None; it has the shape of [`encode_arguments`].
pub fn encode_no_arguments() -> Result<Payload, CallError> {
    Ok(Payload {
        encoding: Encoding::MessagePack,
        ..Payload::none()
    })
}

/// Tells results from other types: its own constant, which only results have, hides that of
/// [`NoResult`], which everything has.
#[derive(Debug)]
pub struct IsResult<T>(std::marker::PhantomData<T>);

impl<T, E> IsResult<Result<T, E>> {
    /// It is one.
    pub const YES: bool = true;
}

/// What [`IsResult`] says of types that are none.
pub trait NoResult {
    /// It is none.
    const YES: bool = false;
}

impl<T> NoResult for IsResult<T> {}
