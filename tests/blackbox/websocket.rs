//! Sessions over WebSocket.

use abide::Config;
use abide::config::{Size, Span};
use futures_util::{SinkExt, StreamExt};
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::support::http::{Client, get, send};
use crate::support::objects::door;
#[cfg(target_os = "linux")]
use crate::support::process::Abide;
#[cfg(target_os = "linux")]
use crate::support::raise_open_files_limit;
use crate::support::socket::Socket;
use crate::support::{config, server, server_with};

#[tokio::test]
async fn frames_come_back_as_they_went() {
    let server = server().await;
    let mut socket = Socket::enter(server.addr(), "/v1/room/echo").await;
    for message in [
        Message::text("é"),
        Message::binary(vec![0, 255]),
        Message::text(""),
    ] {
        socket.0.send(message.clone()).await.unwrap();
        assert_eq!(socket.next().await, message);
    }
}

#[tokio::test]
async fn fragments_are_one_message_with_pings_in_between() {
    let server = server().await;
    let mut socket = Socket::enter(server.addr(), "/v1/room/fragments").await;
    let piece = |data: &'static str, kind, last| {
        Message::Frame(Frame::message(data, OpCode::Data(kind), last))
    };
    socket
        .0
        .send(piece("one ", Data::Text, false))
        .await
        .unwrap();
    socket
        .0
        .send(Message::Ping("between".into()))
        .await
        .unwrap();
    socket
        .0
        .send(piece("two ", Data::Continue, false))
        .await
        .unwrap();
    socket
        .0
        .send(piece("three", Data::Continue, true))
        .await
        .unwrap();
    assert_eq!(
        socket.0.next().await.unwrap().unwrap(),
        Message::Pong("between".into())
    );
    assert_eq!(socket.text().await, "one two three");
}

/// Some clients do not wait for the 101; what they sent is in the HTTP layer's buffer by then.
#[tokio::test]
async fn a_frame_sent_right_behind_the_handshake_is_not_lost() {
    let server = server().await;
    let mut client = Client::connect(server.addr()).await;
    let handshake = "GET /v1/room/early HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\n\
                     upgrade: websocket\r\nsec-websocket-version: 13\r\n\
                     sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    // A text frame "hi" under a mask of zeros.
    let frame = b"\x81\x82\0\0\0\0hi";
    client.write(&[handshake.as_bytes(), frame].concat()).await;
    assert_eq!(client.response().await.unwrap().status, 101);
    client.until(b"\x81\x02hi").await;
}

#[tokio::test]
async fn many_frames_keep_their_order() {
    let server = server().await;
    let mut socket = Socket::enter(server.addr(), "/v1/room/order").await;
    for number in 0..200 {
        socket
            .0
            .feed(Message::text(number.to_string()))
            .await
            .unwrap();
    }
    socket.0.flush().await.unwrap();
    for number in 0..200 {
        assert_eq!(socket.text().await, number.to_string());
    }
}

#[tokio::test]
async fn a_broadcast_reaches_all() {
    let server = server().await;
    let mut sockets = vec![];
    for _ in 0..5 {
        sockets.push(Socket::enter(server.addr(), "/v1/room/all").await);
    }
    sockets[0].say("all").await;
    for socket in &mut sockets {
        assert_eq!(socket.text().await, "to all");
    }
}

#[tokio::test]
async fn an_auto_response_needs_no_turn() {
    let server = server().await;
    let mut socket = Socket::enter(server.addr(), "/v1/room/auto").await;
    let mut held = Socket::enter(server.addr(), "/v1/room/auto").await;
    held.say("wait").await;
    door("auto").arrived().await;
    socket.say("ping").await;
    assert_eq!(socket.text().await, "pong");
    door("auto").open();
    assert_eq!(held.text().await, "waited");
}

#[tokio::test]
async fn the_object_chooses_among_the_subprotocols_offered() {
    let server = server().await;
    let offered = [("sec-websocket-protocol", "soap, wamp")];
    let (_, response) = Socket::open(server.addr(), "/v1/room/p?protocol=wamp", &offered)
        .await
        .unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "wamp");
    let (_, response) = Socket::open(server.addr(), "/v1/room/p", &[])
        .await
        .unwrap();
    assert!(!response.headers().contains_key("sec-websocket-protocol"));
    assert!(response.headers().contains_key("x-request-id"));
}

