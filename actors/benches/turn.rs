//! What the runtime itself costs, without HTTP and without a disk: `cargo bench -p abide-actors`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use abide_actors::{
    ActorKind, Call, ConnectRequest, Connection, Context, Deadline, Frame, Payload, Runtime,
    Session, actor,
};
use abide_storage::{MemoryStore, Namespace, ObjectId};
use divan::Bencher;
use divan::counter::ItemsCount;
use serde::{Deserialize, Serialize};

fn main() {
    divan::main();
}

// Actor code need not wait for anything: the macro takes `fn` as well as `async fn`.
#[derive(Default, Serialize, Deserialize)]
struct Counter {
    value: u64,
}

#[actor(crate = "abide_actors")]
impl Counter {
    #[call]
    fn increment(&mut self) -> u64 {
        self.value += 1;
        self.value
    }

    #[call]
    fn get(&self) -> u64 {
        self.value
    }
}

#[derive(Default, Serialize, Deserialize)]
struct Room;

#[actor(crate = "abide_actors")]
impl Room {
    fn connected(&mut self, _session: &Session, _request: &ConnectRequest) {}

    fn message(&mut self, ctx: &mut Context<Self>, _session: &Session, frame: Frame) {
        ctx.broadcast(frame);
    }
}

fn on_one_thread() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime")
}

fn node() -> Runtime {
    let builder = Runtime::builder(Arc::new(MemoryStore::new()));
    let builder = builder
        .register("counter", ActorKind::<Counter>::new())
        .expect("free");
    builder
        .register("room", ActorKind::<Room>::new())
        .expect("free")
        .start()
}

async fn call(node: &Runtime, name: &str, method: &str) {
    let target = node.target("counter", name).expect("registered");
    let deadline = Deadline::after(Duration::from_secs(30));
    node.call(&target, Call::new(method, Payload::none(), deadline))
        .await
        .expect("answered");
}

#[divan::bench]
fn object_id_from_name(bencher: Bencher) {
    let namespace = Namespace::new("counter").expect("well formed");
    bencher.bench(|| ObjectId::from_name(&namespace, divan::black_box("lobby-17")));
}

#[divan::bench(args = ["get", "increment"])]
fn warm_call(bencher: Bencher, method: &str) {
    let tokio = on_one_thread();
    let node = tokio.block_on(async { node() });
    tokio.block_on(call(&node, "warm", "increment"));
    bencher.counter(ItemsCount::new(1_u32)).bench_local(|| {
        tokio.block_on(call(&node, "warm", method));
    });
}

#[divan::bench]
fn first_call_of_a_new_object(bencher: Bencher) {
    let tokio = on_one_thread();
    let node = tokio.block_on(async { node() });
    let next = AtomicU64::new(0);
    bencher.counter(ItemsCount::new(1_u32)).bench_local(|| {
        let name = next.fetch_add(1, Ordering::Relaxed).to_string();
        tokio.block_on(call(&node, &name, "get"));
    });
}

/// One frame in, `members` frames out to queues that are drained.
#[divan::bench(args = [1, 100, 1_000])]
fn broadcast(bencher: Bencher, members: usize) {
    let tokio = on_one_thread();
    let node = tokio.block_on(async { node() });
    let target = node.target("room", "lobby").expect("registered");
    let mut sessions: Vec<Connection> = Vec::new();
    for _ in 0..members {
        let deadline = Deadline::after(Duration::from_secs(30));
        let connect = node.connect(&target, ConnectRequest::default(), deadline);
        sessions.push(tokio.block_on(connect).expect("accepted"));
    }
    bencher.counter(ItemsCount::new(members)).bench_local(|| {
        tokio.block_on(async {
            sessions[0].deliver(Frame::from("hello"));
            for session in &mut sessions {
                std::future::poll_fn(|cx| session.poll_outgoing(cx)).await;
            }
            // The turn on the frame is over, so that the next one may be handed over.
            std::future::poll_fn(|cx| sessions[0].poll_outgoing(cx)).await;
        });
    });
}
