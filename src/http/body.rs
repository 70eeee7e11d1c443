//! Bodies: read whole within bounds for a call, passed on in pieces for a raw request.

use abide_actors::{Body, Charge, Deadline};
use axum::body::{Body as HttpBody, HttpBody as _};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use http::{HeaderMap, header};
use http_body_util::BodyExt;
use tokio::time::timeout_at;

use crate::problem::{BODY_TIMEOUT, BODY_TOO_LARGE, BODY_UNREADABLE, Problem};

/// Bytes of a body too large that are read and dropped, so that its client gets to read why
/// (see [`super::linger`]).
const DISCARDED_MAX_BYTES: usize = 16 << 20;

/// All of the body, when it is at most `limit_bytes`, here by the deadline, and there is memory for
/// it, which is charged to `held`. A body that came in one piece is not copied.
///
/// # Cancel safety
/// No: what was read is lost.
pub(crate) async fn whole(
    mut body: HttpBody,
    headers: &HeaderMap,
    limit_bytes: usize,
    deadline: Deadline,
    held: &mut Charge,
) -> Result<Bytes, Problem> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let reading = async {
        if body.size_hint().lower() > limit_bytes as u64 {
            discard(body, headers).await;
            return Err(too_large(limit_bytes));
        }
        let Some(first) = next(&mut body).await? else {
            return Ok(Bytes::new());
        };
        if let Err(exhausted) = held.try_add(first.len()) {
            drop(first);
            discard(body, headers).await;
            return Err(exhausted.into());
        }
        if body.is_end_stream() && first.len() <= limit_bytes {
            return Ok(first);
        }
        let mut all = BytesMut::from(first);
        loop {
            if all.len() > limit_bytes {
                discard(body, headers).await;
                return Err(too_large(limit_bytes));
            }
            match next(&mut body).await? {
                Some(chunk) => {
                    if let Err(exhausted) = held.try_add(chunk.len()) {
                        held.clear();
                        drop(all);
                        discard(body, headers).await;
                        return Err(exhausted.into());
                    }
                    all.extend_from_slice(&chunk);
                }
                None => return Ok(all.freeze()),
            }
        }
    };
    timeout_at(deadline.0, reading)
        .await
        .unwrap_or_else(|_elapsed| {
            Err(Problem::new(
                &BODY_TIMEOUT,
                "the body did not arrive before the call's deadline",
            ))
        })
}

/// The next piece; trailers are skipped.
async fn next(body: &mut HttpBody) -> Result<Option<Bytes>, Problem> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            Problem::new(&BODY_UNREADABLE, format!("the body broke off: {error}"))
        })?;
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// Drops what is left, within bounds. A client that waits for `100 Continue` has not begun to
/// send, and is better not asked to.
async fn discard(mut body: HttpBody, headers: &HeaderMap) {
    if headers.contains_key(header::EXPECT) {
        return;
    }
    let mut discarded = 0;
    while discarded < DISCARDED_MAX_BYTES {
        match next(&mut body).await {
            Ok(Some(chunk)) => discarded += chunk.len(),
            Ok(None) | Err(_) => return,
        }
    }
}

fn too_large(limit_bytes: usize) -> Problem {
    Problem::new(
        &BODY_TOO_LARGE,
        format!("the body is larger than {limit_bytes} bytes"),
    )
}

/// A request's body for actor code, piece by piece as the client sends it.
pub(crate) fn streamed(body: HttpBody) -> Body {
    if body.is_end_stream() {
        return Body::empty();
    }
    Body::from_stream(
        body.into_data_stream()
            .map(|chunk| chunk.map_err(abide_actors::BodyError::new)),
    )
}

/// A response's body for the client, piece by piece as actor code makes it.
pub(crate) fn responded(body: Body) -> HttpBody {
    match body.into_whole() {
        Ok(bytes) => HttpBody::from(bytes),
        Err(chunks) => HttpBody::from_stream(chunks),
    }
}
