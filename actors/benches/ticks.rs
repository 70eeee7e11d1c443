//! How late ticks are on the real clock: `cargo bench -p abide-actors --bench ticks`.
//!
//! Objects with one session each tick 20 times a second on one thread for ten seconds, and broadcast in
//! every tick. The timer knows whole milliseconds, so up to one of them is its own.

#![expect(clippy::print_stdout, reason = "a bench says what it has measured")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use abide_actors::{
    ActorKind, ConnectRequest, Connection, Context, Deadline, Frame, Runtime, Session, Tick,
    Ticked, actor,
};
use abide_storage::MemoryStore;
use serde::{Deserialize, Serialize};

static LATE: Mutex<Vec<Duration>> = Mutex::new(Vec::new());

#[derive(Default, Serialize, Deserialize)]
struct Game;

#[actor(crate = "abide_actors")]
impl Game {
    fn activated(&mut self, ctx: &mut Context<Self>) {
        ctx.set_tick(Tick::per_second(20));
    }

    fn connected(&mut self, _session: &Session, _request: &ConnectRequest) {}

    fn tick(&mut self, ctx: &mut Context<Self>, ticked: &Ticked) {
        LATE.lock().expect("no tick panics").push(ticked.late);
        ctx.broadcast(Frame::from(ticked.number.to_string()).lossy());
    }
}

/// Reads until the object ends the session, which it does not.
async fn read(mut connection: Connection) {
    loop {
        std::future::poll_fn(|cx| connection.poll_outgoing(cx)).await;
    }
}

async fn measure(objects: usize) {
    let builder = Runtime::builder(Arc::new(MemoryStore::new()));
    let node = builder
        .register("game", ActorKind::<Game>::new())
        .expect("free")
        .start();
    let mut readers = Vec::new();
    for object in 0..objects {
        let target = node
            .target("game", &object.to_string())
            .expect("registered");
        let deadline = Deadline::after(Duration::from_secs(30));
        let connected = node.connect(&target, ConnectRequest::default(), deadline);
        readers.push(read(connected.await.expect("accepted")));
    }
    LATE.lock().expect("no tick panics").clear();
    let readers = futures_util::future::join_all(readers);
    drop(tokio::time::timeout(Duration::from_secs(10), readers).await);
    let mut late = std::mem::take(&mut *LATE.lock().expect("no tick panics"));
    late.sort_unstable();
    let at = |share: usize| late[(late.len() - 1) * share / 1_000].as_micros();
    println!(
        "{objects:>5} objects, {:>6} ticks: late by {} µs p50, {} µs p99, {} µs p99.9, {} µs at most",
        late.len(),
        at(500),
        at(990),
        at(999),
        at(1_000),
    );
    node.drain().await;
}

fn main() {
    let tokio = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    for objects in [1, 100, 1_000] {
        tokio.block_on(measure(objects));
    }
}
