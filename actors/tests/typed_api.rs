//! The typed API from both ends: what a caller sends and gets, and what actor code sees.

#![expect(
    clippy::unused_async,
    reason = "calls and callbacks are tested with and without"
)]

// The macro's default path begins with `::abide`.
extern crate abide_actors as abide;

use std::collections::BTreeMap;
use std::time::Duration;

use abide::testing::World;
use abide::{
    Access, Actor, ActorError, Alarm, Body, CallError, Close, ConnectError, ConnectRequest,
    Context, Deadline, Frame, Keys, Origin, Refusal, Session, Tick, actor,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Line {
    text: String,
    likes: u32,
}

/// Only ever read from callers.
#[derive(Deserialize)]
struct Wish {
    text: String,
}

/// Only ever written to callers.
#[derive(Serialize)]
struct Count {
    lines: usize,
}

#[derive(Debug, thiserror::Error)]
#[error("the board is full")]
struct Full;

#[derive(Default, Serialize, Deserialize)]
struct Board {
    lines: Vec<String>,
    alarms: Vec<String>,
    left: u32,
}

/// Lines that people put up.
#[actor]
impl Board {
    /// Puts a line up.
    ///
    /// Says how many there are.
    #[call]
    async fn post(&mut self, ctx: &mut Context<Self>, text: String, r#type: Option<u8>) -> usize {
        ctx.broadcast(format!("{text} {:?}", r#type));
        self.lines.push(text);
        self.lines.len()
    }

    #[call]
    fn all(&self) -> Vec<String> {
        self.lines.clone()
    }

    #[call]
    fn echo(&self, line: Line) -> Result<Line, Full> {
        if line.likes == 0 { Err(Full) } else { Ok(line) }
    }

    #[call]
    fn post_and_fail(&mut self, text: String) -> Result<(), ActorError> {
        self.lines.push(text);
        Err(ActorError::new("full", "the board is full").status(409))
    }

    // Types that go one way only are no obstacle; just the handle's method cannot be used.
    #[call]
    fn one_way(&mut self, wish: Wish) -> Count {
        self.lines.push(wish.text);
        Count {
            lines: self.lines.len(),
        }
    }

    #[call]
    fn r#move(&self, r#in: Vec<Self>) -> std::io::Result<usize> {
        Ok(r#in.len())
    }

    #[call]
    fn name(&self, ctx: &Context<Self>) -> Option<String> {
        ctx.name().map(str::to_owned)
    }

    #[call]
    async fn store(
        &mut self,
        ctx: &mut Context<Self>,
        rows: BTreeMap<String, Line>,
    ) -> Result<Vec<String>, CallError> {
        let mut storage = ctx.storage_mut();
        for (key, line) in &rows {
            storage.put(key, line)?;
        }
        let staged = storage.list::<Line>(Keys::all()).await?;
        Ok(staged.into_iter().map(|(key, _)| key).collect())
    }

    #[call]
    async fn stored(&self, ctx: &Context<Self>, key: String) -> Result<Option<Line>, CallError> {
        ctx.storage().get(&key).await
    }

    #[call]
    async fn misread(&self, ctx: &Context<Self>, key: String) -> Result<Option<u64>, CallError> {
        ctx.storage().get(&key).await
    }

    #[call]
    async fn page(&self, ctx: &Context<Self>, after: String) -> Result<Vec<String>, CallError> {
        let keys = Keys::prefix("u/").reverse().after(&after).limit(2);
        let rows = ctx.storage().list::<Line>(keys).await?;
        Ok(rows.into_iter().map(|(key, _)| key).collect())
    }

    #[call]
    fn wake(
        &mut self,
        ctx: &mut Context<Self>,
        name: String,
        after_ms: u64,
    ) -> Result<(), CallError> {
        ctx.set_alarm(&name, Duration::from_millis(after_ms))
    }

    #[call]
    fn alarms(&self) -> Vec<String> {
        self.alarms.clone()
    }

    #[call]
    fn left(&self) -> u32 {
        self.left
    }

    /// Through a handle, from inside a turn.
    #[call]
    async fn relay(
        &mut self,
        ctx: &mut Context<Self>,
        to: String,
        text: String,
    ) -> Result<usize, CallError> {
        ctx.actor::<Self>(&to).post(text, None).await
    }

    #[call]
    async fn relay_failure(&mut self, ctx: &mut Context<Self>) -> Result<(), CallError> {
        ctx.actor_in::<Self>("board", "other")
            .post_and_fail("lost".to_owned())
            .await
    }

    // A method that is neither call nor callback stays the type's own business.
    fn count(&self) -> usize {
        self.lines.len()
    }

    async fn connected(
        &mut self,
        _ctx: &mut Context<Self>,
        session: &Session,
        request: &ConnectRequest,
    ) -> Result<(), ConnectError> {
        if request.query == "spy" {
            return Err(ConnectError::Refused(Refusal::new("no spies").status(401)));
        }
        session.attach(&request.query)?;
        session.send(format!("{} lines", self.count()));
        Ok(())
    }

    fn message(&mut self, ctx: &mut Context<Self>, session: &Session, frame: Frame) {
        ctx.broadcast_except(frame, &[session]);
        session.send(session.attachment::<String>().unwrap_or_default());
    }

    fn disconnected(&mut self, _session: &Session, _close: &Close) {
        self.left += 1;
    }

    async fn alarm(&mut self, alarm: Alarm) -> Result<(), Full> {
        self.alarms.push(alarm.name.to_string());
        Ok(())
    }
}

fn in_world(test: impl AsyncFnOnce(&mut World)) {
    World::builder().actor::<Board>("board").run(test);
}

async fn call(world: &World, method: &str, arguments: Value) -> Result<Value, CallError> {
    world.call("board", "a", method, arguments).await
}

/// The sentence a caller gets for wrong arguments.
async fn refusal(world: &World, method: &str, arguments: Value) -> String {
    let error = call(world, method, arguments)
        .await
        .expect_err("the arguments are wrong");
    assert!(
        matches!(error, CallError::InvalidArguments { .. }),
        "{error:?}"
    );
    error.to_string()
}

#[test]
fn arguments_come_by_name_and_by_position() {
    in_world(async |world| {
        assert_eq!(
            call(world, "post", json!({"text": "a", "type": 1}))
                .await
                .unwrap(),
            1
        );
        assert_eq!(call(world, "post", json!(["b", 2])).await.unwrap(), 2);
    });
}

#[test]
fn optional_arguments_may_be_absent_in_both_forms() {
    in_world(async |world| {
        assert_eq!(call(world, "post", json!({"text": "a"})).await.unwrap(), 1);
        assert_eq!(call(world, "post", json!(["b"])).await.unwrap(), 2);
        assert_eq!(
            call(world, "post", json!({"text": "c", "type": null}))
                .await
                .unwrap(),
            3
        );
    });
}

#[test]
fn wrong_arguments_are_named_with_what_was_expected() {
    in_world(async |world| {
        let missing = refusal(world, "post", json!({})).await;
        assert!(missing.contains("missing field `text`"), "{missing}");
        let unknown = refusal(world, "post", json!({"txt": "a"})).await;
        assert!(
            unknown.contains("unknown field `txt`, expected `text` or `type`"),
            "{unknown}"
        );
        let short = refusal(world, "post", json!([])).await;
        assert!(
            short.contains("expected an object or an array with `text`, `type`"),
            "{short}"
        );
        let wrong = refusal(world, "post", json!({"text": 5})).await;
        assert!(
            wrong.contains("`text`: invalid type: integer `5`, expected a string"),
            "{wrong}"
        );
        let deep = refusal(world, "echo", json!({"line": {"text": "a", "likes": -1}})).await;
        assert!(deep.contains("`line.likes`: invalid value"), "{deep}");
        refusal(world, "post", json!(["a", 1, 2])).await;
        assert_eq!(call(world, "all", json!({})).await.unwrap(), json!([]));
    });
}

#[test]
fn a_call_without_arguments_takes_none() {
    in_world(async |world| {
        assert_eq!(call(world, "left", json!({})).await.unwrap(), 0);
        assert_eq!(call(world, "left", json!([])).await.unwrap(), 0);
        refusal(world, "left", json!([1])).await;
        let unknown = refusal(world, "left", json!({"a": 1})).await;
        assert!(unknown.contains("unknown field `a`"), "{unknown}");
        let scalar = refusal(world, "left", json!(1)).await;
        assert!(scalar.contains("expected no arguments"), "{scalar}");
    });
}

#[test]
fn an_error_undoes_the_turn_and_keeps_code_and_status() {
    in_world(async |world| {
        let error = call(world, "post_and_fail", json!(["a"]))
            .await
            .unwrap_err();
        let CallError::Actor(refusal) = error else {
            panic!("{error:?}")
        };
        assert_eq!((&*refusal.code, refusal.status), ("full", 409));
        assert_eq!(call(world, "all", json!({})).await.unwrap(), json!([]));
    });
}

#[test]
fn any_error_can_be_the_error_of_a_call() {
    in_world(async |world| {
        let line = json!([{"text": "a", "likes": 0}]);
        let CallError::Actor(refusal) = call(world, "echo", line).await.unwrap_err() else {
            panic!("not the actor's own error")
        };
        assert_eq!((&*refusal.code, refusal.status), ("actor-error", 422));
        assert_eq!(refusal.message, "the board is full");
    });
}

#[test]
fn handles_call_from_outside_and_from_inside_a_turn() {
    in_world(async |world| {
        let a = world.actor::<Board>("a");
        assert_eq!(a.post("x".to_owned(), Some(3)).await.unwrap(), 1);
        assert_eq!(a.relay("b".to_owned(), "y".to_owned()).await.unwrap(), 1);
        assert_eq!(world.actor::<Board>("b").all().await.unwrap(), ["y"]);
        let line = Line {
            text: "z".to_owned(),
            likes: 1,
        };
        assert_eq!(a.echo(line.clone()).await.unwrap(), line);
        assert_eq!(a.name().await.unwrap().as_deref(), Some("a"));
        assert_eq!(a.r#move(vec![Board::default()]).await.unwrap(), 1);
    });
}

#[test]
fn a_refusal_passes_through_a_handle_unchanged() {
    in_world(async |world| {
        let CallError::Actor(refusal) =
            world.actor::<Board>("a").relay_failure().await.unwrap_err()
        else {
            panic!("not the actor's own error")
        };
        assert_eq!((&*refusal.code, refusal.status), ("full", 409));
    });
}

#[test]
fn a_handle_of_an_unregistered_actor_fails_when_it_is_used() {
    World::builder().run(async |world| {
        let error = world.actor::<Board>("a").all().await.unwrap_err();
        assert!(
            matches!(error, CallError::UnknownNamespace { .. }),
            "{error:?}"
        );
    });
}

#[test]
fn types_that_go_one_way_only_are_no_obstacle() {
    in_world(async |world| {
        let count = call(world, "one_way", json!([{"text": "a"}]))
            .await
            .unwrap();
        assert_eq!(count, json!({"lines": 1}));
    });
}

#[test]
fn storage_keeps_typed_values_and_lists_them_in_pages() {
    in_world(async |world| {
        let line = |likes| Line {
            text: "t".to_owned(),
            likes,
        };
        let rows: BTreeMap<_, _> = (1..=5)
            .map(|number| (format!("u/{number}"), line(number)))
            .collect();
        let a = world.actor::<Board>("a");
        assert_eq!(
            a.store(rows).await.unwrap().len(),
            5,
            "a turn sees what it has staged"
        );
        world.crash().await;
        let a = world.actor::<Board>("a");
        assert_eq!(a.stored("u/3".to_owned()).await.unwrap(), Some(line(3)));
        assert_eq!(a.stored("u/9".to_owned()).await.unwrap(), None);
        assert_eq!(a.page("u/5".to_owned()).await.unwrap(), ["u/4", "u/3"]);
        assert_eq!(a.page("u/2".to_owned()).await.unwrap(), ["u/1"]);
    });
}

#[test]
fn a_value_of_another_type_is_an_error_with_its_key() {
    in_world(async |world| {
        let a = world.actor::<Board>("a");
        let row = (
            "k".to_owned(),
            Line {
                text: "t".to_owned(),
                likes: 1,
            },
        );
        a.store([row].into()).await.unwrap();
        let error = a.misread("k".to_owned()).await.unwrap_err().to_string();
        assert!(error.contains("the value of 'k' is no u64"), "{error}");
    });
}

#[test]
fn alarms_carry_their_names() {
    in_world(async |world| {
        let a = world.actor::<Board>("a");
        a.wake("late".to_owned(), 2_000).await.unwrap();
        a.wake("early".to_owned(), 1_000).await.unwrap();
        world.advance(Duration::from_millis(1_500)).await;
        assert_eq!(world.actor::<Board>("a").alarms().await.unwrap(), ["early"]);
        world.advance(Duration::from_secs(1)).await;
        assert_eq!(
            world.actor::<Board>("a").alarms().await.unwrap(),
            ["early", "late"]
        );
    });
}

#[test]
fn sessions_are_accepted_answered_and_missed() {
    in_world(async |world| {
        let mut ada = world.connect("board", "a", "ada").await.unwrap();
        let mut eve = world.connect("board", "a", "eve").await.unwrap();
        assert_eq!(ada.next_text().await.as_deref(), Some("0 lines"));
        assert_eq!(eve.next_text().await.as_deref(), Some("0 lines"));
        ada.send("hello").await;
        assert_eq!(
            ada.next_text().await.as_deref(),
            Some("ada"),
            "its own attachment, no echo"
        );
        assert_eq!(eve.next_text().await.as_deref(), Some("hello"));
        eve.close(Close::NORMAL, "bye");
        world.advance(Duration::from_millis(1)).await;
        assert_eq!(world.actor::<Board>("a").left().await.unwrap(), 1);
    });
}

#[test]
fn a_refused_session_gets_status_and_reason() {
    in_world(async |world| {
        let error = world.connect("board", "a", "spy").await.unwrap_err();
        let ConnectError::Refused(refusal) = error else {
            panic!("{error:?}")
        };
        assert_eq!((refusal.status, &*refusal.reason), (401, "no spies"));
    });
}

/// The callbacks that `Board` has no use for.
#[derive(Default, Serialize, Deserialize)]
struct Clockwork {
    #[serde(skip)]
    activations: u32,
    ticks: u32,
    endings: u32,
}

#[actor]
impl Clockwork {
    #[call]
    fn figures(&self) -> (u32, u32, u32) {
        (self.activations, self.ticks, self.endings)
    }

    async fn activated(&mut self, ctx: &mut Context<Self>) {
        self.activations += 1;
        ctx.set_tick(Tick::every(Duration::from_secs(1)).always());
    }

    fn tick(&mut self, ctx: &mut Context<Self>) {
        self.ticks += 1;
        if self.ticks == 3 {
            ctx.set_tick(None);
        }
    }

    async fn fetch(
        &mut self,
        request: http::Request<Body>,
    ) -> Result<http::Response<Body>, ActorError> {
        let body = request.into_body().bytes(1_024).await;
        let body = body.map_err(|error| ActorError::new("bad-body", error.to_string()))?;
        Ok(http::Response::new(Body::from(body)))
    }

    async fn deactivating(&mut self) {
        self.endings += 1;
    }
}

#[test]
fn the_life_of_an_activation_runs_through_its_callbacks() {
    World::builder()
        .actor::<Clockwork>("clockwork")
        .run(async |world| {
            assert_eq!(
                world.actor::<Clockwork>("a").figures().await.unwrap(),
                (1, 0, 0)
            );
            world.advance(Duration::from_millis(5_500)).await;
            assert_eq!(
                world.actor::<Clockwork>("a").figures().await.unwrap(),
                (1, 3, 0)
            );
            world.advance(Duration::from_secs(60)).await;
            assert_eq!(
                world.actor::<Clockwork>("a").figures().await.unwrap(),
                (1, 3, 1)
            );
        });
}

#[test]
fn raw_http_goes_in_and_out() {
    World::builder()
        .actor::<Clockwork>("clockwork")
        .run(async |world| {
            let runtime = world.runtime();
            let target = runtime.target("clockwork", "a").unwrap();
            let request = http::Request::new(Body::from("ping"));
            let deadline = Deadline::after(Duration::from_secs(1));
            let response = runtime
                .fetch(&target, request, deadline, Origin::default())
                .await
                .unwrap();
            assert_eq!(response.into_body().bytes(16).await.unwrap(), "ping");
        });
}

#[test]
fn the_description_says_what_the_code_says() {
    let description = Board::description();
    assert_eq!(description.documentation, "Lines that people put up.");
    assert_eq!(
        description.callbacks.names(),
        ["connected", "message", "disconnected", "alarm"]
    );
    let post = description.method("post").unwrap();
    assert_eq!(
        post.documentation,
        "Puts a line up.\n\nSays how many there are."
    );
    assert_eq!(post.access, Access::Write);
    assert_eq!(post.arguments["required"], json!(["text"]));
    assert_eq!(
        post.arguments["properties"]["type"]["type"],
        json!(["integer", "null"])
    );
    assert_eq!(post.arguments["additionalProperties"], json!(false));
    assert_eq!(description.method("all").unwrap().access, Access::Read);
    assert!(
        description.method("count").is_none(),
        "only calls are described"
    );
    assert_eq!(description.method("move").unwrap().name, "move");
}

#[test]
fn schemas_come_from_types_that_have_one() {
    let description = Board::description();
    let echo = description.method("echo").unwrap();
    assert_eq!(echo.returns, json!({"$ref": "#/components/schemas/Line"}));
    assert_eq!(
        echo.definitions["Line"]["required"],
        json!(["text", "likes"])
    );
    let one_way = description.method("one_way").unwrap();
    assert_eq!(
        one_way.arguments["properties"]["wish"],
        json!(true),
        "any value"
    );
    assert_eq!(one_way.returns, json!(true), "any value");
}
