//! The interval of `tick` against all else that an activation has to do.

use std::cell::Cell;

use abide::prelude::*;
use abide_actors::testing::World;
use futures_util::future::join_all;
use serde_json::json;
use tokio::time::{Instant, sleep, timeout};

use crate::slow_store::{Node, Takes};

/// Interval of the ticks.
const EVERY: Duration = Duration::from_millis(10);
/// Commits take longer, so that there is always one on its way.
const COMMITS_TAKE: Duration = Duration::from_millis(55);

thread_local! {
    static TICKS: Cell<u64> = const { Cell::new(0) };
}

/// Writes in every tick.
#[derive(Default, Serialize, Deserialize)]
struct Ticker {
    ticks: u64,
}

#[actor]
impl Ticker {
    #[call]
    fn start(&mut self, ctx: &mut Context<Self>) {
        ctx.set_tick(Tick::every(EVERY).always());
    }

    #[call]
    fn passivate(&mut self, ctx: &mut Context<Self>) {
        ctx.passivate();
    }

    /// Takes a moment and changes nothing.
    #[call]
    async fn work(&mut self) {
        sleep(Duration::from_millis(1)).await;
    }

    #[call]
    fn ticks(&self) -> u64 {
        self.ticks
    }

    fn tick(&mut self) {
        self.ticks += 1;
        TICKS.set(TICKS.get() + 1);
    }
}

async fn ticking() -> Node {
    let node = Node::start::<Ticker>(Takes {
        commits: COMMITS_TAKE,
        ..Takes::default()
    });
    node.call("a", "start", json!([])).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    assert!(TICKS.get() > 90, "commits keep no tick waiting");
    node
}

/// 1. Every tick writes, and the next one comes before its commit is durable: the output gate is
///    never empty.
/// 2. The object is to be passivated. That waits for the gate, so the ticks must stop first.
#[test]
fn an_object_that_ticks_and_writes_can_be_passivated() {
    World::builder().run(async |_| {
        let node = ticking().await;
        node.call("a", "passivate", json!([])).await.unwrap();
        sleep(2 * COMMITS_TAKE).await;
        assert_eq!(node.runtime.stats().activations, 0);
        let ticks = node.call("a", "ticks", json!([])).await.unwrap();
        assert_eq!(ticks, TICKS.get(), "each of them was committed");
    });
}

/// The same, when the node drains.
#[test]
fn a_node_with_an_object_that_ticks_and_writes_can_be_drained() {
    World::builder().run(async |_| {
        let node = ticking().await;
        let drained = timeout(3 * COMMITS_TAKE, node.runtime.drain()).await;
        drained.expect("the ticks have stopped");
    });
}

/// Two callers keep the mailbox filled: whenever a turn ends, the next message is there.
#[test]
fn a_mailbox_that_is_never_empty_does_not_keep_ticks_from_coming() {
    World::builder()
        .actor::<Ticker>("ticker")
        .run(async |world| {
            let ticker = world.actor::<Ticker>("a");
            ticker.start().await.unwrap();
            let until = Instant::now() + Duration::from_secs(1);
            join_all((0..3).map(|_| async {
                while Instant::now() < until {
                    world.actor::<Ticker>("a").work().await.unwrap();
                }
            }))
            .await;
            let ticks = TICKS.get();
            assert!(
                (80..=100).contains(&ticks),
                "{ticks} ticks in 100 intervals"
            );
        });
}
