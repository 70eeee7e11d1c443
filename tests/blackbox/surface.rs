//! Everything the server says about itself.

use crate::support::http::{get, post, send};
use crate::support::server;
use crate::support::socket::Socket;

#[tokio::test]
async fn v1_lists_what_is_registered_and_what_is_live() {
    let server = server().await;
    let _socket = Socket::enter(server.addr(), "/v1/room/lobby").await;
    let body = get(server.addr(), "/v1").await.json();
    let names: Vec<&str> = body["namespaces"]
        .as_array()
        .unwrap()
        .iter()
        .map(|n| n["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["room", "site", "tally"]);
    assert_eq!(body["namespaces"][0]["sessions"], 1);
    assert_eq!(body["namespaces"][0]["activations"], 1);
    assert_eq!(
        body["namespaces"][0]["callbacks"],
        serde_json::json!(["connected", "message", "disconnected"])
    );
    let add = &body["namespaces"][2]["methods"][0];
    assert_eq!((&add["name"], &add["read"]), (&"add".into(), &false.into()));
    assert_eq!(add["arguments"]["required"], serde_json::json!(["by"]));
}

#[tokio::test]
async fn openapi_describes_every_method() {
    let server = server().await;
    let document = get(server.addr(), "/openapi.json").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    let paths = &document["paths"];
    assert!(paths["/v1/tally/{name}/add"]["post"].is_object());
    let parameters = &paths["/v1/tally/{name}/add"]["post"]["parameters"];
    assert_eq!(parameters[0]["name"], "Idempotency-Key");
    assert!(paths["/v1/tally/{name}/add"]["get"].is_null());
    assert!(paths["/v1/tally/{name}/total"]["get"].is_object());
    assert!(paths["/v1/room/{name}"]["get"].is_object());
    assert!(paths["/v1/site/{name}/-/{path}"]["get"].is_object());
}

#[tokio::test]
async fn each_problem_points_to_a_page() {
    let server = server().await;
    let reply = get(server.addr(), "/v1/nothing/x/get").await;
    reply.problem(404, "unknown-namespace");
    let page = get(server.addr(), reply.json()["type"].as_str().unwrap()).await;
    assert!(
        page.text().starts_with("# unknown-namespace"),
        "{}",
        page.text()
    );
    assert!(
        get(server.addr(), "/errors/")
            .await
            .text()
            .contains("/errors/overloaded")
    );
    get(server.addr(), "/errors/made-up")
        .await
        .problem(404, "not-found");
}

#[tokio::test]
async fn the_landing_page_brings_everything_it_needs() {
    let server = server().await;
    let page = get(server.addr(), "/").await;
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert!(
        page.header("content-security-policy")
            .unwrap()
            .contains("default-src 'self'")
    );
    let mut files = vec![];
    for part in page.text().split("/_/landing/").skip(1) {
        files.push(part.split('"').next().unwrap().to_owned());
    }
    assert!(files.len() > 3, "{files:?}");
    for file in files {
        let asset = get(server.addr(), &format!("/_/landing/{file}")).await;
        assert_eq!(asset.status, 200, "{file}");
        for import in imports(&asset.body) {
            let path = format!("/_/landing/{import}");
            assert_eq!(
                get(server.addr(), &path).await.status,
                200,
                "{import} of {file}"
            );
        }
    }
    get(server.addr(), "/_/landing/made-up.js")
        .await
        .problem(404, "not-found");
}

/// The modules of this folder that a script imports.
fn imports(script: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(script);
    let parts = text
        .split("from \"./")
        .skip(1)
        .chain(text.split("from './").skip(1));
    parts
        .map(|part| part.split(['"', '\'']).next().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn paths_and_methods_that_fit_nothing_are_explained() {
    let server = server().await;
    get(server.addr(), "/nothing")
        .await
        .problem(404, "not-found");
    get(server.addr(), "/v1/a/b/c/d")
        .await
        .problem(404, "not-found");
    let reply = send(server.addr(), "PUT", "/v1/tally/x/add", &[], b"").await;
    reply.problem(405, "method-not-allowed");
    assert_eq!(reply.header("allow"), Some("GET,HEAD,POST"));
}

#[tokio::test]
async fn operators_see_liveness_readiness_and_metrics() {
    let server = server().await;
    assert_eq!(get(server.addr(), "/health").await.text(), "ok");
    post(server.addr(), "/v1/tally/a/add", r#"{"by":1}"#).await;
    get(server.addr(), "/v1/tally/a/nothing").await;
    let admin = server.admin_addr();
    assert_eq!(get(admin, "/healthz").await.text(), "ok");
    assert_eq!(get(admin, "/readyz").await.text(), "ready\n");
    let metrics = get(admin, "/metrics").await;
    for sample in [
        "abide_http_requests_total{class=\"4xx\"} 1\n",
        "abide_namespace_activations{namespace=\"tally\"} 1\n",
        "# TYPE abide_connections gauge\n",
        "abide_presence_members 0\n",
        "# TYPE abide_presence_messages_total counter\n",
    ] {
        assert!(
            metrics.text().contains(sample),
            "{sample} in {}",
            metrics.text()
        );
    }
    get(server.addr(), "/metrics")
        .await
        .problem(404, "not-found");
}