#[tokio::test]
async fn a_refusal_is_an_ordinary_response() {
    let server = server().await;
    let Err(Error::Http(response)) = Socket::open(server.addr(), "/v1/room/x?refuse=402", &[])
        .await
        .map(drop)
    else {
        panic!("the session was not refused")
    };
    assert_eq!(response.status(), 402);
    let body: serde_json::Value =
        serde_json::from_slice(response.body().as_ref().unwrap()).unwrap();
    assert_eq!(body["code"], "session-refused");
    assert_eq!(body["detail"], "the room is private");
}

#[tokio::test]
async fn what_is_no_handshake_is_explained() {
    let server = server().await;
    let path = "/v1/room/x";
    get(server.addr(), path)
        .await
        .problem(426, "upgrade-required");

    let old = [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "8"),
    ];
    let reply = send(server.addr(), "GET", path, &old, b"").await;
    reply.problem(426, "upgrade-required");
    assert_eq!(reply.header("sec-websocket-version"), Some("13"));

    let keyless = [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
    ];
    send(server.addr(), "GET", path, &keyless, b"")
        .await
        .problem(400, "invalid-handshake");
    send(server.addr(), "POST", path, &[], b"")
        .await
        .problem(405, "method-not-allowed");
}

#[tokio::test]
async fn objects_without_sessions_say_so() {
    let server = server().await;
    let Err(Error::Http(response)) = Socket::open(server.addr(), "/v1/tally/x", &[])
        .await
        .map(drop)
    else {
        panic!("the session was not refused")
    };
    assert_eq!(response.status(), 404);
}

#[tokio::test]
async fn the_object_closes_with_its_own_code() {
    let server = server().await;
    let mut socket = Socket::enter(server.addr(), "/v1/room/bye").await;
    socket.say("close").await;
    let close = socket.closed().await;
    assert_eq!(
        (u16::from(close.code), close.reason.as_str()),
        (4_000, "as you wish")
    );
}

#[tokio::test]
async fn a_clients_close_is_echoed_and_told_to_the_object() {
    let server = server().await;
    let mut socket = Socket::enter(server.addr(), "/v1/room/echoed").await;
    let close = CloseFrame {
        code: CloseCode::from(4_321),
        reason: "done".into(),
    };
    socket.0.close(Some(close)).await.unwrap();
    assert_eq!(u16::from(socket.closed().await.code), 4_321);
    door("left echoed").arrived().await;
    assert_eq!(
        get(server.addr(), "/v1/room/echoed/left").await.json(),
        serde_json::json!([4_321])
    );
}

#[tokio::test]
async fn a_client_that_vanishes_has_left() {
    let server = server().await;
    drop(Socket::enter(server.addr(), "/v1/room/gone").await);
    door("left gone").arrived().await;
    assert_eq!(
        get(server.addr(), "/v1/room/gone/left").await.json(),
        serde_json::json!([1_006])
    );
    assert_eq!(get(server.addr(), "/v1/room/gone/present").await.json(), 0);
}

#[tokio::test]
async fn a_frame_too_large_closes_with_1009_and_says_why() {
    let server = server_with(Config {
        frame_size_max: Size::kib(64),
        ..config()
    })
    .await;
    let mut socket = Socket::enter(server.addr(), "/v1/room/large").await;
    socket
        .0
        .send(Message::binary(vec![1; 64 << 10]))
        .await
        .unwrap();
    assert_eq!(
        socket.next().await.len(),
        64 << 10,
        "the largest size is taken"
    );

    // Far more than the socket's buffers hold. The server reads on, though it wants none of it:
    // closing at once would reset the connection, and many a client would never see why.
    let large = Message::binary(vec![1; 8 << 20]);
    socket
        .0
        .send(large)
        .await
        .expect("the server reads all of it");
    let close = socket.closed().await;
    assert_eq!(u16::from(close.code), 1_009);
    assert_eq!(
        close.reason.as_str(),
        "a message of 8388608 bytes came, 65536 are the most"
    );
    door("left large").arrived().await;
    assert_eq!(
        get(server.addr(), "/v1/room/large/left").await.json(),
        serde_json::json!([1_009])
    );
}

