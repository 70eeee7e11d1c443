//! An object with more messages than it can ever handle, and all others on its thread.

use std::cell::RefCell;
use std::pin::Pin;

use abide::prelude::*;
use abide_actors::testing::World;
use abide_actors::{Call, Deadline, Payload, Runtime, Target};
use futures_util::FutureExt;
use tokio::task::yield_now;

/// Turns after which the supply ends, so that a test fails instead of running for ever.
const TURNS_MAX: usize = 50_000;
/// Turns the object may be ahead of an answer to somebody else: tokio's single thread looks at the
/// test itself after 61 other tasks, and a task is let go on for 128 steps at most.
const TURNS_AHEAD_MAX: usize = 61 * 128;

thread_local! {
    static SUPPLY: RefCell<Option<Supply>> = const { RefCell::new(None) };
}

/// Calls whose turns each bring one more call into the mailbox: it is never empty, though no other
/// task ever runs.
struct Supply {
    runtime: Runtime,
    target: Target,
    method: &'static str,
    /// A call whose caller is gone is not carried out, so these are kept.
    open: Vec<Pin<Box<dyn Future<Output = ()>>>>,
}

impl Supply {
    fn begin(world: &World, method: &'static str) {
        let supply = Self {
            runtime: world.runtime().clone(),
            target: world.runtime().target("spring", "hot").unwrap(),
            method,
            open: Vec::new(),
        };
        SUPPLY.set(Some(supply));
        more();
    }
}

/// Puts one more call into the mailbox.
fn more() {
    SUPPLY.with_borrow_mut(|supply| {
        let Some(supply) = supply
            .as_mut()
            .filter(|supply| supply.open.len() < TURNS_MAX)
        else {
            return;
        };
        let (runtime, target) = (supply.runtime.clone(), supply.target.clone());
        let deadline = Deadline::after(Duration::from_secs(60));
        let call = Call::new(supply.method, Payload::none(), deadline);
        let mut call: Pin<Box<dyn Future<Output = ()>>> =
            Box::pin(async move { drop(runtime.call(&target, call).await) });
        let answered = (&mut call).now_or_never();
        assert!(answered.is_none(), "an answer takes a turn");
        supply.open.push(call);
    });
}

/// Ends the supply; how many turns there were.
fn end() -> usize {
    SUPPLY.take().map_or(0, |supply| supply.open.len())
}

/// Never comes to rest.
#[derive(Default, Serialize, Deserialize)]
struct Spring {
    turns: u64,
}

#[actor]
impl Spring {
    #[call]
    fn write(&mut self) {
        self.turns += 1;
        more();
    }

    /// Might write, and does not.
    #[call]
    fn pass(&mut self) {
        more();
    }

    #[call]
    fn look(&self) {
        more();
    }

    /// A read that is open for a while; those that follow join it.
    #[call]
    async fn look_slowly(&self) {
        yield_now().await;
    }

    #[call]
    fn add(&mut self, by: u64) -> u64 {
        self.turns += by;
        self.turns
    }
}

/// What keeps the object busy: commits, which hold up its replies, or nothing but turns.
const SUPPLIES: [&str; 3] = ["write", "pass", "look"];

/// 1. Messages come as fast as they are handled.
/// 2. A call behind the first few of them is handled and committed: its reply must leave, and reach
///    its caller, while the rest go on.
#[test]
fn replies_leave_an_object_whose_mailbox_is_never_empty() {
    for method in SUPPLIES {
        World::builder()
            .actor::<Spring>("spring")
            .run(async |world| {
                Supply::begin(world, method);
                let reply = world.actor::<Spring>("hot").add(1).await;
                let turns = end();
                reply.unwrap();
                assert!(turns < TURNS_AHEAD_MAX, "{method}: answered after {turns}");
            });
    }
}

/// The same, where the call goes to another object: it is activated, and answers.
#[test]
fn an_object_whose_mailbox_is_never_empty_leaves_others_their_turn() {
    for method in SUPPLIES {
        World::builder()
            .actor::<Spring>("spring")
            .run(async |world| {
                Supply::begin(world, method);
                let calm = world.actor::<Spring>("calm").add(1).await;
                let turns = end();
                assert_eq!(calm.unwrap(), 1);
                assert!(turns < TURNS_AHEAD_MAX, "{method}: answered after {turns}");
            });
    }
}

/// The same with calls that only read and run together, which are handled elsewhere.
#[test]
fn an_object_whose_reads_never_end_leaves_others_their_turn() {
    World::builder()
        .actor::<Spring>("spring")
        .run(async |world| {
            let hot = world.actor::<Spring>("hot");
            let slow = async {
                Supply::begin(world, "look");
                world.actor::<Spring>("calm").add(1).await
            };
            let (looked, calm) = tokio::join!(hot.look_slowly(), slow);
            let turns = end();
            looked.unwrap();
            assert_eq!(calm.unwrap(), 1);
            assert!(turns < TURNS_AHEAD_MAX, "answered after {turns} reads");
        });
}
