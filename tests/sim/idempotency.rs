//! Idempotency keys: a call takes effect once, however often it is sent, and every repeat gets the
//! reply of the first.

use abide::prelude::*;
use abide::{Call, Deadline, IdempotencyKey, Payload};
use abide_actors::testing::World;
use abide_actors::{Encoding, Limits};
use abide_storage::{Aftermath, CommitError, Direction, Effect, Scan, Section, Store};

use crate::seeds::each_seed;
use crate::support::{begin, is_open, note, take_notes};

const RETENTION: Duration = Duration::from_secs(24 * 60 * 60);

/// Counts, and tells of each turn it ran.
#[derive(Default, Serialize, Deserialize)]
struct Account {
    balance: u64,
}

#[actor]
impl Account {
    #[call]
    fn pay(&mut self, sum: u64) -> u64 {
        note(format!("pay {sum}"));
        self.balance += sum;
        self.balance
    }

    #[call]
    fn take(&mut self, sum: u64) -> u64 {
        self.balance -= sum;
        self.balance
    }

    /// Refuses unless others have paid enough.
    #[call]
    fn pay_or_refuse(&mut self, sum: u64) -> Result<u64, ActorError> {
        self.balance += sum;
        note("asked");
        match self.balance {
            1..10 => Err(ActorError::new("too-little", "ten at least")),
            balance => Ok(balance),
        }
    }

    /// Writes nothing, and has an answer of its own each time.
    #[call]
    fn draw(&mut self, ctx: &mut Context<Self>) -> u64 {
        note("draw");
        ctx.random_u64()
    }

    #[call]
    fn balance(&self) -> u64 {
        note("balance");
        self.balance
    }
}

fn world<T>(test: impl AsyncFnOnce(&mut World) -> T) -> T {
    World::builder().actor::<Account>("account").run(test)
}

fn world_with<T>(limits: Limits, test: impl AsyncFnOnce(&mut World) -> T) -> T {
    let builder = World::builder().actor::<Account>("account");
    builder.limits(limits).run(test)
}

fn keyed(key: &str, method: &str, arguments: &str) -> Call {
    let deadline = Deadline::after(Duration::from_secs(60));
    Call {
        idempotency_key: Some(IdempotencyKey::new(key).unwrap()),
        ..Call::new(method, Payload::json(arguments.to_owned()), deadline)
    }
}

/// Sends a call to the one account there is: its value, and whether that was a kept one.
async fn send(world: &World, call: Call) -> Result<(u64, bool), CallError> {
    let target = world.runtime().target("account", "a")?;
    let reply = world.runtime().call(&target, call).await?;
    Ok((reply.payload.decode().unwrap(), reply.replayed))
}

async fn pay(world: &World, key: &str, sum: u64) -> Result<(u64, bool), CallError> {
    send(world, keyed(key, "pay", &format!("[{sum}]"))).await
}

async fn balance(world: &World) -> u64 {
    let balance = world.actor::<Account>("a").balance().await.unwrap();
    take_notes();
    balance
}

/// How many rows of the object are about kept replies.
async fn rows(world: &World) -> usize {
    let target = world.runtime().target("account", "a").unwrap();
    let scan = Scan {
        section: Section::Idempotency,
        start: std::ops::Bound::Unbounded,
        end: std::ops::Bound::Unbounded,
        direction: Direction::Forward,
        limit: usize::MAX,
    };
    world
        .store()
        .scan(&target.object, scan)
        .await
        .unwrap()
        .len()
}

/// Rows of this many kept replies: each, its place in time, and the one count.
fn rows_of(replies: usize) -> usize {
    2 * replies + 1
}

#[test]
fn a_repeat_gets_the_same_reply_and_does_nothing() {
    world(async |world| {
        assert_eq!(pay(world, "k", 5).await.unwrap(), (5, false));
        assert_eq!(pay(world, "other", 1).await.unwrap(), (6, false));
        for _ in 0..3 {
            assert_eq!(pay(world, "k", 5).await.unwrap(), (5, true));
        }
        assert_eq!(take_notes(), ["pay 5", "pay 1"]);
        assert_eq!(balance(world).await, 6);
    });
}

/// The version is that of the commit that the reply tells of, not of what came later.
#[test]
fn a_repeat_is_the_reply_to_the_byte() {
    world(async |world| {
        let target = world.runtime().target("account", "a").unwrap();
        let call = Call {
            reply_encoding: Encoding::MessagePack,
            ..keyed("k", "pay", "[300]")
        };
        let first = world.runtime().call(&target, call.clone()).await.unwrap();
        pay(world, "other", 1).await.unwrap();
        let again = world.runtime().call(&target, call).await.unwrap();
        assert_eq!(again.payload, first.payload);
        assert_eq!(again.payload.encoding, Encoding::MessagePack);
        assert_eq!((again.version, first.version), (Version(1), Version(1)));
        assert!(again.replayed && !first.replayed);
    });
}

