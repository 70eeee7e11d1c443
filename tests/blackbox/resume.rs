//! `abide.v1` from outside: what `docs/protocol.md` promises to whoever writes a client.

use std::net::SocketAddr;

use abide::Config;
use abide::config::Span;
use futures_util::SinkExt;
use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;

use crate::support::process::Abide;
use crate::support::socket::Socket;
use crate::support::{config, server, server_with};

/// A client that counts.
pub(crate) struct Session {
    pub(crate) socket: Socket,
    pub(crate) welcome: Value,
    pub(crate) got: u64,
    pub(crate) acked: u64,
}

/// The subprotocols of a client that has had this session.
fn offer(token: &str, got: u64) -> String {
    format!("abide.v1, abide.resume.{token}.{got}")
}

async fn connect(to: SocketAddr, path: &str, offered: &str) -> Socket {
    let headers = [("sec-websocket-protocol", offered)];
    let (socket, response) = Socket::open(to, path, &headers).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "abide.v1");
    socket
}

/// A control message.
async fn control(socket: &mut Socket) -> Value {
    let text = socket.text().await;
    let json = text.strip_prefix('\u{10}').expect("a control message");
    serde_json::from_str(json).unwrap()
}

impl Session {
    pub(crate) async fn open(to: SocketAddr, path: &str) -> Self {
        Self::of(connect(to, path, "abide.v1").await).await
    }

    async fn of(mut socket: Socket) -> Self {
        let welcome = control(&mut socket).await;
        assert_eq!(welcome["type"], "welcome", "{welcome}");
        let (got, acked) = (0, welcome["received"].as_u64().unwrap());
        Self {
            socket,
            welcome,
            got,
            acked,
        }
    }

    pub(crate) fn token(&self) -> String {
        self.welcome["token"].as_str().unwrap().to_owned()
    }

    /// Comes back without having said goodbye.
    pub(crate) async fn again(self, to: SocketAddr, path: &str) -> Self {
        let (token, got) = (self.token(), self.got);
        drop(self);
        let mut again = Self::of(connect(to, path, &offer(&token, got)).await).await;
        assert_eq!(again.welcome["resumed"], true, "{}", again.welcome);
        again.got = got;
        again
    }

    /// The next data message.
    pub(crate) async fn data(&mut self) -> String {
        loop {
            let text = self.socket.text().await;
            let Some(json) = text.strip_prefix('\u{10}') else {
                self.got += 1;
                return text;
            };
            self.obey(&serde_json::from_str(json).unwrap());
        }
    }

    pub(crate) fn obey(&mut self, control: &Value) {
        let n = control["n"].as_u64();
        match control["type"].as_str().unwrap() {
            "ack" => self.acked = n.unwrap(),
            "skip" => self.got += n.unwrap(),
            other => panic!("{other}"),
        }
    }

    /// Waits until so many of its messages are acknowledged; no data may come meanwhile.
    pub(crate) async fn acknowledged(&mut self, count: u64) {
        while self.acked < count {
            let control = control(&mut self.socket).await;
            self.obey(&control);
        }
    }
}

#[tokio::test]
async fn a_connection_that_is_cut_is_made_good() {
    let server = server().await;
    let (to, path) = (server.addr(), "/v1/room/cut");
    let mut ada = Session::open(to, path).await;
    assert_eq!(ada.welcome["resumed"], false);
    assert_eq!(ada.welcome["received"], 0);
    assert_eq!(ada.welcome["window_ms"], 60_000);
    assert!(ada.welcome.get("reset").is_none());
    assert_eq!(ada.data().await, "welcome");
    ada.socket.say("one").await;
    assert_eq!(ada.data().await, "one");
    ada.acknowledged(1).await;
    let session = ada.welcome["session"].clone();
    let (token, got) = (ada.token(), ada.got);
    drop(ada);
    let mut other = Socket::enter(to, path).await;
    other.say("all").await;
    assert_eq!(other.text().await, "to all");
    let socket = connect(to, path, &offer(&token, got)).await;
    let mut ada = Session::of(socket).await;
    assert_eq!(ada.welcome["resumed"], true);
    assert_eq!(ada.welcome["session"], session);
    assert_eq!(ada.welcome["received"], 1);
    assert_eq!(ada.data().await, "to all");
    ada.socket.say("two").await;
    assert_eq!(ada.data().await, "two");
    ada.acknowledged(2).await;
    server.stop().await;
}

