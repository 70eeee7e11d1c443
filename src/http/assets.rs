//! Files inside the binary: the landing page's, and those of the program.
//!
//! Each is a route of its own, so that whatever is not there is answered like any other path.

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::Body;
use axum::extract::RawQuery;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::app::App;
use super::etag;
use crate::assets::{Entry, Site};

/// Nothing from elsewhere, nothing inline; WebSockets and fetches go to this server only.
const POLICY: &str =
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// A new release may change any file, and all of them must fit together: ask each time.
const ASK_EACH_TIME: HeaderValue = HeaderValue::from_static("no-cache");
/// Its content has this name for ever (RFC 8246).
const NEVER_CHANGES: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// The routes of the site.
pub(super) fn routes(site: Site) -> Router<Arc<App>> {
    let mut router = Router::new();
    for (url, entry) in site.into_entries() {
        let route = match entry {
            Entry::File {
                media_type,
                body,
                is_immutable,
            } => {
                let file = Arc::new(File {
                    media_type: HeaderValue::from_static(media_type),
                    body,
                    is_immutable,
                    etag: OnceLock::new(),
                });
                get(async move |request: HeaderMap| file.respond(&request))
            }
            Entry::Folder { name } => {
                get(async move |RawQuery(query): RawQuery| redirect(&name, query.as_deref()))
            }
        };
        router = router.route(&url, route);
    }
    router
}

struct File {
    media_type: HeaderValue,
    body: &'static [u8],
    is_immutable: bool,
    /// Made when it is first asked for: most starts of a server serve no page.
    etag: OnceLock<HeaderValue>,
}

impl File {
    /// The file, or 304 when the client has it already.
    fn respond(&self, request: &HeaderMap) -> Response {
        let etag = self.etag.get_or_init(|| etag_of(self.body));
        let mut response = if etag::is_known(request, etag) {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            let mut response = Response::new(Body::from(Bytes::from_static(self.body)));
            response
                .headers_mut()
                .insert(header::CONTENT_TYPE, self.media_type.clone());
            response
        };
        let cache = match self.is_immutable {
            true => NEVER_CHANGES,
            false => ASK_EACH_TIME,
        };
        let headers = response.headers_mut();
        headers.insert(header::ETAG, etag.clone());
        headers.insert(header::CACHE_CONTROL, cache);
        let of_us = HeaderValue::from_static;
        headers.insert(header::CONTENT_SECURITY_POLICY, of_us(POLICY));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, of_us("nosniff"));
        headers.insert(header::REFERRER_POLICY, of_us("no-referrer"));
        response
    }
}

/// A strong tag: a hash of all of it.
fn etag_of(body: &[u8]) -> HeaderValue {
    let hash = blake3::hash(body).to_hex();
    HeaderValue::from_str(&format!("\"{}\"", &hash[..32])).expect("hex is a header value")
}

/// To the folder with the slash at its end. Relative, so that a proxy may serve us below a path.
fn redirect(name: &str, query: Option<&str>) -> Response {
    let location = match query {
        Some(query) => format!("{name}/?{query}"),
        None => format!("{name}/"),
    };
    // A query is visible ASCII, or it would not have been parsed.
    let location =
        HeaderValue::from_str(&location).unwrap_or_else(|_| HeaderValue::from_static("/"));
    let headers = [
        (header::LOCATION, location),
        (header::CACHE_CONTROL, ASK_EACH_TIME),
    ];
    (StatusCode::PERMANENT_REDIRECT, headers).into_response()
}
