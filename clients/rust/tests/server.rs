//! The client against a server in this process, through real sockets.
#![expect(clippy::unwrap_used, reason = "a step that fails here fails the test")]

use std::time::Duration;

use abide::config::Engine;
use abide::prelude::*;
use abide::{Config, Running};
use abide_client::{Assurance, CallError, Client, Effect, EndReason, Event, Events, State};
use serde_json::json;
use tokio::time::timeout;

/// Never reached by a passing test.
const PATIENCE: Duration = Duration::from_secs(60);

/// A number, and a session that says everything back.
#[derive(Default, Serialize, Deserialize)]
struct Tally {
    total: u64,
}

#[actor]
impl Tally {
    #[call]
    fn add(&mut self, by: u64) -> u64 {
        self.total += by;
        self.total
    }

    #[call]
    fn times(&self, factor: u64) -> u64 {
        self.total * factor
    }

    #[call]
    fn refuse(&mut self) -> Result<(), ActorError> {
        Err(ActorError::new("closed-on-sundays", "not today").status(409))
    }

    #[call]
    fn sessions(&self, ctx: &Context<Self>) -> usize {
        ctx.session_count()
    }

    fn connected(&mut self, session: &Session, request: &ConnectRequest) -> Result<(), Refusal> {
        if request.query.contains("secret") {
            return Err(Refusal::new("members only").status(403));
        }
        session.send(format!("hello {}", request.query));
        Ok(())
    }

    fn message(&mut self, session: &Session, frame: Frame) {
        if frame.as_text() == Some("bye") {
            return session.close(4321, "as you wish");
        }
        session.send(frame);
    }
}

async fn start() -> (Running, Client) {
    let listen = "127.0.0.1:0".parse().unwrap();
    let config = Config {
        listen,
        admin_listen: listen,
        engine: Engine::Memory,
        ..Config::default()
    };
    let server = Server::builder().actor::<Tally>("tally").config(config);
    let server = server.start().await.unwrap();
    let client = Client::new(&format!("http://{}", server.addr())).unwrap();
    (server, client)
}

async fn next(events: &mut Events) -> Event {
    let next = timeout(PATIENCE, events.next()).await;
    next.expect("something happens").expect("before the end")
}

async fn next_text(events: &mut Events) -> String {
    let frame = timeout(PATIENCE, events.next_message()).await;
    frame.unwrap().unwrap().as_text().unwrap().to_owned()
}

/// The last event of a session.
async fn end(events: &mut Events) -> EndReason {
    loop {
        if let Event::State(State::Closed(ended)) = next(events).await {
            assert_eq!(timeout(PATIENCE, events.next()).await.unwrap(), None);
            return ended.reason;
        }
    }
}

#[tokio::test]
async fn calls_and_reads() {
    let (_server, client) = start().await;
    let tally = client.object("tally", "a/b é");
    let total: u64 = tally
        .call("add")
        .arguments(&json!({"by": 20}))
        .send()
        .await
        .unwrap();
    assert_eq!(total, 20);
    let twice: u64 = tally
        .read("times")
        .arguments(&json!({"factor": 2}))
        .send()
        .await
        .unwrap();
    assert_eq!(twice, 40);
}

#[tokio::test]
async fn a_call_with_a_key_takes_effect_once() {
    let (_server, client) = start().await;
    let tally = client.object("tally", "keyed");
    for _ in 0..3 {
        let call = tally
            .call("add")
            .arguments(&json!({"by": 5}))
            .idempotency_key("one");
        assert_eq!(call.send::<u64>().await.unwrap(), 5);
    }
}

#[tokio::test]
async fn refusals_say_what_and_whether() {
    let (_server, client) = start().await;
    let tally = client.object("tally", "x");
    let refused = tally.call("refuse").send::<()>().await.unwrap_err();
    assert_eq!(refused.code(), Some("closed-on-sundays"));
    assert_eq!(refused.effect(), Effect::None);
    assert_eq!(refused.problem().unwrap().status, 409);
    let wrong = tally
        .call("add")
        .arguments(&json!({"by": "two"}))
        .send::<u64>()
        .await
        .unwrap_err();
    assert_eq!(wrong.code(), Some("invalid-arguments"));
    let misread = tally
        .call("add")
        .arguments(&json!({"by": 2}))
        .send::<String>()
        .await
        .unwrap_err();
    assert!(matches!(misread, CallError::Reply(_)), "{misread}");
    assert_eq!(misread.effect(), Effect::Done);
}

#[tokio::test]
async fn nobody_there_is_no_effect_and_is_told_before_the_deadline() {
    let client = Client::new("http://127.0.0.1:9").unwrap();
    let call = client
        .object("tally", "x")
        .call("add")
        .deadline(Duration::from_millis(300));
    let error = call.send::<u64>().await.unwrap_err();
    assert!(matches!(error, CallError::Unreachable(_)), "{error}");
    assert_eq!(error.effect(), Effect::None);
}

#[tokio::test]
async fn a_plain_session_sends_listens_and_ends() {
    let (_server, client) = start().await;
    let session = client.object("tally", "x").session().plain();
    let (session, mut events) = session.query(&[("name", "Ada")]).unwrap().open();
    assert_eq!(next(&mut events).await, Event::State(State::Connecting));
    assert_eq!(next_text(&mut events).await, "hello name=Ada");
    assert_eq!(
        session.send("\u{10}{}").unwrap().await,
        Ok(Assurance::Written)
    );
    assert_eq!(next_text(&mut events).await, "\u{10}{}");
    let _receipt = session.send("bye").unwrap();
    let closed = EndReason::Closed {
        code: 4321,
        reason: "as you wish".to_owned(),
    };
    assert_eq!(end(&mut events).await, closed);
    session.send("late").unwrap_err();
}

#[tokio::test]
async fn a_refused_session_says_why() {
    let (_server, client) = start().await;
    for plain in [true, false] {
        let session = client.object("tally", "x").session();
        let session = if plain { session.plain() } else { session };
        let (_session, mut events) = session.query(&[("secret", 1)]).unwrap().open();
        match end(&mut events).await {
            EndReason::Refused(problem) => assert_eq!(problem.detail, "members only"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_frame_is_durable_when_its_receipt_says_so() {
    let (_server, client) = start().await;
    let (session, mut events) = client.object("tally", "x").session().open();
    // Sent before there is a connection.
    let receipt = session.send("\u{10}{\"type\":\"ack\",\"n\":9}").unwrap();
    assert_eq!(next_text(&mut events).await, "hello ");
    assert_eq!(
        next_text(&mut events).await,
        "\u{10}{\"type\":\"ack\",\"n\":9}"
    );
    assert_eq!(
        timeout(PATIENCE, receipt).await.unwrap(),
        Ok(Assurance::Durable)
    );
    session.close();
    assert_eq!(end(&mut events).await, EndReason::Local);
}

#[tokio::test]
async fn a_session_ends_when_nobody_holds_it() {
    let (_server, client) = start().await;
    let tally = client.object("tally", "x");
    let (session, mut events) = tally.session().open();
    assert_eq!(next_text(&mut events).await, "hello ");
    drop((session, events));
    // One that was merely lost would be kept for a minute.
    let ended = async { while tally.read("sessions").send::<usize>().await.unwrap() > 0 {} };
    timeout(Duration::from_secs(30), ended).await.unwrap();
}
