//! The limit of alarms is about those there will be when the turn is over.

use abide::prelude::*;
use abide_actors::Limits;
use abide_actors::testing::{BEGINNING, World};

use crate::support::{note, take_notes};

/// What a turn does to alarms.
#[derive(Serialize, Deserialize, JsonSchema)]
enum Step {
    Set(String),
    Cancel(String),
}

/// Does to its alarms what it is told, in one turn.
#[derive(Default, Serialize, Deserialize)]
struct Planner {
    /// What to do when an alarm rings.
    next: Vec<Step>,
}

fn take_steps(ctx: &mut Context<Planner>, steps: &[Step]) -> Result<(), CallError> {
    for step in steps {
        match step {
            Step::Set(name) => ctx.set_alarm(name, Duration::from_secs(60))?,
            Step::Cancel(name) => ctx.cancel_alarm(name),
        }
    }
    Ok(())
}

#[actor]
impl Planner {
    #[call]
    fn plan(&mut self, ctx: &mut Context<Self>, steps: Vec<Step>) -> Result<(), CallError> {
        take_steps(ctx, &steps)
    }

    #[call]
    fn plan_next(&mut self, next: Vec<Step>) {
        self.next = next;
    }

    #[call]
    fn version(&self, ctx: &Context<Self>) -> u64 {
        ctx.version().0
    }

    fn alarm(&mut self, ctx: &mut Context<Self>, alarm: Alarm) -> Result<(), CallError> {
        take_steps(ctx, &std::mem::take(&mut self.next))?;
        let at_s = (ctx.now().0 - BEGINNING.0) / 1_000;
        note(format!("{} at {at_s}", alarm.name));
        Ok(())
    }
}

fn set(name: &str) -> Step {
    Step::Set(name.to_owned())
}

fn cancel(name: &str) -> Step {
    Step::Cancel(name.to_owned())
}

/// A world in which `a` and `b` are set, and an object takes no more than two.
fn with_two_of_two(test: impl AsyncFnOnce(&World)) {
    let limits = Limits {
        alarms_per_object_max: 2,
        ..Limits::default()
    };
    let world = World::builder().actor::<Planner>("planner").limits(limits);
    world.run(async |world| {
        plan(world, vec![set("a"), set("b")]).await.unwrap();
        test(world).await;
    });
}

async fn plan(world: &World, steps: Vec<Step>) -> Result<(), CallError> {
    world.actor::<Planner>("it").plan(steps).await
}

async fn assert_refused(world: &World, steps: Vec<Step>) {
    let refused = plan(world, steps).await.unwrap_err();
    assert!(
        matches!(&refused, CallError::Actor(error) if error.code == "limit-exceeded"),
        "{refused:?}"
    );
}

#[test]
fn one_more_than_the_limit_is_refused_and_one_in_place_of_another_is_not() {
    with_two_of_two(async |world| {
        assert_refused(world, vec![set("c")]).await;
        plan(world, vec![set("a"), set("b")]).await.unwrap();
        plan(world, vec![cancel("a"), set("c")]).await.unwrap();
        assert_refused(world, vec![set("a")]).await;
        world.advance(Duration::from_secs(61)).await;
        assert_eq!(take_notes(), ["b at 60", "c at 60"]);
    });
}

/// What the turn set and took back again does not count.
#[test]
fn an_alarm_set_and_cancelled_in_the_same_turn_takes_no_place() {
    with_two_of_two(async |world| {
        let there_and_back = [cancel("a"), set("c"), cancel("c"), set("d"), cancel("d")];
        let steps = there_and_back.into_iter().chain([set("e")]).collect();
        plan(world, steps).await.unwrap();
        world.advance(Duration::from_secs(61)).await;
        assert_eq!(take_notes(), ["b at 60", "e at 60"]);
    });
}

/// An alarm that was there before the turn, but has given its place to another, is a new one.
#[test]
fn an_alarm_that_gave_its_place_away_cannot_come_back() {
    with_two_of_two(async |world| {
        assert_refused(world, vec![cancel("a"), set("c"), set("a")]).await;
        world.advance(Duration::from_secs(61)).await;
        assert_eq!(take_notes(), ["a at 60", "b at 60"], "the turn was undone");
    });
}

/// Each turn of a chain of alarms sets the next one; its own is gone when the turn is over.
#[test]
fn the_alarm_whose_turn_it_is_leaves_its_place_to_the_next() {
    with_two_of_two(async |world| {
        plan(world, vec![cancel("b")]).await.unwrap();
        let next = vec![set("c"), set("d")];
        world.actor::<Planner>("it").plan_next(next).await.unwrap();
        world.advance(Duration::from_secs(130)).await;
        assert_eq!(take_notes(), ["a at 60", "c at 120", "d at 120"]);
    });
}

#[test]
fn cancelling_what_is_not_set_does_nothing() {
    with_two_of_two(async |world| {
        let planner = world.actor::<Planner>("it");
        let before = planner.version().await.unwrap();
        let unknown = || ["x", "y", "z"].map(cancel).into_iter();
        plan(world, unknown().collect()).await.unwrap();
        assert_eq!(
            planner.version().await.unwrap(),
            before,
            "nothing to commit"
        );
        let steps = unknown().chain([cancel("a"), set("c")]).collect();
        plan(world, steps).await.unwrap();
        assert_refused(world, unknown().chain([set("d")]).collect()).await;
    });
}
