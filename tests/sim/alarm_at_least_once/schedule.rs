//! Random schedules: every alarm that was acknowledged fires, whatever stalls, fails and crashes.

use std::collections::BTreeMap;

use abide::prelude::*;
use abide_actors::Limits;
use abide_actors::testing::World;
use fastrand::Rng;

use super::{Clockwork, Entered, Plan, entered, pass, run, set};
use crate::seeds::each_seed;

/// Calls set, replace and cancel alarms at random while the disk stalls, handlers fail and the
/// node crashes. At the end every alarm that was acknowledged as set has fired, at or after its
/// time, and none after it was acknowledged as cancelled.
#[test]
fn random_schedules_lose_none() {
    each_seed(100, |seed| {
        run(Limits::default(), async |world| {
            let mut rng = Rng::with_seed(seed);
            // What was last acknowledged of each name.
            let mut wanted: BTreeMap<String, Wanted> = BTreeMap::new();
            for _step in 0..60 {
                let name = format!("alarm {}", rng.u8(..6));
                match rng.u8(..12) {
                    0..6 => {
                        let plan = match rng.u8(..5) {
                            0 => Plan::Fail(rng.u32(1..3)),
                            1 => Plan::Panic(1),
                            2 => Plan::Sleep(rng.u64(..3_000)),
                            _ => Plan::Succeed,
                        };
                        let due = set(world, &name, rng.u64(1..40), plan).await;
                        wanted.insert(name, Wanted::At(due));
                    }
                    6 => {
                        world
                            .actor::<Clockwork>("c")
                            .cancel(name.clone())
                            .await
                            .unwrap();
                        wanted.insert(name, Wanted::NotSince(world.now()));
                    }
                    7 => {
                        world.store().hold_commits();
                        world.advance(Duration::from_millis(rng.u64(..9_000))).await;
                        if rng.bool() {
                            world.store().release_commits()
                        } else {
                            crash(world).await
                        }
                    }
                    8 => crash(world).await,
                    9 => world.restart().await,
                    _ => {
                        world
                            .advance(Duration::from_millis(rng.u64(..20_000)))
                            .await
                    }
                }
            }
            pass(world, 3_600).await;
            let entered = entered();
            for (name, wanted) in wanted {
                let left = world
                    .actor::<Clockwork>("c")
                    .scheduled(name.clone())
                    .await
                    .unwrap();
                assert_eq!(left, None, "{name} is still set");
                let mut of_name = entered
                    .iter()
                    .filter(|entered| *entered.alarm.name == *name);
                match wanted {
                    Wanted::At(due) => {
                        let found = of_name.any(|entered| entered.alarm.scheduled == due);
                        assert!(found, "{name} never fired for {due:?}");
                    }
                    Wanted::NotSince(cancelled) => {
                        let late = of_name.find(|entered| entered.at > cancelled);
                        assert_eq!(late, None, "{name} was cancelled at {cancelled:?}");
                    }
                }
            }
            for Entered { at, alarm } in entered {
                assert!(at >= alarm.scheduled, "{} fired early", alarm.name);
            }
        });
    });
}

enum Wanted {
    At(Timestamp),
    NotSince(Timestamp),
}

/// A crash, after which nothing of the dead node's handlers is left in their code: a process
/// would have taken them with it at once.
async fn crash(world: &mut World) {
    world.crash().await;
    pass(world, 30).await;
}
