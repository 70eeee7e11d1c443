//! Sessions over server-sent events.

use std::time::Duration;

use abide::Config;
use abide::config::{Size, Span};
use base64::Engine as _;
use futures_util::SinkExt as _;
use tokio_tungstenite::tungstenite::Message;

use crate::support::events::EventStream;
use crate::support::http::{get, send};
use crate::support::objects::door;
use crate::support::socket::Socket;
#[cfg(target_os = "linux")]
use crate::support::unplug;
use crate::support::{config, server, server_with};

const EVENTS: [(&str, &str); 1] = [("accept", "text/event-stream")];

#[tokio::test]
async fn what_an_object_sends_comes_as_events() {
    let server = server().await;
    let mut events = EventStream::enter(server.addr(), "/v1/room/events").await;
    assert!(
        events.head.contains("cache-control: no-store\r\n"),
        "{}",
        events.head
    );
    let mut socket = Socket::enter(server.addr(), "/v1/room/events").await;
    socket.say("all").await;
    assert_eq!(events.event().await.data, "to all");

    let text = "tell {\"line\":\"one\"}\n\nthree é";
    socket.say(text).await;
    let event = events.event().await;
    assert_eq!((event.name.as_str(), event.data.as_str()), ("", text));
    let bytes = [b"tell".as_slice(), &[0, 13, 10, 255]].concat();
    socket.0.send(Message::binary(bytes.clone())).await.unwrap();
    let event = events.event().await;
    let data = base64::engine::general_purpose::STANDARD.decode(&event.data);
    assert_eq!((event.name.as_str(), data.unwrap()), ("binary", bytes));
}

#[tokio::test]
async fn both_kinds_of_session_are_members_of_one_object() {
    let server = server().await;
    let _socket = Socket::enter(server.addr(), "/v1/room/both").await;
    let _events = EventStream::enter(server.addr(), "/v1/room/both").await;
    assert_eq!(
        get(server.addr(), "/v1/room/both/present").await.text(),
        "2"
    );
}

#[tokio::test]
async fn a_refusal_is_an_ordinary_response() {
    let server = server().await;
    let refused = send(server.addr(), "GET", "/v1/room/x?refuse=401", &EVENTS, b"").await;
    refused.problem(401, "session-refused");
    let refused = send(server.addr(), "GET", "/v1/tally/x", &EVENTS, b"").await;
    refused.problem(404, "no-callback");
    let refused = send(server.addr(), "GET", "/v1/nothing/x", &EVENTS, b"").await;
    refused.problem(404, "unknown-namespace");
}

#[tokio::test]
async fn a_look_at_the_headers_opens_no_session() {
    let server = server().await;
    let head = send(server.addr(), "HEAD", "/v1/room/head", &EVENTS, b"").await;
    assert_eq!(head.status, 426);
    assert_eq!(get(server.addr(), "/v1/room/head/left").await.text(), "[]");
}

#[tokio::test]
async fn the_object_hears_when_the_client_goes() {
    let server = server().await;
    let events = EventStream::enter(server.addr(), "/v1/room/goes").await;
    drop(events);
    door("left goes").arrived().await;
    assert_eq!(
        get(server.addr(), "/v1/room/goes/left").await.text(),
        "[1006]"
    );
}

#[tokio::test]
async fn the_drain_ends_streams_with_1012() {
    let server = server().await;
    let mut events = EventStream::enter(server.addr(), "/v1/room/drain").await;
    let reading = async {
        let close = events.event().await;
        assert_eq!(close.name, "close");
        let said: serde_json::Value = serde_json::from_str(&close.data).unwrap();
        assert_eq!(said["code"], 1012);
        assert_eq!(events.block().await, None);
    };
    tokio::join!(server.stop(), reading);
}

/// Silence is no reason to end a stream: neither what watches idle connections nor what watches
/// slow requests may take it for one of theirs.
#[tokio::test]
async fn a_silent_stream_is_kept_alive_by_comments() {
    let server = server_with(Config {
        ping_interval: Span::millis(50),
        ping_timeout: Span::millis(100),
        keep_alive_timeout: Span::millis(100),
        header_read_timeout: Span::millis(100),
        ..config()
    })
    .await;
    let mut events = EventStream::enter(server.addr(), "/v1/room/silent").await;
    for _ in 0..10 {
        assert!(events.block().await.unwrap().is_comment);
    }
    let mut socket = Socket::enter(server.addr(), "/v1/room/silent").await;
    socket.say("all").await;
    assert_eq!(events.event().await.data, "to all");
}

#[tokio::test]
async fn a_client_that_does_not_read_is_closed_with_1013_and_no_other() {
    let server = server_with(Config {
        outbound_queue_max: Size::mib(2),
        ..config()
    })
    .await;
    let mut slow = EventStream::enter(server.addr(), "/v1/room/slow").await;
    let mut socket = Socket::enter(server.addr(), "/v1/room/slow").await;
    // What the kernel's buffers of both sides hold at most, and then the queue.
    for _ in 0..32 {
        socket.say("flood all").await;
        while socket.next().await != Message::text("flooded") {}
    }
    let close = loop {
        let event = slow.event().await;
        if event.name == "close" {
            break event;
        }
        assert_eq!(event.name, "binary");
    };
    assert!(close.data.starts_with("{\"code\":1013,"), "{}", close.data);
    assert_eq!(slow.block().await, None);
    socket.say("still here").await;
    assert_eq!(socket.text().await, "still here");
}

#[tokio::test]
async fn streams_count_among_the_sessions_and_connections() {
    let limits = Config {
        sessions_per_object_max: 1,
        connections_max: 2,
        ..config()
    };
    let server = server_with(limits).await;
    let first = EventStream::enter(server.addr(), "/v1/room/full").await;
    let refused = send(server.addr(), "GET", "/v1/room/full", &EVENTS, b"").await;
    refused.problem(503, "too-many-sessions");
    let _second = EventStream::enter(server.addr(), "/v1/room/other").await;
    let refused = get(server.addr(), "/health").await;
    refused.problem(503, "too-many-connections");
    drop(first);
    door("left full").arrived().await;
    EventStream::enter(server.addr(), "/v1/room/full").await;
}

/// No answer to a comment ever comes, so it is the acknowledgements of the client's system that
/// tell whether it is there.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_client_that_vanished_is_found() {
    let server = server_with(Config {
        ping_interval: Span::millis(100),
        ping_timeout: Span::millis(500),
        ..config()
    })
    .await;
    let events = EventStream::enter(server.addr(), "/v1/room/vanished").await;
    let mut other = EventStream::enter(server.addr(), "/v1/room/vanished").await;
    unplug(&events.socket);
    let began = tokio::time::Instant::now();
    door("left vanished").arrived().await;
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(
        get(server.addr(), "/v1/room/vanished/left").await.text(),
        "[1006]"
    );
    assert!(other.block().await.unwrap().is_comment);
}
