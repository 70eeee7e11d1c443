//! **one-turn**: actor code is entered by one message at a time. Reads (`&self`) may be open
//! together; a message that may write waits for all of them, and they for it.

use std::cell::RefCell;

use abide::prelude::*;
use abide_actors::Access;
use abide_actors::testing::World;
use fastrand::Rng;
use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use crate::seeds::each_seed;

thread_local! {
    static STAGE: RefCell<Stage> = RefCell::default();
}

/// Who is inside the actor's code just now.
#[derive(Default)]
struct Stage {
    writes: usize,
    reads: usize,
    reads_most: usize,
    entered: usize,
    violations: Vec<String>,
    /// What came in and went out, where a test looks at the order.
    order: Vec<String>,
}

/// Inside, until it is dropped, however the code leaves.
struct Inside {
    access: Access,
    name: String,
}

impl Inside {
    fn write(name: &str) -> Self {
        STAGE.with_borrow_mut(|stage| {
            if stage.writes + stage.reads > 0 {
                let (writes, reads) = (stage.writes, stage.reads);
                stage
                    .violations
                    .push(format!("{name} met {writes} turns and {reads} reads"));
            }
            stage.writes += 1;
        });
        Self::note(name, Access::Write)
    }

    fn read(name: &str) -> Self {
        STAGE.with_borrow_mut(|stage| {
            if stage.writes > 0 {
                stage
                    .violations
                    .push(format!("the read {name} met {} turns", stage.writes));
            }
            stage.reads += 1;
            stage.reads_most = stage.reads_most.max(stage.reads);
        });
        Self::note(name, Access::Read)
    }

    fn note(name: &str, access: Access) -> Self {
        STAGE.with_borrow_mut(|stage| {
            stage.entered += 1;
            stage.order.push(format!("{name} in"));
        });
        Self {
            access,
            name: name.to_owned(),
        }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        STAGE.with_borrow_mut(|stage| {
            match self.access {
                Access::Write => stage.writes -= 1,
                Access::Read => stage.reads -= 1,
            }
            stage.order.push(format!("{} out", self.name));
        });
    }
}

fn new_stage() {
    STAGE.with_borrow_mut(|stage| *stage = Stage::default());
}

fn assert_no_violation() {
    STAGE.with_borrow(|stage| {
        assert!(stage.violations.is_empty(), "{:?}", stage.violations);
        assert_eq!((stage.writes, stage.reads), (0, 0), "somebody never left");
    });
}

/// What a turn waits for while it is inside.
#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
enum Wait {
    Nothing,
    Sleep(u64),
    Storage,
    Yield,
    /// A call to another object, which itself takes a while.
    Call(u64),
}

impl Wait {
    fn random(rng: &mut Rng) -> Self {
        match rng.u8(..5) {
            0 => Self::Nothing,
            1 => Self::Sleep(rng.u64(..10)),
            2 => Self::Storage,
            3 => Self::Yield,
            _ => Self::Call(rng.u64(..5)),
        }
    }

    async fn here<A>(self, ctx: &Context<A>) -> Result<(), CallError> {
        match self {
            Self::Nothing => Ok(()),
            Self::Sleep(ms) => {
                sleep(Duration::from_millis(ms)).await;
                Ok(())
            }
            Self::Storage => ctx.storage().get::<u64>("count").await.map(drop),
            Self::Yield => {
                tokio::task::yield_now().await;
                Ok(())
            }
            Self::Call(ms) => ctx.actor::<Other>("far").answer(ms).await,
        }
    }
}

/// The object that others call from inside their turns.
#[derive(Default, Serialize, Deserialize)]
struct Other {}

#[actor]
impl Other {
    #[call]
    async fn answer(&mut self, after_ms: u64) {
        sleep(Duration::from_millis(after_ms)).await;
    }
}

/// Waits inside its code in every way an actor can, in every callback that may write.
#[derive(Default, Serialize, Deserialize)]
struct Narrow {
    entered: u64,
}