/// What is sent while nothing waits is written by whoever sends it, and counts like all else.
#[tokio::test]
async fn a_connection_that_is_cut_again_and_again_loses_nothing() {
    let server = server().await;
    let (to, path) = (server.addr(), "/v1/room/cuts");
    let mut other = Socket::enter(to, path).await;
    let mut ada = Session::open(to, path).await;
    assert_eq!(ada.data().await, "welcome");
    let (mut told, mut got) = (0, 0);
    for round in 0..30 {
        for _ in 0..10 {
            let said = format!("tell {told}");
            other.say(&said).await;
            assert_eq!(other.text().await, said);
            told += 1;
        }
        // She has read some of it when the connection is cut.
        for _ in 0..round % 11 {
            assert_eq!(ada.data().await, format!("tell {got}"));
            got += 1;
        }
        ada = ada.again(to, path).await;
        while got < told {
            assert_eq!(ada.data().await, format!("tell {got}"));
            got += 1;
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn the_escape_and_the_ping_work_as_specified() {
    let server = server().await;
    let mut ada = Session::open(server.addr(), "/v1/room/escape").await;
    assert_eq!(ada.data().await, "welcome");
    ada.socket.say("\u{10}{\"type\":\"ping\"}").await;
    assert_eq!(control(&mut ada.socket).await["type"], "pong");
    ada.socket
        .say("\u{10}{\"type\":\"of a later version\"}")
        .await;
    ada.socket
        .say("\u{10}{\"type\":\"ack\",\"n\":1,\"more\":[]}")
        .await;
    ada.socket.say("\u{10}\u{10}{}").await;
    loop {
        let text = ada.socket.text().await;
        if text == "\u{10}\u{10}{}" {
            break;
        }
        let json = text.strip_prefix('\u{10}').unwrap();
        ada.obey(&serde_json::from_str(json).unwrap());
    }
    ada.acknowledged(1).await;
    // What the object answers by itself is counted, too.
    ada.socket.say("ping").await;
    assert_eq!(ada.data().await, "pong");
    server.stop().await;
}

#[tokio::test]
async fn what_breaks_the_protocol_is_closed_with_its_code() {
    let server = server().await;
    let huge = format!("\u{10}{{\"type\":\"{}\"}}", "x".repeat(9_000));
    for (said, code) in [
        ("\u{10}", 1002),
        ("\u{10}hello", 1002),
        ("\u{10}{\"type\":", 1002),
        ("\u{10}{\"n\":1}", 1002),
        ("\u{10}{\"type\":\"ack\",\"n\":-1}", 1002),
        ("\u{10}{\"type\":\"ack\",\"n\":9}", 1002),
        (&*huge, 1009),
    ] {
        let mut ada = Session::open(server.addr(), "/v1/room/broken").await;
        let token = ada.token();
        ada.socket.say(said).await;
        let close = ada.socket.closed().await;
        assert_eq!(u16::from(close.code), code, "{said:.40}: {}", close.reason);
        let offered = offer(&token, 0);
        let socket = connect(server.addr(), "/v1/room/broken", &offered).await;
        let again = Session::of(socket).await;
        assert_eq!(again.welcome["reset"], "expired", "the session is over");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_wrong_token_is_refused_behind_the_101() {
    let server = server().await;
    let path = "/v1/room/token";
    let mut ada = Session::open(server.addr(), path).await;
    assert_eq!(ada.data().await, "welcome");
    let token = ada.token();
    let mut forged = token.clone().into_bytes();
    forged[20] = if forged[20] == b'x' { b'y' } else { b'x' };
    let forged = String::from_utf8(forged).unwrap();
    for (path, offered) in [
        (path, offer(&forged, 1)),
        (path, offer("short", 1)),
        (path, "abide.v1, abide.resume.".to_owned()),
        ("/v1/room/another", offer(&token, 1)),
    ] {
        let mut socket = connect(server.addr(), path, &offered).await;
        let error = control(&mut socket).await;
        assert_eq!(error["type"], "error", "{offered}");
        assert_eq!(error["code"], "invalid-resume-token", "{offered}");
        assert_eq!(error["status"], 403);
        assert_eq!(u16::from(socket.closed().await.code), 1008);
    }
    let mut socket = connect(server.addr(), path, &offer(&token, 2)).await;
    assert_eq!(control(&mut socket).await["code"], "resume-from-the-future");
    assert_eq!(u16::from(socket.closed().await.code), 1002);
    // None of it has touched the session.
    ada.socket.say("one").await;
    assert_eq!(ada.data().await, "one");
    server.stop().await;
}

#[tokio::test]
async fn refusals_come_as_messages() {
    let server = server().await;
    for (path, code, status, close) in [
        ("/v1/room/x?refuse=403", "session-refused", 403, 1008),
        ("/v1/room/x?refuse=503", "session-refused", 503, 1013),
        ("/v1/nothing/x", "unknown-namespace", 404, 1008),
    ] {
        let mut socket = connect(server.addr(), path, "abide.v1").await;
        let error = control(&mut socket).await;
        assert_eq!(error["code"], code, "{error}");
        assert_eq!(error["status"], status);
        assert_eq!(error["effect"], "none");
        assert_eq!(u16::from(socket.closed().await.code), close, "{path}");
    }
    server.stop().await;
}

#[tokio::test]
async fn plain_clients_see_none_of_it() {
    let server = server().await;
    let (mut socket, response) = Socket::open(server.addr(), "/v1/room/plain", &[])
        .await
        .unwrap();
    assert!(!response.headers().contains_key("sec-websocket-protocol"));
    assert_eq!(socket.text().await, "welcome");
    for said in ["\u{10}{\"type\":\"ping\"}", "\u{10}", "\u{10}\u{10}"] {
        socket.say(said).await;
        assert_eq!(socket.text().await, said);
    }
    let only_resume = [("sec-websocket-protocol", "abide.resume.x.1")];
    let refused = Socket::open(server.addr(), "/v1/room/plain", &only_resume).await;
    assert!(refused.is_err());
    server.stop().await;
}

#[tokio::test]
async fn another_connection_takes_a_session_over() {
    let server = server().await;
    let path = "/v1/room/over";
    let mut old = Session::open(server.addr(), path).await;
    assert_eq!(old.data().await, "welcome");
    let socket = connect(server.addr(), path, &offer(&old.token(), 1)).await;
    let new = Session::of(socket).await;
    assert_eq!(new.welcome["resumed"], true);
    assert_eq!(u16::from(old.socket.closed().await.code), 4001);
    server.stop().await;
}

#[tokio::test]
async fn the_window_is_a_setting() {
    let server = server_with(Config {
        resume_window: Span::millis(200),
        ..config()
    })
    .await;
    let (to, path) = (server.addr(), "/v1/room/window");
    let ada = Session::open(to, path).await;
    let token = ada.token();
    drop(ada);
    tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
    let mut again = Session::of(connect(to, path, &offer(&token, 0)).await).await;
    assert_eq!(again.welcome["reset"], "expired");
    assert_eq!(again.data().await, "welcome");
    server.stop().await;
}

/// A restart of the process under load: nothing is lost, nothing comes twice.
#[tokio::test]
async fn a_restart_keeps_the_conversation() {
    let data = tempfile::tempdir().unwrap();
    let path = "/v1/chat/lobby?name=ada";
    let mut server = Abide::start(data.path());
    let mut ada = Session::open(server.addr, path).await;
    let mut sent = 0;
    let mut lines = Vec::new();
    for _ in 0..3 {
        // The last ones are on their way when the server is told to go.
        for _ in 0..20 {
            let said = format!("{{\"type\":\"say\",\"text\":\"{sent}\"}}");
            ada.socket.0.feed(Message::text(said)).await.unwrap();
            sent += 1;
        }
        ada.socket.0.flush().await.unwrap();
        server.terminate();
        loop {
            match ada.socket.next().await {
                Message::Close(close) => {
                    assert_eq!(u16::from(close.unwrap().code), 1012);
                    break;
                }
                message => take(&mut ada, message.to_text().unwrap(), &mut lines),
            }
        }
        assert!(server.wait().success());
        server = Abide::start(data.path());
        ada = ada.again(server.addr, path).await;
        for number in ada.acked..sent {
            let said = format!("{{\"type\":\"say\",\"text\":\"{number}\"}}");
            ada.socket.say(&said).await;
        }
        while ada.acked < sent || lines.len() < usize::try_from(sent).unwrap() {
            let text = ada.socket.text().await;
            take(&mut ada, &text, &mut lines);
        }
    }
    let expected: Vec<String> = (0..sent).map(|number: u64| number.to_string()).collect();
    assert_eq!(lines, expected);
    server.kill();
}

/// Counts a message, and keeps what was said in the room.
pub(crate) fn take(ada: &mut Session, text: &str, lines: &mut Vec<String>) {
    if let Some(json) = text.strip_prefix('\u{10}') {
        ada.obey(&serde_json::from_str(json).unwrap());
        return;
    }
    ada.got += 1;
    let event: Value = serde_json::from_str(text).unwrap();
    if event["type"] == "line" {
        lines.push(event["text"].as_str().unwrap().to_owned());
    }
}
