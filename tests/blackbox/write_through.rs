//! Broadcasts are written where they are sent when nothing waits, and by the session's task when something does:
//! whichever way, frames are whole and in order.

use abide::Config;
use abide::config::Size;
use futures_util::SinkExt;
use tokio_tungstenite::tungstenite::Message;

use crate::support::socket::Socket;
use crate::support::{config, server, server_with};

/// What the room tells everybody, told apart from all else.
fn told(how: &str, number: usize, size: usize) -> Message {
    let mut bytes = format!("{how} {number} ").into_bytes();
    bytes.resize(size, fill(number));
    Message::Binary(bytes.into())
}

fn fill(number: usize) -> u8 {
    b'a' + u8::try_from(number % 26).unwrap()
}

fn assert_told(message: &Message, how: &str, number: usize) {
    let Message::Binary(bytes) = message else {
        panic!("{message:?} instead of {number}")
    };
    let begin = format!("{how} {number} ");
    assert!(bytes.starts_with(begin.as_bytes()), "{number}");
    let rest = &bytes[begin.len()..];
    assert!(rest.iter().all(|byte| *byte == fill(number)), "{number}");
}

/// Settings under which nobody is too slow.
fn roomy() -> Config {
    Config {
        frame_size_max: Size::kib(16 << 10),
        outbound_queue_max: Size::kib(64 << 10),
        ..config()
    }
}

/// One reads at once. The other reads nothing until far more was sent than the system holds for it, then all of
/// it, and so on; and has its pings answered in between.
#[tokio::test]
async fn those_who_read_at_once_and_those_who_lag_get_every_frame_whole() {
    const ROUNDS: usize = 6;
    const FRAMES: usize = 600;
    let server = server_with(roomy()).await;
    let mut quick = Socket::enter(server.addr(), "/v1/room/through").await;
    let mut slow = Socket::enter(server.addr(), "/v1/room/through").await;
    let mut random = fastrand::Rng::with_seed(1);
    let (mut sent, mut seen) = (0, 0);
    for _ in 0..ROUNDS {
        for _ in 0..FRAMES {
            let size = match random.u8(..4) {
                0 => random.usize(20..70_000),
                _ => random.usize(20..300),
            };
            quick.0.send(told("tell", sent, size)).await.unwrap();
            if sent % 5 == 0 {
                slow.0.send(Message::Ping("?".into())).await.unwrap();
            }
            assert_told(&quick.next().await, "tell", sent);
            sent += 1;
        }
        while seen < sent {
            assert_told(&slow.next().await, "tell", seen);
            seen += 1;
        }
    }
    server.stop().await;
}

/// The second of two frames is written by the session's task, and what the system does not take of it waits there:
/// nobody writes into its midst.
#[tokio::test]
async fn what_the_task_has_begun_to_write_is_written_to_its_end() {
    const ROUNDS: usize = 10;
    const FRAMES: usize = 10;
    let server = server_with(roomy()).await;
    let mut quick = Socket::enter(server.addr(), "/v1/room/twice").await;
    let mut slow = Socket::enter(server.addr(), "/v1/room/twice").await;
    // So that the server's buffer is full soon.
    let socket = socket2::SockRef::from(slow.0.get_ref());
    socket.set_recv_buffer_size(64 << 10).unwrap();
    let mut random = fastrand::Rng::with_seed(2);
    let (mut sent, mut seen) = (0, 0);
    for _ in 0..ROUNDS {
        for _ in 0..FRAMES {
            let size = random.usize(200_000..400_000);
            quick.0.send(told("twice", sent, size)).await.unwrap();
            for _ in 0..2 {
                assert_told(&quick.next().await, "twice", sent);
            }
            sent += 1;
        }
        while seen < sent {
            for _ in 0..2 {
                assert_told(&slow.next().await, "twice", seen);
            }
            seen += 1;
        }
    }
    server.stop().await;
}

/// Far more than the system takes at once, and nothing comes behind it that would push it on.
#[tokio::test]
async fn the_last_frame_comes_whole_to_a_client_that_reads_it_late() {
    let server = server_with(roomy()).await;
    let mut quick = Socket::enter(server.addr(), "/v1/room/last").await;
    let mut slow = Socket::enter(server.addr(), "/v1/room/last").await;
    quick.0.send(told("tell", 0, 14 << 20)).await.unwrap();
    assert_told(&quick.next().await, "tell", 0);
    assert_told(&slow.next().await, "tell", 0);
    server.stop().await;
}

#[tokio::test]
async fn an_answer_and_what_follows_keep_their_order() {
    let server = server().await;
    let mut socket = Socket::enter(server.addr(), "/v1/room/burst").await;
    for number in 0..500 {
        // The session's task answers the pings, of both kinds, between frames that others write.
        let said = number.to_string();
        socket.0.feed(Message::text("all")).await.unwrap();
        socket.0.feed(Message::Ping("?".into())).await.unwrap();
        socket.0.feed(Message::text(&said)).await.unwrap();
        socket.0.feed(Message::text("ping")).await.unwrap();
        socket.0.flush().await.unwrap();
        for expected in ["to all", &said, "pong"] {
            assert_eq!(socket.text().await, expected);
        }
    }
}
