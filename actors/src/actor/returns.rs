//! What callbacks may return, as traits, so that the compiler can say what else they may.

use crate::body::Body;
use crate::call::{ActorError, CallError};
use crate::connect::ConnectError;
use crate::message::{Answer, Refusal};

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
impl<E: Into<ActorError>> Returned for Result<(), E> {
    fn into_answer(self) -> Result<Answer, CallError> {
        self.map(|()| Answer::Nothing).map_err(|error| CallError::Actor(error.into()))
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
        self.map(|()| Answer::Accepted).map_err(|error| CallError::Actor(error.into()))
    }
}

impl ConnectedReturned for Result<(), ActorError> {
    fn into_answer(self) -> Result<Answer, CallError> {
        self.map(|()| Answer::Accepted).map_err(CallError::Actor)
    }
}

impl ConnectedReturned for Result<(), ConnectError> {
    fn into_answer(self) -> Result<Answer, CallError> {
        match self {
            Ok(()) => Ok(Answer::Accepted),
            Err(ConnectError::Refused(refusal)) => Ok(Answer::Refused(refusal)),
            Err(ConnectError::Call(error)) => Err(CallError::Actor(error.into())),
            Err(error @ ConnectError::TooManySessions { .. }) => {
                Err(CallError::Actor(error.into()))
            }
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
impl<E: Into<ActorError>> FetchReturned for Result<http::Response<Body>, E> {
    fn into_answer(self) -> Result<Answer, CallError> {
        self.map(|response| Answer::Response(Box::new(response)))
            .map_err(|error| CallError::Actor(error.into()))
    }
}
