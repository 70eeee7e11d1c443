//! What is bounded, and the answer when the bound is hit.

use abide::Config;
use abide::config::{Size, Span};
use tokio::time::timeout;

use crate::support::http::{Client, get, post, send};
use crate::support::objects::{door, waiting};
use crate::support::socket::Socket;
use crate::support::{PATIENCE, config, server_with};

#[tokio::test]
async fn one_connection_too_many_is_told_so() {
    let server = server_with(Config {
        connections_max: 2,
        ..config()
    })
    .await;
    let mut first = Client::connect(server.addr()).await;
    assert_eq!(first.send("GET", "/health", &[], b"").await.status, 200);
    let socket = Socket::enter(server.addr(), "/v1/room/x").await;

    let refused = get(server.addr(), "/health").await;
    refused.problem(503, "too-many-connections");
    assert_eq!(refused.header("retry-after"), Some("1"));

    // A session holds its connection's place until it ends.
    drop(socket);
    door("left x").arrived().await;
    // The object hears of the end before the place is free.
    let freed = async {
        loop {
            let answer = get(server.addr(), "/health").await;
            if answer.status == 200 {
                return;
            }
            answer.problem(503, "too-many-connections");
        }
    };
    timeout(PATIENCE, freed).await.expect("the place is free");
}

#[tokio::test]
async fn a_full_mailbox_refuses_and_says_when_to_come_again() {
    let server = server_with(Config {
        mailbox_max: 1,
        ..config()
    })
    .await;
    let mut first = waiting(&server, "full").await;
    door("full").arrived().await;

    // One of the next two finds the one place taken: which one, the network decides.
    let mut second = waiting(&server, "full").await;
    let mut third = waiting(&server, "full").await;
    let refused = tokio::select! {
        refused = second.response() => refused,
        refused = third.response() => refused,
    };
    let refused = refused.unwrap();
    refused.problem(503, "overloaded");
    assert_eq!(refused.json()["retry_after_ms"], 250);
    door("full").open();
    door("full").open();
    assert_eq!(first.response().await.unwrap().json(), 1);
}

#[tokio::test]
async fn dribbled_headers_are_cut_off() {
    let server = server_with(Config {
        header_read_timeout: Span::millis(100),
        ..config()
    })
    .await;
    let mut slow = Client::connect(server.addr()).await;
    slow.write(b"GET /health HT").await;
    assert!(slow.is_closed().await);
    let mut silent = Client::connect(server.addr()).await;
    assert!(silent.is_closed().await);
}

#[tokio::test]
async fn an_idle_connection_is_let_go() {
    let server = server_with(Config {
        keep_alive_timeout: Span::millis(100),
        ..config()
    })
    .await;
    let mut client = Client::connect(server.addr()).await;
    assert_eq!(client.send("GET", "/health", &[], b"").await.status, 200);
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn a_body_that_does_not_come_ends_at_the_deadline() {
    let server = server_with(config()).await;
    let mut slow = Client::connect(server.addr()).await;
    let head = "POST /v1/tally/x/add HTTP/1.1\r\nhost: x\r\ncontent-length: 8\r\nabide-deadline-ms: 50\r\n\r\n{";
    slow.write(head.as_bytes()).await;
    slow.response().await.unwrap().problem(408, "body-timeout");
}

#[tokio::test]
async fn headers_too_large_or_too_many_are_refused() {
    let server = server_with(Config {
        header_size_max: Size::kib(8),
        ..config()
    })
    .await;
    let large = "x".repeat(9 << 10);
    let reply = send(server.addr(), "GET", "/health", &[("x-large", &large)], b"").await;
    assert_eq!(reply.status, 431);
    let many = vec![("x", "y"); 120];
    assert_eq!(
        send(server.addr(), "GET", "/health", &many, b"")
            .await
            .status,
        431
    );
}

#[tokio::test]
async fn sessions_per_object_are_bounded() {
    let server = server_with(Config {
        sessions_per_object_max: 1,
        ..config()
    })
    .await;
    let _first = Socket::enter(server.addr(), "/v1/room/small").await;
    let headers = [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let refused = send(server.addr(), "GET", "/v1/room/small", &headers, b"").await;
    refused.problem(503, "too-many-sessions");
}

#[tokio::test]
async fn a_turn_may_not_outlast_its_limit_whatever_the_caller_asks() {
    let server = server_with(Config {
        turn_timeout: Span::millis(50),
        ..config()
    })
    .await;
    let patient = [("abide-deadline-ms", "60000")];
    let reply = send(
        server.addr(),
        "POST",
        "/v1/tally/endless/wait",
        &patient,
        b"",
    )
    .await;
    reply.problem(504, "deadline-exceeded");
    assert_eq!(
        post(server.addr(), "/v1/tally/endless/add", r#"{"by":1}"#)
            .await
            .json(),
        1
    );
}
