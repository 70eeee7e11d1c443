//! Files that a program serves beside its objects.

use abide::{Asset, Error, InvalidAssets, Server};

use crate::support::config;
use crate::support::http::{get, send};
use crate::support::objects::Tally;

static PAGE: &[Asset] = &[
    Asset::new("index.html", b"<h1>the arena</h1>"),
    Asset::new("js/main.js", b"play()"),
    Asset::new("ship-8f3a.png", b"\x89PNG").immutable(),
];

async fn server_with_page(prefix: &str) -> abide::Running {
    let builder = Server::builder()
        .actor::<Tally>("tally")
        .assets(prefix, PAGE);
    builder.config(config()).start().await.unwrap()
}

#[tokio::test]
async fn files_are_served_with_their_types_and_the_strict_policy() {
    let server = server_with_page("/arena").await;
    for (path, media_type, body) in [
        (
            "/arena/",
            "text/html; charset=utf-8",
            &b"<h1>the arena</h1>"[..],
        ),
        (
            "/arena/index.html",
            "text/html; charset=utf-8",
            b"<h1>the arena</h1>",
        ),
        (
            "/arena/js/main.js?v=1",
            "text/javascript; charset=utf-8",
            b"play()",
        ),
        ("/arena/ship-8f3a.png", "image/png", b"\x89PNG"),
    ] {
        let file = get(server.addr(), path).await;
        assert_eq!((file.status, &file.body[..]), (200, body), "{path}");
        assert_eq!(file.header("content-type"), Some(media_type), "{path}");
        assert_eq!(file.header("x-content-type-options"), Some("nosniff"));
        let policy = file.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'self'") && !policy.contains("unsafe"));
    }
    let asked_each_time = get(server.addr(), "/arena/").await;
    assert_eq!(asked_each_time.header("cache-control"), Some("no-cache"));
    let kept = get(server.addr(), "/arena/ship-8f3a.png").await;
    assert!(kept.header("cache-control").unwrap().contains("immutable"));
}

#[tokio::test]
async fn a_file_the_client_has_is_not_sent_again() {
    let server = server_with_page("/arena").await;
    let etag = |file: &crate::support::http::Response| file.header("etag").unwrap().to_owned();
    let page = etag(&get(server.addr(), "/arena/").await);
    let script = etag(&get(server.addr(), "/arena/js/main.js").await);
    assert_ne!(page, script);
    assert!(page.starts_with('"'), "a strong tag: {page}");

    let ask = |tags: String| async move {
        let headers = [("if-none-match", tags.as_str())];
        send(server.addr(), "GET", "/arena/", &headers, b"").await
    };
    let known = ask(format!("\"other\", {page}")).await;
    assert_eq!((known.status, known.body.len()), (304, 0));
    assert_eq!(etag(&known), page);
    assert_eq!(known.header("cache-control"), Some("no-cache"));
}

#[tokio::test]
async fn a_tag_of_another_file_gets_the_file() {
    let server = server_with_page("/arena").await;
    let headers = [("if-none-match", "\"other\"")];
    let page = send(server.addr(), "GET", "/arena/", &headers, b"").await;
    assert_eq!((page.status, page.text()), (200, "<h1>the arena</h1>"));
}

#[tokio::test]
async fn head_tells_the_same_without_the_body_and_other_methods_are_refused() {
    let server = server_with_page("/arena").await;
    let page = get(server.addr(), "/arena/").await;
    let head = send(server.addr(), "HEAD", "/arena/", &[], b"").await;
    assert_eq!(head.status, 200);
    for name in ["content-length", "etag", "content-type", "cache-control"] {
        assert_eq!(head.header(name), page.header(name), "{name}");
    }
    let refused = send(server.addr(), "POST", "/arena/", &[], b"").await;
    refused.problem(405, "method-not-allowed");
    assert_eq!(refused.header("allow"), Some("GET,HEAD"));
}

#[tokio::test]
async fn a_folder_is_named_with_a_slash() {
    let server = server_with_page("/arena").await;
    let moved = get(server.addr(), "/arena").await;
    assert_eq!(
        (moved.status, moved.header("location")),
        (308, Some("arena/"))
    );
    let moved = get(server.addr(), "/arena?room=a%20b&x=1").await;
    assert_eq!(moved.header("location"), Some("arena/?room=a%20b&x=1"));
}

#[tokio::test]
async fn everything_else_is_as_it_was() {
    let server = server_with_page("/arena").await;
    let total = get(server.addr(), "/v1/tally/a/total").await;
    assert_eq!((total.status, total.text()), (200, "0"));
    assert_eq!(get(server.addr(), "/openapi.json").await.status, 200);
    assert!(get(server.addr(), "/").await.text().contains("Abide"));
    for missing in [
        "/arena/made-up.js",
        "/arena/js",
        "/arena/js/",
        "/arena/../etc/passwd",
        "/arena/js%2Fmain.js",
    ] {
        get(server.addr(), missing).await.problem(404, "not-found");
    }
}

#[tokio::test]
async fn a_page_at_the_root_takes_the_place_of_the_landing_page() {
    let server = server_with_page("/").await;
    assert_eq!(get(server.addr(), "/").await.text(), "<h1>the arena</h1>");
    assert_eq!(get(server.addr(), "/js/main.js").await.text(), "play()");
    assert_eq!(get(server.addr(), "/health").await.text(), "ok");
    assert_eq!(get(server.addr(), "/v1/tally/a/total").await.text(), "0");
    assert_eq!(get(server.addr(), "/_/landing/main.js").await.status, 200);
}

#[tokio::test]
async fn paths_that_collide_are_an_error_at_the_start() {
    let start = |first: &'static str, second: &'static str| async move {
        let builder = Server::builder().assets(first, PAGE).assets(second, PAGE);
        match builder.config(config()).start().await {
            Err(Error::Assets(invalid)) => invalid,
            other => panic!("{other:?}"),
        }
    };
    assert!(matches!(
        start("/arena", "/arena").await,
        InvalidAssets::Twice { .. }
    ));
    assert!(matches!(
        start("/arena", "/v1").await,
        InvalidAssets::Reserved { .. }
    ));
    let told = Error::from(start("/arena", "/v1/arena").await).to_string();
    assert_eq!(
        told,
        "asset \"index.html\" would be served at /v1/arena/index.html, and /v1 is the server's own"
    );
}
