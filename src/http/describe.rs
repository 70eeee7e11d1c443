//! `GET /v1`: what runs here, for people, the landing page and tools.

use std::sync::Arc;

use abide_actors::{Access, NamespaceInfo};
use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::app::App;

/// The answer of `GET /v1`.
#[derive(Serialize)]
pub(super) struct Description {
    version: &'static str,
    uptime_ms: u128,
    namespaces: Vec<Namespace>,
}

#[derive(Serialize)]
struct Namespace {
    name: String,
    description: String,
    methods: Vec<Method>,
    callbacks: Vec<&'static str>,
    activations: usize,
    sessions: usize,
}

#[derive(Serialize)]
struct Method {
    name: &'static str,
    /// Whether GET may call it.
    read: bool,
    description: &'static str,
    arguments: serde_json::Value,
}

pub(super) async fn server(State(app): State<Arc<App>>) -> Json<Description> {
    Json(Description {
        version: env!("CARGO_PKG_VERSION"),
        uptime_ms: app.uptime().as_millis(),
        namespaces: app
            .runtime
            .namespaces()
            .into_iter()
            .map(Namespace::from)
            .collect(),
    })
}

impl From<NamespaceInfo> for Namespace {
    fn from(info: NamespaceInfo) -> Self {
        let NamespaceInfo {
            name,
            description,
            activations,
            sessions,
        } = info;
        let methods = description.methods.into_iter().map(|method| Method {
            name: method.name,
            read: method.access == Access::Read,
            description: method.documentation,
            arguments: method.arguments,
        });
        Self {
            name: name.as_str().to_owned(),
            description: description.documentation,
            methods: methods.collect(),
            callbacks: description.callbacks.names(),
            activations,
            sessions,
        }
    }
}
