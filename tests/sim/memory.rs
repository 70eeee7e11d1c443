//! **bounded**, of the node's memory: idle activations go, the longest unused first; what then does
//! not fit is answered; nothing acknowledged is lost.

use abide::prelude::*;
use abide_actors::testing::World;
use abide_actors::{Access, Call, Close, Deadline, Limits, Payload, TaskKind, Tasks};
use abide_storage::Effect;
use futures_util::future::join_all;

use crate::support::{Open, begin, note, settle, take_notes};

/// Holds as much as it is told to.
#[derive(Default, Serialize, Deserialize)]
struct Hoard {
    kept: Vec<u8>,
}

#[actor]
impl Hoard {
    /// Keeps this many bytes from now on, and says how many it kept before.
    #[call]
    fn keep(&mut self, size_bytes: usize) -> usize {
        let before = self.kept.len();
        self.kept.resize(size_bytes, 7);
        before
    }

    #[call]
    fn kept(&self) -> usize {
        self.kept.len()
    }

    #[call]
    async fn sit(&mut self, seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    #[call]
    fn say(&mut self, ctx: &mut Context<Self>, size_bytes: usize) {
        ctx.broadcast(vec![0; size_bytes]);
    }

    /// Stages without end; nobody would see it if it failed only at its end.
    #[call]
    async fn pour(&mut self, ctx: &mut Context<Self>, times: u64) {
        for _ in 0..times {
            ctx.broadcast(vec![0; 1 << 20]);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }

    fn message(&mut self, session: &Session, _frame: Frame) {
        session.send("heard");
    }

    fn deactivating(&mut self, ctx: &mut Context<Self>) {
        note(ctx.name().unwrap_or_default());
    }
}

/// Idle activations stay until somebody wants their memory.
fn world<T>(memory_max_bytes: usize, test: impl AsyncFnOnce(&mut World) -> T) -> T {
    World::builder()
        .actor::<Hoard>("hoard")
        .limits(Limits {
            memory_max_bytes,
            idle_timeout: Duration::from_secs(86_400),
            ..Limits::default()
        })
        .run(test)
}

fn hoard<'a>(world: &'a World, name: &str) -> <Hoard as abide::Actor>::Handle<'a> {
    world.actor::<Hoard>(name)
}

/// Time enough for those asked to end.
async fn evicted(world: &World) {
    world.advance(Duration::from_secs(1)).await;
}

#[test]
fn those_unused_for_the_longest_go_first() {
    world(1 << 20, async |world| {
        // Each takes 4 KiB, twice its state and a buffer: the tenth passes the high-water mark.
        for name in 0..9 {
            hoard(world, &name.to_string()).keep(30_000).await.unwrap();
            world.advance(Duration::from_millis(10)).await;
        }
        // The first one is used again, so the second is now the one unused for the longest.
        assert_eq!(hoard(world, "0").kept().await.unwrap(), 30_000);
        world.advance(Duration::from_millis(10)).await;
        assert!(take_notes().is_empty(), "nobody goes without need");
        hoard(world, "9").keep(30_000).await.unwrap();
        evicted(world).await;
        assert_eq!(take_notes(), ["1", "2"]);
        assert_eq!(world.runtime().stats().evictions, 2);
        for name in 0..10 {
            let kept = hoard(world, &name.to_string()).kept().await.unwrap();
            assert_eq!(kept, 30_000, "{name}: what was acknowledged is there");
        }
    });
}

#[test]
fn a_busy_one_is_never_asked() {
    world(1 << 20, async |world| {
        let oldest = begin(world, async { hoard(world, "oldest").sit(29).await }).await;
        for name in 0..30 {
            hoard(world, &name.to_string()).keep(60_000).await.unwrap();
            evicted(world).await;
            if world.runtime().stats().evictions > 8 {
                break;
            }
        }
        assert!(!take_notes().contains(&"oldest".to_owned()));
        assert!(world.runtime().memory().used_bytes() < 1 << 20);
        oldest.await.unwrap();
        // One that was asked meanwhile would end now.
        settle(world).await;
        assert!(!take_notes().contains(&"oldest".to_owned()));
    });
}

