//! Crashes and lost commits at every step between a turn that sends and the deletion of the row.

use abide_storage::Aftermath;

use super::{
    Duration, assert_all_quiet, let_through, paid, pay, received, settle, take_notes, world,
};
use crate::support::begin;

/// Commits of one message: the sender's turn, the receiver's turn, the deletion of the row.
const COMMITS: usize = 3;

/// 1. Every commit is held, so that each step of a message is one release.
/// 2. After so many steps the plug is pulled.
/// 3. If the sender's turn was durable, the message takes effect, otherwise neither has happened.
#[test]
fn a_crash_at_any_step_neither_loses_nor_repeats() {
    for steps in 0..=COMMITS + 1 {
        world(async |world| {
            pay(world, "a", "b", 1).await.unwrap();
            settle(world).await;
            world.store().hold_commits();
            drop(begin(world, pay(world, "a", "b", 5)).await);
            let_through(world, steps).await;
            world.crash().await;
            world.advance(Duration::from_secs(60)).await;
            let happened = u64::from(steps > 0);
            assert_eq!(paid(world, "a").await, 1 + 5 * happened, "after {steps}");
            let expected: &[u64] = if steps > 0 { &[1, 5] } else { &[1] };
            assert_eq!(received(world, "b").await, expected, "after {steps}");
            assert_all_quiet(world, &["a", "b"]).await;
            // And the way is free for the next.
            pay(world, "a", "b", 7).await.unwrap();
            world.advance(Duration::from_secs(1)).await;
            assert_eq!(received(world, "b").await.last(), Some(&7));
        });
    }
}

/// As above, but one commit is reported lost, whether it is there or not, while the node lives on.
#[test]
fn a_lost_commit_at_any_step_neither_loses_nor_repeats() {
    for lost in 0..COMMITS {
        for aftermath in [Aftermath::Applied, Aftermath::Dropped] {
            world(async |world| {
                world.store().hold_commits();
                if lost == 0 {
                    world.store().lose_next_commit(aftermath);
                }
                let mut call = begin(world, pay(world, "a", "b", 5)).await;
                for step in 1..=COMMITS {
                    if lost == step {
                        world.store().lose_next_commit(aftermath);
                    }
                    let_through(world, 1).await;
                }
                let answer = futures_util::poll!(&mut call);
                assert!(answer.is_ready());
                world.store().release_commits();
                world.advance(Duration::from_secs(60)).await;
                let sum = paid(world, "a").await;
                let there = lost > 0 || aftermath == Aftermath::Applied;
                assert_eq!(sum, 5 * u64::from(there), "{lost} {aftermath:?}");
                let received: u64 = received(world, "b").await.iter().sum();
                assert_eq!(received, sum, "{lost} {aftermath:?}");
                assert_all_quiet(world, &["a", "b"]).await;
            });
        }
    }
}

/// 1. The receiver has handled the message, and its commit is durable.
/// 2. The sender's activation is gone before it hears of it, and the message comes again.
#[test]
fn a_lost_acknowledgement_is_given_again() {
    world(async |world| {
        world.store().hold_commits();
        drop(begin(world, pay(world, "a", "b", 5)).await);
        let_through(world, 2).await;
        assert_eq!(take_notes(), ["receive 5"]);
        world.crash().await;
        for _ in 0..3 {
            // The acknowledgement comes again, and the deletion is lost again.
            world.store().lose_next_commit(Aftermath::Dropped);
            world.advance(Duration::from_secs(20)).await;
        }
        world.advance(Duration::from_secs(20)).await;
        assert_eq!(take_notes(), [""; 0]);
        assert_all_quiet(world, &["a"]).await;
    });
}

#[test]
fn a_restart_goes_on_where_it_stopped() {
    world(async |world| {
        let b = world.runtime().clone();
        let nap = world.actor::<super::Account>("b");
        let mut nap = begin(world, async move { nap.nap(20).await }).await;
        for sum in 1..=5 {
            pay(world, "a", "b", sum).await.unwrap();
        }
        // The receiver's turn is finished, the messages behind it are not begun: a drain does not
        // wait for what is durable anyway.
        assert!(crate::support::is_open(&mut nap).await);
        drop(nap);
        drop(b);
        world.restart().await;
        world.advance(Duration::from_secs(60)).await;
        assert_eq!(received(world, "b").await, [1, 2, 3, 4, 5]);
        assert_all_quiet(world, &["a"]).await;
    });
}
