//! Turns that succeeded, and whose commits fail or are lost: whoever saw what they wrote fails with them.

use std::time::Duration;

use abide::prelude::*;
use abide_storage::{Aftermath, CommitError, Effect};

use super::{Vault, world};
use crate::support::{begin, is_open, settle, take_notes};

/// Three turns, one after the other on their way to the disk. The first fails: the others saw
/// what it wrote, so they fail with it.
#[test]
fn when_the_first_of_three_fails_none_is_visible() {
    world(async |world| {
        let vault = world.actor::<Vault>("a");
        vault.prepare().await.unwrap();
        let mut observer = world.connect("vault", "a", "observer").await.unwrap();
        world.store().hold_commits();
        world.store().fail_next_commit(disk_full());
        let first = begin(world, vault.add(10)).await;
        let second = begin(world, vault.add(20)).await;
        let mut third = begin(world, vault.look()).await;
        assert!(is_open(&mut third).await);
        world.store().release_commits();

        let first = first.await.unwrap_err();
        assert!(
            matches!(&first, CallError::Commit(CommitError::DiskFull { .. })),
            "{first:?}"
        );
        let second = second.await.unwrap_err();
        assert!(matches!(&second, CallError::EarlierCommit(_)), "{second:?}");
        assert_eq!(
            (first.effect(), second.effect()),
            (Effect::None, Effect::None)
        );
        // The third came after the end of the activation, so a new one answered it.
        assert_eq!(third.await.unwrap().value, 1);
        assert_eq!(observer.arrived().await, []);
        assert_eq!(vault.add(1).await.unwrap(), 2);
    });
}

/// The same with all three accepted by the store, which then dies.
#[test]
fn when_the_store_dies_every_turn_on_its_way_is_unknown_and_none_is_visible() {
    world(async |world| {
        let mut observer = world.connect("vault", "a", "observer").await.unwrap();
        world.store().hold_commits();
        let target = world.runtime().target("vault", "a").unwrap();
        let runtime = world.runtime().clone();
        let call = || {
            let call = abide::Call::new(
                "add",
                abide::Payload::json("[5]"),
                abide::Deadline::after(Duration::from_secs(60)),
            );
            runtime.call(&target, call)
        };
        let mut open = Vec::new();
        for _ in 0..3 {
            open.push(begin(world, call()).await);
        }
        assert_eq!(world.store().held_commits(), 3);
        world.crash().await;
        for call in open {
            let error = call.await.unwrap_err();
            assert_eq!(error.effect(), Effect::Unknown, "{error:?}");
        }
        assert_eq!(observer.arrived().await, []);
        assert_eq!(world.actor::<Vault>("a").look().await.unwrap().value, 0);
    });
}

#[test]
fn a_lost_commit_is_unknown_and_the_next_activation_knows() {
    for (aftermath, value) in [(Aftermath::Applied, 11), (Aftermath::Dropped, 1)] {
        world(async |world| {
            let vault = world.actor::<Vault>("a");
            vault.prepare().await.unwrap();
            let mut observer = world.connect("vault", "a", "observer").await.unwrap();
            world.store().lose_next_commit(aftermath);
            let error = vault.add(10).await.unwrap_err();
            assert_eq!(error.effect(), Effect::Unknown);
            assert_eq!(observer.arrived().await, [], "whether it happened or not");
            assert_eq!(vault.look().await.unwrap().value, value, "{aftermath:?}");
        });
    }
}

#[test]
fn a_frame_whose_commit_failed_ends_its_session() {
    world(async |world| {
        let mut session = world.connect("vault", "a", "").await.unwrap();
        world.store().fail_next_commit(disk_full());
        session.send("count").await;
        let close = session.closed().await.unwrap();
        assert_eq!(close.code, Close::INTERNAL_ERROR);
        assert_eq!(session.next().await, None, "no frame of the turn came");
    });
}

#[test]
fn a_session_whose_commit_failed_was_never_there() {
    world(async |world| {
        world.store().fail_next_commit(disk_full());
        let error = world.connect("vault", "a", "write").await.unwrap_err();
        assert!(
            matches!(error, ConnectError::Call(CallError::Commit(_))),
            "{error:?}"
        );
        settle(world).await;
        assert_eq!(world.actor::<Vault>("a").sessions().await.unwrap(), 0);
        assert_eq!(take_notes(), [""; 0]);
    });
}

/// 1. A turn changes the tags and the attachment of a session, and sets an automatic answer.
/// 2. The store accepts its commit, and later fails it; other turns may have seen the changes.
/// 3. So the changed session ends. The others stay, and are answered as before.
#[test]
fn sessions_changed_by_a_turn_whose_commit_failed_end() {
    world(async |world| {
        let vault = world.actor::<Vault>("a");
        let mut observer = world.connect("vault", "a", "observer").await.unwrap();
        let mut bystander = world.connect("vault", "a", "").await.unwrap();
        world.store().fail_next_commit(disk_full());
        vault.mark().await.unwrap_err();
        assert_eq!(observer.closed().await.unwrap().code, Close::INTERNAL_ERROR);
        settle(world).await;
        let observers = vault.look().await.unwrap().observers;
        assert_eq!(
            observers,
            [(Vec::new(), None)],
            "only the bystander is left"
        );
        bystander.send("ping").await;
        assert_eq!(
            bystander.next_text().await.as_deref(),
            Some("no automatic answer")
        );
    });
}

/// 1. A turn's commit is on its way; a read has begun and waits for something.
/// 2. The commit fails. The read changed nothing, and saw what never was.
#[test]
fn a_read_open_while_an_earlier_commit_fails_has_no_effect() {
    world(async |world| {
        let vault = world.actor::<Vault>("a");
        world.store().hold_commits();
        world.store().fail_next_commit(disk_full());
        let _add = begin(world, vault.add(10)).await;
        let look = begin(world, vault.wait_and_look()).await;
        world.store().release_commits();
        let error = look.await.unwrap_err();
        assert!(matches!(&error, CallError::EarlierCommit(_)), "{error:?}");
        assert_eq!(error.effect(), Effect::None);
    });
}

fn disk_full() -> CommitError {
    CommitError::DiskFull {
        available_bytes: 0,
        reserve_bytes: 1,
    }
}
