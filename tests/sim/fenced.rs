//! **fenced**: the store takes commits of the newest activation of an object only. Whoever holds
//! an older epoch, or has been closed, is refused, and nothing of what it wrote is there.

use std::path::Path;
use std::sync::Arc;

use abide::prelude::*;
use abide::{Call, Deadline, Namespace, Object, Payload};
use abide_actors::testing::{BEGINNING, World};
use abide_actors::{ActorKind, Clock, Runtime};
use abide_storage::{
    Commit, CommitError, Effect, EngineKind, Epoch, LogStore, MemoryStore, Options, Section, Store,
    Ticket, Write, WriteBatch,
};
use fastrand::Rng;
use futures_util::future::join_all;
use tokio::time::sleep;

use crate::seeds::each_seed;

fn lobby() -> Object {
    let namespace = Namespace::new("chat").unwrap();
    let id = ObjectId::from_name(&namespace, "lobby");
    Object { namespace, id }
}

/// Commits one row.
fn commit(
    store: &dyn Store,
    epoch: Epoch,
    version: u64,
    value: &str,
) -> Result<Ticket, CommitError> {
    let value = Bytes::copy_from_slice(value.as_bytes());
    let put = Write::Put {
        section: Section::Data,
        key: "k".into(),
        value,
    };
    let batch = WriteBatch { writes: vec![put] };
    let version = Version(version);
    store.commit(Commit {
        object: lobby(),
        name: None,
        epoch,
        version,
        batch,
    })
}

async fn row(store: &dyn Store) -> Option<Bytes> {
    store.get(&lobby(), Section::Data, b"k").await.unwrap()
}

fn assert_fenced(refused: Result<Ticket, CommitError>, epoch: Epoch) {
    let error = refused.unwrap_err();
    assert_eq!(error, CommitError::Fenced { epoch });
    assert_eq!(error.effect(), Effect::None);
}

/// Every law of fencing on one store; leaves an object whose newest epoch it returns.
async fn fences(store: &dyn Store) -> Epoch {
    let lobby = lobby();
    let old = store.open(&lobby).await.unwrap().epoch;
    commit(store, old, 1, "old").unwrap().await.unwrap();

    // A newer activation exists as soon as it has opened the object, before its first commit.
    let new = store.open(&lobby).await.unwrap();
    assert!(new.epoch > old, "epochs grow");
    assert_eq!(new.version, Version(1));
    let new = new.epoch;
    assert_fenced(commit(store, old, 2, "a ghost"), old);
    assert_eq!(row(store).await.as_deref(), Some(&b"old"[..]));
    commit(store, new, 2, "new").unwrap().await.unwrap();

    // The old one's last act must not close the new one's.
    store.close(&lobby, old);
    assert_fenced(commit(store, old, 3, "a ghost"), old);
    commit(store, new, 3, "newer").unwrap().await.unwrap();

    // One that has closed is out, and so are epochs that nobody was given.
    store.close(&lobby, new);
    assert_fenced(commit(store, new, 4, "a ghost"), new);
    let newest = store.open(&lobby).await.unwrap().epoch;
    let never = Epoch(newest.0 + 1);
    assert_fenced(commit(store, never, 4, "a ghost"), never);
    assert_fenced(commit(store, Epoch(0), 4, "a ghost"), Epoch(0));
    assert_eq!(row(store).await.as_deref(), Some(&b"newer"[..]));
    newest
}

/// A later process on the same data: the epochs of the earlier one are history.
async fn fences_the_life_before(store: &dyn Store, before: Epoch) {
    assert_fenced(commit(store, before, 4, "a ghost"), before);
    let opened = store.open(&lobby()).await.unwrap();
    assert!(opened.epoch > before, "{} after {before}", opened.epoch);
    assert_fenced(commit(store, before, 4, "a ghost"), before);
    assert_eq!(row(store).await.as_deref(), Some(&b"newer"[..]));
    commit(store, opened.epoch, 4, "next")
        .unwrap()
        .await
        .unwrap();
    assert_eq!(row(store).await.as_deref(), Some(&b"next"[..]));
}

#[test]
fn the_memory_store_fences() {
    World::builder().run(async |_| {
        let store = MemoryStore::new();
        let newest = fences(&store).await;
        fences_the_life_before(&store.crash(), newest).await;
    });
}

#[test]
fn the_log_store_fences() {
    let folder = tempfile::tempdir().unwrap();
    let open = |path: &Path| {
        let options = Options {
            engine: EngineKind::Memory,
            ..Options::default()
        };
        LogStore::open(path, options).unwrap()
    };
    // Its threads run in real time, so it gets a runtime whose clock does.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = open(folder.path());
        let newest = fences(&*store).await;
        // Without a shutdown, as after a kill.
        drop(store);
        fences_the_life_before(&*open(folder.path()), newest).await;
    });
}

/// Counts; each turn takes a while.
#[derive(Default, Serialize, Deserialize)]
struct Counter {
    value: u64,
}