#[test]
fn a_turn_that_writes_nothing_is_answered_the_same_again() {
    world(async |world| {
        let (first, _) = send(world, keyed("k", "draw", "")).await.unwrap();
        world.crash().await;
        assert_eq!(
            send(world, keyed("k", "draw", "")).await.unwrap(),
            (first, true)
        );
        assert_eq!(take_notes(), ["draw"]);
    });
}

/// 1. A call with a key has been handled, its commit is on its way to the disk.
/// 2. The same call comes again: it finds the reply in what the store has accepted.
/// 3. Neither is answered before the commit is durable, since a crash would take both back.
#[test]
fn repeats_that_race_have_one_effect_and_wait_for_its_commit() {
    world(async |world| {
        world.store().hold_commits();
        let mut first = begin(world, pay(world, "k", 5)).await;
        let mut second = begin(world, pay(world, "k", 5)).await;
        let mut third = begin(world, pay(world, "k", 5)).await;
        assert!(is_open(&mut first).await);
        assert!(
            is_open(&mut second).await && is_open(&mut third).await,
            "they tell of what is not durable"
        );
        world.store().release_commits();
        assert_eq!(first.await.unwrap(), (5, false));
        assert_eq!(second.await.unwrap(), (5, true));
        assert_eq!(third.await.unwrap(), (5, true));
        assert_eq!(take_notes(), ["pay 5"]);
    });
}

#[test]
fn a_hundred_at_once_are_one() {
    world(async |world| {
        let calls = (0..100).map(|_| pay(world, "k", 5));
        let replies = futures_util::future::join_all(calls).await;
        let replayed = replies
            .iter()
            .filter(|reply| reply.as_ref().unwrap().1)
            .count();
        assert_eq!(replayed, 99);
        assert!(replies.iter().all(|reply| reply.as_ref().unwrap().0 == 5));
        assert_eq!(take_notes(), ["pay 5"]);
    });
}

/// The case keys are for: the commit is durable, and the client has not heard of it.
#[test]
fn after_a_crash_between_commit_and_reply_the_repeat_gets_the_reply() {
    world(async |world| {
        world.store().lose_next_commit(Aftermath::Applied);
        let error = pay(world, "k", 5).await.unwrap_err();
        assert_eq!(error.effect(), Effect::Unknown);
        world.crash().await;
        assert_eq!(pay(world, "k", 5).await.unwrap(), (5, true));
        assert_eq!(balance(world).await, 5);
    });
}

#[test]
fn after_a_crash_before_the_commit_the_repeat_runs() {
    world(async |world| {
        pay(world, "earlier", 1).await.unwrap();
        world.store().hold_commits();
        let open = begin(world, pay(world, "k", 5)).await;
        drop(open);
        world.crash().await;
        assert_eq!(pay(world, "k", 5).await.unwrap(), (6, false));
        assert_eq!(pay(world, "earlier", 1).await.unwrap(), (1, true));
        assert_eq!(balance(world).await, 6);
    });
}

#[test]
fn a_call_whose_commit_failed_runs_again() {
    world(async |world| {
        let full = CommitError::DiskFull {
            available_bytes: 1,
            reserve_bytes: 2,
        };
        world.store().fail_next_commit(full);
        let error = pay(world, "k", 5).await.unwrap_err();
        assert_eq!(error.effect(), Effect::None);
        world.store().refuse_writes(Some("maintenance"));
        assert!(pay(world, "k", 5).await.is_err());
        world.store().refuse_writes(None);
        world.store().lose_next_commit(Aftermath::Dropped);
        assert!(pay(world, "k", 5).await.is_err());
        assert_eq!(pay(world, "k", 5).await.unwrap(), (5, false));
        assert_eq!(pay(world, "k", 5).await.unwrap(), (5, true));
        assert_eq!(rows(world).await, rows_of(1));
    });
}

/// 1. A call with a key is under way to the disk.
/// 2. Its repeat has found the reply and waits behind it.
/// 3. The commit is lost: the repeat must not be answered with what never happened.
#[test]
fn a_repeat_falls_with_the_commit_it_waits_for() {
    world(async |world| {
        world.store().hold_commits();
        let (node, target) = (
            world.runtime().clone(),
            world.runtime().target("account", "a").unwrap(),
        );
        let first = begin(world, node.call(&target, keyed("k", "pay", "[5]"))).await;
        let second = begin(world, node.call(&target, keyed("k", "pay", "[5]"))).await;
        assert_eq!(take_notes(), ["pay 5"]);
        world.crash().await;
        for lost in [first.await, second.await] {
            assert_eq!(lost.unwrap_err().effect(), Effect::Unknown);
        }
        assert_eq!(pay(world, "k", 5).await.unwrap(), (5, false));
    });
}

