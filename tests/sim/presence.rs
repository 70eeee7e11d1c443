//! **presence**: who is shown to be here, to whom, and that it is true.

mod away;
mod crowd;
mod model;
mod rules;

use std::collections::BTreeMap;

use abide::prelude::*;
use abide_actors::Limits;
use abide_actors::testing::{TestSession, World};
use serde_json::Value;

use crate::support::note;

/// A club whose guests say what is to be done with their presence, one command per frame; the
/// query string of a session is commands, too.
#[derive(Default, Serialize, Deserialize)]
struct Club {
    orders: u64,
}

#[actor]
impl Club {
    fn activated(&mut self, ctx: &mut Context<Self>) {
        note("activated");
        ctx.allow_client_presence(true);
    }

    #[call]
    fn forbid(&mut self, ctx: &mut Context<Self>) {
        ctx.allow_client_presence(false);
    }

    #[call]
    fn who(&self, ctx: &Context<Self>) -> Vec<String> {
        who(ctx)
    }

    fn connected(
        &mut self,
        ctx: &mut Context<Self>,
        session: &Session,
        request: &ConnectRequest,
    ) -> Result<(), ConnectError> {
        for order in request.query.split(';').filter(|order| !order.is_empty()) {
            if order == "refuse" {
                return Err(Refusal::new("not today").into());
            }
            obey(ctx, session, order)?;
        }
        self.orders += 1;
        Ok(())
    }

    async fn message(
        &mut self,
        ctx: &mut Context<Self>,
        session: &Session,
        frame: Frame,
    ) -> Result<(), ActorError> {
        for order in frame.as_text().unwrap_or_default().split(';') {
            match order.split_once(' ') {
                Some(("wait", millis)) => {
                    tokio::time::sleep(Duration::from_millis(millis.parse()?)).await;
                }
                _ if order == "fail" => return Err(ActorError::new("failed", "as ordered")),
                _ => obey(ctx, session, order)?,
            }
        }
        self.orders += 1;
        Ok(())
    }

    fn disconnected(&mut self, ctx: &mut Context<Self>, session: &Session, _close: &Close) {
        // Both come too late, and must not bring it back.
        session.present("a ghost").unwrap();
        session.watch_presence();
        // A crowd that leaves would have its whole list written down by each.
        if ctx.presence_count() < 100 {
            note(format!("after one left: {}", who(ctx).join(" ")));
        }
    }
}

fn who(ctx: &Context<Club>) -> Vec<String> {
    let members = ctx.presence();
    assert_eq!(members.len(), ctx.presence_count());
    let members = members.iter();
    members
        .map(|member| format!("{}={}", member.id(), member.state_json()))
        .collect()
}

fn obey(ctx: &Context<Club>, session: &Session, order: &str) -> Result<(), CallError> {
    let state = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    match order.split(' ').collect::<Vec<_>>()[..] {
        ["present", text] => session.present(&state(text)),
        ["as", key, text] => session.present_as(key, &state(text)),
        ["absent"] => {
            session.absent();
            Ok(())
        }
        ["watch"] => {
            session.watch_presence();
            Ok(())
        }
        ["unwatch"] => {
            session.unwatch_presence();
            Ok(())
        }
        ["who"] => {
            note(format!("who: {}", who(ctx).join(" ")));
            Ok(())
        }
        ["write"] => Ok(()),
        _ => panic!("no such order: {order}"),
    }
}

/// Hears nothing of those who leave.
#[derive(Default, Serialize, Deserialize)]
struct Deaf;

#[actor]
impl Deaf {
    fn message(&mut self, session: &Session, frame: Frame) {
        match frame.as_text() {
            Some("watch") => session.watch_presence(),
            _ => session.present("here").unwrap(),
        }
    }
}

fn world<T>(limits: Limits, test: impl AsyncFnOnce(&mut World) -> T) -> T {
    World::builder()
        .actor::<Club>("club")
        .actor::<Deaf>("deaf")
        .limits(limits)
        .run(test)
}

async fn guest(world: &World, orders: &str) -> TestSession {
    world.connect("club", "a", orders).await.unwrap()
}

/// Time for what is to be told by now.
async fn told(world: &World) {
    world.advance(Duration::from_millis(101)).await;
}

/// What a watcher makes of what it is told.
#[derive(Debug, Default, PartialEq)]
struct Mirror {
    count: u64,
    members: BTreeMap<String, Value>,
    messages: usize,
    syncs: usize,
    bytes: usize,
}

impl Mirror {
    /// Reads what has arrived.
    async fn read(&mut self, session: &mut TestSession) {
        for frame in session.arrived().await {
            let text = frame.as_text().unwrap();
            self.apply(&serde_json::from_str(text).unwrap());
            self.messages += 1;
            self.bytes += text.len();
        }
    }

    /// As a client would that is strict about what it is told.
    fn apply(&mut self, message: &Value) {
        assert_eq!(message["type"], "presence", "{message}");
        let list = |name: &str| message[name].as_array().cloned().unwrap_or_default();
        let pair = |entry: &Value| (entry[0].as_str().unwrap().to_owned(), entry[1].clone());
        if message.get("sync").is_some() {
            self.members = list("sync").iter().map(pair).collect();
            self.syncs += 1;
        }
        for id in list("left") {
            let gone = self.members.remove(id.as_str().unwrap());
            assert!(gone.is_some(), "{id} left, and was not there");
        }
        for (id, state) in list("joined").iter().map(pair) {
            let new = self.members.insert(id.clone(), state).is_none();
            assert!(new, "{id} joined, and was there");
        }
        for (id, state) in list("updated").iter().map(pair) {
            let known = self.members.insert(id.clone(), state);
            assert!(known.is_some(), "{id} was updated, and was not there");
        }
        self.count = message["count"].as_u64().unwrap();
    }

    fn shows(&self) -> Vec<String> {
        let members = self.members.iter();
        members.map(|(id, state)| format!("{id}={state}")).collect()
    }
}

/// What a watcher shows after it has read what has arrived.
async fn shown(mirror: &mut Mirror, session: &mut TestSession) -> Vec<String> {
    mirror.read(session).await;
    mirror.shows()
}
