//! **calls**: replies, errors, deadlines and cycles between objects; raw HTTP; ticks and the end of
//! an activation; and the rows a turn has staged, compared with a model.

mod cycles;
mod life;
mod staged_rows;

use abide::prelude::*;
use abide::{Call, Deadline, Payload};
use abide_actors::testing::World;
use abide_actors::{Access, BodyError};
use abide_storage::Effect;
use futures_util::StreamExt;
use futures_util::stream;

use crate::support::{begin, note, settle, take_notes};

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
        ctx.set_tick(millis.map(|millis| Tick::every(Duration::from_millis(millis)).always()));
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
