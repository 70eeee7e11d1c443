//! **bounded**: every queue, map, frame and wait has a limit, and an answer when it is hit.

use abide::prelude::*;
use abide_actors::testing::World;
use abide_actors::{
    ATTACHMENT_SIZE_MAX_BYTES, Call, Deadline, Limits, Payload, TAG_SIZE_MAX_CHARS, TAGS_MAX,
};
use abide_storage::{Effect, KEY_SIZE_MAX_BYTES, Room};
use futures_util::future::join_all;

use crate::support::{begin, is_open, note, settle, take_notes};

/// Does as much of anything as it is asked to.
#[derive(Default, Serialize, Deserialize)]
struct Glutton {
    eaten: u64,
}

#[actor]
impl Glutton {
    #[call]
    async fn digest(&mut self, seconds: u64) -> u64 {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        self.eat()
    }

    #[call]
    fn eat(&mut self) -> u64 {
        self.eaten += 1;
        note(format!("eaten {}", self.eaten));
        self.eaten
    }

    #[call]
    fn nibble(&mut self, ctx: &mut Context<Self>, every_millis: u64) {
        ctx.set_tick(Tick::every(Duration::from_millis(every_millis)).always());
    }

    #[call]
    fn eaten(&self) -> u64 {
        self.eaten
    }

    #[call]
    async fn linger(&self, seconds: u64) -> u64 {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        self.eaten
    }

    #[call]
    fn shout(&mut self, ctx: &mut Context<Self>, times: u64, size_bytes: usize) {
        for _ in 0..times {
            ctx.broadcast(vec![0; size_bytes]);
        }
    }

    #[call]
    fn alarms(&mut self, ctx: &mut Context<Self>, names: Vec<String>) -> Result<(), CallError> {
        names
            .iter()
            .try_for_each(|name| ctx.set_alarm(name, Duration::from_secs(3_600)))
    }

    #[call]
    fn swap_alarm(
        &mut self,
        ctx: &mut Context<Self>,
        old: String,
        new: String,
    ) -> Result<(), CallError> {
        ctx.cancel_alarm(&old);
        ctx.set_alarm(&new, Duration::from_secs(3_600))
    }

    #[call]
    fn tag(&mut self, ctx: &mut Context<Self>, tags: Vec<String>) -> Result<(), CallError> {
        ctx.sessions()
            .iter()
            .try_for_each(|session| session.set_tags(&tags))
    }

    #[call]
    fn attach(&mut self, ctx: &mut Context<Self>, bytes: Vec<u8>) -> Result<(), CallError> {
        ctx.sessions()
            .iter()
            .try_for_each(|session| session.attach(&bytes))
    }

    #[call]
    fn put(
        &mut self,
        ctx: &mut Context<Self>,
        key: String,
        size_bytes: usize,
    ) -> Result<(), CallError> {
        ctx.storage_mut().put_bytes(&key, vec![0; size_bytes])
    }

    fn tick(&mut self) {
        self.eat();
    }

    fn message(&mut self, _session: &Session, frame: Frame) {
        self.eaten += 1;
        note(frame.as_text().unwrap_or_default());
    }

    fn disconnected(&mut self, _session: &Session, close: &Close) {
        note(format!("disconnected {}", close.code));
    }
}

fn world<T>(limits: Limits, test: impl AsyncFnOnce(&mut World) -> T) -> T {
    World::builder()
        .actor::<Glutton>("glutton")
        .limits(limits)
        .run(test)
}

/// The error of actor code that passed on what the runtime refused.
#[track_caller]
fn assert_limit_exceeded(error: &CallError, what: &str) {
    let CallError::Actor(refusal) = error else {
        panic!("not passed on by the actor: {error:?}")
    };
    assert_eq!(refusal.code, "limit-exceeded");
    assert!(refusal.message.contains(what), "{}", refusal.message);
}

