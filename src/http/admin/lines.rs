//! Answers that come in many lines: listings, and work that tells how far it is.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::header;
use serde::Serialize;

use crate::problem::Problem;
use crate::protocol::{Line, RequestId};

/// Newline-delimited JSON of these lines, each sent as it comes. The first problem is the last line.
///
/// The status is 200 by then: a caller believes the last line. A client that goes away drops the
/// stream; work that must go on without it belongs into a task.
pub(super) fn respond<I, E>(
    id: RequestId,
    lines: impl Stream<Item = Result<Line<I, E>, Problem>> + Send + 'static,
) -> Response
where
    I: Serialize + Send + 'static,
    E: Serialize + Send + 'static,
{
    let mut ended = false;
    let lines = lines.take_while(move |line| {
        let wanted = !ended;
        ended = line.is_err();
        std::future::ready(wanted)
    });
    let encoded = lines.map(move |line| match line {
        Ok(line) => encode(&line),
        Err(problem) => encode(&Line::<I, E>::Problem(problem.told(&id))),
    });
    (
        [(header::CONTENT_TYPE, "application/x-ndjson")],
        Body::from_stream(encoded.map(Ok::<_, std::convert::Infallible>)),
    )
        .into_response()
}

fn encode<T: Serialize>(line: &T) -> Bytes {
    let mut bytes = serde_json::to_vec(line).expect("a line has string keys only");
    bytes.push(b'\n');
    bytes.into()
}
