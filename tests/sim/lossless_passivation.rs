//! **lossless-passivation**: however often an object is passivated, evicted, panics or is drained,
//! each message to it is handled once or answered with an error that says so, and nothing that
//! was acknowledged is missing.

use std::cell::Cell;

use abide::prelude::*;
use abide_actors::Limits;
use abide_actors::testing::World;
use abide_storage::Effect;
use fastrand::Rng;
use futures_util::future::join_all;
use tokio::time::sleep;

use crate::seeds::each_seed;

/// What a turn does besides counting.
#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
enum Then {
    Return,
    Sleep(u64),
    /// Asks to be passivated, which must not cost those who wait in the mailbox anything.
    Passivate,
    Fail,
    Panic,
}

impl Then {
    fn random(rng: &mut Rng) -> Self {
        match rng.u8(..12) {
            0..6 => Self::Return,
            6..8 => Self::Sleep(rng.u64(..4)),
            8..10 => Self::Passivate,
            10 => Self::Fail,
            _ => Self::Panic,
        }
    }
}

/// Counts what it was told, in its state and, by another way, in its storage.
#[derive(Default, Serialize, Deserialize)]
struct Tally {
    value: u64,
    /// Ends of activations that were no crash and no panic.
    ends: u64,
}

#[actor]
impl Tally {
    #[call]
    async fn add(
        &mut self,
        ctx: &mut Context<Self>,
        by: u64,
        then: Then,
    ) -> Result<u64, ActorError> {
        self.value += by;
        let stored: u64 = ctx.storage().get("value").await?.unwrap_or(0);
        ctx.storage_mut().put("value", &(stored + by))?;
        match then {
            Then::Return => {}
            Then::Sleep(ms) => sleep(Duration::from_millis(ms)).await,
            Then::Passivate => ctx.passivate(),
            Then::Fail => return Err(ActorError::new("failed", "as it was told to")),
            Then::Panic => panic!("as it was told to"),
        }
        Ok(self.value)
    }

    /// State and storage.
    #[call]
    async fn values(&self, ctx: &Context<Self>) -> Result<(u64, u64), CallError> {
        Ok((self.value, ctx.storage().get("value").await?.unwrap_or(0)))
    }

    #[call]
    fn ends(&self) -> u64 {
        self.ends
    }

    /// A frame counts one, and every third one passivates.
    async fn message(
        &mut self,
        ctx: &mut Context<Self>,
        session: &Session,
        frame: Frame,
    ) -> Result<(), CallError> {
        self.value += 1;
        let stored: u64 = ctx.storage().get("value").await?.unwrap_or(0);
        ctx.storage_mut().put("value", &(stored + 1))?;
        if self.value.is_multiple_of(3) {
            ctx.passivate();
        }
        session.send(frame);
        Ok(())
    }

    async fn deactivating(&mut self) {
        self.ends += 1;
        sleep(Duration::from_millis(self.ends % 3)).await;
    }
}

fn limits() -> Limits {
    Limits {
        idle_timeout: Duration::from_millis(12),
        activations_max: 2,
        ..Limits::default()
    }
}

/// Calls one object at random times until its calls are used up; what was acknowledged.
async fn call_at_random(world: &World, name: &str, mut rng: Rng) -> u64 {
    let mut acknowledged = 0;
    for _ in 0..12 {
        // Pauses lie on both sides of the idle timeout and often exactly on it.
        let pause_ms = if rng.bool() {
            rng.u64(..4)
        } else {
            12 + rng.u64(..3)
        };
        sleep(Duration::from_millis(pause_ms)).await;
        let by = rng.u64(1..100);
        let then = Then::random(&mut rng);
        match (world.actor::<Tally>(name).add(by, then).await, then) {
            (Ok(_), Then::Return | Then::Sleep(_) | Then::Passivate) => acknowledged += by,
            (Err(CallError::Actor(error)), Then::Fail) if error.code == "failed" => {}
            (Err(CallError::Panicked), Then::Panic) => {}
            (answer, _) => panic!("a call got another answer than its own: {answer:?}"),
        }
    }
    acknowledged
}

/// Sends frames one by one, each of which is echoed exactly once; how many.
async fn frames_at_random(world: &World, name: &str, mut rng: Rng) -> u64 {
    let mut session = world.connect("tally", name, "").await.unwrap();
    for number in 0..12_u64 {
        sleep(Duration::from_millis(rng.u64(..16))).await;
        session.send(number.to_string()).await;
        assert_eq!(session.next_text().await, Some(number.to_string()));
    }
    session.close(1000, "done");
    12
}

/// A disk that is now fast, now slow, until the flag says that the test is over.
async fn moody_disk(world: &World, mut rng: Rng, over: &Cell<bool>) {
    while !over.get() {
        world.store().hold_commits();
        sleep(Duration::from_millis(rng.u64(..6))).await;
        world.store().release_commits();
        sleep(Duration::from_millis(rng.u64(..6))).await;
    }
}

