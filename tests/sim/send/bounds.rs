//! **bounded**: what is outgoing, how long it is tried, and how many senders are remembered.

use abide_actors::testing::World;
use abide_storage::Effect;

use super::{
    Account, CallError, Duration, Limits, Section, assert_all_quiet, let_through, paid, pay,
    received, rows, settle, take_notes, world, world_with,
};
use crate::support::begin;

#[test]
fn a_turn_that_sends_too_much_fails_whole() {
    let limits = Limits {
        outbox_messages_max: 3,
        ..Limits::default()
    };
    world_with(limits, async |world| {
        let a = world.actor::<Account>("a");
        let error = a.pay_all("b".to_owned(), vec![1, 2, 3, 4]).await;
        let Err(CallError::Actor(refusal)) = error else {
            panic!("{error:?}")
        };
        assert_eq!((&*refusal.code, refusal.status), ("outbox-full", 503));
        assert_eq!(refusal.effect, Effect::None);
        assert_eq!(paid(world, "a").await, 0);
        a.pay_all("b".to_owned(), vec![1, 2, 3]).await.unwrap();
        settle(world).await;
        assert_eq!(received(world, "b").await, [1, 2, 3]);
    });
}

/// What is on its way counts, also after the object was loaded again.
#[test]
fn an_object_has_so_many_messages_outgoing_and_no_more() {
    let limits = Limits {
        outbox_messages_max: 3,
        ..Limits::default()
    };
    world_with(limits, async |world| {
        let nap = begin(world, {
            let b = world.actor::<Account>("b");
            async move { b.nap(20).await }
        })
        .await;
        for sum in 1..=3 {
            pay(world, "a", "b", sum).await.unwrap();
        }
        assert!(pay(world, "a", "b", 4).await.is_err());
        nap.await.unwrap();
        settle(world).await;
        pay(world, "a", "b", 5).await.unwrap();
        settle(world).await;
        assert_eq!(received(world, "b").await, [1, 2, 3, 5]);
        assert_all_quiet(world, &["a"]).await;
    });
}

/// They are held by the activation until their receivers have them, so they are its memory.
#[test]
fn what_is_outgoing_counts_as_memory() {
    world(async |world| {
        let (a, b) = (world.actor::<Account>("a"), world.actor::<Account>("b"));
        let used = || world.runtime().memory().used_bytes();
        let nap = begin(world, b.nap(20)).await;
        a.pay_all("b".to_owned(), vec![1; 4_000]).await.unwrap();
        settle(world).await;
        // A message takes 160 bytes at least.
        assert!(used() > 640_000, "{}", used());
        nap.await.unwrap();
        world.advance(Duration::from_secs(1)).await;
        assert_eq!(received(world, "b").await.len(), 4_000);
        assert!(used() < 100_000, "{}", used());
    });
}

#[test]
fn their_bytes_are_bounded_too() {
    let limits = Limits {
        outbox_max_bytes: 2_000,
        ..Limits::default()
    };
    world_with(limits, async |world| {
        let a = world.actor::<Account>("a");
        let many = a.pay_all("b".to_owned(), vec![1; 20]).await;
        assert!(many.is_err());
        a.pay_all("b".to_owned(), vec![1; 5]).await.unwrap();
        settle(world).await;
        a.pay_all("b".to_owned(), vec![1; 5]).await.unwrap();
        settle(world).await;
        assert_eq!(received(world, "b").await.len(), 10);
    });
}

/// One message expires in the receiver's mailbox, one before it ever got there.
#[test]
fn a_message_expires() {
    let limits = Limits {
        mailbox_messages_max: 1,
        turn_timeout: Duration::from_secs(3_600),
        send_retention: Duration::from_secs(30),
        ..Limits::default()
    };
    world_with(limits, async |world| {
        let b = world.actor::<Account>("b");
        let nap = begin(world, async { b.nap(50).await }).await;
        pay(world, "a", "b", 1).await.unwrap();
        pay(world, "c", "b", 2).await.unwrap();
        settle(world).await;
        nap.await.unwrap();
        world.advance(Duration::from_secs(300)).await;
        assert_eq!(take_notes(), [""; 0]);
        assert_eq!(world.runtime().stats().sends_dropped, 2);
        assert_all_quiet(world, &["a", "c"]).await;
        // The next one is another message.
        pay(world, "a", "b", 3).await.unwrap();
        settle(world).await;
        assert_eq!(received(world, "b").await, [3]);
    });
}

/// Rows of [`Section::Incoming`] for so many senders: each, its place in time, and the one count.
fn rows_of(senders: usize) -> usize {
    2 * senders + 1
}

async fn heard(world: &World) -> usize {
    rows(world, "hub", Section::Incoming).await
}

/// A hub that hears a thousand senders remembers those that may still repeat something.
#[test]
fn numbers_of_senders_that_are_done_are_forgotten_with_the_next_receipts() {
    world(async |world| {
        for sender in 0..200 {
            pay(world, &format!("s{sender}"), "hub", 1).await.unwrap();
            settle(world).await;
            assert!(heard(world).await <= rows_of(2));
        }
        // All at once: 64 at a time may be forgotten, the others when their time comes.
        let shared = &*world;
        let calls = (0..200)
            .map(|sender| async move { pay(shared, &format!("s{sender}"), "hub", 1).await });
        for paid in futures_util::future::join_all(calls).await {
            paid.unwrap();
        }
        settle(world).await;
        pay(world, "s0", "hub", 1).await.unwrap();
        settle(world).await;
        assert_eq!(received(world, "hub").await.len(), 401);
        assert!(heard(world).await <= rows_of(138), "{}", heard(world).await);
        world.crash().await;
        world.advance(Duration::from_secs(10 * 24 * 60 * 60)).await;
        for sender in 0..40 {
            pay(world, &format!("s{sender}"), "hub", 1).await.unwrap();
            settle(world).await;
        }
        assert!(heard(world).await <= rows_of(2), "{}", heard(world).await);
        assert_eq!(received(world, "hub").await.len(), 441);
    });
}

/// 1. The hub remembers as many senders as it may, and one more sends something.
/// 2. The message waits until one of the others says that it is done.
#[test]
fn one_sender_too_many_waits() {
    let limits = Limits {
        senders_per_object_max: 2,
        ..Limits::default()
    };
    world_with(limits, async |world| {
        world.store().hold_commits();
        for sender in ["a", "b", "c"] {
            drop(begin(world, pay(world, sender, "hub", 1)).await);
        }
        // The senders' commits; the hub's are held.
        let_through(world, 1).await;
        assert_eq!(take_notes().len(), 2, "the third has no room");
        world.store().release_commits();
        world.advance(Duration::from_secs(60)).await;
        assert_eq!(take_notes().len(), 1);
        assert_eq!(received(world, "hub").await, [1, 1, 1]);
        assert_all_quiet(world, &["a", "b", "c"]).await;
    });
}
