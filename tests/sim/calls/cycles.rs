//! Objects that wait for each other: a cycle is answered at once, and what is none is not taken for one.

use abide::prelude::*;
use abide_actors::testing::World;
use abide_storage::Effect;
use futures_util::future::join_all;

use super::{Peer, world};
use crate::seeds::each_seed;
use crate::support::{begin, is_open};

/// The objects of the cycle are those of `names`, each waiting for the next, the last for the
/// first; whichever of them it is told from.
async fn assert_deadlock(world: &World, first: &str, path: &[&str], names: &[&str]) {
    let before = world.now();
    let path = path.iter().map(|name| (*name).to_owned()).collect();
    let error = world.actor::<Peer>(first).follow(path).await.unwrap_err();
    assert_eq!(world.now(), before, "at once, not at the deadline");
    let CallError::Actor(passed_on) = error else {
        panic!("passed on by the callers: {error:?}")
    };
    assert_eq!(passed_on.effect, Effect::None);

    let told = passed_on.message.strip_prefix("deadlock: ").unwrap();
    let mut told: Vec<_> = told.split(" waits for ").map(str::to_owned).collect();
    assert_eq!(told.first(), told.last(), "the cycle is closed");
    told.pop();
    let id = |name: &&str| {
        world
            .runtime()
            .target("peer", name)
            .unwrap()
            .object
            .to_string()
    };
    let mut cycle: Vec<_> = names.iter().map(id).collect();
    let rotations = cycle.len();
    let told_from_one_of_them = (0..rotations).any(|_| {
        cycle.rotate_left(1);
        cycle == told
    });
    assert!(
        told_from_one_of_them,
        "{} is not the cycle of {names:?}",
        passed_on.message
    );
}

#[test]
fn a_cycle_is_answered_at_once_and_names_its_objects() {
    world(async |world| {
        assert_deadlock(world, "a", &["a"], &["a"]).await;
        assert_deadlock(world, "a", &["b", "a"], &["a", "b"]).await;
        assert_deadlock(world, "a", &["b", "c", "d", "b"], &["b", "c", "d"]).await;
        // Nobody is stuck afterwards, and nothing was done.
        for name in ["a", "b", "c", "d"] {
            assert_eq!(world.actor::<Peer>(name).calls().await.unwrap(), 0);
        }
        let path = vec!["b".into(), "c".into()];
        assert_eq!(world.actor::<Peer>("a").follow(path).await.unwrap(), 2);
    });
}

#[test]
fn a_cycle_of_reads_is_found_as_well() {
    world(async |world| {
        let before = world.now();
        let a = world.actor::<Peer>("a");
        let error = a
            .look_along(vec!["b".into(), "a".into()])
            .await
            .unwrap_err();
        assert!(error.to_string().starts_with("deadlock: "), "{error}");
        assert_eq!(world.now(), before);
    });
}

/// Neither is in the other's chain; each waits for the other all the same.
#[test]
fn two_objects_that_call_each_other_at_once_do_not_wait_forever() {
    world(async |world| {
        let before = world.now();
        let (a, b) = (world.actor::<Peer>("a"), world.actor::<Peer>("b"));
        let (one, other) = tokio::join!(a.follow(vec!["b".into()]), b.follow(vec!["a".into()]));
        assert_eq!(world.now(), before);
        let deadlocks = [&one, &other]
            .into_iter()
            .filter_map(|answer| answer.as_ref().err())
            .filter(|error| error.to_string().starts_with("deadlock: "))
            .count();
        assert_eq!(
            deadlocks, 1,
            "one gives way, the other succeeds: {one:?}, {other:?}"
        );
    });
}

/// Many objects that call each other at random: every call is answered, and none by its deadline.
#[test]
fn random_calls_end_in_a_value_or_a_deadlock() {
    each_seed(100, |seed| {
        world(async |world| {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut name = || ["a", "b", "c", "d"][random.usize(0..4)].to_owned();
            let before = world.now();
            let paths: Vec<Vec<String>> =
                (0..20).map(|_| (0..4).map(|_| name()).collect()).collect();
            let answers = join_all(paths.iter().map(async |path| {
                world
                    .actor::<Peer>(&path[0])
                    .follow(path[1..].to_vec())
                    .await
            }))
            .await;
            for (path, answer) in paths.iter().zip(&answers) {
                match answer {
                    Ok(steps) => assert_eq!(*steps, 3, "{path:?}"),
                    Err(error) => {
                        assert!(
                            error.to_string().contains("deadlock: "),
                            "{path:?}: {error:?}"
                        );
                        assert_eq!(error.effect(), Effect::None);
                    }
                }
            }
            assert_eq!(world.now(), before, "nobody waited for a deadline");
        });
    });
}

/// 1. a's turn has called b, whose commit is on its way: b has done its work, its answer is held.
/// 2. A turn of b that calls a must not be taken for a cycle with it, nor wait forever.
#[test]
fn a_held_answer_is_no_deadlock() {
    world(async |world| {
        let (a, b) = (world.actor::<Peer>("a"), world.actor::<Peer>("b"));
        world.store().hold_commits();
        let mut a_calls_b = begin(world, a.have_sleep("b".into(), 0)).await;
        let mut b_calls_a = begin(world, b.try_sleep("a".into())).await;
        assert!(is_open(&mut a_calls_b).await && is_open(&mut b_calls_a).await);
        world.store().release_commits();
        assert_eq!(a_calls_b.await.unwrap(), 1);
        assert_eq!(b_calls_a.await.unwrap(), "slept");
    });
}
