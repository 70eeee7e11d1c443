//! SIGTERM: nothing acknowledged is lost, nobody is left hanging, exit code 0.

use std::fs::File;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use abide::Config;
use abide::config::Span;
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::support::http::{Client, get};
use crate::support::objects::{door, waiting};
use crate::support::process::{Abide, command};
use crate::support::socket::Socket;
use crate::support::{PATIENCE, config, server, server_with};

/// Writers that increment one counter each until the server stops answering; the counts that
/// were acknowledged.
pub(crate) struct Load {
    writers: JoinSet<u64>,
    acknowledged: Arc<Semaphore>,
}

impl Load {
    pub(crate) async fn start(addr: SocketAddr, writers: usize, round: u32) -> Self {
        let acknowledged = Arc::new(Semaphore::new(0));
        let mut load = Self {
            writers: JoinSet::new(),
            acknowledged,
        };
        for writer in 0..writers {
            let acknowledged = load.acknowledged.clone();
            let mut client = Client::connect(addr).await;
            load.writers.spawn(async move {
                let path = format!("/v1/counter/{round}-{writer}/increment");
                let head = format!(
                    "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 8\r\n\r\n{{\"by\":1}}"
                );
                let mut last = 0;
                loop {
                    client.write(head.as_bytes()).await;
                    match client.response().await {
                        Some(reply) if reply.status == 200 => {
                            last += 1;
                            assert_eq!(reply.json(), last, "one writer, one counter");
                            acknowledged.add_permits(1);
                        }
                        // It drains, or the machine is busy: the next answer or the end tells which.
                        Some(reply) => {
                            assert_eq!(reply.status, 503, "{reply:?}");
                            assert_eq!(reply.json()["effect"], "none", "{reply:?}");
                        }
                        None => return last,
                    }
                }
            });
        }
        load
    }

    /// Waits until this many increments have been acknowledged.
    pub(crate) async fn acknowledged(&self, count: u32) {
        let acknowledged = timeout(PATIENCE, self.acknowledged.acquire_many(count)).await;
        let acknowledged = acknowledged.expect("increments are acknowledged");
        acknowledged.unwrap().forget();
    }

    /// Waits for the writers to notice the end; the acknowledged count of each.
    pub(crate) async fn join(mut self) -> Vec<(usize, u64)> {
        // In the order of their names, not of their ends.
        let mut counts = vec![];
        while let Some(count) = self.writers.join_next_with_id().await {
            counts.push(count.unwrap());
        }
        counts.sort_by_key(|(id, _)| id.to_string().parse::<u64>().unwrap());
        counts
            .into_iter()
            .map(|(_, count)| count)
            .enumerate()
            .collect()
    }
}

/// What each counter holds now.
pub(crate) async fn stored(addr: SocketAddr, round: u32, writer: usize) -> u64 {
    get(addr, &format!("/v1/counter/{round}-{writer}/get"))
        .await
        .json()
        .as_u64()
        .unwrap()
}

#[tokio::test]
async fn a_drain_under_load_loses_no_acknowledged_write() {
    let folder = tempfile::tempdir().unwrap();
    let running = Abide::start(folder.path());
    let load = Load::start(running.addr, 16, 0).await;
    load.acknowledged(100).await;
    running.terminate();
    let counts = load.join().await;
    assert_eq!(running.wait().code(), Some(0));

    let running = Abide::start(folder.path());
    for (writer, acknowledged) in counts {
        // A drain answers everything it has begun: there are no writes in between.
        assert_eq!(stored(running.addr, 0, writer).await, acknowledged);
    }
}

#[tokio::test]
async fn sessions_are_closed_with_1012_and_calls_under_way_are_answered() {
    let server = server().await;
    let (addr, admin) = (server.addr(), server.admin_addr());
    let mut socket = Socket::enter(addr, "/v1/room/draining").await;
    let mut idle = Client::connect(addr).await;
    assert_eq!(idle.send("GET", "/health", &[], b"").await.status, 200);
    let mut waiting = waiting(&server, "draining").await;
    door("draining").arrived().await;

    let mut stopping = JoinSet::new();
    stopping.spawn(server.stop());
    assert!(
        idle.is_closed().await,
        "an idle connection is let go at once"
    );
    assert_eq!(
        get(admin, "/readyz").await.status,
        503,
        "and readiness is off"
    );
    door("draining").open();
    let reply = waiting.response().await.unwrap();
    assert_eq!((reply.status, reply.json()), (200, 1.into()));
    assert_eq!(u16::from(socket.closed().await.code), 1_012);
    drop(socket);
    stopping.join_next().await.unwrap().unwrap();
    assert!(tokio::net::TcpStream::connect(addr).await.is_err());
}

/// Turns that never end must not keep the server from ending.
#[tokio::test]
async fn the_deadline_of_the_drain_holds() {
    let server = server_with(Config {
        drain_deadline: Span::millis(100),
        ..config()
    })
    .await;
    let _waiting = waiting(&server, "stuck").await;
    door("stuck").arrived().await;
    let stopped = timeout(PATIENCE, server.stop()).await;
    stopped.expect("the turn is not waited for");
}

#[tokio::test]
async fn many_sessions_hear_of_the_drain() {
    let folder = tempfile::tempdir().unwrap();
    let running = Abide::start(folder.path());
    let closed = Arc::new(AtomicU64::new(0));
    let mut sockets = JoinSet::new();
    for number in 0..50 {
        let path = format!("/v1/chat/room-{}?name=n{number}", number % 5);
        let mut socket = Socket::open(running.addr, &path, &[]).await.unwrap().0;
        let closed = closed.clone();
        sockets.spawn(async move {
            assert_eq!(u16::from(socket.closed().await.code), 1_012);
            closed.fetch_add(1, Ordering::Relaxed);
        });
    }
    running.terminate();
    while let Some(socket) = sockets.join_next().await {
        socket.unwrap();
    }
    assert_eq!(closed.load(Ordering::Relaxed), 50);
    assert_eq!(running.wait().code(), Some(0));
}

#[test]
fn a_start_that_takes_long_can_be_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let format = folder.path().join("FORMAT");
    // Reading it ends when its writer closes it.
    assert!(
        Command::new("mkfifo")
            .arg(&format)
            .status()
            .unwrap()
            .success()
    );
    let mut child = command()
        .args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"])
        .arg("--data")
        .arg(folder.path())
        .spawn()
        .unwrap();
    // Opens when the server does, which is in the middle of opening its folder then.
    let writer = File::options().write(true).open(&format).unwrap();
    kill_process(
        Pid::from_raw(child.id().cast_signed()).unwrap(),
        Signal::TERM,
    )
    .unwrap();
    let pause = Duration::from_millis(10);
    let mut left = PATIENCE;
    while child.try_wait().unwrap().is_none() && !left.is_zero() {
        std::thread::sleep(pause);
        left = left.saturating_sub(pause);
    }
    // Lets a server go on that waits for it all the same.
    drop(writer);
    assert_eq!(child.wait().unwrap().code(), Some(143));
}
