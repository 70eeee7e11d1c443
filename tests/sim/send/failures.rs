//! Receivers that are busy, refuse, panic, or cannot commit.

use super::{
    Account, Duration, Limits, Section, assert_all_quiet, let_through, pay, received, rows,
    take_notes, world, world_with,
};
use crate::support::begin;

#[test]
fn a_full_mailbox_is_tried_again() {
    let limits = Limits {
        mailbox_messages_max: 1,
        ..Limits::default()
    };
    world_with(limits, async |world| {
        let b = world.actor::<Account>("b");
        let nap = begin(world, b.nap(20)).await;
        let waiting = begin(world, b.receive(1)).await;
        for sum in 2..=4 {
            pay(world, "a", "b", sum).await.unwrap();
        }
        // The sender is free meanwhile.
        pay(world, "a", "c", 9).await.unwrap();
        world.advance(Duration::from_secs(1)).await;
        assert_eq!(received(world, "c").await, [9]);
        assert!(world.runtime().stats().sends_retried > 0);
        nap.await.unwrap();
        waiting.await.unwrap();
        world.advance(Duration::from_secs(60)).await;
        assert_eq!(received(world, "b").await, [1, 2, 3, 4]);
        assert_all_quiet(world, &["a"]).await;
    });
}

/// Reads of one object run together: where a next one comes before the last is over, they never end.
#[test]
fn messages_leave_while_reads_of_their_sender_wait() {
    world(async |world| {
        let a = world.actor::<Account>("a");
        world.store().hold_commits();
        let call = begin(world, a.pay("b".to_owned(), 5)).await;
        let read = begin(world, a.ponder(20)).await;
        world.store().release_commits();
        call.await.unwrap();
        world.advance(Duration::from_secs(1)).await;
        assert_eq!(received(world, "b").await, [5]);
        read.await.unwrap();
        world.advance(Duration::from_secs(1)).await;
        assert_all_quiet(world, &["a"]).await;
    });
}

#[test]
fn an_error_is_an_answer() {
    world(async |world| {
        let a = world.actor::<Account>("a");
        a.insult("b".to_owned()).await.unwrap();
        pay(world, "a", "b", 5).await.unwrap();
        world.advance(Duration::from_secs(60)).await;
        assert_eq!(take_notes(), ["refuse", "receive 5"]);
        assert_eq!(received(world, "b").await, [5], "a refusal has no effect");
        let stats = world.runtime().stats();
        assert_eq!((stats.sends_refused, stats.sends_handled), (1, 1));
        assert_all_quiet(world, &["a"]).await;
    });
}

/// The number is committed although the turn is not: the refusal is not asked for twice.
#[test]
fn an_error_is_remembered_through_a_crash() {
    world(async |world| {
        let a = world.actor::<Account>("a");
        world.store().hold_commits();
        let call = begin(world, a.insult("b".to_owned())).await;
        let_through(world, 2).await;
        drop(call);
        drop(a);
        assert_eq!(take_notes(), ["refuse"]);
        world.crash().await;
        world.advance(Duration::from_secs(60)).await;
        assert_eq!(take_notes(), [""; 0]);
        assert_all_quiet(world, &["a"]).await;
    });
}

#[test]
fn a_panic_is_tried_eight_times_and_does_not_stop_what_follows() {
    world(async |world| {
        let a = world.actor::<Account>("a");
        a.frighten("b".to_owned()).await.unwrap();
        pay(world, "a", "b", 5).await.unwrap();
        world.advance(Duration::from_secs(300)).await;
        let mut expected = vec!["panic"; 8];
        expected.push("receive 5");
        assert_eq!(take_notes(), expected);
        assert_eq!(world.runtime().stats().sends_dropped, 1);
        assert_eq!(received(world, "b").await, [5]);
        assert_all_quiet(world, &["a"]).await;
    });
}

/// 1. A message was handled, and the disk takes no more writes: the row cannot be deleted.
/// 2. The sender asks again now and then, without going round in circles, and serves reads.
#[test]
fn a_store_that_refuses_writes_is_waited_for() {
    world(async |world| {
        world.store().hold_commits();
        let call = begin(world, pay(world, "a", "b", 5)).await;
        let_through(world, 1).await;
        call.await.unwrap();
        world.store().refuse_writes(Some("the disk is full"));
        world.store().release_commits();
        world.advance(Duration::from_secs(30)).await;
        assert_eq!(rows(world, "a", Section::Outgoing).await, 1);
        assert_eq!(received(world, "b").await, [5]);
        world.store().refuse_writes(None);
        world.advance(Duration::from_secs(5)).await;
        assert_all_quiet(world, &["a"]).await;
        assert_eq!(take_notes(), ["receive 5"]);
    });
}

/// The receiver's own commit fails: the message had no effect, and is tried again.
#[test]
fn a_receiver_that_cannot_commit_hears_the_message_again() {
    world(async |world| {
        world.store().hold_commits();
        let call = begin(world, pay(world, "a", "b", 5)).await;
        world
            .store()
            .fail_next_commit(abide_storage::CommitError::DiskFull {
                available_bytes: 1,
                reserve_bytes: 2,
            });
        world.store().release_commits();
        call.await.unwrap();
        world.advance(Duration::from_secs(5)).await;
        assert_eq!(take_notes(), ["receive 5", "receive 5"]);
        assert_eq!(received(world, "b").await, [5]);
        assert_all_quiet(world, &["a"]).await;
    });
}

/// The panic ends the activation that would count the attempts.
#[test]
fn a_panic_over_a_message_to_oneself_is_not_repeated() {
    world(async |world| {
        let a = world.actor::<Account>("a");
        a.frighten("a".to_owned()).await.unwrap();
        pay(world, "a", "a", 5).await.unwrap();
        world.advance(Duration::from_secs(60)).await;
        assert_eq!(take_notes(), ["panic", "receive 5"]);
        assert_eq!(world.runtime().stats().sends_refused, 1);
        assert_all_quiet(world, &["a"]).await;
    });
}

/// 1. There is room for one activation, so that the receiver has its sender evicted.
/// 2. The sender waits for the answer before it ends, or the two would evict each other forever.
#[test]
fn objects_that_evict_each_other_deliver_all_the_same() {
    let limits = Limits {
        activations_max: 1,
        ..Limits::default()
    };
    world_with(limits, async |world| {
        for sum in 1..=20 {
            for (from, to) in [("a", "b"), ("b", "c"), ("c", "a")] {
                pay(world, from, to, sum).await.unwrap();
            }
        }
        world.advance(Duration::from_secs(60)).await;
        for name in ["a", "b", "c"] {
            assert!(received(world, name).await.into_iter().eq(1..=20), "{name}");
        }
        assert_all_quiet(world, &["a", "b", "c"]).await;
    });
}