#[test]
fn a_refusal_is_not_kept() {
    world(async |world| {
        let call = || keyed("k", "pay_or_refuse", "[5]");
        for _ in 0..2 {
            let error = send(world, call()).await.unwrap_err();
            assert!(matches!(error, CallError::Actor(_)), "{error:?}");
        }
        assert_eq!(take_notes(), ["asked", "asked"], "each ran");
        pay(world, "other", 5).await.unwrap();
        assert_eq!(send(world, call()).await.unwrap(), (10, false));
        assert_eq!(send(world, call()).await.unwrap(), (10, true));
    });
}

#[test]
fn a_key_belongs_to_one_call() {
    world(async |world| {
        pay(world, "k", 5).await.unwrap();
        let other_reply = Call {
            reply_encoding: Encoding::MessagePack,
            ..keyed("k", "pay", "[5]")
        };
        for other in [
            keyed("k", "pay", "[6]"),
            keyed("k", "pay", "{\"sum\":5}"),
            keyed("k", "take", "[5]"),
            other_reply,
        ] {
            let error = send(world, other).await.unwrap_err();
            assert!(
                matches!(error, CallError::IdempotencyKeyReused { .. }),
                "{error:?}"
            );
            assert_eq!(error.effect(), Effect::None);
        }
        assert_eq!(pay(world, "k", 5).await.unwrap(), (5, true));
        assert_eq!(balance(world).await, 5);
    });
}

#[test]
fn a_key_belongs_to_one_object() {
    world(async |world| {
        pay(world, "k", 5).await.unwrap();
        let target = world.runtime().target("account", "b").unwrap();
        let call = keyed("k", "pay", "[7]");
        let reply = world.runtime().call(&target, call).await.unwrap();
        assert!(!reply.replayed);
    });
}

#[test]
fn a_read_runs_each_time_and_keeps_nothing() {
    world(async |world| {
        for _ in 0..2 {
            let read = keyed("k", "balance", "");
            assert_eq!(send(world, read).await.unwrap(), (0, false));
        }
        assert_eq!(take_notes(), ["balance", "balance"]);
        assert_eq!(rows(world).await, 0);
    });
}

#[test]
fn replies_outlive_the_activation_and_the_node() {
    world(async |world| {
        pay(world, "k", 5).await.unwrap();
        world.advance(Duration::from_secs(60)).await;
        assert_eq!(world.runtime().stats().activations, 0);
        assert_eq!(pay(world, "k", 5).await.unwrap(), (5, true));
        world.restart().await;
        assert_eq!(pay(world, "k", 5).await.unwrap(), (5, true));
        pay(world, "l", 1).await.unwrap();
        world.crash().await;
        assert_eq!(pay(world, "k", 5).await.unwrap(), (5, true));
        assert_eq!(pay(world, "l", 1).await.unwrap(), (6, true));
        assert_eq!(rows(world).await, rows_of(2));
    });
}

#[test]
fn a_reply_expires_after_the_retention() {
    world(async |world| {
        pay(world, "k", 5).await.unwrap();
        world.advance(RETENTION - Duration::from_secs(1)).await;
        assert_eq!(pay(world, "k", 5).await.unwrap(), (5, true));
        world.advance(Duration::from_secs(1)).await;
        assert_eq!(pay(world, "k", 5).await.unwrap(), (10, false));
        // Kept anew, in one place: the old one's end is not the new one's.
        assert_eq!(rows(world).await, rows_of(1));
        pay(world, "l", 1).await.unwrap();
        assert_eq!(pay(world, "k", 5).await.unwrap(), (10, true));
        assert_eq!(rows(world).await, rows_of(2));
        // Another call may have the key then, too.
        world.advance(RETENTION).await;
        assert_eq!(pay(world, "k", 7).await.unwrap(), (18, false));
        assert_eq!(rows(world).await, rows_of(1), "and took the other with it");
    });
}

#[test]
fn each_call_takes_up_to_eight_expired_replies_with_it() {
    world(async |world| {
        for key in 0..30 {
            pay(world, &format!("old-{key}"), 1).await.unwrap();
        }
        assert_eq!(rows(world).await, rows_of(30));
        world.advance(RETENTION).await;
        for (key, left) in [(1, 23), (2, 16), (3, 9), (4, 4), (5, 5)] {
            pay(world, &format!("new-{key}"), 1).await.unwrap();
            assert_eq!(rows(world).await, rows_of(left), "after {key}");
            // The count comes from the store again, and is the same.
            world.crash().await;
        }
    });
}

