//! Every error → status, code, effect, and a body of RFC 9457.
//!
//! The matches are exhaustive on purpose: a new way to fail must choose its code here before it
//! compiles. What a client reads never comes from inside (paths, engine messages); that goes to
//! the log, under the same request id.

mod code;

use std::borrow::Cow;
use std::time::Duration;

use abide_actors::{
    ActorError, CallError, Close, ConnectError, ImageError, MemoryExhausted, PresenceRefused,
    Refusal,
};
use abide_storage::{CommitError, Effect, HistoryError};
use axum::body::Body;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{self, HeaderName, HeaderValue};
use serde::Serialize;

pub(crate) use code::{
    ADMIN_REFUSED, BACKUP_FAILED, BACKUP_REFUSED, BODY_TIMEOUT, BODY_TOO_LARGE, BODY_UNREADABLE,
    CODES, Code, INVALID_ARGUMENTS, INVALID_BODY, INVALID_HANDSHAKE, METHOD_NOT_ALLOWED, NOT_FOUND,
    OBJECT_NOT_FOUND, OVERLOADED, TOO_MANY_CONNECTIONS, UNSUPPORTED_MEDIA_TYPE, UPGRADE_REQUIRED,
};

use crate::http::Busy;
use crate::protocol::session;
use crate::protocol::{
    InvalidAddress, InvalidDeadline, InvalidIdempotencyHeader, InvalidObjectFile,
    InvalidObjectName, Refused, RequestId, UnknownMediaType,
};

/// An error on its way to a client. Handlers return it; the connection's service renders it,
/// because only that knows the request's id.
///
/// Boxed, because it travels as the rare half of many `Result`s.
#[derive(Debug, Clone)]
pub(crate) struct Problem(Box<Fields>);

#[derive(Debug, Clone)]
struct Fields {
    kind: &'static Code,
    /// Differs from the kind's when actor code chose it.
    code: Cow<'static, str>,
    status: u16,
    detail: String,
    effect: Effect,
    retry_after: Option<Duration>,
    data: Option<Box<serde_json::Value>>,
    header: Option<(HeaderName, HeaderValue)>,
    /// For the log only.
    cause: Option<String>,
}

/// The body, in the order people read it.
#[derive(Serialize)]
struct Rendered<'a> {
    #[serde(rename = "type")]
    page: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    instance: String,
    code: &'a str,
    effect: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u128>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a serde_json::Value>,
}

impl Problem {
    /// A problem of this kind, with effect *none*.
    pub(crate) fn new(kind: &'static Code, detail: impl Into<String>) -> Self {
        Self(Box::new(Fields {
            kind,
            code: Cow::Borrowed(kind.name),
            status: kind.status,
            detail: detail.into(),
            effect: Effect::None,
            retry_after: None,
            data: None,
            header: None,
            cause: None,
        }))
    }

    /// Tells the client when it makes sense to come again.
    pub(crate) fn retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// Adds a header the status calls for.
    pub(crate) fn header(mut self, name: HeaderName, value: &'static str) -> Self {
        self.0.header = Some((name, HeaderValue::from_static(value)));
        self
    }

    /// A defect or damage of ours: the log says what the client is not told.
    fn caused_by(mut self, cause: impl ToString) -> Self {
        self.0.cause = Some(cause.to_string());
        self
    }

    fn effect(mut self, effect: Effect) -> Self {
        self.0.effect = effect;
        self
    }

