//! Broadcasts are written where they are sent when nothing waits, and by the session's task when something does:
//! whichever way, frames are whole and in order.

use abide::Config;
use abide::config::Size;
use futures_util::SinkExt;
use tokio_tungstenite::tungstenite::Message;

use crate::support::socket::Socket;
use crate::support::{config, server, server_with};

/// What the room tells everybody: of any size, and told apart from every other.
fn told(number: usize, random: &mut fastrand::Rng) -> Vec<u8> {
    let size = match random.u8(..4) {
        0 => random.usize(20..70_000),
        _ => random.usize(20..300),
    };
    let mut bytes = format!("tell {number} ").into_bytes();
    bytes.resize(size, fill(number));
    bytes
}

fn fill(number: usize) -> u8 {
    b'a' + u8::try_from(number % 26).unwrap()
}

fn assert_told(message: &Message, number: usize) {
    let Message::Binary(bytes) = message else {
        panic!("{message:?} instead of {number}")
    };
    let begin = format!("tell {number} ");
    assert!(bytes.starts_with(begin.as_bytes()), "{number}");
    let rest = &bytes[begin.len()..];
    assert!(rest.iter().all(|byte| *byte == fill(number)), "{number}");
}

/// One reads at once. The other reads nothing until far more was sent than the system holds for it, then all of
/// it, and so on; and has its pings answered in between.
#[tokio::test]
async fn those_who_read_at_once_and_those_who_lag_get_every_frame_whole() {
    const ROUNDS: usize = 6;
    const FRAMES: usize = 600;
    let roomy = Config {
        outbound_queue_max: Size::kib(64 << 10),
        ..config()
    };
    let server = server_with(roomy).await;
    let mut quick = Socket::enter(server.addr(), "/v1/room/through").await;
    let mut slow = Socket::enter(server.addr(), "/v1/room/through").await;
    let mut random = fastrand::Rng::with_seed(1);
    let (mut sent, mut seen) = (0, 0);
    for _ in 0..ROUNDS {
        for _ in 0..FRAMES {
            let bytes = told(sent, &mut random);
            quick.0.send(Message::Binary(bytes.into())).await.unwrap();
            if sent % 5 == 0 {
                slow.0.send(Message::Ping("?".into())).await.unwrap();
            }
            assert_told(&quick.next().await, sent);
            sent += 1;
        }
        while seen < sent {
            assert_told(&slow.next().await, seen);
            seen += 1;
        }
    }
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
