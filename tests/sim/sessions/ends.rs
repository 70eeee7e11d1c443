//! How sessions end: by either side, by a client that gives up, by a drain, by a crash. Each ends once.

use std::time::Duration;

use abide::Payload;
use abide::prelude::*;

use super::{Room, guest, guests, heard, world};
use crate::support::{begin, is_open, settle, take_notes};

#[test]
fn every_session_ends_once_whoever_ends_it() {
    world(async |world| {
        let (ann, mut bob, eve) = (
            guest(world, "ann").await,
            guest(world, "bob").await,
            guest(world, "eve").await,
        );
        let mut last = guest(world, "last").await;
        take_notes();
        ann.close(4000, "bye");
        settle(world).await;
        assert_eq!(take_notes(), ["disconnected ann 4000"]);

        // The actor closes; when the client answers with a close of its own, nothing more happens.
        world.actor::<Room>("a").close("bob".into()).await.unwrap();
        assert_eq!(
            heard(&mut bob).await,
            ["ann left", "last"],
            "nothing comes after the close"
        );
        let close = bob.closed().await.unwrap();
        assert_eq!((close.code, &*close.reason), (4001, "leave"));
        bob.close(1000, "");
        settle(world).await;
        assert_eq!(take_notes(), ["disconnected bob 4001"]);

        drop(eve);
        settle(world).await;
        assert_eq!(
            take_notes(),
            ["disconnected eve 1006"],
            "who vanishes says no goodbye"
        );
        assert_eq!(guests(world).await, ["last"]);
        assert_eq!(heard(&mut last).await, ["ann left", "bob left", "eve left"]);
    });
}

/// The client is gone when the object hears of it, hibernating or not.
#[test]
fn a_session_that_ends_wakes_its_object_to_say_so() {
    world(async |world| {
        let ann = guest(world, "ann").await;
        world.advance(Duration::from_secs(11)).await;
        take_notes();
        drop(ann);
        settle(world).await;
        assert_eq!(take_notes(), ["activated", "disconnected ann 1006"]);
    });
}

#[test]
fn a_client_that_gives_up_before_its_turn_was_never_there() {
    world(async |world| {
        let room = world.actor::<Room>("a");
        let say = begin(world, room.say_slowly("so".into())).await;
        let ann = begin(world, world.connect("room", "a", "ann")).await;
        drop(ann);
        say.await.unwrap();
        settle(world).await;
        assert_eq!(
            take_notes(),
            ["activated"],
            "neither connected nor disconnected ran"
        );
        assert_eq!(guests(world).await, [""; 0]);
    });
}

#[test]
fn a_client_that_gives_up_during_its_turn_has_vanished() {
    world(async |world| {
        let slow = begin(world, world.connect("room", "a", "slow")).await;
        drop(slow);
        world.advance(Duration::from_secs(6)).await;
        assert_eq!(
            take_notes(),
            ["activated", "connected slow", "disconnected slow 1006"]
        );
        assert_eq!(guests(world).await, [""; 0]);
    });
}

#[test]
fn a_client_that_gives_up_on_an_actor_without_callbacks_leaves_nothing() {
    world(async |world| {
        world.store().hold_commits();
        for _ in 0..3 {
            let target = world.runtime().target("open", "a").unwrap();
            let deadline = abide::Deadline::after(Duration::from_secs(1));
            let connect = world
                .runtime()
                .connect(&target, ConnectRequest::default(), deadline);
            let mut connect = Box::pin(connect);
            assert!(futures_util::poll!(&mut connect).is_pending());
            drop(connect);
            settle(world).await;
        }
        assert_eq!(world.runtime().stats().sessions, 0);
    });
}

/// A draining node lets its turns finish; what they say comes before the goodbye.
#[test]
fn a_drain_closes_with_1012_after_the_frames_of_finished_turns() {
    world(async |world| {
        let mut ann = guest(world, "ann").await;
        let runtime = world.runtime().clone();
        let target = runtime.target("room", "a").unwrap();
        let deadline = abide::Deadline::after(Duration::from_secs(60));
        let call = abide::Call::new("say_slowly", Payload::json(r#"["done"]"#), deadline);
        let say = begin(world, runtime.call(&target, call)).await;
        let drained = world.now();
        world.restart().await;
        assert!(world.now().0 - drained.0 >= 1_900, "it waited for the turn");
        say.await
            .expect("a turn that had begun is finished and answered");
        assert_eq!(ann.next_text().await.as_deref(), Some("done"));
        assert_eq!(ann.closed().await.unwrap().code, Close::RESTART);

        let request = ConnectRequest::default();
        let refused = runtime
            .connect(&target, request, deadline)
            .await
            .unwrap_err();
        assert!(
            matches!(refused, ConnectError::Call(CallError::Draining)),
            "{refused:?}"
        );
    });
}

/// 1. A node drains and another takes over its objects.
/// 2. Clients of the first read their goodbye, some time later.
/// 3. That must not end the activations of the second.
#[test]
fn the_sessions_of_a_drained_node_do_not_disturb_the_next_one() {
    world(async |world| {
        let mut ann = guest(world, "ann").await;
        let bob = guest(world, "bob").await;
        world.restart().await;
        let room = world.actor::<Room>("a");
        room.say("here again".into()).await.unwrap();
        assert_eq!(ann.closed().await.unwrap().code, Close::RESTART);
        drop(bob);
        settle(world).await;
        room.say("still here".into()).await.unwrap();
        assert_eq!(guests(world).await, [""; 0]);
    });
}

#[test]
fn a_crash_takes_the_sessions_with_it() {
    world(async |world| {
        let mut ann = guest(world, "ann").await;
        world.crash().await;
        assert_eq!(guests(world).await, [""; 0]);
        world.actor::<Room>("a").say("hello".into()).await.unwrap();
        assert_eq!(heard(&mut ann).await, [""; 0]);
        let again = guest(world, "ann").await;
        assert_eq!(guests(world).await, ["ann"]);
        drop(again);
    });
}

/// A held `connected` is a session to the object, and none to the client.
#[test]
fn a_client_can_give_up_while_its_acceptance_is_on_its_way_to_the_disk() {
    world(async |world| {
        let room = world.actor::<Room>("a");
        world.store().hold_commits();
        let say = begin(world, room.say("so".into())).await;
        let mut ann = begin(world, world.connect("room", "a", "ann")).await;
        assert!(is_open(&mut ann).await);
        drop(ann);
        world.store().release_commits();
        say.await.unwrap();
        settle(world).await;
        assert_eq!(
            take_notes(),
            ["activated", "connected ann", "disconnected ann 1006"]
        );
        assert_eq!(world.runtime().stats().sessions, 0);
    });
}
