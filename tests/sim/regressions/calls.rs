//! Calls that were refused, or waited, without a reason.

use abide::prelude::*;
use abide_actors::testing::World;
use abide_actors::{Call, Deadline, Payload};
use abide_storage::{Effect, Room};
use tokio::time::Instant;

use crate::support::{begin, is_open, note, take_notes};

/// Counts, and has others count.
#[derive(Default, Serialize, Deserialize)]
struct Peer {
    value: u64,
}

#[actor]
impl Peer {
    #[call]
    fn count(&mut self) -> u64 {
        self.value += 1;
        note(format!("counted {}", self.value));
        self.value
    }

    #[call]
    async fn ask(&mut self, ctx: &mut Context<Self>, other: String) -> Result<u64, CallError> {
        note(format!("asks {other}"));
        ctx.actor::<Self>(&other).count().await
    }
}

/// 1. `a` calls `b`, whose turn is done; the disk has not got it yet, so the reply is held.
/// 2. The next turn of `b` calls `a`, whose turn still waits for the reply.
/// 3. That looks like a circle, and is none: the reply waits for the disk, not for `b`'s turn.
#[test]
fn calls_both_ways_are_no_deadlock_when_one_waits_for_the_disk_alone() {
    World::builder().actor::<Peer>("peer").run(async |world| {
        let (a, b) = (world.actor::<Peer>("a"), world.actor::<Peer>("b"));
        world.store().hold_commits();
        let mut a_asks = begin(world, a.ask("b".into())).await;
        let mut b_asks = begin(world, b.ask("a".into())).await;
        assert_eq!(take_notes(), ["asks b", "counted 1", "asks a"]);
        assert!(is_open(&mut a_asks).await && is_open(&mut b_asks).await);

        world.store().release_commits();
        assert_eq!(a_asks.await.unwrap(), 1);
        assert_eq!(b_asks.await.unwrap(), 1);
    });
}

/// 1. The store's queue is full, so the object's next turn may not begin.
/// 2. The caller's deadline passes: its turn has not begun and never will, which the caller is
///    told, for then it may try again.
#[test]
fn a_call_that_waits_for_room_in_the_store_ends_at_its_deadline_with_no_effect() {
    World::builder().actor::<Peer>("peer").run(async |world| {
        world.store().set_room(Room::Full);
        let target = world.runtime().target("peer", "a").unwrap();
        let deadline = Deadline(Instant::now() + Duration::from_secs(5));
        let call = Call::new("count", Payload::none(), deadline);
        let error = world.runtime().call(&target, call).await.unwrap_err();
        assert!(
            matches!(error, CallError::DeadlineExceeded { .. }),
            "{error:?}"
        );
        assert_eq!(error.effect(), Effect::None);
        assert_eq!(Instant::now(), deadline.0, "not a grace later");

        world.store().set_room(Room::Free);
        assert_eq!(world.actor::<Peer>("a").count().await.unwrap(), 1);
        assert_eq!(take_notes(), ["counted 1"]);
    });
}