#[test]
fn sessions_outlive_the_eviction_of_their_object() {
    world(1 << 20, async |world| {
        let mut session = world.connect("hoard", "talked-to", "").await.unwrap();
        hoard(world, "talked-to").keep(100_000).await.unwrap();
        for name in 0..10 {
            hoard(world, &name.to_string()).keep(60_000).await.unwrap();
            evicted(world).await;
        }
        assert!(take_notes().contains(&"talked-to".to_owned()));
        session.send("hello").await;
        assert_eq!(session.next_text().await.as_deref(), Some("heard"));
        assert_eq!(hoard(world, "talked-to").kept().await.unwrap(), 100_000);
    });
}

/// All that is in memory is at work, so nothing can be evicted.
async fn fill(world: &World, seconds: u64) -> Vec<Open<'_, Result<(), CallError>>> {
    let names: Vec<String> = (0..12).map(|n| format!("busy {n}")).collect();
    for name in &names {
        hoard(world, name).keep(60_000).await.unwrap();
        evicted(world).await;
    }
    let memory = world.runtime().memory();
    let mut sitting = Vec::new();
    for name in names {
        if memory.used_bytes() < memory.max_bytes() {
            let sit = async move { hoard(world, &name).sit(seconds).await };
            sitting.push(begin(world, sit).await);
            world.advance(Duration::from_millis(50)).await;
        }
    }
    assert!(memory.used_bytes() >= memory.max_bytes());
    sitting
}

#[test]
fn without_memory_new_work_is_answered_at_once_and_reads_go_on() {
    world(1 << 20, async |world| {
        hoard(world, "reader").keep(10).await.unwrap();
        let sitting = fill(world, 10).await;
        settle(world).await;
        let before = world.now();
        let refused = hoard(world, "new").keep(1).await.unwrap_err();
        assert!(
            matches!(refused, CallError::MemoryExhausted(_)),
            "{refused:?}"
        );
        assert_eq!(refused.effect(), Effect::None);
        assert_eq!(world.now(), before, "an answer, not a stall");
        let grows = hoard(world, "busy 0").keep(1).await.unwrap_err();
        assert!(matches!(grows, CallError::MemoryExhausted(_)), "{grows:?}");
        let objects = world.runtime().stats().objects;
        for name in 0..100 {
            hoard(world, &format!("none {name}"))
                .kept()
                .await
                .unwrap_err();
        }
        assert_eq!(
            world.runtime().stats().objects,
            objects,
            "who asks in vain leaves nothing behind"
        );
        for sit in sitting {
            sit.await.unwrap();
        }
        evicted(world).await;
        assert_eq!(hoard(world, "new").keep(1).await.unwrap(), 0, "it recovers");
        assert_eq!(hoard(world, "reader").kept().await.unwrap(), 10);
    });
}

#[test]
fn a_read_of_an_active_object_needs_no_memory() {
    world(1 << 20, async |world| {
        let mut sitting = fill(world, 2).await;
        let target = world.runtime().target("hoard", "busy 0").unwrap();
        let read = Call {
            access: Access::Read,
            ..Call::new(
                "kept",
                Payload::json("[]"),
                Deadline::after(Duration::from_secs(60)),
            )
        };
        let reply = world.runtime().call(&target, read).await.unwrap();
        assert_eq!(&reply.payload.bytes[..], b"60000");
        for sit in sitting.drain(..) {
            sit.await.unwrap();
        }
    });
}

