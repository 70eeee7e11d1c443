//! The whole HTTP surface.

mod admin;
mod admission;
mod app;
mod assets;
mod body;
mod connection;
mod describe;
mod errors;
mod etag;
mod fetch;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod landing;
mod lean;
mod linger;
mod listener;
mod openapi;
mod patience;
mod progress;
mod rpc;
mod socket;
mod sse;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::routing::{any, get};

pub(crate) use admin::routes as admin_routes;
pub(crate) use admission::{Admission, Busy};
pub(crate) use app::App;
pub(crate) use listener::Listener;
pub(crate) use openapi::build as openapi_document;

use crate::assets::Site;
use crate::problem::{METHOD_NOT_ALLOWED, NOT_FOUND, Problem};
use crate::protocol::Address;

/// What the public listener serves: the API, the landing page, and the files of the program.
pub(crate) fn routes(app: Arc<App>, mut site: Site) -> Router {
    landing::add_to(&mut site);
    Router::new()
        .route(
            "/v1/{namespace}/{name}/{method}",
            get(rpc::read).post(rpc::call),
        )
        .route("/v1/{namespace}/{name}", get(socket::open))
        .route("/v1/{namespace}/{name}/-", any(fetch::fetch))
        .route("/v1/{namespace}/{name}/-/", any(fetch::fetch))
        .route("/v1/{namespace}/{name}/-/{*path}", any(fetch::fetch))
        .route("/v1", get(describe::server))
        .route("/openapi.json", get(openapi::document))
        .route("/errors/", get(errors::index))
        .route("/errors/{code}", get(errors::page))
        .route("/health", get(async || "ok"))
        .merge(assets::routes(site))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(app)
}

/// No route: says what is wrong with the path when it was meant for an object.
async fn not_found(request: Request) -> Problem {
    let path = request.uri().path();
    if path.starts_with("/v1/") {
        match Address::parse(path).and_then(|address| address.method().map(drop)) {
            Err(invalid) => return invalid.into(),
            Ok(()) => {
                let said = "nothing is served here: a call has the form \
                            /v1/{namespace}/{name}/{method}, with slashes inside a name written %2F";
                return Problem::new(&NOT_FOUND, said);
            }
        }
    }
    let path: String = path.chars().take(80).collect();
    Problem::new(
        &NOT_FOUND,
        format!("nothing is served at {path}: see GET /v1"),
    )
}

/// A route, but not for this method; axum adds the header `Allow`.
async fn method_not_allowed(request: Request) -> Problem {
    let said = format!(
        "{} does not fit this path: see the header allow",
        request.method()
    );
    Problem::new(&METHOD_NOT_ALLOWED, said)
}