#[test]
fn a_full_mailbox_is_answered_at_once() {
    let limits = Limits {
        mailbox_messages_max: 4,
        ..Limits::default()
    };
    world(limits, async |world| {
        let glutton = world.actor::<Glutton>("a");
        let digest = begin(world, glutton.digest(10)).await;
        let mut waiting = Vec::new();
        for _ in 0..4 {
            waiting.push(begin(world, glutton.eat()).await);
        }
        let before = world.now();
        let error = glutton.eat().await.unwrap_err();
        assert!(
            matches!(error, CallError::Overloaded { waiting: 4, .. }),
            "{error:?}"
        );
        assert_eq!(error.effect(), Effect::None);
        assert_eq!(world.now(), before, "an overload is an answer, not a stall");
        assert_eq!(
            world.actor::<Glutton>("b").eat().await.unwrap(),
            1,
            "others go on"
        );

        assert_eq!(digest.await.unwrap(), 1);
        for (before, eat) in waiting.into_iter().enumerate() {
            assert_eq!(
                eat.await.unwrap(),
                before as u64 + 2,
                "the refused one was not among them"
            );
        }
    });
}

/// Nine callers with ten seconds each, of an object that needs four for each of them: whoever has waited
/// for half of their time goes, and leaves room for those who can still be served.
#[test]
fn who_waited_for_half_of_their_time_leaves_room_for_others() {
    world(Limits::default(), async |world| {
        let target = world.runtime().target("glutton", "a").unwrap();
        let digest = async |after: u64| {
            world.advance(Duration::from_secs(after)).await;
            let deadline = Deadline::after(Duration::from_secs(10));
            let call = Call::new("digest", Payload::json("[4]"), deadline);
            let began = world.now();
            let answer = world.runtime().call(&target, call).await;
            (
                answer.map(drop),
                Duration::from_millis(world.now().0 - began.0),
            )
        };
        let answers = join_all((0..9).map(digest)).await;
        let served = answers.iter().filter(|(answer, _)| answer.is_ok());
        assert_eq!(served.clone().count(), 4, "{answers:?}");
        for (answer, took) in &answers {
            match answer {
                Ok(()) => assert!(*took <= Duration::from_secs(10)),
                Err(error) => {
                    assert!(matches!(error, CallError::Overloaded { .. }), "{error:?}");
                    assert_eq!(error.effect(), Effect::None);
                }
            }
        }
        assert_eq!(
            world.actor::<Glutton>("a").eaten().await.unwrap(),
            served.count() as u64,
            "those refused have not run"
        );
    });
}

#[test]
fn who_waited_long_runs_when_nobody_waits_behind() {
    world(Limits::default(), async |world| {
        let target = world.runtime().target("glutton", "a").unwrap();
        let digest = begin(world, async { world.actor::<Glutton>("a").digest(8).await }).await;
        let deadline = Deadline::after(Duration::from_secs(10));
        let call = Call::new("eat", Payload::json("[]"), deadline);
        world.runtime().call(&target, call).await.unwrap();
        digest.await.unwrap();
    });
}

#[test]
fn frames_wait_for_room_in_a_full_mailbox() {
    let limits = Limits {
        mailbox_messages_max: 2,
        ..Limits::default()
    };
    world(limits, async |world| {
        let mut sessions = Vec::new();
        for _ in 0..10 {
            sessions.push(world.connect("glutton", "a", "").await.unwrap());
        }
        let digest = begin(world, async { world.actor::<Glutton>("a").digest(5).await }).await;
        take_notes();
        // Ten clients, three frames each, for two places; meanwhile calls want those, too.
        let send = join_all(
            sessions
                .iter_mut()
                .enumerate()
                .map(async |(client, session)| {
                    for frame in 0..3 {
                        session.send(format!("{client}:{frame}")).await;
                    }
                }),
        );
        let calls = join_all((0..5).map(async |_| {
            tokio::time::sleep(Duration::from_secs(4)).await;
            world.actor::<Glutton>("a").eat().await
        }));
        let (_, calls) = tokio::join!(send, calls);
        digest.await.unwrap();
        let taken = calls.iter().filter(|call| call.is_ok()).count();
        assert!(
            calls
                .iter()
                .all(|call| matches!(call, Ok(_) | Err(CallError::Overloaded { .. })))
        );

        let notes = take_notes();
        for client in 0..10 {
            let own = notes
                .iter()
                .filter(|note| note.starts_with(&format!("{client}:")));
            let expected: Vec<_> = (0..3).map(|frame| format!("{client}:{frame}")).collect();
            assert_eq!(own.collect::<Vec<_>>(), expected.iter().collect::<Vec<_>>());
        }
        let eaten = world.actor::<Glutton>("a").eaten().await.unwrap();
        assert_eq!(
            eaten,
            1 + 30 + taken as u64,
            "no frame was lost, none came twice"
        );
    });
}

