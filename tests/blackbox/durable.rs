//! A durable session from outside: the real binary is killed, and the conversation goes on.

use std::time::Duration;

use futures_util::SinkExt;
use tokio_tungstenite::tungstenite::Message;

use crate::resume::{Session, take};
use crate::support::process::{Abide, run};

const ROUNDS: u64 = 5;
const LINES: u64 = 40;

/// SIGKILL under load, at a different moment each time: every line is said once and read once, in order.
#[tokio::test]
async fn a_kill_keeps_the_conversation() {
    for engine in ["sled", "redb"] {
        let data = tempfile::tempdir().unwrap();
        let path = "/v1/chat/lobby?name=ada&durable=true";
        let flags = ["--engine", engine];
        let mut server = Abide::start_with(data.path(), &flags);
        let mut ada = Session::open(server.addr, path).await;
        let session = ada.welcome["session"].clone();
        let mut lines = Vec::new();
        let mut sent = 0;
        for round in 0..ROUNDS {
            for _ in 0..LINES {
                ada.socket.0.feed(say(sent)).await.unwrap();
                sent += 1;
            }
            ada.socket.0.flush().await.unwrap();
            // So many lines later, from none on.
            let until = lines.len() + usize::try_from(round * 6).unwrap();
            while lines.len() < until {
                let text = ada.socket.text().await;
                take(&mut ada, &text, &mut lines);
            }
            server.kill();
            let report = run(&["check", "--data", data.path().to_str().unwrap()]);
            assert!(report.status.success(), "{report:?}");
            server = Abide::start_with(data.path(), &flags);
            let acked = ada.acked;
            ada = ada.again(server.addr, path).await;
            assert_eq!(ada.welcome["session"], session);
            assert!(acked <= ada.acked && ada.acked <= sent, "{engine}: {acked}");
            for number in ada.acked..sent {
                ada.socket.0.feed(say(number)).await.unwrap();
            }
            ada.socket.0.flush().await.unwrap();
        }
        while ada.acked < sent || lines.len() < usize::try_from(sent).unwrap() {
            let text = ada.socket.text().await;
            take(&mut ada, &text, &mut lines);
        }
        let expected: Vec<String> = (0..sent).map(|number| number.to_string()).collect();
        assert_eq!(lines, expected, "{engine}");
        server.kill();
    }
}

fn say(number: u64) -> Message {
    Message::text(format!("{{\"type\":\"say\",\"text\":\"{number}\"}}"))
}

/// Nobody comes back, and nobody calls: the object hears of the end all the same.
#[tokio::test]
async fn who_does_not_come_back_after_a_kill_has_left() {
    let data = tempfile::tempdir().unwrap();
    let flags = ["--resume-window", "1s"];
    let of = |name: &str| format!("/v1/chat/lobby?name={name}&durable=true");
    let server = Abide::start_with(data.path(), &flags);
    let mut ada = Session::open(server.addr, &of("ada")).await;
    let mut bob = Session::open(server.addr, &of("bob")).await;
    assert!(bob.data().await.contains("welcome"));
    assert!(ada.data().await.contains("welcome"));
    server.kill();
    let server = Abide::start_with(data.path(), &flags);
    let mut bob = bob.again(server.addr, &of("bob")).await;
    drop(ada);
    let left = tokio::time::timeout(Duration::from_secs(10), async {
        while !bob.data().await.contains("left") {}
    });
    left.await.expect("bob is told that ada has left");
    server.kill();
}
