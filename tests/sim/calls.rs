//! **calls**: replies, errors, deadlines and cycles between objects; raw HTTP; ticks and the end of
//! an activation; and the rows a turn has staged, compared with a model.

mod staged_rows;

use abide::prelude::*;
use abide::{Call, Deadline, Payload};
use abide_actors::testing::World;
use abide_actors::{Access, BodyError};
use abide_storage::Effect;
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream;

use crate::seeds::each_seed;
use crate::support::{begin, is_open, note, settle, take_notes};

/// Calls others of its kind, and is called.
#[derive(Default, Serialize, Deserialize)]
struct Peer {
    calls: u64,
    ticks: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Line {
    text: String,
    likes: Option<u32>,
}

#[actor]
impl Peer {
    fn activated(&mut self, ctx: &mut Context<Self>) {
        note(format!("activated {}", ctx.name().unwrap_or_default()));
    }

    #[call]
    fn echo(&mut self, line: Line, times: usize) -> Vec<Line> {
        self.calls += 1;
        vec![line; times]
    }

    #[call]
    fn calls(&self) -> u64 {
        self.calls
    }

    #[call]
    fn refuse(&mut self) -> Result<u64, ActorError> {
        self.calls += 1;
        let data = serde_json::json!({ "balance": 3 });
        Err(ActorError::new("insufficient-funds", "3 is less than 5")
            .status(409)
            .data(data))
    }

    #[call]
    async fn ask_for_refusal(
        &mut self,
        ctx: &mut Context<Self>,
        of: String,
    ) -> Result<u64, CallError> {
        self.calls += 1;
        ctx.actor::<Self>(&of).refuse().await
    }

    /// Goes on when the other refuses.
    #[call]
    async fn try_for_refusal(&mut self, ctx: &mut Context<Self>, of: String) -> bool {
        self.calls += 1;
        ctx.actor::<Self>(&of).refuse().await.is_err()
    }

    #[call]
    async fn sleep(&mut self, ctx: &mut Context<Self>, seconds: u64) -> u64 {
        note(format!("{} sleeps", ctx.name().unwrap_or_default()));
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        self.calls += 1;
        self.calls
    }

    #[call]
    async fn have_sleep(
        &mut self,
        ctx: &mut Context<Self>,
        who: String,
        seconds: u64,
    ) -> Result<u64, CallError> {
        self.calls += 1;
        ctx.actor::<Self>(&who).sleep(seconds).await
    }

    #[call]
    async fn try_sleep(&mut self, ctx: &mut Context<Self>, who: String) -> String {
        match ctx.actor::<Self>(&who).sleep(1).await {
            Ok(_) => "slept".into(),
            Err(error) => format!("{:?}: {error}", error.effect()),
        }
    }

    /// Calls the first of `path` and hands it the rest. The last one may be this object again.
    #[call]
    async fn follow(
        &mut self,
        ctx: &mut Context<Self>,
        path: Vec<String>,
    ) -> Result<u64, CallError> {
        self.calls += 1;
        let [next, rest @ ..] = &path[..] else {
            return Ok(0);
        };
        // So that two that call each other at once do so at once.
        tokio::task::yield_now().await;
        let peer = ctx.actor::<Self>(next);
        // A future that contains itself needs a box.
        Ok(Box::pin(peer.follow(rest.to_vec())).await? + 1)
    }

    /// The same from a read.
    #[call]
    async fn look_along(&self, ctx: &Context<Self>, path: Vec<String>) -> Result<u64, CallError> {
        let [next, rest @ ..] = &path[..] else {
            return Ok(0);
        };
        let peer = ctx.actor::<Self>(next);
        Ok(Box::pin(peer.look_along(rest.to_vec())).await? + 1)
    }

    #[call]
    async fn elsewhere(&mut self, ctx: &mut Context<Self>) -> Result<u64, CallError> {
        ctx.actor_in::<Self>("other", "a").sleep(0).await
    }

    #[call]
    fn tick_every(&mut self, ctx: &mut Context<Self>, millis: Option<u64>) {
        ctx.set_tick(millis.map(Duration::from_millis));
    }

    #[call]
    fn ticks(&self) -> u64 {
        self.ticks
    }

    #[call]
    fn leave(&mut self, ctx: &mut Context<Self>) {
        self.calls += 1;
        ctx.passivate();
    }

    async fn tick(&mut self) -> Result<(), ActorError> {
        self.ticks += 1;
        if self.ticks == 3 {
            // Undone, so it stays at 2 until somebody counts for it.
            self.ticks += 1;
            tokio::time::sleep(Duration::from_millis(2_500)).await;
        }
        Ok(())
    }

