use abide_actors::CallError;
use abide_actors::testing::World;

use crate::counter::Counter;

fn in_world(test: impl AsyncFnOnce(&mut World)) {
    World::builder().actor::<Counter>("counter").run(test);
}

#[test]
fn what_was_counted_survives_a_crash() {
    in_world(async |world| {
        assert_eq!(
            world.actor::<Counter>("visits").increment(2).await.unwrap(),
            2
        );
        assert_eq!(
            world.actor::<Counter>("visits").increment(3).await.unwrap(),
            5
        );
        world.crash().await;
        let visits = world.actor::<Counter>("visits");
        assert_eq!(visits.get().await.unwrap(), 5);
        assert_eq!(visits.reset().await.unwrap(), 5);
        assert_eq!(visits.get().await.unwrap(), 0);
    });
}

#[test]
fn a_counter_that_would_overflow_stays_as_it_was() {
    in_world(async |world| {
        let visits = world.actor::<Counter>("visits");
        assert_eq!(visits.increment(u64::MAX).await.unwrap(), u64::MAX);
        let Err(CallError::Actor(refusal)) = visits.increment(1).await else {
            panic!("no error")
        };
        assert_eq!((&*refusal.code, refusal.status), ("counter-overflow", 409));
        assert_eq!(visits.get().await.unwrap(), u64::MAX);
    });
}

#[test]
fn a_counter_stops_at_zero() {
    in_world(async |world| {
        let visits = world.actor::<Counter>("visits");
        visits.increment(2).await.unwrap();
        assert_eq!(visits.decrement(3).await.unwrap(), 0);
    });
}

#[test]
fn what_one_counter_gives_another_gets() {
    in_world(async |world| {
        let (mine, yours) = (
            world.actor::<Counter>("mine"),
            world.actor::<Counter>("yours"),
        );
        mine.increment(5).await.unwrap();
        assert_eq!(mine.give("yours".to_owned(), 2).await.unwrap(), 3);
        world.advance(std::time::Duration::from_secs(1)).await;
        assert_eq!(yours.get().await.unwrap(), 2);
        let Err(CallError::Actor(refusal)) = mine.give("yours".to_owned(), 4).await else {
            panic!("no error")
        };
        assert_eq!(&*refusal.code, "counter-too-small");
        world.advance(std::time::Duration::from_secs(1)).await;
        assert_eq!(mine.get().await.unwrap() + yours.get().await.unwrap(), 5);
    });
}
