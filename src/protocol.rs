//! The words of the wire, read and checked: no I/O, no HTTP library's types beyond headers and URIs.

mod address;
mod admin;
pub(crate) mod alarms;
mod encoding;
mod idempotency;
mod object_file;
mod request_id;
pub(crate) mod session;
mod trace;

use std::time::Duration;

use http::{HeaderMap, HeaderName};

pub(crate) use address::{Address, InvalidAddress};
pub(crate) use admin::{
    BackupAsked, BackupDone, BackupProgress, Fork, InvalidObjectName, Line, ListedObject, Listing,
    Refused, Replaced, Retained, RetainedSpan, moment, split_address,
};
pub(crate) use encoding::{UnknownMediaType, arguments_encoding, media_type, reply_encoding};
pub(crate) use idempotency::{InvalidIdempotencyHeader, idempotency_key};
pub use object_file::InvalidObjectFile;
pub(crate) use object_file::ObjectFile;
pub(crate) use request_id::RequestId;
pub(crate) use trace::traceparent;

/// Bounds a call, in milliseconds.
pub(crate) const DEADLINE: HeaderName = HeaderName::from_static("abide-deadline-ms");
/// Makes a call that may write happen once, however often it is sent.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Says that a reply is that of an earlier call with the same key.
pub(crate) const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// Names a request in responses, problems and logs.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The header [`DEADLINE`] cannot be obeyed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the header abide-deadline-ms is '{found}', it takes 1 to {max_ms} milliseconds")]
pub(crate) struct InvalidDeadline {
    found: String,
    max_ms: u128,
}

/// How long the call may take.
pub(crate) fn deadline(
    headers: &HeaderMap,
    default: Duration,
    max: Duration,
) -> Result<Duration, InvalidDeadline> {
    let Some(value) = headers.get(DEADLINE) else {
        return Ok(default);
    };
    let asked = value
        .to_str()
        .ok()
        .and_then(|text| text.parse().ok())
        .map(Duration::from_millis);
    match asked {
        Some(wait) if !wait.is_zero() && wait <= max => Ok(wait),
        _ => Err(InvalidDeadline {
            found: String::from_utf8_lossy(value.as_bytes())
                .chars()
                .take(80)
                .collect(),
            max_ms: max.as_millis(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::{HeaderMap, HeaderValue};

    use super::{DEADLINE, deadline};

    fn read(value: &str) -> Result<Duration, super::InvalidDeadline> {
        let headers = HeaderMap::from_iter([(DEADLINE, HeaderValue::from_str(value).unwrap())]);
        deadline(&headers, Duration::from_secs(30), Duration::from_secs(60))
    }

    #[test]
    fn a_deadline_is_whole_milliseconds_within_the_limit() {
        let none = deadline(
            &HeaderMap::new(),
            Duration::from_secs(30),
            Duration::from_secs(60),
        );
        assert_eq!(none.unwrap(), Duration::from_secs(30));
        assert_eq!(read("250").unwrap(), Duration::from_millis(250));
        for refused in ["0", "-1", "1.5", "60001", "soon", ""] {
            assert!(read(refused).is_err(), "{refused}");
        }
    }
}
