//! How large a message of a session may be, where the kind has asked for more than the setting says.

use abide::Config;
use abide::config::Size;
use abide::prelude::*;
use futures_util::SinkExt;
use tokio_tungstenite::tungstenite::Message;

use crate::support::config;
use crate::support::socket::Socket;

/// Answers each message with its size.
#[derive(Default, Serialize, Deserialize)]
struct Roomy;

#[actor(frame_size_max = 256 << 10)]
impl Roomy {
    fn message(&mut self, session: &Session, frame: Frame) {
        session.send(frame.size_bytes().to_string());
    }
}

/// As that, and asks for all there is.
#[derive(Default, Serialize, Deserialize)]
struct Greedy;

#[actor(frame_size_max = usize::MAX)]
impl Greedy {
    fn message(&mut self, session: &Session, frame: Frame) {
        session.send(frame.size_bytes().to_string());
    }
}

async fn server(frame_size_max: Size) -> abide::Running {
    let config = Config {
        frame_size_max,
        ..config()
    };
    let server = Server::builder().config(config);
    let server = server.actor::<Roomy>("roomy").actor::<Greedy>("greedy");
    server.start().await.unwrap()
}

/// Sends so many bytes on a plain session and on one that can be resumed: both are told of them, or
/// both are closed for being larger than `most`.
async fn sends(server: &abide::Running, namespace: &str, bytes: usize, most: usize) {
    let path = format!("/v1/{namespace}/a");
    let resumable = [("sec-websocket-protocol", "abide.v1")];
    for headers in [&[][..], &resumable[..]] {
        let mut socket = Socket::open(server.addr(), &path, headers).await.unwrap().0;
        let message = Message::binary(vec![0; bytes]);
        socket.0.send(message).await.unwrap();
        if bytes <= most {
            while socket.text().await != bytes.to_string() {}
            continue;
        }
        let close = loop {
            let next = futures_util::StreamExt::next(&mut socket.0).await;
            if let Message::Close(close) = next.unwrap().unwrap() {
                break close.unwrap();
            }
        };
        let expected = format!("a message of {bytes} bytes came, {most} are the most");
        assert_eq!((u16::from(close.code), &*close.reason), (1_009, &*expected));
    }
}

#[tokio::test]
async fn a_kind_may_take_larger_frames_than_the_setting_says() {
    let (asked, most) = (256 << 10, 8 << 20);
    let server = server(Size::kib(64)).await;
    sends(&server, "roomy", asked, asked).await;
    sends(&server, "roomy", asked + 1, asked).await;
    sends(&server, "greedy", most, most).await;
    sends(&server, "greedy", most + 1, most).await;
}

#[tokio::test]
async fn a_kind_that_asks_for_less_than_the_setting_gets_the_setting() {
    let set = 512 << 10;
    let server = server(Size::kib(512)).await;
    sends(&server, "roomy", set, set).await;
    sends(&server, "roomy", set + 1, set).await;
}