    /// Tells it to a client that has a WebSocket already, and logs it as [`respond`](Self::respond) does.
    pub(crate) fn refusal(&self, id: &RequestId) -> session::Refusal<'_> {
        self.log(id);
        self.members()
    }

    /// The same inside a session that goes on. It is the client's to mend, and not logged.
    pub(crate) fn members(&self) -> session::Refusal<'_> {
        session::Refusal {
            kind: session::ErrorType::Error,
            code: &self.0.code,
            status: self.0.status,
            title: self.0.kind.title,
            detail: &self.0.detail,
            effect: self.effect_name(),
            retry_after_ms: self.0.retry_after.map(|wait| wait.as_millis()),
        }
    }

    /// The same few words every time.
    pub(crate) fn title(&self) -> &'static str {
        self.0.kind.title
    }

    /// The close code of a WebSocket that is refused for it: whether it makes sense to come again.
    pub(crate) fn close_code(&self) -> u16 {
        const PROTOCOL_ERROR: u16 = 1002;
        const POLICY_VIOLATION: u16 = 1008;
        if *self.0.kind == code::DRAINING {
            Close::RESTART
        } else if *self.0.kind == code::RESUME_FROM_THE_FUTURE {
            PROTOCOL_ERROR
        } else if *self.0.kind == code::SESSION_TAKEN_OVER {
            Close::TAKEN_OVER
        } else if self.0.status == 429 || self.0.status >= 500 {
            Close::TRY_AGAIN_LATER
        } else {
            POLICY_VIOLATION
        }
    }

    /// Tells it inside of an answer that has begun as a success, and logs it as
    /// [`respond`](Self::respond) does.
    pub(crate) fn told(self, id: &RequestId) -> Refused {
        self.log(id);
        Refused {
            effect: self.effect_name().to_owned(),
            code: self.0.code.into_owned(),
            detail: self.0.detail,
        }
    }

    /// The body as JSON.
    pub(crate) fn body(&self, id: &RequestId) -> Vec<u8> {
        let rendered = Rendered {
            page: format!("/errors/{}", self.0.kind.name),
            title: self.0.kind.title,
            status: self.0.status,
            detail: &self.0.detail,
            instance: format!("/requests/{id}"),
            code: &self.0.code,
            effect: self.effect_name(),
            retry_after_ms: self.0.retry_after.map(|wait| wait.as_millis()),
            data: self.0.data.as_deref(),
        };
        serde_json::to_vec(&rendered).expect("a problem has string keys only")
    }

    fn effect_name(&self) -> &'static str {
        match self.0.effect {
            Effect::None => "none",
            Effect::Unknown => "unknown",
        }
    }

    /// As an error when a human must look, else for the curious.
    fn log(&self, id: &RequestId) {
        match &self.0.cause {
            Some(cause) => {
                tracing::error!(request_id = %id, code = %self.0.code, cause, "{}", self.0.detail);
            }
            None => tracing::debug!(request_id = %id, code = %self.0.code, "{}", self.0.detail),
        }
    }

    /// The response, logged once.
    pub(crate) fn respond(self, id: &RequestId) -> Response {
        self.log(id);
        let mut response = Response::new(Body::from(self.body(id)));
        *response.status_mut() =
            StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(wait) = self.0.retry_after {
            // The header counts whole seconds; rounding up never sends a client too early.
            let seconds = wait.as_millis().div_ceil(1_000);
            let value = HeaderValue::from_str(&seconds.to_string());
            headers.insert(
                header::RETRY_AFTER,
                value.expect("digits are a header value"),
            );
        }
        if let Some((name, value)) = self.0.header {
            headers.insert(name, value);
        }
        response
    }
}

impl IntoResponse for Problem {
    /// A carrier: the service takes the problem out and renders it with the request's id.
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        response.extensions_mut().insert(self);
        response
    }
}

impl From<CallError> for Problem {
    fn from(error: CallError) -> Self {
        let effect = error.effect();
        let kind = call_code(&error);
        let detail = error.to_string();
        let problem = match error {
            CallError::Actor(refusal) => return refusal.into(),
            CallError::NotARead { .. } => Self::new(kind, detail).header(header::ALLOW, "POST"),
            CallError::Overloaded { .. } => {
                Self::new(kind, detail).retry_after(Duration::from_millis(250))
            }
            CallError::MemoryExhausted(exhausted) => return exhausted.into(),
            CallError::TooManyIdempotencyKeys { retry_after, .. } => {
                Self::new(kind, detail).retry_after(retry_after)
            }
            CallError::OutboxFull { .. } | CallError::Draining => {
                Self::new(kind, detail).retry_after(Duration::from_secs(1))
            }
            CallError::Commit(error) | CallError::EarlierCommit(error) => {
                commit_problem(kind, &error)
            }
            CallError::Read(error) => {
                Self::new(kind, "the object's stored rows could not be read").caused_by(error)
            }
            CallError::StateUnreadable { object, .. } => {
                let said = format!("the stored state of {object} cannot be read");
                Self::new(kind, said).caused_by(detail)
            }
            CallError::UnknownNamespace { .. }
            | CallError::InvalidObject { .. }
            | CallError::UnknownMethod { .. }
            | CallError::NoCallback { .. }
            | CallError::InvalidArguments { .. }
            | CallError::UnknownAlarm { .. }
            | CallError::InvalidCron(_)
            | CallError::IdempotencyKeyReused { .. }
            | CallError::DeadlineExceeded { .. }
            | CallError::Deadlock { .. }
            | CallError::Panicked
            | CallError::Unencodable { .. }
            | CallError::LimitExceeded { .. }
            | CallError::Dropped => Self::new(kind, detail),
        };
        problem.effect(effect)
    }
}

