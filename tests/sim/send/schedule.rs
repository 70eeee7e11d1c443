//! Random schedules: whatever fails, and whenever, what arrived is what was committed as sent.

use abide_actors::testing::World;
use abide_storage::Aftermath;

use super::{Duration, Limits, assert_all_quiet, paid, pay, received, settle, world_with};
use crate::seeds::each_seed;
use crate::support::begin;

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// What goes wrong with the disk in one schedule. Not both: a commit that is lost and yet there,
/// after one that is held and not there, is what no store leaves.
#[derive(Clone, Copy, PartialEq)]
enum Disk {
    Slow,
    Lossy,
}

/// Sums are numbered, so that each tells who sent it and in which order.
async fn step(world: &mut World, random: &mut fastrand::Rng, disk: Disk, number: u64) {
    let from = random.usize(0..NAMES.len());
    let to = NAMES[random.usize(0..NAMES.len())];
    let sum = number * NAMES.len() as u64 + from as u64;
    let from = NAMES[from];
    match random.u32(0..12) {
        0 if disk == Disk::Lossy => world.store().lose_next_commit(Aftermath::Applied),
        1 if disk == Disk::Lossy => world.store().lose_next_commit(Aftermath::Dropped),
        0 | 1 => world.store().hold_commits(),
        2 => world.crash().await,
        3 => {
            // A drain waits for the disk.
            world.store().release_commits();
            world.restart().await;
        }
        4 | 5 => world.store().release_commits(),
        6 => {
            world.store().refuse_writes(Some("maintenance"));
            settle(world).await;
            world.store().refuse_writes(None);
        }
        7 => settle(world).await,
        8 => world.advance(Duration::from_secs(random.u64(0..20))).await,
        // Answered or not: what the account says it has paid is what counts.
        _ => drop(begin(world, pay(world, from, to, sum)).await),
    }
}

/// Sometimes full mailboxes, evictions, and activations that end as soon as they may.
fn limits(random: &mut fastrand::Rng) -> Limits {
    let mut choose = |tight: usize, wide: usize| if random.bool() { tight } else { wide };
    Limits {
        mailbox_messages_max: choose(2, 1_024),
        activations_max: choose(1, 1_024),
        outbox_messages_max: choose(3, 1_024),
        idle_timeout: Duration::from_secs(choose(1, 10) as u64),
        ..Limits::default()
    }
}

#[test]
fn what_arrives_is_what_was_sent() {
    each_seed(300, |seed| {
        let mut random = fastrand::Rng::with_seed(seed);
        world_with(limits(&mut random), async |world| {
            let disk = if random.bool() {
                Disk::Slow
            } else {
                Disk::Lossy
            };
            for number in 1..60 {
                step(world, &mut random, disk, number).await;
            }
            world.store().release_commits();
            world.advance(Duration::from_secs(300)).await;
            let (mut sent, mut arrived) = (0, 0);
            for name in NAMES {
                sent += paid(world, name).await;
                let received = received(world, name).await;
                arrived += received.iter().sum::<u64>();
                for from in 0..NAMES.len() as u64 {
                    let of = received.iter().filter(|sum| *sum % 4 == from);
                    assert!(of.is_sorted(), "{name} has {received:?}");
                }
            }
            assert_eq!(sent, arrived);
            assert_all_quiet(world, &NAMES).await;
        });
    });
}
