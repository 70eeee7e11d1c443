//! Receive-only sessions over server-sent events: `GET /v1/{namespace}/{name}` with
//! `Accept: text/event-stream`.
//!
//! The same session as over a WebSocket with `abide.v1`, with the same queue, bounds and end; only that its client
//! cannot say anything but how far it was when it comes again (`Last-Event-ID`). The page is `docs/sse.md`.

mod event;
mod event_id;
mod stream;

use std::sync::Arc;

use abide_actors::{ConnectError, ConnectRequest, InvalidToken, Resumption};
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use super::app::{App, origin};
use super::patience::AcknowledgedWithin;
use crate::problem::Problem;
use crate::protocol::Address;
use event_id::EventId;
use stream::Events;

const MEDIA_TYPE: &str = "text/event-stream";
/// What a client got last, as an event's id said it.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Keeps nginx, and what has learnt from it, from collecting events before it passes them on.
const UNBUFFERED: (HeaderName, HeaderValue) = (
    HeaderName::from_static("x-accel-buffering"),
    HeaderValue::from_static("no"),
);

/// Whether a request asks for events. One for the headers alone opens no session.
pub(super) fn is_asked(method: &Method, headers: &HeaderMap) -> bool {
    let accept = headers.get_all(header::ACCEPT).iter();
    let mut accepted = accept
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|range| range.split(';').next().unwrap_or_default().trim());
    method == Method::GET && accepted.any(|range| range.eq_ignore_ascii_case(MEDIA_TYPE))
}

/// Opens a session. The object is asked first, so a refusal is an ordinary response.
pub(super) async fn open(app: Arc<App>, request: Request) -> Result<Response, Problem> {
    let (head, _) = request.into_parts();
    let deadline = app.deadline(&head.headers)?;
    let address = Address::parse(head.uri.path())?;
    let target = app.runtime.target(&address.namespace, &address.name)?;
    let last = last_event(&head.headers)?;
    let received = last.as_ref().map_or(0, |last| last.count);
    let connect = ConnectRequest {
        query: head.uri.query().unwrap_or_default().to_owned(),
        origin: origin(&head),
        resumption: match last {
            Some(EventId { token, count }) => Resumption::Resume {
                token,
                received: count,
            },
            None => Resumption::New,
        },
        receives_only: true,
        ..ConnectRequest::default()
    };
    let place = app.admit(&target, deadline).await?;
    let connection = app.runtime.connect(&target, connect, deadline).await?;
    drop(place);
    let events = Events::new(connection, received, &app);
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        UNBUFFERED,
    ];
    let mut response = (headers, Body::new(events)).into_response();
    // Nobody answers a comment; that its bytes were taken is all the sign of life there is.
    let within = AcknowledgedWithin(app.config.ping_timeout.duration());
    response.extensions_mut().insert(within);
    Ok(response)
}

/// What the client got last; `None` when it has got nothing.
fn last_event(headers: &HeaderMap) -> Result<Option<EventId>, Problem> {
    let Some(last) = headers.get(LAST_EVENT_ID) else {
        return Ok(None);
    };
    let read = last.to_str().map_err(|_| InvalidToken);
    match read.and_then(str::parse) {
        Ok(last) => Ok(Some(last)),
        Err(invalid) => Err(ConnectError::from(invalid).into()),
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, Method, header};

    use super::is_asked;

    #[test]
    fn events_are_asked_for_by_their_media_type() {
        let asks = |accept: &'static str| {
            let value = HeaderValue::from_static(accept);
            is_asked(
                &Method::GET,
                &HeaderMap::from_iter([(header::ACCEPT, value)]),
            )
        };
        assert!(asks("text/event-stream"));
        assert!(asks("text/html, Text/Event-Stream;q=0.9"));
        assert!(!asks("*/*"));
        assert!(!asks("text/event-streams"));
        assert!(!is_asked(&Method::GET, &HeaderMap::new()));
    }

    #[test]
    fn a_look_at_the_headers_opens_nothing() {
        let value = HeaderValue::from_static("text/event-stream");
        let headers = HeaderMap::from_iter([(header::ACCEPT, value)]);
        assert!(!is_asked(&Method::HEAD, &headers));
    }
}