#[actor]
impl Counter {
    #[call]
    async fn add(&mut self, by: u64, takes_ms: u64) -> u64 {
        self.value += by;
        sleep(Duration::from_millis(takes_ms)).await;
        self.value
    }

    #[call]
    fn value(&self) -> u64 {
        self.value
    }
}

/// A node over a store that it shares with others, as nothing but a fault could bring about.
fn node(store: &Arc<MemoryStore>, clock: &Clock) -> Runtime {
    let builder = Runtime::builder(store.clone()).clock(clock.clone()).seed(1);
    builder
        .register("counter", ActorKind::<Counter>::new())
        .unwrap()
        .start()
}

async fn call(
    node: &Runtime,
    method: &str,
    arguments: serde_json::Value,
) -> Result<u64, CallError> {
    let target = node.target("counter", "a").unwrap();
    let deadline = Deadline::after(Duration::from_secs(60));
    let call = Call::new(method, Payload::json(arguments.to_string()), deadline);
    let reply = node.call(&target, call).await?;
    Ok(serde_json::from_slice(&reply.payload.bytes).unwrap())
}

async fn add(node: &Runtime, by: u64, takes_ms: u64) -> Result<u64, CallError> {
    call(node, "add", serde_json::json!([by, takes_ms])).await
}

/// 1. The first node is inside a turn. 2. The second node activates the same object and commits.
/// 3. The first node's turn ends: it is refused, with effect *none*, and its activation is over.
/// 4. The next call to the first node activates afresh and sees what the second one wrote.
#[test]
fn a_turn_of_a_superseded_activation_commits_nothing() {
    World::builder().run(async |_| {
        let store = Arc::new(MemoryStore::new());
        let clock = Clock::starting_at(BEGINNING);
        let (first, second) = (node(&store, &clock), node(&store, &clock));
        assert_eq!(add(&first, 1, 0).await.unwrap(), 1);
        let (superseded, ()) = tokio::join!(add(&first, 10, 1_000), async {
            sleep(Duration::from_millis(500)).await;
            assert_eq!(add(&second, 100, 0).await.unwrap(), 101);
        });
        let error = superseded.unwrap_err();
        assert!(
            matches!(error, CallError::Commit(CommitError::Fenced { .. })),
            "{error}"
        );
        assert_eq!(error.effect(), Effect::None);
        assert_eq!(add(&first, 1_000, 0).await.unwrap(), 1_101);
        assert_eq!(
            add(&second, 0, 0).await.unwrap(),
            101,
            "a turn that writes nothing asks nobody"
        );
        let error = add(&second, 10_000, 0).await.unwrap_err();
        assert!(
            matches!(error, CallError::Commit(CommitError::Fenced { .. })),
            "{error}"
        );
        assert_eq!(add(&second, 10_000, 0).await.unwrap(), 11_101);
    });
}

/// Three nodes fight for one object: whatever they were told was added is there, and nothing else.
#[test]
fn nodes_that_fight_for_an_object_never_overwrite_each_other() {
    each_seed(100, |seed| {
        World::builder().run(async |_| {
            let store = Arc::new(MemoryStore::new());
            let clock = Clock::starting_at(BEGINNING);
            let nodes: Vec<_> = (0..3).map(|_| node(&store, &clock)).collect();
            let callers = nodes.iter().enumerate().map(|(number, node)| {
                let mut rng = Rng::with_seed(seed * 10 + number as u64);
                async move {
                    let (mut acknowledged, mut fenced) = (0, 0);
                    for _ in 0..20 {
                        sleep(Duration::from_millis(rng.u64(..8))).await;
                        let by = rng.u64(1..1_000);
                        match add(node, by, rng.u64(..4)).await {
                            Ok(_) => acknowledged += by,
                            Err(CallError::Commit(CommitError::Fenced { .. })) => fenced += 1,
                            Err(error) => panic!("{error}"),
                        }
                    }
                    (acknowledged, fenced)
                }
            });
            let sums = join_all(callers).await;
            let acknowledged: u64 = sums.iter().map(|(acknowledged, _)| acknowledged).sum();
            assert!(sums.iter().any(|(_, fenced)| *fenced > 0), "they never met");
            let last = node(&store, &clock);
            assert_eq!(
                call(&last, "value", serde_json::json!([])).await.unwrap(),
                acknowledged
            );
        });
    });
}

/// A node dies with a turn under way, and the machine does not notice that it is dead: the turn
/// goes on, and commits nothing.
#[test]
fn a_turn_that_outlives_its_node_commits_nothing() {
    World::builder()
        .actor::<Counter>("counter")
        .run(async |world| {
            let dead = world.runtime().clone();
            let (ghost, ()) = tokio::join!(add(&dead, 10, 1_000), async {
                sleep(Duration::from_millis(500)).await;
                world.crash().await;
                world.actor::<Counter>("a").add(1, 0).await.unwrap();
            });
            assert_eq!(ghost.unwrap_err().effect(), Effect::None);
            assert_eq!(world.actor::<Counter>("a").value().await.unwrap(), 1);
        });
}