    fn deactivating(&mut self, ctx: &mut Context<Self>) -> Result<(), ActorError> {
        note(format!("deactivating {}", ctx.name().unwrap_or_default()));
        self.calls += 1_000;
        if ctx.name() == Some("stubborn") {
            return Err(ActorError::new("no", "it does not want to go"));
        }
        Ok(())
    }

    async fn fetch(&mut self, request: Request<Body>) -> Result<Response<Body>, BodyError> {
        self.calls += 1;
        if request.uri().path() == "/count" {
            let mut chunks = request.into_body().into_stream();
            let mut sizes = Vec::new();
            while let Some(chunk) = chunks.next().await {
                sizes.push(chunk?.len());
            }
            return Ok(Response::new(format!("{sizes:?}").into()));
        }
        let chunks = stream::iter(0..3).then(async |chunk| {
            tokio::time::sleep(Duration::from_secs(60)).await;
            Ok(Bytes::from(format!("chunk {chunk};")))
        });
        Ok(Response::new(Body::from_stream(Box::pin(chunks))))
    }
}

fn world<T>(test: impl AsyncFnOnce(&mut World) -> T) -> T {
    World::builder().actor::<Peer>("peer").run(test)
}

/// A call with a deadline of its own.
async fn call_within(
    world: &World,
    seconds: u64,
    method: &str,
    arguments: serde_json::Value,
) -> Result<serde_json::Value, CallError> {
    let target = world.runtime().target("peer", "a")?;
    let deadline = Deadline::after(Duration::from_secs(seconds));
    let call = Call::new(method, Payload::json(arguments.to_string()), deadline);
    let reply = world.runtime().call(&target, call).await?;
    Ok(serde_json::from_slice(&reply.payload.bytes).unwrap())
}

#[test]
fn arguments_and_values_keep_their_types() {
    world(async |world| {
        let line = Line {
            text: "häh?".into(),
            likes: Some(3),
        };
        let echo = world
            .actor::<Peer>("a")
            .echo(line.clone(), 2)
            .await
            .unwrap();
        assert_eq!(echo, [line.clone(), line]);
        let named = serde_json::json!({ "times": 1, "line": { "text": "x" } });
        let value = world.call("peer", "a", "echo", named).await.unwrap();
        assert_eq!(value, serde_json::json!([{ "text": "x", "likes": null }]));
    });
}

#[test]
fn what_cannot_be_right_wakes_no_object() {
    world(async |world| {
        let none = serde_json::json!([]);
        let error = world
            .call("peer", "a", "nothing", none.clone())
            .await
            .unwrap_err();
        assert!(
            matches!(error, CallError::UnknownMethod { .. }),
            "{error:?}"
        );
        let error = world.call("pear", "a", "calls", none).await.unwrap_err();
        assert!(
            matches!(error, CallError::UnknownNamespace { .. }),
            "{error:?}"
        );
        let target = world.runtime().target("peer", "a").unwrap();
        let deadline = Deadline::after(Duration::from_secs(1));
        let call = Call::new("refuse", Payload::none(), deadline);
        let read = Call {
            access: Access::Read,
            ..call
        };
        let error = world.runtime().call(&target, read).await.unwrap_err();
        assert!(matches!(error, CallError::NotARead { .. }), "{error:?}");
        assert_eq!(take_notes(), [""; 0]);

        let wrong = serde_json::json!({ "line": { "text": 1 }, "times": 1 });
        let error = world.call("peer", "a", "echo", wrong).await.unwrap_err();
        assert!(
            matches!(error, CallError::InvalidArguments { .. }),
            "{error:?}"
        );
        assert_eq!(world.actor::<Peer>("a").calls().await.unwrap(), 0);
    });
}

#[test]
fn a_refusal_passed_on_is_the_same_refusal() {
    world(async |world| {
        let a = world.actor::<Peer>("a");
        let CallError::Actor(refusal) = a.ask_for_refusal("b".into()).await.unwrap_err() else {
            panic!("the refusal of b is the answer of a");
        };
        assert_eq!(
            (&*refusal.code, refusal.status),
            ("insufficient-funds", 409)
        );
        assert_eq!(*refusal.data.unwrap(), serde_json::json!({ "balance": 3 }));
        assert_eq!(refusal.effect, Effect::None);
        assert_eq!(a.calls().await.unwrap(), 0, "a's turn failed with it");

        assert!(a.try_for_refusal("b".into()).await.unwrap());
        assert_eq!(a.calls().await.unwrap(), 1, "here it went on");
        assert_eq!(world.actor::<Peer>("b").calls().await.unwrap(), 0);
    });
}

#[test]
fn an_actor_registered_twice_is_told_apart() {
    let twice = World::builder()
        .actor::<Peer>("peer")
        .actor::<Peer>("other");
    twice.run(async |world| {
        let none = serde_json::json!([]);
        let called = world
            .call("peer", "a", "elsewhere", none.clone())
            .await
            .unwrap();
        assert_eq!(called, 1);
        assert_eq!(
            world
                .call("other", "a", "calls", none.clone())
                .await
                .unwrap(),
            1
        );
        assert_eq!(world.call("peer", "a", "calls", none).await.unwrap(), 0);
        let error = world.actor::<Peer>("a").calls().await.unwrap_err();
        assert!(
            matches!(error, CallError::InvalidObject { .. }),
            "which one? {error:?}"
        );
    });
}

/// a asks b to sleep for 10 s; the client gave a 2 s. Both turns end then, and both are undone.
#[test]
fn a_deadline_holds_for_the_calls_made_on_the_way() {
    world(async |world| {
        let before = world.now();
        let sleep = serde_json::json!(["b", 10]);
        let error = call_within(world, 2, "have_sleep", sleep)
            .await
            .unwrap_err();
        assert!(
            matches!(
                error,
                CallError::DeadlineExceeded {
                    effect: Effect::None
                }
            ),
            "{error:?}"
        );
        assert!((2_000..2_100).contains(&(world.now().0 - before.0)));
        world.advance(Duration::from_secs(10)).await;
        assert_eq!(world.actor::<Peer>("a").calls().await.unwrap(), 0);
        assert_eq!(
            world.actor::<Peer>("b").calls().await.unwrap(),
            0,
            "b's turn was ended, too"
        );
    });
}

#[test]
fn a_turn_ends_at_its_own_limit_however_patient_its_caller() {
    world(async |world| {
        let before = world.now();
        let error = call_within(world, 3_600, "sleep", serde_json::json!([600]))
            .await
            .unwrap_err();
        assert!(
            matches!(
                error,
                CallError::DeadlineExceeded {
                    effect: Effect::None
                }
            ),
            "{error:?}"
        );
        assert!((30_000..30_100).contains(&(world.now().0 - before.0)));
    });
}

#[test]
fn a_call_whose_caller_has_stopped_waiting_is_not_begun() {
    world(async |world| {
        let a = world.actor::<Peer>("a");
        let sleep = begin(world, a.sleep(10)).await;
        let error = call_within(world, 2, "sleep", serde_json::json!([0]))
            .await
            .unwrap_err();
        // It waits in the mailbox, so the caller cannot be sure yet.
        assert!(
            matches!(error, CallError::DeadlineExceeded { .. }),
            "{error:?}"
        );
        sleep.await.unwrap();
        settle(world).await;
        assert_eq!(take_notes(), ["activated a", "a sleeps"]);
        assert_eq!(a.calls().await.unwrap(), 1);
    });
}

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

async fn fetch(world: &World, path: &str, body: Body) -> Result<Response<Body>, CallError> {
    let target = world.runtime().target("peer", "a").unwrap();
    let request = Request::builder().uri(path).body(body).unwrap();
    let deadline = Deadline::after(Duration::from_secs(60));
    world
        .runtime()
        .fetch(&target, request, deadline, Default::default())
        .await
}

#[test]
fn raw_http_bodies_stream_both_ways() {
    world(async |world| {
        let chunks = stream::iter([1_usize, 20, 300]).map(|size| Ok(Bytes::from(vec![0; size])));
        let counted = fetch(world, "/count", Body::from_stream(chunks))
            .await
            .unwrap();
        assert_eq!(
            counted.into_body().bytes(100).await.unwrap(),
            "[1, 20, 300]"
        );

        // The response leaves with the turn; its body may take longer than any turn.
        let before = world.now();
        let streamed = fetch(world, "/stream", Body::empty()).await.unwrap();
        assert_eq!(world.now(), before);
        let body = streamed.into_body().bytes(100).await.unwrap();
        assert_eq!(body, "chunk 0;chunk 1;chunk 2;");
        assert!(world.now().0 - before.0 >= 180_000);
        assert_eq!(world.actor::<Peer>("a").calls().await.unwrap() % 1_000, 2);
    });
}

#[test]
fn a_request_body_that_breaks_off_fails_the_turn() {
    world(async |world| {
        let chunks = stream::iter([Ok(Bytes::from("x")), Err(BodyError::new("gone"))]);
        let error = fetch(world, "/count", Body::from_stream(chunks))
            .await
            .unwrap_err();
        assert_eq!(error.to_string(), "gone");
        assert_eq!(
            world.actor::<Peer>("a").calls().await.unwrap(),
            0,
            "the turn is undone"
        );
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
