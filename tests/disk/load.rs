//! Writers that know what they were told, and whether it is what is there.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::http::{Client, get};
use crate::server::until;

/// Bytes of a value: large, so that the log rolls and checkpoints run while the disk is full.
const VALUE_SIZE_BYTES: usize = 60_000;

/// Writers at work.
pub(crate) struct Load {
    writers: JoinSet<Writer>,
    counts: Arc<Counts>,
    stop: CancellationToken,
}

#[derive(Default)]
struct Counts {
    acknowledged: AtomicU64,
    refused: AtomicU64,
}

/// One writer: by turns it adds one to its counter and replaces the value in its map.
pub(crate) struct Writer {
    name: String,
    counter: Known,
    map: Known,
    /// Numbers of the attempts whose value may be in the map: the last acknowledged one, and those
    /// since of which nobody knows.
    candidates: Vec<u64>,
    attempt: u64,
}

/// A number that grows by one with each success.
#[derive(Debug, Default, Clone, Copy)]
struct Known {
    acknowledged: u64,
    /// Attempts since, of which nobody knows.
    unknown: u64,
}

/// How an attempt ended.
enum Outcome {
    /// Done, and the number is this.
    Acknowledged(u64),
    /// Not done, for sure.
    Refused,
    /// Done or not.
    Unknown,
    /// As unknown, and there is nobody to ask any more.
    Gone,
}

impl Load {
    /// Starts the writers; `name` keeps the objects of one load from those of another.
    pub(crate) async fn start(addr: SocketAddr, name: &str, writers: usize) -> Self {
        let mut load = Self {
            writers: JoinSet::new(),
            counts: Arc::default(),
            stop: CancellationToken::new(),
        };
        for number in 0..writers {
            let writer = Writer {
                name: format!("{name}-{number}"),
                counter: Known::default(),
                map: Known::default(),
                candidates: vec![],
                attempt: 0,
            };
            let client = Client::connect(addr).await;
            let (counts, stop) = (load.counts.clone(), load.stop.clone());
            load.writers.spawn(writer.run(client, counts, stop));
        }
        load
    }

    /// Writes acknowledged so far.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.counts.acknowledged.load(Ordering::Relaxed)
    }

    /// Waits until so many more have been acknowledged.
    pub(crate) async fn acknowledge(&self, count: u64) {
        wait_for_more(&self.counts.acknowledged, count, "acknowledged").await;
    }

    /// Waits until so many more have been refused.
    pub(crate) async fn refuse(&self, count: u64) {
        wait_for_more(&self.counts.refused, count, "refused").await;
    }

    /// Ends the load, if the end of the server has not; what the writers know.
    pub(crate) async fn end(self) -> Vec<Writer> {
        self.stop.cancel();
        self.writers.join_all().await
    }
}

async fn wait_for_more(counter: &AtomicU64, count: u64, what: &str) {
    let goal = counter.load(Ordering::Relaxed) + count;
    let look = async || (counter.load(Ordering::Relaxed) >= goal).then_some(());
    until(
        &format!("{count} writes are {what}"),
        Duration::from_secs(20),
        look,
    )
    .await;
}

impl Writer {
    async fn run(
        mut self,
        mut client: Client,
        counts: Arc<Counts>,
        stop: CancellationToken,
    ) -> Self {
        while !stop.is_cancelled() {
            self.attempt += 1;
            let arguments = json!({ "by": 1 });
            let path = format!("/v1/counter/{}/increment", self.name);
            let counted = attempt(&mut client, &path, &arguments, Value::as_u64).await;
            let known = self.counter.note(&counted, &counts);

            let value = format!("{}-{}", self.attempt, "x".repeat(VALUE_SIZE_BYTES));
            let arguments = json!({ "key": "k", "value": value });
            let path = format!("/v1/kv/{}/put", self.name);
            let revision = |reply: &Value| reply["revision"].as_u64();
            let put = attempt(&mut client, &path, &arguments, revision).await;
            match put {
                Outcome::Acknowledged(_) => self.candidates = vec![self.attempt],
                Outcome::Refused => {}
                Outcome::Unknown | Outcome::Gone => self.candidates.push(self.attempt),
            }
            if !known | !self.map.note(&put, &counts) {
                break;
            }
        }
        self
    }

    /// Checks that what was acknowledged is there, and nothing that was refused.
    pub(crate) async fn check(&self, addr: SocketAddr) {
        let name = &self.name;
        let stored = read(addr, &format!("/v1/counter/{name}/get")).await;
        self.counter.check(stored.as_u64().unwrap(), name);

        let entry = read(addr, &format!("/v1/kv/{name}/get?key=k")).await;
        self.map
            .check(entry["revision"].as_u64().unwrap_or(0), name);
        if let Some(value) = entry["value"].as_str() {
            let (attempt, padding) = value.split_once('-').unwrap();
            let attempt: u64 = attempt.parse().unwrap();
            assert!(
                self.candidates.contains(&attempt),
                "{name} holds the value of attempt {attempt}, it may be one of {:?}",
                self.candidates
            );
            assert_eq!(padding.len(), VALUE_SIZE_BYTES, "{name} holds half a value");
        }
    }
}

impl Known {
    /// Learns from an attempt; whether there is somebody to go on with.
    fn note(&mut self, outcome: &Outcome, counts: &Counts) -> bool {
        match outcome {
            Outcome::Acknowledged(number) => {
                let next = self.acknowledged + 1;
                assert!(
                    (next..=next + self.unknown).contains(number),
                    "{number} was answered, expected was {next} and up to {} more",
                    self.unknown
                );
                (self.acknowledged, self.unknown) = (*number, 0);
                counts.acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            Outcome::Refused => _ = counts.refused.fetch_add(1, Ordering::Relaxed),
            Outcome::Unknown | Outcome::Gone => self.unknown += 1,
        }
        !matches!(outcome, Outcome::Gone)
    }

    fn check(&self, stored: u64, name: &str) {
        let possible = self.acknowledged..=self.acknowledged + self.unknown;
        assert!(
            possible.contains(&stored),
            "{name}: {stored} is stored, {self:?}"
        );
    }
}

/// One call that writes. What it does not succeed in must be said to be the server's trouble,
/// with its effect.
async fn attempt(
    client: &mut Client,
    path: &str,
    arguments: &Value,
    number: impl Fn(&Value) -> Option<u64>,
) -> Outcome {
    let body = arguments.to_string();
    let size = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {size}\r\n\r\n"
    );
    client
        .write(&[head.as_bytes(), body.as_bytes()].concat())
        .await;
    let Some(reply) = client.response().await else {
        return Outcome::Gone;
    };
    if reply.status == 200 {
        let number = number(&reply.json());
        return Outcome::Acknowledged(number.unwrap_or_else(|| panic!("no number: {reply:?}")));
    }
    let problem = reply.json();
    let told = (
        reply.status,
        problem["code"].as_str(),
        problem["effect"].as_str(),
    );
    match told {
        (507, Some("disk-full"), Some("none"))
        | (503, Some("store-refused"), Some("none"))
        | (500, Some("store-unreadable"), Some("none")) => Outcome::Refused,
        (500, Some("commit-unknown"), Some("unknown")) => Outcome::Unknown,
        _ => panic!("no answer of a full disk: {reply:?}"),
    }
}

/// A read, which a full disk does not hinder.
async fn read(addr: SocketAddr, path: &str) -> Value {
    let reply = get(addr, path).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()
}
