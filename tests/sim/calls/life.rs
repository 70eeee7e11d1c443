//! Ticks, and the end of an activation: when it comes, and the last turn in it.

use std::time::Duration;

use super::{Peer, world};
use crate::support::{settle, take_notes};

#[test]
fn ticks_come_at_their_interval_and_keep_the_activation() {
    world(async |world| {
        let a = world.actor::<Peer>("a");
        a.tick_every(Some(10_000)).await.unwrap();
        world.advance(Duration::from_secs(25)).await;
        assert_eq!(a.ticks().await.unwrap(), 2);
        assert_eq!(take_notes(), ["activated a"]);
        a.tick_every(None).await.unwrap();
        world.advance(Duration::from_secs(25)).await;
        assert_eq!(take_notes(), ["deactivating a"], "idle, as nothing ticks");
        assert_eq!(a.ticks().await.unwrap(), 2, "what a tick changed is state");
        world.advance(Duration::from_secs(9)).await;
        assert_eq!(
            a.ticks().await.unwrap(),
            2,
            "the interval went with the activation"
        );
    });
}

/// The third tick takes 2.5 s: the intervals it overlaps are skipped, not made up for.
#[test]
fn a_slow_tick_is_not_made_up_for() {
    world(async |world| {
        let a = world.actor::<Peer>("a");
        a.tick_every(Some(1_000)).await.unwrap();
        // Ticks at 1, 2, 3 to 5.5 (the slow one, which counts for two), then once a second.
        world.advance(Duration::from_millis(7_600)).await;
        let ticks = a.ticks().await.unwrap();
        assert!((5..=7).contains(&ticks), "{ticks} ticks in 7.6 s");
    });
}

#[test]
fn passivate_ends_the_activation_after_the_turn() {
    world(async |world| {
        let a = world.actor::<Peer>("a");
        a.leave().await.unwrap();
        settle(world).await;
        assert_eq!(take_notes(), ["activated a", "deactivating a"]);
        assert_eq!(world.runtime().stats().activations, 0);
        assert_eq!(
            a.calls().await.unwrap(),
            1_001,
            "deactivating is a turn like any other"
        );
    });
}

#[test]
fn deactivating_runs_whenever_an_activation_ends_but_not_in_a_crash() {
    world(async |world| {
        world.actor::<Peer>("a").sleep(0).await.unwrap();
        take_notes();
        world.advance(Duration::from_secs(11)).await;
        assert_eq!(take_notes(), ["deactivating a"], "idle");
        assert_eq!(world.actor::<Peer>("a").calls().await.unwrap(), 1_001);
        world.restart().await;
        assert_eq!(take_notes(), ["activated a", "deactivating a"], "drained");
        assert_eq!(world.actor::<Peer>("a").calls().await.unwrap(), 2_001);
        take_notes();
        world.crash().await;
        assert_eq!(world.actor::<Peer>("a").calls().await.unwrap(), 2_001);
        assert!(take_notes().contains(&"activated a".to_owned()));
    });
}

#[test]
fn an_activation_whose_last_turn_fails_ends_all_the_same() {
    world(async |world| {
        let stubborn = world.actor::<Peer>("stubborn");
        stubborn.sleep(0).await.unwrap();
        world.advance(Duration::from_secs(11)).await;
        assert_eq!(world.runtime().stats().activations, 0);
        assert_eq!(stubborn.calls().await.unwrap(), 1, "its changes are undone");
    });
}
