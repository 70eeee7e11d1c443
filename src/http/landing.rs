//! The landing page, whole inside the binary.

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::header;

use crate::problem::{NOT_FOUND, Problem};

/// Nothing from elsewhere, nothing inline; WebSockets and fetches go to this server only.
const POLICY: &str =
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// A file of the page, its media type, its bytes.
struct Asset {
    name: &'static str,
    media_type: &'static str,
    bytes: &'static [u8],
}

macro_rules! assets {
    ($($name:literal => $media_type:expr),+ $(,)?) => {
        &[$(Asset {
            name: $name,
            media_type: $media_type,
            bytes: include_bytes!(concat!("landing/", $name)),
        }),+]
    };
}

const SCRIPT: &str = "text/javascript; charset=utf-8";

static ASSETS: &[Asset] = assets![
    "index.html" => "text/html; charset=utf-8",
    "style.css" => "text/css; charset=utf-8",
    "main.js" => SCRIPT,
    "carets.js" => SCRIPT,
    "chat.js" => SCRIPT,
    "dom.js" => SCRIPT,
    "editor.js" => SCRIPT,
    "namespaces.js" => SCRIPT,
    "people.js" => SCRIPT,
    "schema.js" => SCRIPT,
    "server.js" => SCRIPT,
    "vendor.js" => SCRIPT,
    "vendor.LICENSES.txt" => "text/plain; charset=utf-8",
    "logo.svg" => "image/svg+xml",
];

/// `GET /`.
pub(super) async fn page() -> Response {
    ASSETS[0].response()
}

/// `GET /_/landing/{file}`.
pub(super) async fn asset(Path(name): Path<String>) -> Result<Response, Problem> {
    match ASSETS.iter().find(|asset| asset.name == name) {
        Some(asset) => Ok(asset.response()),
        None => Err(Problem::new(
            &NOT_FOUND,
            "the landing page has no such file",
        )),
    }
}

impl Asset {
    fn response(&self) -> Response {
        let headers = [
            (header::CONTENT_TYPE, self.media_type),
            (header::CONTENT_SECURITY_POLICY, POLICY),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::REFERRER_POLICY, "no-referrer"),
            // A new release may change any file, and all of them must fit together.
            (header::CACHE_CONTROL, "no-cache"),
        ];
        (headers, self.bytes).into_response()
    }
}
