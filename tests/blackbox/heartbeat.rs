//! Clients that are slow, stuck or gone, told apart over real sockets.
#![cfg(target_os = "linux")]

use std::net::SocketAddr;
use std::time::Duration;

use abide::config::Span;
use abide::{Config, Running};
use socket2::{Domain, Protocol, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::support::http::get;
use crate::support::objects::door;
use crate::support::socket::Socket;
use crate::support::{PATIENCE, config, server_with, unplug};

const PING_TIMEOUT: Duration = Duration::from_millis(600);

async fn server() -> Running {
    server_with(Config {
        ping_interval: Span::millis(200),
        ping_timeout: Span::millis(600),
        ..config()
    })
    .await
}

/// A session whose bytes a test reads as slowly as it likes: the system takes 4 KiB ahead of it.
async fn raw_session(to: SocketAddr, path: &str) -> TcpStream {
    let socket = socket2::Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).unwrap();
    socket.set_recv_buffer_size(4 << 10).unwrap();
    socket.connect(&to.into()).unwrap();
    socket.set_nonblocking(true).unwrap();
    let mut socket = TcpStream::from_std(socket.into()).unwrap();
    let handshake = format!(
        "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    socket.write_all(handshake.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\x81\x07welcome") {
        assert!(socket.read_buf(&mut head).await.unwrap() > 0);
    }
    socket
}

/// The object hears of a lost client in time: not much later than its silence may last.
async fn is_found(server: &Running, name: &str, since: Instant) {
    door(&format!("left {name}")).arrived().await;
    // Whole intervals, and a machine that is busy.
    assert!(since.elapsed() < PING_TIMEOUT * 20, "{:?}", since.elapsed());
    let left = get(server.addr(), &format!("/v1/room/{name}/left")).await;
    assert_eq!(left.text(), "[1006]");
}

/// Everything fits into our system's queue, so the server is not held up, and the pings are behind
/// half a megabyte, for which the client takes several times the timeout.
#[tokio::test]
async fn a_slow_reader_is_not_given_up() {
    let server = server().await;
    let mut slow = raw_session(server.addr(), "/v1/room/slowly").await;
    let mut other = Socket::enter(server.addr(), "/v1/room/slowly").await;
    for _ in 0..8 {
        other.say("tell-big").await;
    }
    let answering = async {
        loop {
            // Reading answers the pings of this session.
            other.next().await;
        }
    };
    let reading = async {
        let began = Instant::now();
        let (mut taken, mut buffer) = (0, [0; 4 << 10]);
        while taken < 512 << 10 {
            sleep(Duration::from_millis(12)).await;
            let count = timeout(PATIENCE, slow.read(&mut buffer)).await.unwrap();
            let count = count.expect("the connection stays");
            assert!(
                count > 0,
                "given up after {taken} bytes and {:?}",
                began.elapsed()
            );
            taken += count;
        }
        assert!(began.elapsed() > PING_TIMEOUT * 2, "{:?}", began.elapsed());
        // What was written comes from a closed connection, too; the object knows.
        let left = get(server.addr(), "/v1/room/slowly/left").await;
        assert_eq!(left.text(), "[]");
    };
    tokio::select! {
        () = reading => {}
        () = answering => {}
    }
}

#[tokio::test]
async fn a_client_that_vanished_is_found() {
    let server = server().await;
    let gone = Socket::enter(server.addr(), "/v1/room/gone").await;
    unplug(gone.0.get_ref());
    is_found(&server, "gone", Instant::now()).await;
}

/// What is sent goes on, so bytes are written all the time, and none is acknowledged.
#[tokio::test]
async fn a_client_that_vanished_is_found_among_traffic() {
    let server = server().await;
    let gone = Socket::enter(server.addr(), "/v1/room/traffic").await;
    let mut other = Socket::enter(server.addr(), "/v1/room/traffic").await;
    unplug(gone.0.get_ref());
    tokio::select! {
        () = is_found(&server, "traffic", Instant::now()) => {}
        () = chatter(&mut other) => {}
    }
}

/// As a process that was stopped: its system goes on acknowledging what comes.
#[tokio::test]
async fn a_client_that_is_stopped_is_found_among_traffic() {
    let server = server().await;
    let stopped = Socket::enter(server.addr(), "/v1/room/stopped").await;
    let mut other = Socket::enter(server.addr(), "/v1/room/stopped").await;
    tokio::select! {
        () = is_found(&server, "stopped", Instant::now()) => {}
        () = chatter(&mut other) => {}
    }
    drop(stopped);
}

async fn chatter(socket: &mut Socket) {
    loop {
        socket.say("all").await;
        while socket.text().await != "to all" {}
        sleep(Duration::from_millis(10)).await;
    }
}
