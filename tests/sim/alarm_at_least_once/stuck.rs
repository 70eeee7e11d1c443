//! Alarms of objects that cannot be activated: they wait, and nobody waits for them.

use std::cell::RefCell;
use std::collections::BTreeSet;

use abide::prelude::*;
use abide_actors::testing::{BEGINNING, World};

thread_local! {
    static STUCK: RefCell<BTreeSet<String>> = RefCell::default();
    /// Objects and seconds since the beginning of the world.
    static FIRED: RefCell<Vec<(String, u64)>> = RefCell::default();
}

/// Cannot be activated while the test says so.
#[derive(Default, Serialize, Deserialize)]
struct Stubborn {}

#[actor]
impl Stubborn {
    fn activated(&mut self, ctx: &mut Context<Self>) -> Result<(), ActorError> {
        let name = ctx.name().unwrap_or_default();
        if STUCK.with_borrow(|stuck| stuck.contains(name)) {
            return Err(ActorError::new("stuck", "it cannot be activated just now"));
        }
        Ok(())
    }

    #[call]
    fn set(&mut self, ctx: &mut Context<Self>, after_ms: Vec<u64>) -> Result<(), CallError> {
        for (number, after_ms) in after_ms.into_iter().enumerate() {
            ctx.set_alarm(&number.to_string(), Duration::from_millis(after_ms))?;
        }
        Ok(())
    }

    fn alarm(&mut self, ctx: &mut Context<Self>, _alarm: Alarm) {
        let name = ctx.name().unwrap_or_default().to_owned();
        let at_s = (ctx.now().0 - BEGINNING.0) / 1_000;
        FIRED.with_borrow_mut(|fired| fired.push((name, at_s)));
    }
}

fn set_stuck(names: &[&str]) {
    STUCK.set(names.iter().map(|&name| name.to_owned()).collect());
}

fn fired_of(name: &str) -> Vec<u64> {
    let of_name = |(object, at): &(String, u64)| (object == name).then_some(*at);
    FIRED.with_borrow(|fired| fired.iter().filter_map(of_name).collect())
}

async fn set(world: &World, name: &str, after_ms: Vec<u64>) {
    world.actor::<Stubborn>(name).set(after_ms).await.unwrap();
}

#[test]
fn an_alarm_waits_until_its_object_can_be_activated() {
    World::builder()
        .actor::<Stubborn>("stubborn")
        .run(async |world| {
            set(world, "a", vec![60_000]).await;
            set(world, "b", vec![70_000]).await;
            set_stuck(&["a"]);
            world.advance(Duration::from_secs(120)).await;
            assert_eq!((fired_of("a"), fired_of("b")), (vec![], vec![70]));
            world.crash().await;
            world.advance(Duration::from_secs(120)).await;
            assert!(fired_of("a").is_empty());
            set_stuck(&[]);
            // It is tried again every few seconds, so it comes soon.
            world.advance(Duration::from_secs(20)).await;
            assert_eq!(fired_of("a").len(), 1);
        });
}

/// The scheduler sees the first 4,096 alarms and reads on when it has handed them out. Two
/// objects that cannot be activated are tried again and again, never at the same time, so that one
/// of them is always waiting: they must not keep the scheduler from reading on.
#[test]
fn stuck_objects_do_not_keep_later_alarms_from_firing() {
    World::builder()
        .actor::<Stubborn>("stubborn")
        .run(async |world| {
            set(world, "stuck 1", vec![60_000]).await;
            set(world, "stuck 2", vec![60_500]).await;
            for number in 0..5_u64 {
                let after_ms = (0..1_000)
                    .map(|alarm| 70_000 + number + alarm * 100)
                    .collect();
                set(world, &format!("well {number}"), after_ms).await;
            }
            set_stuck(&["stuck 1", "stuck 2"]);
            world.crash().await;
            world.advance(Duration::from_secs(3_600)).await;
            for number in 0..5 {
                let fired = fired_of(&format!("well {number}"));
                assert_eq!(
                    fired.len(),
                    1_000,
                    "well {number}: the last at {:?} s",
                    fired.last()
                );
            }
        });
}