/// Which page a failed call is explained on.
fn call_code(error: &CallError) -> &'static Code {
    match error {
        CallError::UnknownNamespace { .. } => &code::UNKNOWN_NAMESPACE,
        CallError::InvalidObject { .. } => &code::INVALID_OBJECT,
        CallError::UnknownMethod { .. } => &code::UNKNOWN_METHOD,
        CallError::NotARead { .. } => &code::NOT_A_READ,
        CallError::NoCallback { .. } => &code::NO_CALLBACK,
        CallError::InvalidArguments { .. } => &code::INVALID_ARGUMENTS,
        CallError::UnknownAlarm { .. } => &code::UNKNOWN_ALARM,
        CallError::InvalidCron(_) => &code::INVALID_CRON,
        CallError::Overloaded { .. } => &code::OVERLOADED,
        CallError::MemoryExhausted(_) => &code::MEMORY_EXHAUSTED,
        CallError::IdempotencyKeyReused { .. } => &code::IDEMPOTENCY_KEY_REUSED,
        CallError::TooManyIdempotencyKeys { .. } => &code::IDEMPOTENCY_KEYS_FULL,
        CallError::OutboxFull { .. } => &code::OUTBOX_FULL,
        CallError::DeadlineExceeded { .. } => &code::DEADLINE_EXCEEDED,
        CallError::Deadlock { .. } => &code::DEADLOCK,
        CallError::Actor(_) => &code::ACTOR_ERROR,
        CallError::Panicked => &code::ACTOR_PANICKED,
        CallError::StateUnreadable { .. } => &code::STATE_UNREADABLE,
        CallError::Unencodable { .. } => &code::UNENCODABLE,
        CallError::LimitExceeded { .. } => &code::LIMIT_EXCEEDED,
        CallError::Read(_) => &code::STORE_UNREADABLE,
        CallError::Commit(error) | CallError::EarlierCommit(error) => commit_code(error),
        CallError::Draining => &code::DRAINING,
        CallError::Dropped => &code::CALL_DROPPED,
    }
}

fn commit_code(error: &CommitError) -> &'static Code {
    match error {
        CommitError::Fenced { .. } => &code::FENCED,
        CommitError::TooLarge { .. } => &code::COMMIT_TOO_LARGE,
        CommitError::DiskFull { .. } => &code::DISK_FULL,
        CommitError::Refused { .. } => &code::STORE_REFUSED,
        CommitError::Unknown => &code::COMMIT_UNKNOWN,
    }
}

fn commit_problem(kind: &'static Code, error: &CommitError) -> Problem {
    match error {
        CommitError::Fenced { .. } => {
            let said = "the object moved to a newer activation while the turn ran";
            Problem::new(kind, said).retry_after(Duration::from_millis(100))
        }
        CommitError::TooLarge { .. } => Problem::new(kind, error.to_string()),
        CommitError::DiskFull { .. } => {
            Problem::new(kind, "the server's disk is full").retry_after(Duration::from_secs(5))
        }
        CommitError::Refused { .. } => Problem::new(
            kind,
            "the store takes no writes until the server is restarted",
        )
        .caused_by(error),
        CommitError::Unknown => {
            let said = "writing to disk failed, so it is unknown whether the turn is stored";
            Problem::new(kind, said).caused_by(error)
        }
    }
}

impl From<ActorError> for Problem {
    fn from(refusal: ActorError) -> Self {
        // A code of ours keeps its page; one the actor made up is explained in general.
        let kind = match &*refusal.code {
            "call-failed" => &code::CALL_FAILED,
            "invalid-cron" => &code::INVALID_CRON,
            _ => &code::ACTOR_ERROR,
        };
        let mut problem = Self::new(kind, refusal.message).effect(refusal.effect);
        problem.0.code = refusal.code;
        problem.0.status = refusal.status;
        problem.0.data = refusal.data;
        problem
    }
}

