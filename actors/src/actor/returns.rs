//! What arguments, values and returns may be, as traits, so that the compiler can say in our words
//! what fits. Nobody implements them.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::body::Body;
use crate::call::{ActorError, CallError};
use crate::connect::ConnectError;
use crate::message::{Answer, Refusal};

/// What can be an argument of a call.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument of a call",
    label = "an argument of this call needs `Deserialize`",
    note = "arguments are decoded from the caller's bytes: derive `Deserialize` for `{Self}`"
)]
pub trait Argument: DeserializeOwned {}

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned> Argument for T {}

/// What can be the value of a call.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the value of a call",
    label = "needs `Serialize`",
    note = "the value is encoded into the reply: derive `Serialize` for `{Self}`"
)]
pub trait Value: Serialize {}

#[diagnostic::do_not_recommend]
impl<T: Serialize> Value for T {}

/// What can be the error of a call.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the error of a call",
    label = "the error must convert into `ActorError`",
    note = "every `std::error::Error` converts; implement it, or return an `ActorError` to choose \
            code and status"
)]
pub trait Failure {
    /// The error as callers get it.
    fn into_error(self) -> CallError;
}

#[diagnostic::do_not_recommend]
impl<E: Into<ActorError>> Failure for E {
    fn into_error(self) -> CallError {
        CallError::Actor(self.into())
    }
}

/// What most callbacks return.
#[diagnostic::on_unimplemented(
    message = "a callback cannot return `{Self}`",
    label = "return nothing, or `Result<(), E>`",
    note = "`E` is anything that converts into `ActorError`, such as every `std::error::Error`"
)]
pub trait Returned {
    /// The answer to the runtime.
    ///
    /// # Errors
    /// What the callback returned as one.
    fn into_answer(self) -> Result<Answer, CallError>;
}

impl Returned for () {
    fn into_answer(self) -> Result<Answer, CallError> {
        Ok(Answer::Nothing)
    }
}

#[diagnostic::do_not_recommend]
impl<E: Failure> Returned for Result<(), E> {
    fn into_answer(self) -> Result<Answer, CallError> {
        self.map(|()| Answer::Nothing).map_err(Failure::into_error)
    }
}

/// What `connected` returns.
#[diagnostic::on_unimplemented(
    message = "the callback `connected` cannot return `{Self}`",
    label = "return nothing, or `Result<(), Refusal>`",
    note = "with `Result<(), ConnectError>`, `?` works on refusals and on errors of the context"
)]
pub trait ConnectedReturned {
    /// The answer to the runtime.
    ///
    /// # Errors
    /// What the callback returned as one, unless it is a refusal: refusing is no failure.
    fn into_answer(self) -> Result<Answer, CallError>;
}

impl ConnectedReturned for () {
    fn into_answer(self) -> Result<Answer, CallError> {
        Ok(Answer::Accepted)
    }
}

impl ConnectedReturned for Result<(), Refusal> {
    fn into_answer(self) -> Result<Answer, CallError> {
        Ok(match self {
            Ok(()) => Answer::Accepted,
            Err(refusal) => Answer::Refused(refusal),
        })
    }
}

impl ConnectedReturned for Result<(), CallError> {
    fn into_answer(self) -> Result<Answer, CallError> {
        self.map(|()| Answer::Accepted).map_err(Failure::into_error)
    }
}

impl ConnectedReturned for Result<(), ActorError> {
    fn into_answer(self) -> Result<Answer, CallError> {
        self.map(|()| Answer::Accepted).map_err(Failure::into_error)
    }
}

impl ConnectedReturned for Result<(), ConnectError> {
    fn into_answer(self) -> Result<Answer, CallError> {
        match self {
            Ok(()) => Ok(Answer::Accepted),
            Err(ConnectError::Refused(refusal)) => Ok(Answer::Refused(refusal)),
            Err(ConnectError::Call(error)) => Err(error.into_error()),
            Err(
                error @ (ConnectError::TooManySessions { .. }
                | ConnectError::InvalidToken(_)
                | ConnectError::FromTheFuture(_)
                | ConnectError::TakenOver),
            ) => Err(error.into_error()),
        }
    }
}

/// What `fetch` returns.
#[diagnostic::on_unimplemented(
    message = "the callback `fetch` cannot return `{Self}`",
    label = "return `http::Response<Body>`, or a `Result` of it",
    note = "the error of the `Result` is anything that converts into `ActorError`, such as every \
            `std::error::Error`"
)]
pub trait FetchReturned {
    /// The answer to the runtime.
    ///
    /// # Errors
    /// What the callback returned as one.
    fn into_answer(self) -> Result<Answer, CallError>;
}

impl FetchReturned for http::Response<Body> {
    fn into_answer(self) -> Result<Answer, CallError> {
        Ok(Answer::Response(Box::new(self)))
    }
}

#[diagnostic::do_not_recommend]
impl<E: Failure> FetchReturned for Result<http::Response<Body>, E> {
    fn into_answer(self) -> Result<Answer, CallError> {
        self.map(|response| Answer::Response(Box::new(response)))
            .map_err(Failure::into_error)
    }
}
