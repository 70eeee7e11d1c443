//! Alarms that are set again, replaced or cancelled, by calls and by handlers, their own among them.

use abide_actors::Limits;

use super::{Clockwork, Plan, entered_at, fired, pass, run, set};

#[test]
fn one_set_again_in_its_handler_fires_again() {
    run(Limits::default(), async |world| {
        set(
            world,
            "again",
            10,
            Plan::Again {
                every_s: 10,
                times: 5,
            },
        )
        .await;
        set(world, "same", 5, Plan::SameMoment).await;
        pass(world, 25).await;
        world.crash().await;
        pass(world, 100).await;
        assert_eq!(entered_at("again"), [10, 20, 30, 40, 50]);
        assert_eq!(
            (fired(world, "again").await, fired(world, "same").await),
            (5, 2)
        );
        assert_eq!(
            entered_at("same"),
            [5, 5],
            "for the same moment, which is at once"
        );
    });
}

/// As above, with a crash before the second setting is durable, and one after.
#[test]
fn one_set_again_for_the_same_moment_survives_a_crash() {
    run(Limits::default(), async |world| {
        set(world, "same", 5, Plan::SameMoment).await;
        pass(world, 4).await;
        world.store().hold_commits();
        pass(world, 4).await;
        assert_eq!(
            entered_at("same").len(),
            1,
            "the second waits for the first to be durable"
        );
        world.crash().await;
        pass(world, 4).await;
        assert_eq!(fired(world, "same").await, 2);
        assert_eq!(entered_at("same").len(), 3);
    });
}

#[test]
fn cancelled_and_replaced_ones_do_not_fire_at_their_old_time() {
    run(Limits::default(), async |world| {
        set(world, "cancelled", 10, Plan::Succeed).await;
        set(world, "earlier", 30, Plan::Succeed).await;
        set(world, "later", 10, Plan::Succeed).await;
        set(world, "both", 12, Plan::CancelBoth).await;
        set(world, "other", 40, Plan::Succeed).await;
        set(world, "twice", 10, Plan::Succeed).await;
        let clockwork = world.actor::<Clockwork>("c");
        clockwork.cancel("cancelled".to_owned()).await.unwrap();
        clockwork.cancel("never set".to_owned()).await.unwrap();
        clockwork.cancel("twice".to_owned()).await.unwrap();
        set(world, "twice", 10, Plan::Succeed).await;
        set(world, "earlier", 5, Plan::Succeed).await;
        set(world, "later", 20, Plan::Succeed).await;
        pass(world, 8).await;
        world.crash().await;
        pass(world, 3_600).await;
        assert!(entered_at("cancelled").is_empty());
        assert_eq!(entered_at("earlier"), [5]);
        assert_eq!(entered_at("later"), [20]);
        assert_eq!(entered_at("both"), [12]);
        assert!(entered_at("other").is_empty());
        assert_eq!(entered_at("twice"), [10]);
    });
}