impl From<ConnectError> for Problem {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Refused(Refusal { status, reason }) => {
                let mut problem = Self::new(&code::SESSION_REFUSED, reason);
                problem.0.status = status;
                problem
            }
            ConnectError::TooManySessions { .. } => {
                Self::new(&code::TOO_MANY_SESSIONS, error.to_string())
                    .retry_after(Duration::from_secs(1))
            }
            ConnectError::InvalidToken(_) => {
                Self::new(&code::INVALID_RESUME_TOKEN, error.to_string())
            }
            ConnectError::FromTheFuture(_) => {
                Self::new(&code::RESUME_FROM_THE_FUTURE, error.to_string())
            }
            ConnectError::TakenOver => Self::new(&code::SESSION_TAKEN_OVER, error.to_string()),
            ConnectError::Call(error) => error.into(),
        }
    }
}

/// Told to a session as a control message: its status is that of the same refusal by HTTP.
impl From<PresenceRefused> for Problem {
    fn from(error: PresenceRefused) -> Self {
        let kind = match error {
            PresenceRefused::NotAllowed => &code::PRESENCE_REFUSED,
            PresenceRefused::TooLarge { .. } | PresenceRefused::TooDeep => &code::INVALID_PRESENCE,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<ImageError> for Problem {
    fn from(error: ImageError) -> Self {
        let kind = match error {
            ImageError::Absent { .. } => &code::OBJECT_NOT_FOUND,
            ImageError::Exists { .. } => &code::OBJECT_EXISTS,
            ImageError::VersionMismatch { .. } => &code::VERSION_MISMATCH,
            ImageError::OtherKind { .. } => &code::KIND_MISMATCH,
            ImageError::Invalid { .. } => &code::INVALID_IMAGE,
            ImageError::TooLarge { .. } => &code::IMAGE_TOO_LARGE,
            ImageError::Call(error) => return error.into(),
        };
        Self::new(kind, error.to_string())
    }
}

impl From<HistoryError> for Problem {
    fn from(error: HistoryError) -> Self {
        let kind = match &error {
            HistoryError::NotARepository { .. }
            | HistoryError::NewerFormat { .. }
            | HistoryError::OtherTimeline { .. }
            | HistoryError::Ahead { .. }
            | HistoryError::InUse { .. }
            | HistoryError::NotRetained { .. }
            | HistoryError::NotEmpty { .. }
            | HistoryError::VolatileEngine => &code::BACKUP_REFUSED,
            HistoryError::Corrupt { .. }
            | HistoryError::Open(_)
            | HistoryError::Engine(_)
            | HistoryError::Interrupted
            | HistoryError::DiskFull { .. }
            | HistoryError::Io { .. } => &code::BACKUP_FAILED,
        };
        // Whoever asks is the operator, and must know which file.
        Self::new(kind, error.to_string())
    }
}

/// Errors whose own words say all there is to say, each with its code.
macro_rules! told_as {
    ($($error:ty => $code:ident;)+) => {$(
        impl From<$error> for Problem {
            fn from(error: $error) -> Self {
                Self::new(&code::$code, error.to_string())
            }
        }
    )+};
}

told_as! {
    InvalidAddress => INVALID_OBJECT;
    InvalidDeadline => INVALID_DEADLINE;
    InvalidIdempotencyHeader => IDEMPOTENCY_KEY_INVALID;
    InvalidObjectFile => INVALID_OBJECT_FILE;
    InvalidObjectName => INVALID_OBJECT;
}

impl From<MemoryExhausted> for Problem {
    fn from(exhausted: MemoryExhausted) -> Self {
        Self::new(&code::MEMORY_EXHAUSTED, exhausted.to_string())
            .retry_after(Duration::from_secs(1))
    }
}

impl From<Busy> for Problem {
    fn from(busy: Busy) -> Self {
        Self::new(&code::SERVER_BUSY, busy.to_string()).retry_after(Duration::from_secs(1))
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        Self::new(&code::INVALID_OBJECT, rejection.body_text())
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(&code::INVALID_ARGUMENTS, rejection.body_text())
    }
}

impl From<UnknownMediaType> for Problem {
    fn from(error: UnknownMediaType) -> Self {
        let types = "application/json, application/msgpack";
        Self::new(&code::UNSUPPORTED_MEDIA_TYPE, error.to_string()).header(header::ACCEPT, types)
    }
}

#[cfg(test)]
mod tests;
