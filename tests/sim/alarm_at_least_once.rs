//! **alarm-at-least-once**: an alarm that was acknowledged fires at or after its time until its
//! handler has committed, through crashes, restarts, failures and lost commits.

mod cron;
mod failing;
mod overdue;
mod parked;
mod runaway;
mod schedule;
mod set_again;
mod stuck;
mod torn;
mod window;

use std::cell::RefCell;
use std::collections::BTreeMap;

use abide::prelude::*;
use abide_actors::Limits;
use abide_actors::testing::{BEGINNING, World};
use tokio::time::sleep;

thread_local! {
    /// Every time a handler was entered, whatever became of its turn.
    static ENTERED: RefCell<Vec<Entered>> = RefCell::default();
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entered {
    at: Timestamp,
    alarm: Alarm,
}

fn entered() -> Vec<Entered> {
    ENTERED.with_borrow(Vec::clone)
}

/// Seconds since the world began at which the handler of an alarm was entered.
fn entered_at(name: &str) -> Vec<u64> {
    let of_name = |entered: &Entered| *entered.alarm.name == *name;
    entered()
        .iter()
        .filter(|entered| of_name(entered))
        .map(|entered| seconds(entered.at))
        .collect()
}

fn seconds(at: Timestamp) -> u64 {
    (at.0 - BEGINNING.0) / 1_000
}

/// What the handler of an alarm does before it succeeds, if it does.
#[derive(Default, Clone, Copy, Serialize, Deserialize, JsonSchema)]
enum Plan {
    #[default]
    Succeed,
    /// Fails as long as it has failed fewer times than this.
    Fail(u32),
    Panic(u32),
    /// Sets itself again, so many seconds later, as long as it has fired fewer times than this.
    Again {
        every_s: u64,
        times: u64,
    },
    /// Sets itself again once, for the very moment that it was set for.
    SameMoment,
    /// Cancels another one and sets itself for never.
    CancelBoth,
    Sleep(u64),
}

/// Fires alarms as planned and keeps count of what was committed.
#[derive(Default, Serialize, Deserialize)]
struct Clockwork {
    plans: BTreeMap<String, Plan>,
    /// Handlers that have committed, by name.
    fired: BTreeMap<String, u64>,
}

#[actor]
impl Clockwork {
    #[call]
    fn set(
        &mut self,
        ctx: &mut Context<Self>,
        name: String,
        after_s: u64,
        plan: Plan,
    ) -> Result<u64, CallError> {
        let at = ctx.now() + Duration::from_secs(after_s);
        ctx.set_alarm(&name, at)?;
        self.plans.insert(name, plan);
        Ok(at.0)
    }

    #[call]
    fn set_at(
        &mut self,
        ctx: &mut Context<Self>,
        name: String,
        at_ms: u64,
    ) -> Result<(), CallError> {
        ctx.set_alarm(&name, Timestamp(at_ms))
    }

    #[call]
    fn set_many(&mut self, ctx: &mut Context<Self>, after_ms: Vec<u64>) -> Result<(), CallError> {
        for (number, after_ms) in after_ms.into_iter().enumerate() {
            ctx.set_alarm(&number.to_string(), Duration::from_millis(after_ms))?;
        }
        Ok(())
    }

    #[call]
    fn cancel(&mut self, ctx: &mut Context<Self>, name: String) {
        ctx.cancel_alarm(&name);
    }

    #[call]
    fn fired(&self, name: String) -> u64 {
        self.fired.get(&name).copied().unwrap_or(0)
    }

    #[call]
    fn all_fired(&self) -> BTreeMap<String, u64> {
        self.fired.clone()
    }

    #[call]
    fn scheduled(&self, ctx: &Context<Self>, name: String) -> Option<u64> {
        ctx.alarm(&name).map(|at| at.0)
    }

    async fn alarm(&mut self, ctx: &mut Context<Self>, alarm: Alarm) -> Result<(), ActorError> {
        let at = ctx.now();
        ENTERED.with_borrow_mut(|entered| {
            entered.push(Entered {
                at,
                alarm: alarm.clone(),
            })
        });
        let name = alarm.name.to_string();
        assert_eq!(ctx.alarm(&name), None, "for its own handler it is gone");
        let fired = self.fired.entry(name.clone()).or_default();
        *fired += 1;
        match self.plans.get(&name).copied().unwrap_or_default() {
            Plan::Fail(times) if alarm.retries < times => {
                return Err(ActorError::new("planned", "as it was told to"));
            }
            Plan::Panic(times) if alarm.retries < times => panic!("as it was told to"),
            Plan::Again { every_s, times } if *fired < times => {
                ctx.set_alarm(&name, Duration::from_secs(every_s))?;
            }
            Plan::SameMoment if *fired == 1 => ctx.set_alarm(&name, alarm.scheduled)?,
            Plan::CancelBoth => {
                ctx.set_alarm(&name, Timestamp(u64::MAX))?;
                ctx.cancel_alarm(&name);
                ctx.cancel_alarm("other");
            }
            Plan::Sleep(ms) => sleep(Duration::from_millis(ms)).await,
            _ => {}
        }
        Ok(())
    }
}

fn run(limits: Limits, test: impl AsyncFnOnce(&mut World)) {
    ENTERED.set(Vec::new());
    World::builder()
        .limits(limits)
        .actor::<Clockwork>("clockwork")
        .run(test);
}

/// Sets an alarm and says when it is due.
async fn set(world: &World, name: &str, after_s: u64, plan: Plan) -> Timestamp {
    let clockwork = world.actor::<Clockwork>("c");
    Timestamp(clockwork.set(name.to_owned(), after_s, plan).await.unwrap())
}

async fn fired(world: &World, name: &str) -> u64 {
    world
        .actor::<Clockwork>("c")
        .fired(name.to_owned())
        .await
        .unwrap()
}

async fn pass(world: &World, seconds: u64) {
    world.advance(Duration::from_secs(seconds)).await;
}

#[test]
fn it_fires_at_its_time_once() {
    run(Limits::default(), async |world| {
        set(world, "", 100, Plan::Succeed).await;
        pass(world, 99).await;
        assert!(entered().is_empty());
        pass(world, 2).await;
        assert_eq!(entered_at(""), [100]);
        pass(world, 100_000).await;
        assert_eq!((entered_at("").len(), fired(world, "").await), (1, 1));
        assert_eq!(
            world
                .actor::<Clockwork>("c")
                .scheduled(String::new())
                .await
                .unwrap(),
            None
        );
    });
}

#[test]
fn it_fires_after_crashes_and_restarts() {
    run(Limits::default(), async |world| {
        for round in 0..6_u64 {
            let name = format!("alarm {round}");
            set(world, &name, 60, Plan::Succeed).await;
            pass(world, 20).await;
            if round % 2 == 0 {
                world.crash().await
            } else {
                world.restart().await
            }
            pass(world, 39).await;
            assert!(entered_at(&name).is_empty());
            pass(world, 2).await;
            assert_eq!(fired(world, &name).await, 1);
        }
        // None of those that have fired comes back.
        world.crash().await;
        pass(world, 3_600).await;
        assert_eq!(entered().len(), 6);
    });
}

/// A time that has passed means now, and a crash between the call and the firing changes nothing.
#[test]
fn one_that_is_overdue_fires_at_once() {
    run(Limits::default(), async |world| {
        pass(world, 10).await;
        world
            .actor::<Clockwork>("c")
            .set_at("past".to_owned(), 5)
            .await
            .unwrap();
        world.crash().await;
        pass(world, 1).await;
        assert_eq!(fired(world, "past").await, 1);
    });
}

/// The handler has run and its commit is on its way to the disk when the node crashes. The next
/// node runs it again, on the state from before.
#[test]
fn a_crash_before_the_handler_is_durable_fires_it_again() {
    run(Limits::default(), async |world| {
        set(world, "a", 10, Plan::Succeed).await;
        pass(world, 5).await;
        world.store().hold_commits();
        pass(world, 10).await;
        assert_eq!(
            (entered_at("a"), world.store().held_commits()),
            (vec![10], 1)
        );
        world.crash().await;
        pass(world, 1).await;
        assert_eq!(entered_at("a"), [10, 15]);
        assert_eq!(
            fired(world, "a").await,
            1,
            "the first firing never became durable"
        );
    });
}

/// A handler that is inside its code when the node crashes.
#[test]
fn a_crash_inside_the_handler_fires_it_again() {
    run(Limits::default(), async |world| {
        set(world, "a", 10, Plan::Sleep(5_000)).await;
        pass(world, 12).await;
        world.crash().await;
        pass(world, 60).await;
        assert_eq!(entered_at("a"), [10, 12]);
        assert_eq!(fired(world, "a").await, 1);
    });
}

#[test]
fn many_names_of_one_object_fire_in_order_of_time() {
    run(Limits::default(), async |world| {
        let after_ms: Vec<u64> = (0..1_000)
            .map(|number| 1_000 + (number * 7_919) % 60_000)
            .collect();
        world
            .actor::<Clockwork>("c")
            .set_many(after_ms.clone())
            .await
            .unwrap();
        pass(world, 30).await;
        world.crash().await;
        pass(world, 60).await;
        assert_eq!(
            world
                .actor::<Clockwork>("c")
                .all_fired()
                .await
                .unwrap()
                .len(),
            1_000
        );
        let entered = entered();
        assert_eq!(entered.len(), 1_000);
        for pair in entered.windows(2) {
            assert!(
                pair[0].alarm.scheduled <= pair[1].alarm.scheduled,
                "{pair:?}"
            );
        }
        for Entered { at, alarm } in entered {
            let late_ms = at.0 - alarm.scheduled.0;
            assert!(late_ms < 100, "{} was {late_ms} ms late", alarm.name);
        }
    });
}