#[tokio::test]
async fn fragments_that_grow_too_large_close_with_1009() {
    let server = server_with(Config {
        frame_size_max: Size::kib(64),
        ..config()
    })
    .await;
    let mut socket = Socket::enter(server.addr(), "/v1/room/grown").await;
    let kib = vec![b'x'; 40 << 10];
    let first = Frame::message(kib.clone(), OpCode::Data(Data::Text), false);
    let second = Frame::message(kib, OpCode::Data(Data::Continue), true);
    socket.0.send(Message::Frame(first)).await.unwrap();
    socket.0.send(Message::Frame(second)).await.unwrap();
    assert_eq!(u16::from(socket.closed().await.code), 1_009);
}

#[tokio::test]
async fn text_that_is_not_utf8_closes_with_1007() {
    let server = server().await;
    let mut socket = Socket::enter(server.addr(), "/v1/room/garbled").await;
    let garbled = Frame::message(vec![0xff, 0xfe], OpCode::Data(Data::Text), true);
    socket.0.send(Message::Frame(garbled)).await.unwrap();
    assert_eq!(u16::from(socket.closed().await.code), 1_007);
}

#[tokio::test]
async fn a_frame_without_its_mask_closes_with_1002() {
    let server = server().await;
    let mut socket = Socket::enter(server.addr(), "/v1/room/unmasked").await;
    socket
        .0
        .get_mut()
        .write_all(&[0x81, 0x02, b'h', b'i'])
        .await
        .unwrap();
    assert_eq!(u16::from(socket.closed().await.code), 1_002);
}

/// The one beside it lives on: what ends a session is its own affair.
#[tokio::test]
async fn a_client_that_does_not_read_is_closed_with_1013() {
    let small = Config {
        outbound_queue_max: Size::kib(128),
        frame_size_max: Size::kib(64),
        ..config()
    };
    let server = server_with(small).await;
    let mut slow = Socket::enter(server.addr(), "/v1/room/slow").await;
    let mut other = Socket::enter(server.addr(), "/v1/room/slow").await;
    // 4 MiB at once, from one turn, into a queue of 128 KiB.
    slow.say("flood").await;
    let close = slow.closed().await;
    assert_eq!(u16::from(close.code), 1_013);
    assert_eq!(
        close.reason.as_str(),
        "more than 131072 bytes were waiting to be read"
    );
    other.say("still here").await;
    assert_eq!(other.text().await, "still here");
}

#[tokio::test]
async fn a_silent_client_is_pinged_and_a_dead_one_given_up() {
    let quick = Config {
        ping_interval: Span::millis(200),
        // Longer than a busy machine may keep the client that lives from answering.
        ping_timeout: Span::secs(4),
        ..config()
    };
    let server = server_with(quick).await;
    let mut alive = Socket::enter(server.addr(), "/v1/room/heart").await;
    let dead = Socket::enter(server.addr(), "/v1/room/heart").await;
    // Reading is what answers pings: one client does, the other has stopped listening.
    let left = door("left heart");
    let reading = async {
        loop {
            assert!(alive.0.next().await.unwrap().unwrap().is_ping());
        }
    };
    tokio::select! {
        () = left.arrived() => {}
        () = reading => {}
    }
    assert_eq!(
        get(server.addr(), "/v1/room/heart/left").await.json(),
        serde_json::json!([1_006])
    );
    assert_eq!(get(server.addr(), "/v1/room/heart/present").await.json(), 1);
    drop(dead);
}

/// Measured when written: 10.2 KB each, and 14.0 KB when the HTTP layer's buffer was kept alive by
/// mistake. A library's default buffers would make it 133 KB.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_idle_session_costs_little_memory() {
    const SESSIONS: u64 = 700;
    raise_open_files_limit();
    let folder = tempfile::tempdir().unwrap();
    let running = Abide::start_with(folder.path(), &["--engine", "memory"]);
    let mut sockets = vec![];
    let mut open = async |count| {
        for _ in 0..count {
            let socket = Socket::open(running.addr, "/v1/document/idle", &[]).await;
            sockets.push(socket.unwrap());
        }
    };
    // What the first ones have the allocator and the threads take once is not counted.
    open(100).await;
    let before = running.resident_bytes();
    open(SESSIONS).await;
    let each = running.resident_bytes().saturating_sub(before) / SESSIONS;
    assert!(each < 12_500, "{each} bytes");
}
