use std::time::Duration;

use abide_actors::CallError;
use abide_actors::testing::World;

use crate::rate_limiter::{Decision, RateLimiter};

fn in_world(test: impl AsyncFnOnce(&mut World)) {
    World::builder()
        .actor::<RateLimiter>("rate_limiter")
        .run(test);
}

async fn take(world: &World, cost: u32) -> Decision {
    world
        .actor::<RateLimiter>("ada")
        .take(Some(cost))
        .await
        .unwrap()
}

fn allowed(remaining: u64) -> Decision {
    Decision {
        allowed: true,
        remaining,
        retry_after_ms: 0,
    }
}

fn refused(remaining: u64, retry_after_ms: u64) -> Decision {
    Decision {
        allowed: false,
        remaining,
        retry_after_ms,
    }
}

fn code(error: CallError) -> String {
    match error {
        CallError::Actor(refusal) => refusal.code.into_owned(),
        other => panic!("not a refusal: {other}"),
    }
}

#[test]
fn a_refusal_says_how_long_to_wait_and_waiting_so_long_is_enough() {
    in_world(async |world| {
        assert_eq!(take(world, 8).await, allowed(2));
        assert_eq!(take(world, 3).await, refused(2, 200));
        world.advance(Duration::from_millis(150)).await;
        assert_eq!(take(world, 3).await, refused(2, 50));
        world.advance(Duration::from_millis(50)).await;
        assert_eq!(take(world, 3).await, allowed(0));
    });
}

#[test]
fn a_bucket_never_holds_more_than_its_burst() {
    in_world(async |world| {
        take(world, 10).await;
        world.advance(Duration::from_hours(1)).await;
        assert_eq!(take(world, 10).await, allowed(0));
        let too_much = world
            .actor::<RateLimiter>("ada")
            .take(Some(11))
            .await
            .unwrap_err();
        assert_eq!(code(too_much), "cost-too-high");
    });
}

#[test]
fn a_crash_does_not_refill_the_bucket() {
    in_world(async |world| {
        take(world, 10).await;
        world.crash().await;
        assert_eq!(take(world, 1).await, refused(0, 200));
    });
}

#[test]
fn a_smaller_bucket_keeps_what_fits() {
    in_world(async |world| {
        let ada = world.actor::<RateLimiter>("ada");
        ada.configure(4, 1).await.unwrap();
        assert_eq!(take(world, 4).await, allowed(0));
        assert_eq!(take(world, 1).await, refused(0, 1_000));
        assert_eq!(code(ada.configure(4, 0).await.unwrap_err()), "invalid-rate");
    });
}
