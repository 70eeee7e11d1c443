//! Calls: an HTTP request becomes a `Call`, a `Reply` becomes a response.

use std::sync::Arc;

use abide_actors::{Access, Call, Charge, Deadline, Encoding, Payload, Reply};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::app::{App, origin};
use super::body;
use super::etag::is_known;
use crate::problem::Problem;
use crate::protocol::{
    Address, IDEMPOTENT_REPLAYED, arguments_encoding, idempotency_key, media_type, reply_encoding,
};

/// `POST …/{method}`: any method, arguments in the body.
pub(super) async fn call(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let address = Address::parse(head.uri.path())?;
    let idempotency_key = idempotency_key(&head.headers)?;
    let deadline = app.deadline(&head.headers)?;
    let encoding = arguments_encoding(&head.headers)?;
    app.admission.check()?;
    let mut held = app.runtime.memory().charge();
    let limit_bytes = app.config.body_size_max.as_usize();
    let bytes = body::whole(body, &head.headers, limit_bytes, deadline, &mut held).await?;
    let call = Call {
        idempotency_key,
        ..prepare(&head, &address, Payload { encoding, bytes }, deadline)?
    };
    let reply = run(&app, &address, call, Some(held)).await?;
    let mut response = respond(reply.payload);
    if reply.replayed {
        let value = HeaderValue::from_static("true");
        response.headers_mut().insert(IDEMPOTENT_REPLAYED, value);
    }
    Ok(response)
}

/// `GET …/{method}`: a method that only reads, arguments in the query string.
pub(super) async fn read(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, Problem> {
    let (head, _) = request.into_parts();
    let address = Address::parse(head.uri.path())?;
    let deadline = app.deadline(&head.headers)?;
    let query = head.uri.query().unwrap_or_default();
    let bytes = Bytes::copy_from_slice(query.as_bytes());
    let arguments = Payload {
        encoding: Encoding::Query,
        bytes,
    };
    // An idempotency key means nothing here: a read may be repeated anyhow.
    let call = Call {
        access: Access::Read,
        ..prepare(&head, &address, arguments, deadline)?
    };
    let reply = run(&app, &address, call, None).await?;
    Ok(respond_if_changed(reply, &head.headers))
}

/// The call a request asks for, with all that both verbs take from it.
fn prepare(
    head: &Parts,
    address: &Address<'_>,
    arguments: Payload,
    deadline: Deadline,
) -> Result<Call, Problem> {
    Ok(Call {
        reply_encoding: reply_encoding(&head.headers, arguments.encoding),
        origin: origin(head),
        ..Call::new(address.method()?, arguments, deadline)
    })
}

/// Hands the call over; `held` is what its body takes of the memory.
async fn run(
    app: &App,
    address: &Address<'_>,
    call: Call,
    held: Option<Charge>,
) -> Result<Reply, Problem> {
    let target = app.runtime.target(&address.namespace, &address.name)?;
    let _place = app.admit(&target, call.deadline).await?;
    // From here on the mailbox counts it.
    drop(held);
    Ok(app.runtime.call(&target, call).await?)
}

fn respond(payload: Payload) -> Response {
    let mut response = Response::new(Body::from(payload.bytes));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, media_type(payload.encoding));
    response
}

/// The reply of a read, or 304 when the client has it already.
fn respond_if_changed(reply: Reply, request: &HeaderMap) -> Response {
    let etag = etag(&reply);
    let mut response = if is_known(request, &etag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        respond(reply.payload)
    };
    let headers = response.headers_mut();
    headers.insert(header::ETAG, etag);
    // Keep it, but ask each time: only the object knows whether it still holds.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
    response
}

/// The object's version and a hash of the reply.
///
/// The version alone would lie: a read may also look at the clock, at the sessions, or at fields
/// kept in memory only, none of which move it. The hash alone would do; the version beside it
/// tells people which commit they look at.
pub(super) fn etag(reply: &Reply) -> HeaderValue {
    let hash = blake3::hash(&reply.payload.bytes).to_hex();
    let tag = format!("\"v{}-{}\"", reply.version, &hash[..32]);
    HeaderValue::from_str(&tag).expect("digits and hex are a header value")
}

#[cfg(test)]
mod tests {
    use abide_actors::{Payload, Reply};
    use abide_storage::Version;

    use super::etag;

    #[test]
    fn the_tag_changes_with_the_version_and_with_the_value() {
        let tag = |version, json: &'static str| {
            etag(&Reply {
                payload: Payload::json(json),
                version: Version(version),
                replayed: false,
            })
        };
        assert_eq!(tag(1, "7"), tag(1, "7"));
        assert_ne!(tag(1, "7"), tag(2, "7"));
        assert_ne!(tag(1, "7"), tag(1, "8"));
        assert!(tag(1, "7").to_str().unwrap().starts_with("\"v1-"));
    }
}
