//! The listener for operators, in one screen.
//!
//! Beside the routes that machines poll (`/healthz`, `/readyz`, `/metrics`) there is the admin API
//! below `/admin/v1/`: JSON in and out, errors as everywhere. It asks for no password; `guard.rs`
//! keeps web pages away from it. One file per subject; its client is `admin_client.rs`.

mod alarms;
mod backup;
mod guard;
mod health;
mod json;
mod lines;
mod object;
mod objects;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};

use super::app::App;
use super::{method_not_allowed, not_found};

/// What the admin listener serves.
pub(crate) fn routes(app: Arc<App>) -> Router {
    let api = Router::new()
        .route("/admin/v1/alarms", get(alarms::list))
        .route("/admin/v1/alarms/run", post(alarms::run))
        .route("/admin/v1/objects/{namespace}", get(objects::list))
        .route(
            "/admin/v1/objects/{namespace}/{name}",
            get(object::export).put(object::import),
        )
        .route(
            "/admin/v1/objects/{namespace}/{name}/fork",
            post(object::fork),
        )
        .route("/admin/v1/backup", post(backup::create))
        .route("/admin/v1/history", get(backup::history))
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn_with_state(app.clone(), guard::guard));
    Router::new()
        .route("/healthz", get(async || "ok"))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .merge(api)
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(app)
}