#[test]
fn a_client_that_does_not_read_is_closed_with_1013() {
    let limits = Limits {
        outbound_max_bytes: 1_000,
        ..Limits::default()
    };
    world(limits, async |world| {
        let glutton = world.actor::<Glutton>("a");
        let mut slow = world.connect("glutton", "a", "").await.unwrap();
        let mut quick = world.connect("glutton", "a", "").await.unwrap();
        for _ in 0..3 {
            glutton.shout(1, 400).await.unwrap();
            assert_eq!(quick.arrived().await.len(), 1);
        }
        let close = slow.closed().await.unwrap();
        assert_eq!(close.code, Close::TRY_AGAIN_LATER, "{}", close.reason);
        assert_eq!(
            slow.next().await,
            None,
            "a part of a stream is worse than its end"
        );
        settle(world).await;
        assert_eq!(take_notes(), ["disconnected 1013"]);
        glutton.shout(1, 400).await.unwrap();
        assert_eq!(quick.arrived().await.len(), 1, "who reads is not concerned");
    });
}

#[test]
fn a_turn_cannot_stage_more_frames_than_its_stage_takes() {
    let limits = Limits {
        stage_max_bytes: 10_000,
        ..Limits::default()
    };
    world(limits, async |world| {
        let mut session = world.connect("glutton", "a", "").await.unwrap();
        let glutton = world.actor::<Glutton>("a");
        let error = glutton.shout(100, 100).await.unwrap_err();
        assert!(
            matches!(error, CallError::LimitExceeded { .. }),
            "{error:?}"
        );
        assert_eq!(session.arrived().await, []);
        glutton.shout(50, 100).await.unwrap();
        assert_eq!(session.arrived().await.len(), 50);
    });
}

#[test]
fn an_object_has_so_many_alarms_and_no_more() {
    let limits = Limits {
        alarms_per_object_max: 3,
        ..Limits::default()
    };
    let names = |names: &[&str]| {
        names
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<Vec<_>>()
    };
    world(limits, async |world| {
        let glutton = world.actor::<Glutton>("a");
        let error = glutton
            .alarms(names(&["a", "b", "c", "d"]))
            .await
            .unwrap_err();
        assert_limit_exceeded(&error, "alarms of an object: 3 at most");
        glutton.alarms(names(&["a", "b", "c"])).await.unwrap();
        glutton
            .alarms(names(&["c", "a"]))
            .await
            .expect("set again, they are no more than before");
        let error = glutton.alarms(names(&["d"])).await.unwrap_err();
        assert_limit_exceeded(&error, "alarms of an object: 3 at most");
        let error = glutton.alarms(vec!["x".repeat(257)]).await.unwrap_err();
        assert_limit_exceeded(&error, "length of an alarm's name: 256 bytes at most");
        let swapped = glutton.swap_alarm("a".into(), "d".into()).await;
        swapped.expect("the turn leaves three alarms");
    });
}