#[test]
fn a_frame_waits_for_memory_instead_of_being_lost() {
    world(1 << 20, async |world| {
        let mut session = world.connect("hoard", "talked-to", "").await.unwrap();
        settle(world).await;
        let sitting = fill(world, 3).await;
        take_notes();
        // A task of its own: nothing but the session itself may wake it.
        Tasks::default().spawn(TaskKind::Object, "client", async move {
            session.send("hello").await;
            note(session.next_text().await.unwrap_or_default());
        });
        settle(world).await;
        assert!(
            !take_notes().contains(&"heard".to_owned()),
            "there is no memory for its object"
        );
        for sit in sitting {
            sit.await.unwrap();
        }
        evicted(world).await;
        assert!(take_notes().contains(&"heard".to_owned()));
    });
}

#[test]
fn without_memory_the_client_furthest_behind_is_closed() {
    world(1 << 20, async |world| {
        let mut slow = world.connect("hoard", "loud", "").await.unwrap();
        let mut slower = world.connect("hoard", "louder", "").await.unwrap();
        hoard(world, "loud").say(100_000).await.unwrap();
        // Refused in the end: its only listener does not read.
        while hoard(world, "louder").say(100_000).await.is_ok() {}
        evicted(world).await;
        hoard(world, "louder").say(10).await.unwrap();
        let close = slower.closed().await.unwrap();
        assert_eq!(close.code, Close::TRY_AGAIN_LATER);
        assert_eq!(slow.next().await.unwrap().size_bytes(), 100_000);
    });
}

#[test]
fn a_turn_that_stages_without_end_does_not_take_the_memory() {
    world(64 << 20, async |world| {
        let pour = begin(world, async { hoard(world, "spring").pour(1_000).await }).await;
        assert!(world.runtime().memory().used_bytes() < 17 << 20);
        let error = pour.await.unwrap_err();
        assert!(
            matches!(error, CallError::LimitExceeded { .. }),
            "{error:?}"
        );
        assert!(world.runtime().memory().used_bytes() < 1 << 20);
    });
}

/// Churn of more state than the budget holds: every call is answered, with its effect or without one.
#[test]
fn no_acknowledged_write_is_lost_under_pressure() {
    world(2 << 20, async |world| {
        let mut acknowledged = [0; 40];
        for round in 1..=20_usize {
            let calls = (0..40).map(async |name| {
                let size_bytes = round * 1_000 + name * 100;
                let kept = hoard(world, &name.to_string()).keep(size_bytes).await;
                (name, size_bytes, kept)
            });
            for (name, size_bytes, kept) in join_all(calls).await {
                match kept {
                    Ok(before) => {
                        assert_eq!(before, acknowledged[name]);
                        acknowledged[name] = size_bytes;
                    }
                    Err(error) => {
                        assert!(matches!(error, CallError::MemoryExhausted(_)), "{error:?}")
                    }
                }
            }
            world.advance(Duration::from_millis(30)).await;
        }
        assert!(world.runtime().stats().evictions > 100);
        assert!(
            acknowledged.iter().all(|kept| *kept > 0),
            "all made progress"
        );
    });
}

#[test]
fn all_that_was_charged_comes_back() {
    World::builder().actor::<Hoard>("hoard").run(async |world| {
        let mut session = world.connect("hoard", "0", "").await.unwrap();
        for name in 0..20 {
            hoard(world, &name.to_string()).keep(10_000).await.unwrap();
        }
        hoard(world, "0").say(1_000).await.unwrap();
        session.next().await.unwrap();
        assert!(world.runtime().memory().used_bytes() > 20 * 20_000);
        for _ in 0..100 {
            hoard(world, "0").kept().await.unwrap();
        }
        world.advance(Duration::from_secs(20)).await;
        assert_eq!(world.runtime().stats().activations, 0);
        let session_bytes = world.runtime().memory().used_bytes();
        assert!(
            session_bytes <= 8 << 10,
            "only the session is left: {session_bytes}"
        );
        drop(session);
        world.advance(Duration::from_secs(20)).await;
        assert_eq!(world.runtime().memory().used_bytes(), 0);
    });
}
