//! Handlers that fail, panic or cannot commit: the alarm fires again, later each time, until it is parked.

use abide::prelude::*;
use abide_actors::Limits;
use abide_actors::testing::BEGINNING;
use abide_storage::{Aftermath, CommitError};

use super::{Clockwork, Plan, entered, entered_at, fired, pass, run, seconds, set};

#[test]
fn a_refused_or_lost_commit_of_the_handler_fires_it_again() {
    run(Limits::default(), async |world| {
        set(world, "full", 10, Plan::Succeed).await;
        set(world, "failed", 20, Plan::Succeed).await;
        set(world, "dropped", 30, Plan::Succeed).await;
        set(world, "applied", 40, Plan::Succeed).await;
        pass(world, 9).await;
        world.store().refuse_writes(Some("the disk is full"));
        pass(world, 6).await;
        assert!(entered_at("full").len() > 1, "tried again and again");
        world.store().refuse_writes(None);
        pass(world, 4).await;
        world.store().fail_next_commit(CommitError::Refused {
            reason: "the test".into(),
        });
        pass(world, 10).await;
        world.store().lose_next_commit(Aftermath::Dropped);
        pass(world, 10).await;
        world.store().lose_next_commit(Aftermath::Applied);
        pass(world, 30).await;
        for (name, times) in [
            ("full", None),
            ("failed", Some(2)),
            ("dropped", Some(2)),
            ("applied", Some(1)),
        ] {
            assert_eq!(fired(world, name).await, 1, "{name}");
            assert!(
                times.is_none_or(|times| entered_at(name).len() == times),
                "{name}"
            );
        }
    });
}

/// Failures are counted in the store: a crash between two retries neither forgets the count nor
/// the wait, which doubles from 2 s, with up to a quarter on top.
#[test]
fn retries_wait_longer_each_time_and_are_counted_through_crashes() {
    for plan in [Plan::Fail(11), Plan::Panic(11)] {
        run(Limits::default(), async |world| {
            set(world, "a", 10, plan).await;
            let scheduled = BEGINNING + Duration::from_secs(10);
            let crashes = [11, 40, 41, 500, 1_500];
            for at in crashes {
                pass(world, at - seconds(world.now())).await;
                world.crash().await;
            }
            pass(world, 10_000).await;
            let entered = entered();
            assert_eq!(entered.len(), 12, "eleven failures and a success");
            for (failures, entered) in (0..).zip(&entered) {
                assert_eq!(
                    (entered.alarm.retries, entered.alarm.scheduled),
                    (failures, scheduled)
                );
            }
            for (failures, pair) in (0_u32..).zip(entered.windows(2)) {
                let wait_ms = pair[1].at.0 - pair[0].at.0;
                let least_ms = 2_000 << failures.min(9);
                // A millisecond or two for the rounding of timers.
                let expected = least_ms..=least_ms + least_ms / 4 + 2;
                assert!(
                    expected.contains(&wait_ms),
                    "after failure {failures}: {wait_ms} ms"
                );
            }
            assert_eq!(
                fired(world, "a").await,
                1,
                "what failed turns counted is undone"
            );
        });
    }
}

#[test]
fn one_that_fails_too_often_is_parked_until_it_is_set_again() {
    let limits = Limits {
        alarm_retries_max: Some(3),
        ..Limits::default()
    };
    run(limits, async |world| {
        set(world, "a", 10, Plan::Fail(100)).await;
        set(world, "b", 3_600, Plan::Succeed).await;
        pass(world, 100_000).await;
        world.crash().await;
        pass(world, 100_000).await;
        let retries: Vec<_> = entered()
            .into_iter()
            .filter(|entered| &*entered.alarm.name == "a")
            .map(|entered| entered.alarm.retries)
            .collect();
        assert_eq!(retries, [0, 1, 2, 3], "the first and three retries");
        assert_eq!(fired(world, "b").await, 1, "the others go on");
        let scheduled = world
            .actor::<Clockwork>("c")
            .scheduled("a".to_owned())
            .await
            .unwrap();
        assert_eq!(
            scheduled,
            Some((BEGINNING + Duration::from_secs(10)).0),
            "it can be seen"
        );
        set(world, "a", 1, Plan::Succeed).await;
        pass(world, 2).await;
        assert_eq!(fired(world, "a").await, 1);
        assert_eq!(
            entered().last().unwrap().alarm.retries,
            0,
            "a new alarm has not failed yet"
        );
    });
}