#[actor]
impl Narrow {
    #[call]
    async fn write(
        &mut self,
        ctx: &mut Context<Self>,
        name: String,
        waits: [Wait; 2],
    ) -> Result<u64, CallError> {
        let _inside = Inside::write(&name);
        let before = self.entered;
        waits[0].here(ctx).await?;
        ctx.storage_mut().put("count", &before)?;
        waits[1].here(ctx).await?;
        assert_eq!(self.entered, before, "another turn came in between");
        self.entered += 1;
        Ok(self.entered)
    }

    /// Leaves early: its deadline, a panic or an error ends it inside.
    #[call]
    async fn fall(
        &mut self,
        ctx: &mut Context<Self>,
        wait: Wait,
        how: u8,
    ) -> Result<(), ActorError> {
        let _inside = Inside::write("fall");
        self.entered += 1000;
        wait.here(ctx).await?;
        assert!(how != 0, "a panic inside, as it was told to");
        Err(ActorError::new("fell", "as it was told to"))
    }

    #[call]
    async fn read(
        &self,
        ctx: &Context<Self>,
        name: String,
        waits: [Wait; 2],
    ) -> Result<u64, CallError> {
        let _inside = Inside::read(&name);
        let before = self.entered;
        waits[0].here(ctx).await?;
        waits[1].here(ctx).await?;
        assert_eq!(self.entered, before, "a turn came in between");
        Ok(before)
    }

    #[call]
    fn wake_later(&mut self, ctx: &mut Context<Self>, after_ms: u64) -> Result<(), CallError> {
        let _inside = Inside::write("wake_later");
        ctx.set_alarm(&format!("in {after_ms}"), Duration::from_millis(after_ms))
    }

    async fn alarm(&mut self, _alarm: Alarm) {
        let _inside = Inside::write("alarm");
        sleep(Duration::from_millis(2)).await;
    }

    async fn connected(
        &mut self,
        ctx: &mut Context<Self>,
        _session: &Session,
        _request: &ConnectRequest,
    ) {
        let _inside = Inside::write("connected");
        ctx.set_tick(Tick::every(Duration::from_millis(7)).always());
        sleep(Duration::from_millis(1)).await;
    }

    async fn message(&mut self, session: &Session, frame: Frame) {
        let _inside = Inside::write("message");
        sleep(Duration::from_millis(1)).await;
        session.send(frame);
    }

    async fn disconnected(&mut self, ctx: &mut Context<Self>, _session: &Session, _close: &Close) {
        let _inside = Inside::write("disconnected");
        ctx.set_tick(None);
        sleep(Duration::from_millis(1)).await;
    }

    async fn tick(&mut self) {
        let _inside = Inside::write("tick");
        sleep(Duration::from_millis(1)).await;
    }
}

async fn write(world: &World, name: &str, waits: [Wait; 2]) {
    world
        .actor::<Narrow>("gate")
        .write(name.to_owned(), waits)
        .await
        .unwrap();
}

async fn read(world: &World, name: &str, waits: [Wait; 2]) {
    world
        .actor::<Narrow>("gate")
        .read(name.to_owned(), waits)
        .await
        .unwrap();
}

/// The order in which code was entered and left.
fn order() -> Vec<String> {
    STAGE.with_borrow(|stage| stage.order.clone())
}