#[test]
fn an_object_has_so_many_sessions_and_no_more() {
    let limits = Limits {
        sessions_per_object_max: 2,
        ..Limits::default()
    };
    world(limits, async |world| {
        let _first = world.connect("glutton", "a", "").await.unwrap();
        let second = world.connect("glutton", "a", "").await.unwrap();
        let error = world.connect("glutton", "a", "").await.unwrap_err();
        assert!(
            matches!(error, ConnectError::TooManySessions { limit: 2 }),
            "{error:?}"
        );
        world
            .connect("glutton", "b", "")
            .await
            .expect("the limit is each object's own");
        second.close(Close::NORMAL, "");
        settle(world).await;
        world
            .connect("glutton", "a", "")
            .await
            .expect("one has left");
    });
}

/// All of them ask before any of them is in.
#[test]
fn clients_that_come_at_once_do_not_slip_past_the_limit() {
    let limits = Limits {
        sessions_per_object_max: 2,
        ..Limits::default()
    };
    world(limits, async |world| {
        let clients = join_all((0..10).map(|_| world.connect("glutton", "a", ""))).await;
        let refused = |client: &Result<_, _>| {
            matches!(client, Err(ConnectError::TooManySessions { limit: 2 }))
        };
        assert_eq!(clients.iter().filter(|client| client.is_ok()).count(), 2);
        assert_eq!(clients.iter().filter(|client| refused(client)).count(), 8);
        assert_eq!(world.runtime().stats().sessions, 2);
    });
}

#[test]
fn tags_and_attachments_have_their_sizes() {
    world(Limits::default(), async |world| {
        let glutton = world.actor::<Glutton>("a");
        let _session = world.connect("glutton", "a", "").await.unwrap();
        let tags = |count: usize| (0..count).map(|tag| tag.to_string()).collect::<Vec<_>>();
        glutton.tag(tags(TAGS_MAX)).await.unwrap();
        glutton
            .tag(["a"; 100].map(str::to_owned).to_vec())
            .await
            .expect("doubles count once");
        let error = glutton.tag(tags(TAGS_MAX + 1)).await.unwrap_err();
        assert_limit_exceeded(&error, "tags of a session: 10 at most");
        // Characters, not bytes.
        glutton
            .tag(vec!["ä".repeat(TAG_SIZE_MAX_CHARS)])
            .await
            .unwrap();
        let error = glutton
            .tag(vec!["a".repeat(TAG_SIZE_MAX_CHARS + 1)])
            .await
            .unwrap_err();
        assert_limit_exceeded(&error, "length of a session's tag: 256 characters at most");

        glutton
            .attach(vec![0; ATTACHMENT_SIZE_MAX_BYTES - 100])
            .await
            .unwrap();
        let error = glutton
            .attach(vec![0; ATTACHMENT_SIZE_MAX_BYTES])
            .await
            .unwrap_err();
        assert_limit_exceeded(
            &error,
            "size of a session's attachment: 16384 bytes at most",
        );
    });
}

#[test]
fn keys_and_commits_have_their_sizes() {
    world(Limits::default(), async |world| {
        let glutton = world.actor::<Glutton>("a");
        glutton
            .put("k".repeat(KEY_SIZE_MAX_BYTES), 1)
            .await
            .unwrap();
        let error = glutton
            .put("k".repeat(KEY_SIZE_MAX_BYTES + 1), 1)
            .await
            .unwrap_err();
        assert_limit_exceeded(&error, "length of a key: 2048 bytes at most");
        let error = glutton.put("large".into(), 9 << 20).await.unwrap_err();
        assert!(matches!(error, CallError::Commit(_)), "{error:?}");
        assert_eq!(error.effect(), Effect::None);
        assert_eq!(glutton.eat().await.unwrap(), 1, "the activation goes on");
    });
}