/// The expired reply of the very key is not among the eight oldest: its place in time goes all
/// the same, or it would take the new reply with it one day.
#[test]
fn a_key_used_again_after_it_expired_is_kept_for_its_new_time() {
    world(async |world| {
        for key in 0..20 {
            pay(world, &format!("old-{key}"), 1).await.unwrap();
            world.advance(Duration::from_secs(1)).await;
        }
        world.advance(RETENTION).await;
        assert_eq!(pay(world, "old-19", 1).await.unwrap(), (21, false));
        assert_eq!(rows(world).await, rows_of(20 - 9 + 1));
        for key in 0..5 {
            pay(world, &format!("new-{key}"), 1).await.unwrap();
        }
        assert_eq!(rows(world).await, rows_of(6));
        assert_eq!(pay(world, "old-19", 1).await.unwrap(), (21, true));
    });
}

#[test]
fn an_object_keeps_so_many_replies_and_no_more() {
    let limits = Limits {
        idempotency_keys_max: 3,
        idempotency_retention: Duration::from_secs(100),
        ..Limits::default()
    };
    world_with(limits, async |world| {
        for key in ["a", "b", "c"] {
            pay(world, key, 1).await.unwrap();
            world.advance(Duration::from_secs(10)).await;
        }
        for _ in 0..2 {
            let error = pay(world, "d", 1).await.unwrap_err();
            let CallError::TooManyIdempotencyKeys { limit, retry_after } = error else {
                panic!("{error:?}")
            };
            assert_eq!(limit, 3);
            let expected = Duration::from_secs(70);
            assert!(retry_after <= expected && retry_after > expected - Duration::from_secs(1));
            assert_eq!(error.effect(), Effect::None);
            world.crash().await;
        }
        take_notes();
        // Repeats, and calls without a key, are not in the way of anyone.
        assert_eq!(pay(world, "a", 1).await.unwrap(), (1, true));
        world.actor::<Account>("a").pay(1).await.unwrap();
        assert_eq!(take_notes(), ["pay 1"]);
        assert_eq!(rows(world).await, rows_of(3));
        world.advance(Duration::from_secs(70)).await;
        assert_eq!(pay(world, "d", 1).await.unwrap(), (5, false));
        assert!(pay(world, "e", 1).await.is_err());
    });
}

/// The activation counts what was committed, not what it tried to commit.
#[test]
fn refused_commits_take_no_place() {
    let limits = Limits {
        idempotency_keys_max: 2,
        ..Limits::default()
    };
    world_with(limits, async |world| {
        for refused in ["a", "b", "c", "d"] {
            world.store().refuse_writes(Some("maintenance"));
            let error = pay(world, refused, 1).await.unwrap_err();
            assert!(matches!(error, CallError::Commit(_)), "{error:?}");
        }
        world.store().refuse_writes(None);
        assert_eq!(pay(world, "a", 1).await.unwrap(), (1, false));
        assert_eq!(pay(world, "b", 1).await.unwrap(), (2, false));
        assert!(pay(world, "c", 1).await.is_err());
        assert_eq!(rows(world).await, rows_of(2));
    });
}

/// Calls sent again and again until they are answered, through crashes and lost commits: each took
/// effect once.
#[test]
fn whatever_happens_each_key_takes_effect_once() {
    each_seed(200, |seed| {
        world(async |world| {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut total = 0;
            for key in 0..20 {
                let sum = random.u64(1..100);
                total += sum;
                let mut answer = None;
                for attempt in 0.. {
                    // The last attempts are left alone.
                    match random.u32(0..if attempt < 5 { 6 } else { 1 }) {
                        1 => world.store().lose_next_commit(Aftermath::Applied),
                        2 => world.store().lose_next_commit(Aftermath::Dropped),
                        3 => world.crash().await,
                        4 => world.restart().await,
                        5 => {
                            world.store().hold_commits();
                            drop(begin(world, pay(world, &format!("{key}"), sum)).await);
                            if random.bool() {
                                world.store().release_commits();
                            }
                            world.crash().await;
                        }
                        _ => {}
                    }
                    if let Ok((balance, _)) = pay(world, &format!("{key}"), sum).await {
                        let before = *answer.get_or_insert(balance);
                        assert_eq!(balance, before, "key {key}");
                        assert_eq!(balance, total, "key {key}");
                        if random.bool() {
                            break;
                        }
                    }
                }
            }
            assert_eq!(balance(world).await, total);
        });
    });
}
