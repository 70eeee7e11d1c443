//! The operators' listener: is it alive, is it ready, what does it count.

use std::sync::Arc;

use abide_storage::Health;
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{StatusCode, header};

use super::app::App;
use super::{method_not_allowed, not_found};
use crate::telemetry;

/// What the admin listener serves.
pub(crate) fn routes(app: Arc<App>) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(app)
}

/// 200 while requests should be sent here, else 503 with the reason in plain words.
async fn ready(State(app): State<Arc<App>>) -> Response {
    if app.draining.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "draining\n").into_response();
    }
    match app.store.health() {
        Health::Ready => "ready\n".into_response(),
        Health::WritesRefused(reason) => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("writes are refused: {reason}\n"),
        )
            .into_response(),
        Health::Failed(reason) => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("the store has failed: {reason}\n"),
        )
            .into_response(),
    }
}

/// Prometheus' text format, version 0.0.4.
async fn metrics(State(app): State<Arc<App>>) -> Response {
    let text = telemetry::render(&app);
    (
        [(
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        )],
        text,
    )
        .into_response()
}
