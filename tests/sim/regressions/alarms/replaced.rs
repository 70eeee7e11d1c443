//! An alarm that has been fired and not been handled, while a turn replaces it.

use std::cell::Cell;

use abide::prelude::*;
use abide_actors::testing::{BEGINNING, World};
use abide_storage::CommitError;

use super::{Bell, rung};
use crate::support::{begin, note, take_notes};

/// 1. The object is at work. A call that will cancel or move its alarm waits in the mailbox.
/// 2. The alarm falls due. The scheduler lets go of it, and it waits behind that call.
/// 3. The call's turn replaces the alarm. Its commit is on its way.
/// 4. The alarm's turn comes: by what the object knows there is no such alarm any more.
/// 5. The commit fails, without an effect. The store has the alarm as it was.
fn ring_though_replaced(replace: impl AsyncFnOnce(&World) -> Result<(), CallError>) {
    World::builder().actor::<Bell>("bell").run(async |world| {
        let bell = world.actor::<Bell>("a");
        bell.set_one(BEGINNING.0 + 10_000).await.unwrap();
        world.advance(Duration::from_secs(9)).await;
        let work = begin(world, bell.work(2)).await;
        let replace = begin(world, replace(world)).await;
        world.store().hold_commits();
        world.store().fail_next_commit(CommitError::DiskFull {
            available_bytes: 1,
            reserve_bytes: 2,
        });
        world.advance(Duration::from_secs(5)).await;
        assert_eq!(world.store().held_commits(), 1, "the alarm is replaced");
        assert!(rung().is_empty(), "the alarm's turn found that it is");

        world.store().release_commits();
        work.await.unwrap();
        replace.await.unwrap_err();
        world.advance(Duration::from_secs(10)).await;
        assert!(
            rung().contains("bell/a "),
            "it was acknowledged, and it is stored"
        );
    });
}

#[test]
fn an_alarm_rings_when_the_turn_that_cancelled_it_is_not_stored() {
    ring_though_replaced(async |world| world.actor::<Bell>("a").cancel_one().await);
}

#[test]
fn an_alarm_rings_when_the_turn_that_moved_it_is_not_stored() {
    let later = BEGINNING + Duration::from_secs(36_000);
    ring_though_replaced(async |world| world.actor::<Bell>("a").set_one(later.0).await);
}

thread_local! {
    static SNOOZES: Cell<bool> = const { Cell::new(false) };
}

/// Fails to ring while it snoozes, and sets its alarm for later when it is made anew.
#[derive(Default, Serialize, Deserialize)]
struct Sleeper {
    nights: u64,
}

#[actor]
impl Sleeper {
    fn activated(&mut self, ctx: &mut Context<Self>) -> Result<(), CallError> {
        if SNOOZES.get() {
            note("set for later");
            ctx.set_alarm("", Duration::from_secs(36_000))?;
        }
        Ok(())
    }

    #[call]
    fn set(&mut self, ctx: &mut Context<Self>, after_s: u64) -> Result<(), CallError> {
        self.nights += 1;
        ctx.set_alarm("", Duration::from_secs(after_s))
    }

    fn alarm(&mut self, _alarm: Alarm) -> Result<(), ActorError> {
        if SNOOZES.get() {
            return Err(ActorError::new("asleep", "not yet"));
        }
        note("rung");
        Ok(())
    }
}

/// 1. The alarm's turn fails, and the value is made anew. `activated` sets the alarm for later.
/// 2. That commit fails, without an effect. The store has the alarm as it was.
#[test]
fn an_alarm_rings_when_the_turn_that_made_the_object_anew_and_moved_it_is_not_stored() {
    let world = World::builder().actor::<Sleeper>("sleeper");
    world.run(async |world| {
        world.actor::<Sleeper>("a").set(5).await.unwrap();
        SNOOZES.set(true);
        world.store().fail_next_commit(CommitError::DiskFull {
            available_bytes: 1,
            reserve_bytes: 2,
        });
        world.advance(Duration::from_millis(5_500)).await;
        assert_eq!(take_notes(), ["set for later"]);
        SNOOZES.set(false);
        world.advance(Duration::from_secs(10)).await;
        assert_eq!(take_notes(), ["rung"]);
    });
}