#[test]
fn turns_do_not_run_further_ahead_of_the_disk_than_allowed() {
    let limits = Limits {
        pipelined_commits_max: 3,
        ..Limits::default()
    };
    world(limits, async |world| {
        let glutton = world.actor::<Glutton>("a");
        world.store().hold_commits();
        let mut open = Vec::new();
        for _ in 0..10 {
            open.push(begin(world, glutton.eat()).await);
        }
        assert_eq!(take_notes(), ["eaten 1", "eaten 2", "eaten 3"]);
        assert_eq!(world.store().held_commits(), 3);
        world.store().release_commits();
        let eaten: Vec<_> = join_all(open)
            .await
            .into_iter()
            .map(Result::unwrap)
            .collect();
        assert_eq!(eaten, (1..=10).collect::<Vec<_>>());
    });
}

/// Nobody sends ticks, so no mailbox holds them back.
#[test]
fn ticks_do_not_run_further_ahead_of_the_disk_than_allowed() {
    let limits = Limits {
        pipelined_commits_max: 3,
        ..Limits::default()
    };
    world(limits, async |world| {
        world.actor::<Glutton>("a").nibble(10).await.unwrap();
        world.store().hold_commits();
        world.advance(Duration::from_secs(1)).await;
        assert_eq!(take_notes(), ["eaten 1", "eaten 2", "eaten 3"]);
        world.store().release_commits();
        world.advance(Duration::from_millis(15)).await;
        assert!(take_notes().contains(&"eaten 4".to_owned()));
    });
}

#[test]
fn a_turn_begins_only_when_the_store_has_room_for_its_commit() {
    world(Limits::default(), async |world| {
        let glutton = world.actor::<Glutton>("a");
        world.store().set_room(Room::Full);
        assert_eq!(glutton.eaten().await.unwrap(), 0, "reads need no room");
        let mut eat = begin(world, glutton.eat()).await;
        world.advance(Duration::from_secs(5)).await;
        assert!(is_open(&mut eat).await && take_notes().is_empty());
        world.store().set_room(Room::Free);
        assert_eq!(eat.await.unwrap(), 1);
    });
}

/// Reads write nothing, but behind a slow commit their answers are held: so many, and no more.
#[test]
fn reads_behind_a_held_commit_are_bounded() {
    let limits = Limits {
        mailbox_messages_max: 8,
        pipelined_commits_max: 4,
        ..Limits::default()
    };
    world(limits, async |world| {
        let glutton = world.actor::<Glutton>("a");
        world.store().hold_commits();
        let eat = begin(world, glutton.eat()).await;
        let mut open = Vec::new();
        let mut refused = 0;
        for _ in 0..200 {
            let mut read = Box::pin(glutton.eaten());
            match futures_util::poll!(&mut read) {
                std::task::Poll::Pending => open.push(read),
                std::task::Poll::Ready(Err(CallError::Overloaded { .. })) => refused += 1,
                std::task::Poll::Ready(other) => panic!("neither held nor refused: {other:?}"),
            }
            settle(world).await;
        }
        assert!(
            refused >= 100,
            "{} answers are held, {refused} calls were refused",
            open.len()
        );
        world.store().release_commits();
        eat.await.unwrap();
        assert!(
            join_all(open)
                .await
                .into_iter()
                .all(|read| matches!(read, Ok(1)))
        );
    });
}

/// Reads that wait run together, but not without end.
#[test]
fn open_reads_are_bounded() {
    let limits = Limits {
        mailbox_messages_max: 8,
        ..Limits::default()
    };
    world(limits, async |world| {
        let glutton = world.actor::<Glutton>("a");
        let mut open = Vec::new();
        let mut refused = 0;
        for _ in 0..200 {
            let mut read = Box::pin(glutton.linger(30));
            match futures_util::poll!(&mut read) {
                std::task::Poll::Pending => open.push(read),
                std::task::Poll::Ready(answer) => {
                    assert!(
                        matches!(answer, Err(CallError::Overloaded { .. })),
                        "{answer:?}"
                    );
                    refused += 1;
                }
            }
            settle(world).await;
        }
        assert_eq!((open.len(), refused), (64 + 8, 200 - 64 - 8));
        assert!(
            join_all(open)
                .await
                .into_iter()
                .all(|read| matches!(read, Ok(0)))
        );
    });
}
