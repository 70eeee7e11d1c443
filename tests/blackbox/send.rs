//! Messages between objects through SIGKILLs: what one counter gives, another gets, once.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::support::PATIENCE;
use crate::support::http::{Client, get, post};
use crate::support::process::{Abide, run};

const ROUNDS: u32 = 6;
const COUNTERS: [&str; 4] = ["a", "b", "c", "d"];
const EACH: u64 = 1_000;

/// The counters' values together.
async fn sum(server: SocketAddr) -> u64 {
    let mut sum = 0;
    for counter in COUNTERS {
        let value = get(server, &format!("/v1/counter/{counter}/get")).await;
        sum += value.json().as_u64().unwrap();
    }
    sum
}

/// Clients that have the counters give to each other until the server is gone; a permit for each gift
/// that was acknowledged.
fn load(server: SocketAddr) -> (JoinSet<()>, Arc<Semaphore>) {
    let given = Arc::new(Semaphore::new(0));
    let mut clients = JoinSet::new();
    for (number, from) in (0..).zip(COUNTERS.iter().cycle().take(8)) {
        let to = COUNTERS[(number * 7 + 1) % COUNTERS.len()];
        let given = given.clone();
        clients.spawn(async move {
            let mut client = Client::connect(server).await;
            let body = format!("{{\"to\":\"{to}\",\"by\":1}}");
            let head = format!(
                "POST /v1/counter/{from}/give HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            loop {
                client.write(head.as_bytes()).await;
                match client.response().await {
                    Some(reply) if reply.status == 200 => given.add_permits(1),
                    Some(reply) => assert_eq!(reply.json()["effect"], "none", "{reply:?}"),
                    None => return,
                }
            }
        });
    }
    (clients, given)
}

/// The counters hold together what they held at first when nothing was lost and nothing came twice.
#[tokio::test]
async fn kills_neither_lose_nor_repeat_a_message() {
    for engine in ["sled", "redb"] {
        let folder = tempfile::tempdir().unwrap();
        let start = || Abide::start_with(folder.path(), &["--engine", engine]);
        let running = start();
        for counter in COUNTERS {
            let path = format!("/v1/counter/{counter}/increment");
            let body = format!("{{\"by\":{EACH}}}");
            assert_eq!(post(running.addr, &path, &body).await.status, 200);
        }
        running.kill();
        for round in 0..ROUNDS {
            let running = start();
            let (clients, given) = load(running.addr);
            // A different moment each round.
            let enough = timeout(PATIENCE, given.acquire_many(20 + round * 37)).await;
            enough.expect("gifts are acknowledged").unwrap().forget();
            running.kill();
            clients.join_all().await;
        }
        let running = start();
        let total = EACH * COUNTERS.len() as u64;
        // Those under way arrive by themselves: nobody has to touch their senders.
        let arriving = async {
            while sum(running.addr).await < total {
                sleep(Duration::from_millis(100)).await;
            }
        };
        drop(timeout(PATIENCE, arriving).await);
        // One that came twice would come now, too.
        sleep(Duration::from_millis(500)).await;
        assert_eq!(sum(running.addr).await, total, "{engine}");
        running.terminate();
        assert!(running.wait().success());
        let check = run(&["check", "--data", folder.path().to_str().unwrap()]);
        assert!(check.status.success(), "{engine}: {check:?}");
    }
}