#[test]
fn turns_that_wait_never_interleave() {
    each_seed(100, |seed| {
        new_stage();
        let builder = World::builder()
            .seed(seed)
            .actor::<Narrow>("narrow")
            .actor::<Other>("other");
        builder.run(async |world| {
            let world = &*world;
            let callers = (0..8).map(|caller| {
                let mut rng = Rng::with_seed(seed * 100 + caller);
                async move {
                    for _ in 0..8 {
                        sleep(Duration::from_millis(rng.u64(..6))).await;
                        let waits = [Wait::random(&mut rng), Wait::random(&mut rng)];
                        let narrow = world.actor::<Narrow>("gate");
                        match rng.u8(..10) {
                            0..4 => write(world, "write", waits).await,
                            4..8 => read(world, "read", waits).await,
                            8 => narrow.wake_later(rng.u64(..20)).await.unwrap(),
                            _ => drop(narrow.fall(waits[0], rng.u8(..3)).await.unwrap_err()),
                        }
                    }
                }
            });
            let client = async {
                let mut session = world.connect("narrow", "gate", "").await.unwrap();
                for _ in 0..10 {
                    session.send("hello").await;
                }
                session.close(1000, "done");
            };
            tokio::join!(join_all(callers), client);
            world.advance(Duration::from_secs(60)).await;
            assert_no_violation();
            assert!(STAGE.with_borrow(|stage| stage.entered) > 64);
        });
    });
}

#[test]
fn a_turn_ended_by_its_deadline_is_out_before_the_next_comes_in() {
    new_stage();
    World::builder()
        .actor::<Narrow>("narrow")
        .actor::<Other>("other")
        .run(async |world| {
            let world = &*world;
            let stuck = world.actor::<Narrow>("gate");
            let (stuck, ()) = tokio::join!(stuck.fall(Wait::Sleep(3_600_000), 1), async {
                sleep(Duration::from_secs(1)).await;
                write(world, "next", [Wait::Sleep(1); 2]).await;
            });
            assert!(
                matches!(stuck, Err(CallError::DeadlineExceeded { .. })),
                "{stuck:?}"
            );
            assert_eq!(order(), ["fall in", "fall out", "next in", "next out"]);
            assert_no_violation();
        });
}

#[test]
fn reads_that_wait_run_together() {
    new_stage();
    World::builder()
        .actor::<Narrow>("narrow")
        .actor::<Other>("other")
        .run(async |world| {
            let world = &*world;
            let began = Instant::now();
            let second = [Wait::Sleep(1_000), Wait::Nothing];
            join_all((0..50).map(|_| read(world, "read", second))).await;
            assert_eq!(
                began.elapsed().as_secs(),
                1,
                "fifty seconds of waiting, side by side"
            );
            assert_eq!(STAGE.with_borrow(|stage| stage.reads_most), 50);
            assert_no_violation();
        });
}

/// Reads have a bound, too: what is above it waits its turn.
#[test]
fn at_most_64_reads_are_open() {
    new_stage();
    World::builder()
        .actor::<Narrow>("narrow")
        .actor::<Other>("other")
        .run(async |world| {
            let world = &*world;
            let second = [Wait::Sleep(1_000), Wait::Nothing];
            join_all((0..200).map(|_| read(world, "read", second))).await;
            assert_eq!(STAGE.with_borrow(|stage| stage.reads_most), 64);
            assert_eq!(STAGE.with_borrow(|stage| stage.entered), 200);
            assert_no_violation();
        });
}

/// A write that came after a read and before another lets the first finish and holds the second.
#[test]
fn a_write_waits_for_open_reads_and_later_reads_wait_for_it() {
    new_stage();
    World::builder()
        .actor::<Narrow>("narrow")
        .actor::<Other>("other")
        .run(async |world| {
            let world = &*world;
            let after = async |ms| sleep(Duration::from_millis(ms)).await;
            tokio::join!(
                read(world, "long read", [Wait::Sleep(100), Wait::Storage]),
                async {
                    after(1).await;
                    read(world, "short read", [Wait::Sleep(10), Wait::Yield]).await;
                },
                async {
                    after(2).await;
                    write(world, "write", [Wait::Sleep(50), Wait::Storage]).await;
                },
                async {
                    after(3).await;
                    read(world, "late read", [Wait::Nothing; 2]).await;
                },
            );
            let expected = [
                "long read in",
                "short read in",
                "short read out",
                "long read out",
                "write in",
                "write out",
                "late read in",
                "late read out",
            ];
            assert_eq!(order(), expected);
            assert_no_violation();
        });
}
