//! Sessions over server-sent events.

use std::net::SocketAddr;
use std::time::Duration;

use abide::Config;
use abide::config::{Size, Span};
use base64::Engine as _;
use futures_util::SinkExt as _;
use tokio_tungstenite::tungstenite::Message;

use crate::support::events::EventStream;
use crate::support::http::{get, post, send};
use crate::support::objects::door;
use crate::support::process::Abide;
use crate::support::socket::Socket;
#[cfg(target_os = "linux")]
use crate::support::unplug;
use crate::support::{config, server, server_with};

const EVENTS: [(&str, &str); 1] = [("accept", "text/event-stream")];

/// Settings with which a session does not outlive its stream for long.
fn soon_over() -> Config {
    Config {
        resume_window: Span::millis(100),
        ..config()
    }
}

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
    let server = server_with(soon_over()).await;
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
        ..soon_over()
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

/// A stream that goes on from the event with this id, and what its welcome says.
async fn resume(to: SocketAddr, path: &str, id: &str) -> (EventStream, serde_json::Value) {
    EventStream::enter_with(to, path, &[("last-event-id", id)]).await
}

/// Says something to all, and waits until it is done.
async fn tell(socket: &mut Socket, text: &str) {
    socket.say(text).await;
    while socket.text().await != text {}
}

#[tokio::test]
async fn a_client_that_comes_again_gets_what_it_has_missed_and_nothing_twice() {
    let server = server().await;
    let path = "/v1/room/again";
    let mut events = EventStream::enter(server.addr(), path).await;
    let mut socket = Socket::enter(server.addr(), path).await;
    tell(&mut socket, "tell one").await;
    tell(&mut socket, "tell two").await;
    let one = events.event().await;
    assert_eq!(one.data, "tell one");
    // It has got the first only, as far as it knows: the other may have been on its way.
    drop(events);
    tell(&mut socket, "tell three").await;
    let (mut events, welcome) = resume(server.addr(), path, &one.id.unwrap()).await;
    assert_eq!(welcome["resumed"], true, "{welcome}");
    for expected in ["tell two", "tell three"] {
        assert_eq!(events.event().await.data, expected);
    }
    tell(&mut socket, "tell four").await;
    let four = events.event().await;
    assert_eq!(four.data, "tell four");
    // Ids go on where they were: welcome, one, two, three, four.
    assert!(four.id.unwrap().ends_with(".5"));
    assert_eq!(get(server.addr(), "/v1/room/again/left").await.text(), "[]");
}

/// One that has got no frame yet has an id all the same.
#[tokio::test]
async fn a_client_can_come_again_before_the_first_frame() {
    let server = server().await;
    let (events, welcome) = EventStream::enter_with(server.addr(), "/v1/room/first", &[]).await;
    let id = events.welcome_id.clone();
    assert!(id.ends_with(".0"), "{id}");
    drop(events);
    let (mut events, again) = resume(server.addr(), "/v1/room/first", &id).await;
    assert_eq!(again["resumed"], true);
    assert_eq!(again["session"], welcome["session"]);
    assert_eq!(events.event().await.data, "welcome");
}

#[tokio::test]
async fn who_comes_again_takes_the_session_over() {
    let server = server().await;
    let mut first = EventStream::enter(server.addr(), "/v1/room/taken").await;
    let id = first.welcome_id.clone();
    let (mut second, welcome) = resume(server.addr(), "/v1/room/taken", &id).await;
    assert_eq!(welcome["resumed"], true);
    assert_eq!(second.event().await.data, "welcome");
    let close = first.event().await;
    assert!(close.data.starts_with("{\"code\":4001,"), "{close:?}");
    assert_eq!(first.block().await, None);
}

#[tokio::test]
async fn a_stream_goes_on_after_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let path = "/v1/chat/restart?name=Eve";
    let server = Abide::start(data.path());
    let (mut events, _) = EventStream::enter_with(server.addr, path, &[]).await;
    assert_eq!(line(&mut events).await["type"], "welcome");
    let last = say(&server, "one", &mut events).await;
    say(&server, "two", &mut events).await;
    server.terminate();
    let close = events.event().await;
    assert_eq!(close.name, "close");
    assert!(close.data.starts_with("{\"code\":1012,"), "{}", close.data);
    assert!(server.wait().success());

    let server = Abide::start(data.path());
    let (mut events, welcome) = resume(server.addr, path, &last).await;
    assert_eq!(welcome["resumed"], true, "{welcome}");
    assert_eq!(line(&mut events).await["text"], "two");
    say(&server, "three", &mut events).await;
}

/// What the chat sends next.
async fn line(events: &mut EventStream) -> serde_json::Value {
    serde_json::from_str(&events.event().await.data).unwrap()
}

/// Says a line and waits for it; the id of its event.
async fn say(server: &Abide, text: &str, events: &mut EventStream) -> String {
    let said = format!("{{\"from\":\"Ada\",\"text\":\"{text}\"}}");
    let said = post(server.addr, "/v1/chat/restart/post", &said).await;
    assert_eq!(said.status, 200, "{said:?}");
    let event = events.event().await;
    let line: serde_json::Value = serde_json::from_str(&event.data).unwrap();
    assert_eq!(line["text"], text);
    event.id.unwrap()
}

#[tokio::test]
async fn a_session_that_is_over_is_replaced_by_a_new_one() {
    let server = server_with(soon_over()).await;
    let events = EventStream::enter(server.addr(), "/v1/room/over").await;
    let id = events.welcome_id.clone();
    drop(events);
    door("left over").arrived().await;
    let (mut events, welcome) = resume(server.addr(), "/v1/room/over", &id).await;
    assert_eq!(
        (&welcome["resumed"], &welcome["reset"]),
        (&false.into(), &"expired".into())
    );
    assert_eq!(events.event().await.data, "welcome");
    assert!(events.welcome_id.ends_with(".0") && events.welcome_id != id);
}

#[tokio::test]
async fn an_id_that_is_not_the_clients_own_is_refused() {
    let server = server().await;
    let events = EventStream::enter(server.addr(), "/v1/room/own").await;
    let id = events.welcome_id.clone();
    let addr = server.addr();
    let ask = |path: &'static str, id: String| async move {
        let headers = [EVENTS[0], ("last-event-id", id.as_str())];
        send(addr, "GET", path, &headers, b"").await
    };
    let forged = id.replacen(|c: char| c == id.as_bytes()[30] as char, "_", usize::MAX);
    for bad in ["17".to_owned(), "x.y".to_owned(), format!("{id}0x"), forged] {
        let refused = ask("/v1/room/own", bad).await;
        refused.problem(403, "invalid-resume-token");
    }
    let refused = ask("/v1/room/foreign", id.clone()).await;
    refused.problem(403, "invalid-resume-token");
    let future = id.replace(".0", ".9");
    assert_eq!(ask("/v1/room/own", future).await.status, 400);
    // None of it has touched the session.
    drop(events);
    let (_, welcome) = resume(server.addr(), "/v1/room/own", &id).await;
    assert_eq!(welcome["resumed"], true);
}

/// No answer to a comment ever comes, so it is the acknowledgements of the client's system that
/// tell whether it is there.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_client_that_vanished_is_found() {
    let server = server_with(Config {
        ping_interval: Span::millis(100),
        ping_timeout: Span::millis(500),
        ..soon_over()
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