/// Calls and frames from many sides, on more objects than the node may hold, over a disk that
/// stalls, with turns that fail, panic and passivate.
#[test]
fn random_schedules_lose_and_double_nothing() {
    each_seed(150, |seed| {
        World::builder()
            .seed(seed)
            .limits(limits())
            .actor::<Tally>("tally")
            .run(async |world| {
                let names = ["a", "b", "c", "d"];
                let rng = |part: u64| Rng::with_seed(seed * 1_000 + part);
                let mut acknowledged = Vec::new();
                {
                    let world = &*world;
                    let over = Cell::new(false);
                    let object = async |number: usize, name| {
                        let part = 10 * number as u64;
                        let (first, second, frames) = tokio::join!(
                            call_at_random(world, name, rng(part)),
                            call_at_random(world, name, rng(part + 1)),
                            frames_at_random(world, name, rng(part + 2)),
                        );
                        first + second + frames
                    };
                    let traffic = async {
                        let objects = names.iter().enumerate();
                        let sums =
                            join_all(objects.map(|(number, name)| object(number, name))).await;
                        over.set(true);
                        sums
                    };
                    let (sums, ()) = tokio::join!(traffic, moody_disk(world, rng(999), &over));
                    acknowledged.extend(sums);
                }
                // What was acknowledged is durable, so it is there however the node ends.
                if seed % 2 == 0 {
                    world.crash().await
                } else {
                    world.restart().await
                }
                for (name, acknowledged) in names.into_iter().zip(acknowledged) {
                    let values = world.actor::<Tally>(name).values().await.unwrap();
                    assert_eq!(values, (acknowledged, acknowledged), "{name}");
                }
                assert!(
                    world.actor::<Tally>("a").ends().await.unwrap() > 0,
                    "it never passivated"
                );
            });
    });
}

/// Calls come while the activation ends and waits in its last callback. What that writes is
/// committed; the calls are handled by the next activation, which sees it.
#[test]
fn calls_that_come_while_the_activation_ends_go_to_the_next_one() {
    World::builder()
        .limits(limits())
        .actor::<Tally>("tally")
        .run(async |world| {
            let world = &*world;
            let tally = world.actor::<Tally>("a");
            tally.add(1, Then::Return).await.unwrap();
            // Ends at 12 ms; the last callback takes until 13 ms.
            world.advance(Duration::from_micros(12_500)).await;
            let calls = (0..10).map(|_| tally.add(1, Then::Return));
            let mut answers: Vec<_> = join_all(calls)
                .await
                .into_iter()
                .map(Result::unwrap)
                .collect();
            answers.sort_unstable();
            assert!(answers.into_iter().eq(2..=11));
            assert_eq!(
                tally.ends().await.unwrap(),
                1,
                "the last turn of the first activation"
            );
        });
}

/// A panic ends the activation with messages behind it in the mailbox.
#[test]
fn a_panic_costs_the_messages_behind_it_nothing() {
    World::builder().actor::<Tally>("tally").run(async |world| {
        let tally = world.actor::<Tally>("a");
        let (first, panicked, last) = tokio::join!(
            tally.add(1, Then::Sleep(5)),
            tally.add(10, Then::Panic),
            tally.add(100, Then::Return),
        );
        assert_eq!(first.unwrap(), 1);
        assert!(matches!(panicked, Err(CallError::Panicked)), "{panicked:?}");
        assert_eq!(last.unwrap(), 101);
    });
}

/// The effects of a turn that the disk holds leave although the activation has asked to end.
#[test]
fn passivation_waits_for_what_the_gate_holds() {
    World::builder()
        .limits(limits())
        .actor::<Tally>("tally")
        .run(async |world| {
            let world = &*world;
            let tally = world.actor::<Tally>("a");
            world.store().hold_commits();
            let (answer, ()) = tokio::join!(tally.add(7, Then::Passivate), async {
                sleep(Duration::from_secs(5)).await;
                assert_eq!(world.runtime().stats().activations, 1, "it may not go yet");
                world.store().release_commits();
            });
            assert_eq!(answer.unwrap(), 7);
            // Its last callback takes a moment; the idle timeout would be longer.
            world.advance(Duration::from_millis(5)).await;
            assert_eq!(world.runtime().stats().activations, 0, "now it is gone");
        });
}

/// A drain answers each call under way with its value, and each later one with an error that
/// says that nothing happened.
#[test]
fn a_drain_answers_every_call() {
    each_seed(50, |seed| {
        World::builder()
            .seed(seed)
            .limits(limits())
            .actor::<Tally>("tally")
            .run(async |world| {
                let node = world.runtime().clone();
                let target = node.target("tally", "a").unwrap();
                let mut rng = Rng::with_seed(seed);
                let calls = (0..40).map(|_| {
                    let (wait, stay) = (Duration::from_micros(rng.u64(..10_000)), rng.u64(..2));
                    let (node, target) = (node.clone(), target.clone());
                    async move {
                        sleep(wait).await;
                        let arguments = serde_json::json!([1, { "Sleep": stay }]).to_string();
                        let deadline = abide::Deadline::after(Duration::from_secs(9));
                        let call =
                            abide::Call::new("add", abide::Payload::json(arguments), deadline);
                        node.call(&target, call).await
                    }
                });
                let (answers, ()) = tokio::join!(join_all(calls), async {
                    sleep(Duration::from_millis(5)).await;
                    world.restart().await;
                });
                let refused = |error: &CallError| {
                    assert!(matches!(error, CallError::Draining), "{error}");
                    assert_eq!(error.effect(), Effect::None);
                };
                let acknowledged = answers.iter().filter(|answer| match answer {
                    Ok(_) => true,
                    Err(error) => {
                        refused(error);
                        false
                    }
                });
                let acknowledged = acknowledged.count() as u64;
                assert!(
                    (1..40).contains(&acknowledged),
                    "{acknowledged} were before the drain"
                );
                let values = world.actor::<Tally>("a").values().await.unwrap();
                assert_eq!(values, (acknowledged, acknowledged));
            });
    });
}
