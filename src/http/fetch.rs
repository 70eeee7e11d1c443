//! Raw HTTP to the object's `fetch` callback, streaming both ways.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use http::{HeaderMap, HeaderName, Uri, header};

use super::app::{App, origin};
use super::body;
use crate::problem::{NOT_FOUND, Problem};
use crate::protocol::Address;

/// `ANY …/-/{path}`: the object sees `/{path}` with the query string, and nothing of the connection.
pub(super) async fn fetch(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, Problem> {
    let (mut head, body) = request.into_parts();
    let deadline = app.deadline(&head.headers)?;
    let address = Address::parse(head.uri.path())?;
    let target = app.runtime.target(&address.namespace, &address.name)?;
    let path = match head.uri.query() {
        Some(query) => format!("{}?{query}", address.raw_path()),
        None => address.raw_path().to_owned(),
    };
    let origin = origin(&head);
    head.uri = path.parse::<Uri>().map_err(|_| {
        Problem::new(
            &NOT_FOUND,
            "what follows /-/ in the path is no path of its own",
        )
    })?;
    // What the server keeps with a request is none of the actor's business.
    head.extensions.clear();
    drop_hop_by_hop(&mut head.headers);
    let request = Request::from_parts(head, body::streamed(body));
    // Until the response begins: a body may be streamed for hours.
    let place = app.admit(&target, deadline).await?;
    let response = app
        .runtime
        .fetch(&target, request, deadline, origin)
        .await?;
    drop(place);
    let (mut head, body) = response.into_parts();
    drop_hop_by_hop(&mut head.headers);
    // The length is that of the body there is; an actor's own word for it could break the framing.
    head.headers.remove(header::CONTENT_LENGTH);
    head.extensions.clear();
    Ok(Response::from_parts(head, body::responded(body)))
}

/// Headers about one connection, not about the request (RFC 9110, section 7.6.1).
const HOP_BY_HOP: [HeaderName; 7] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

fn drop_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in HOP_BY_HOP.into_iter().chain(named) {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue, header};

    #[test]
    fn headers_named_by_connection_go_with_it() {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONNECTION,
            HeaderValue::from_static("keep-alive, x-hop"),
        );
        headers.insert("x-hop", HeaderValue::from_static("1"));
        headers.insert("x-stays", HeaderValue::from_static("1"));
        headers.insert(
            header::TRANSFER_ENCODING,
            HeaderValue::from_static("chunked"),
        );
        super::drop_hop_by_hop(&mut headers);
        assert_eq!(
            headers.keys().collect::<Vec<_>>(),
            [&HeaderName::from_static("x-stays")]
        );
    }
}
