//! Alarms that all fell due while the node was down: they are spread out, a bounded number is under
//! way at any time, and calls go on beside them.

use std::cell::Cell;

use abide::prelude::*;
use abide_actors::Limits;
use abide_actors::testing::World;
use abide_storage::Store;
use tokio::time::{Instant, sleep};

thread_local! {
    static UNDER_WAY: Cell<usize> = const { Cell::new(0) };
    static MOST_UNDER_WAY: Cell<usize> = const { Cell::new(0) };
    static DONE: Cell<usize> = const { Cell::new(0) };
}

/// Its alarms take as long as they are told to.
#[derive(Default, Serialize, Deserialize)]
struct Sleeper {
    takes_ms: u64,
}

/// Counts while it lives, through a crash of the node too.
struct UnderWay;

impl UnderWay {
    fn begin() -> Self {
        UNDER_WAY.set(UNDER_WAY.get() + 1);
        MOST_UNDER_WAY.set(MOST_UNDER_WAY.get().max(UNDER_WAY.get()));
        Self
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        UNDER_WAY.set(UNDER_WAY.get() - 1);
    }
}

#[actor]
impl Sleeper {
    #[call]
    fn set(&mut self, ctx: &mut Context<Self>, takes_ms: u64) -> Result<(), CallError> {
        self.takes_ms = takes_ms;
        ctx.set_alarm("", Duration::from_secs(60))
    }

    #[call]
    fn set_many(
        &mut self,
        ctx: &mut Context<Self>,
        count: u64,
        takes_ms: u64,
    ) -> Result<(), CallError> {
        self.takes_ms = takes_ms;
        (0..count).try_for_each(|n| ctx.set_alarm(&n.to_string(), Duration::from_secs(60)))
    }

    #[call]
    fn ping(&self) {}

    async fn alarm(&mut self, _alarm: Alarm) {
        let _under_way = UnderWay::begin();
        sleep(Duration::from_millis(self.takes_ms)).await;
        DONE.set(DONE.get() + 1);
    }
}

const OBJECTS: usize = 9_000;
const IN_FLIGHT_MAX: usize = 200;

fn run(test: impl AsyncFnOnce(&mut World)) {
    UNDER_WAY.set(0);
    MOST_UNDER_WAY.set(0);
    DONE.set(0);
    let limits = Limits {
        alarms_in_flight_max: IN_FLIGHT_MAX,
        ..Limits::default()
    };
    World::builder()
        .limits(limits)
        .actor::<Sleeper>("sleeper")
        .run(test);
}

/// Each takes 100 ms, and 200 may run: 2,000 a second, where unbounded it would be 6,400.
#[test]
fn so_many_are_under_way_and_calls_are_answered_meanwhile() {
    run(async |world| {
        for object in 0..OBJECTS {
            let sleeper = world.actor::<Sleeper>(&object.to_string());
            sleeper.set(100).await.unwrap();
        }
        // Nobody handles them in time: as if the node had been down.
        world.store().refuse_writes(Some("the disk is full"));
        world.advance(Duration::from_secs(61)).await;
        world.crash().await;
        world.advance(Duration::from_millis(500)).await;
        MOST_UNDER_WAY.set(UNDER_WAY.get());
        DONE.set(0);
        for _second in 0..4 {
            let begun = Instant::now();
            world
                .actor::<Sleeper>("somebody else")
                .ping()
                .await
                .unwrap();
            assert!(
                begun.elapsed() < Duration::from_millis(50),
                "{:?}",
                begun.elapsed()
            );
            assert!(world.runtime().alarm_stats().in_flight <= IN_FLIGHT_MAX);
            world.advance(Duration::from_secs(1)).await;
        }
        assert!(
            MOST_UNDER_WAY.get() <= IN_FLIGHT_MAX,
            "{}",
            MOST_UNDER_WAY.get()
        );
        assert!(
            DONE.get() > 6_000,
            "the places are made use of: {}",
            DONE.get()
        );
        world.advance(Duration::from_secs(10)).await;
        assert_eq!(world.store().alarms(None, 1).await.unwrap(), []);
        assert_eq!(world.runtime().alarm_stats().in_flight, 0);
    });
}

/// Alarms of one object that wait for each other take one place: three objects with more slow alarms than
/// there are places keep nobody else's from firing.
#[test]
fn slow_objects_with_many_alarms_keep_no_others_waiting() {
    run(async |world| {
        for slow in ["slow 1", "slow 2", "slow 3"] {
            let sleeper = world.actor::<Sleeper>(slow);
            sleeper.set_many(500, 10_000).await.unwrap();
        }
        world.advance(Duration::from_secs(1)).await;
        world.actor::<Sleeper>("quick").set(1).await.unwrap();
        world
            .advance(Duration::from_secs(59) + Duration::from_millis(500))
            .await;
        assert_eq!(
            (UNDER_WAY.get(), DONE.get()),
            (3, 0),
            "the slow ones are at work"
        );
        assert_eq!(world.runtime().alarm_stats().in_flight, 3);
        world.advance(Duration::from_secs(1)).await;
        assert_eq!(DONE.get(), 1, "the quick one is done");
        world.advance(Duration::from_secs(6_000)).await;
        assert_eq!(DONE.get(), 1_501);
        assert_eq!(world.store().alarms(None, 1).await.unwrap(), []);
    });
}
