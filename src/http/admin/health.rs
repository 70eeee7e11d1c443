//! Is it ready, what does it count.

use std::sync::Arc;

use abide_storage::Health;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};

use crate::http::app::App;
use crate::telemetry;

/// 200 while requests should be sent here, else 503 with the reason in plain words.
pub(super) async fn ready(State(app): State<Arc<App>>) -> Response {
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
pub(super) async fn metrics(State(app): State<Arc<App>>) -> Response {
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
