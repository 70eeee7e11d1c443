//! One story each: what happens to a connection, and what its client must find afterwards.

use std::sync::Arc;
use std::time::Duration;

use abide_actors::testing::{Builder, World};
use abide_actors::{
    ActorKind, Close, ConnectError, ConnectRequest, Context, Frame, Limits, Reset, Resumption,
    Runtime, Session, actor,
};
use abide_storage::{CommitError, MemoryStore};
use serde::{Deserialize, Serialize};

use crate::client::{Acknowledge, Client, connect};

/// Keeps what everybody said, and tells everybody how many there are.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Ledger {
    entries: Vec<(String, String)>,
    left: Vec<(String, u16)>,
    activations: u32,
}

#[actor]
impl Ledger {
    fn activated(&mut self, ctx: &mut Context<Self>) {
        self.activations += 1;
        ctx.set_auto_response("ping", "pong");
    }

    #[call]
    fn entries(&self) -> Vec<(String, String)> {
        self.entries.clone()
    }

    #[call]
    fn left(&self) -> Vec<(String, u16)> {
        self.left.clone()
    }

    #[call]
    fn add(&mut self, ctx: &mut Context<Self>, text: String) {
        self.entries.push(("call".to_owned(), text));
        ctx.broadcast(self.entries.len().to_string());
    }

    #[call]
    fn guests(&self, ctx: &Context<Self>) -> Vec<(String, bool)> {
        let guests = ctx.sessions().into_iter();
        let guests =
            guests.map(|guest| (guest.attachment().unwrap_or_default(), guest.is_connected()));
        guests.collect()
    }

    #[call]
    fn tell(&mut self, ctx: &mut Context<Self>, tag: String, text: String) {
        ctx.broadcast_to(&tag, text);
    }

    #[call]
    fn dismiss(&mut self, ctx: &mut Context<Self>, tag: String) {
        for session in ctx.sessions_tagged(&tag) {
            session.close(4100, "enough");
        }
    }

    fn connected(
        &mut self,
        session: &Session,
        request: &ConnectRequest,
    ) -> Result<(), ConnectError> {
        session.set_tags([&*request.query])?;
        session.attach(&request.query)?;
        session.send(format!("from {}", self.entries.len()));
        Ok(())
    }

    async fn message(&mut self, ctx: &mut Context<Self>, session: &Session, frame: Frame) {
        let text = frame.as_text().unwrap_or_default();
        if let Some(wait) = text.strip_prefix("wait ") {
            tokio::time::sleep(Duration::from_millis(wait.parse().unwrap_or(0))).await;
        }
        let name: String = session.attachment().unwrap_or_default();
        self.entries.push((name, text.to_owned()));
        ctx.broadcast(self.entries.len().to_string());
    }

    fn disconnected(&mut self, session: &Session, close: &Close) {
        let name: String = session.attachment().unwrap_or_default();
        self.left.push((name, close.code));
    }
}

pub(crate) fn world() -> Builder {
    World::builder().actor::<Ledger>("ledger")
}

/// What the object has heard of one client.
pub(crate) async fn heard(world: &World, name: &str) -> Vec<String> {
    let entries = world.actor::<Ledger>("book").entries().await.unwrap();
    let own = entries.into_iter().filter(|(from, _)| from == name);
    own.map(|(_, text)| text).collect()
}

async fn left(world: &World) -> Vec<(String, u16)> {
    world.actor::<Ledger>("book").left().await.unwrap()
}

async fn add(world: &World, text: &str) {
    world
        .actor::<Ledger>("book")
        .add(text.into())
        .await
        .unwrap();
}

/// Every number from where it came in, each once and in order.
pub(crate) fn assert_whole(got: &[String], last: usize) {
    let first: usize = got[0].strip_prefix("from ").unwrap().parse().unwrap();
    let numbers: Vec<usize> = got[1..].iter().map(|text| text.parse().unwrap()).collect();
    let expected: Vec<usize> = (first + 1..=last).collect();
    assert_eq!(numbers, expected);
}

#[test]
fn a_client_that_comes_back_has_missed_nothing() {
    world().run(async |world| {
        let mut ada = Client::new(world, "ada").await;
        ada.send("one");
        ada.settle().await;
        assert_eq!(ada.acked, 1);
        ada.cut();
        world.advance(Duration::from_secs(1)).await;
        let guests = world.actor::<Ledger>("book").guests().await.unwrap();
        assert_eq!(guests, [("ada".to_owned(), false)], "it is away");
        add(world, "a").await;
        ada.send("two");
        assert!(ada.resume(world).await);
        assert_eq!(ada.welcome.received, 1);
        ada.settle().await;
        assert_eq!(heard(world, "ada").await, ["one", "two"]);
        assert_whole(&ada.got, 3);
        assert_eq!(left(world).await, []);
    });
}

#[test]
fn a_message_on_its_way_when_the_connection_is_lost_is_counted_before_the_welcome() {
    world().run(async |world| {
        let mut ada = Client::new(world, "ada").await;
        ada.settle().await;
        ada.send("wait 3000");
        ada.send("second");
        world.advance(Duration::from_millis(5)).await;
        ada.cut();
        assert!(ada.resume(world).await);
        assert_eq!(ada.welcome.received, 1, "the second was never read");
        ada.settle().await;
        assert_eq!(heard(world, "ada").await, ["wait 3000", "second"]);
        assert_whole(&ada.got, 2);
    });
}

/// What is not durable is neither acknowledged nor counted in a welcome.
#[test]
fn nothing_is_acknowledged_before_it_is_durable() {
    world().run(async |world| {
        let mut ada = Client::new(world, "ada").await;
        ada.settle().await;
        world.store().hold_commits();
        ada.send("one");
        ada.settle().await;
        assert_eq!((ada.acked, ada.unacknowledged()), (0, 1));
        assert_eq!(ada.got.len(), 1);
        let (resumption, name) = (ada.resumption(), "ada");
        ada.cut();
        let coming = connect(world.runtime(), name, resumption);
        let early = tokio::time::timeout(Duration::from_secs(1), coming).await;
        assert!(early.is_err(), "whether it counts is not known yet");
        world.store().release_commits();
        assert!(ada.resume(world).await);
        assert_eq!(ada.welcome.received, 1);
        ada.settle().await;
        assert_eq!(heard(world, "ada").await, ["one"]);
        assert_whole(&ada.got, 1);
    });
}

#[test]
fn a_failed_commit_ends_the_session_and_acknowledges_nothing() {
    world().run(async |world| {
        let mut ada = Client::new(world, "ada").await;
        ada.settle().await;
        let reason = "of a test".into();
        let error = CommitError::Refused { reason };
        world.store().fail_next_commit(error);
        ada.send("one");
        ada.settle().await;
        assert_eq!(ada.acked, 0);
        assert_eq!(ada.close.as_ref().unwrap().code, Close::INTERNAL_ERROR);
        assert!(!ada.resume(world).await);
        assert_eq!(ada.welcome.reset, Some(Reset::Expired));
        assert_eq!(heard(world, "ada").await, [""; 0]);
    });
}

#[test]
fn a_session_sleeps_through_hibernation_without_its_client() {
    world().run(async |world| {
        let mut ada = Client::new(world, "ada").await;
        ada.settle().await;
        ada.cut();
        world.advance(Duration::from_secs(30)).await;
        assert_eq!(world.runtime().stats().activations, 0);
        add(world, "a").await;
        world.advance(Duration::from_secs(25)).await;
        assert!(ada.resume(world).await);
        ada.settle().await;
        assert_whole(&ada.got, 1);
    });
}

#[test]
fn a_half_open_connection_is_taken_over() {
    world().run(async |world| {
        let mut ada = Client::new(world, "ada").await;
        ada.settle().await;
        let mut old = Client::new(world, "other").await;
        old.connection = ada.connection.take();
        old.forget();
        assert!(ada.resume(world).await);
        // What still comes over the old one is neither handled nor counted, and it takes nothing away.
        old.send("late");
        add(world, "a").await;
        old.pump(Acknowledge::No).await;
        assert_eq!(old.close.as_ref().unwrap().code, Close::TAKEN_OVER);
        assert_eq!(old.got, [""; 0]);
        ada.send("one");
        ada.settle().await;
        assert_eq!(heard(world, "ada").await, ["one"]);
        assert_whole(&ada.got, 2);
        let left = left(world).await;
        assert!(left.iter().all(|(name, _)| name == "other"), "{left:?}");
    });
}

#[test]
fn a_window_that_passes_ends_the_session() {
    world().run(async |world| {
        let mut ada = Client::new(world, "ada").await;
        ada.settle().await;
        ada.cut();
        world.advance(Duration::from_secs(59)).await;
        assert_eq!(left(world).await, []);
        world.advance(Duration::from_secs(2)).await;
        assert_eq!(left(world).await, [("ada".to_owned(), Close::ABNORMAL)]);
        assert!(!ada.resume(world).await);
        assert_eq!(ada.welcome.reset, Some(Reset::Expired));
        ada.settle().await;
        assert_whole(&ada.got, 0);
    });
}

#[test]
fn a_client_that_leaves_for_good_is_gone_at_once() {
    world().run(async |world| {
        let mut ada = Client::new(world, "ada").await;
        ada.settle().await;
        let connection = ada.connection.take().unwrap();
        connection.left(Close::new(Close::GOING_AWAY, "bye"));
        assert_eq!(left(world).await, [("ada".to_owned(), Close::GOING_AWAY)]);
        assert!(!ada.resume(world).await);
        ada.settle().await;
        let connection = ada.connection.take().unwrap();
        connection.left(Close::new(4321, "only for a moment"));
        assert!(ada.resume(world).await);
    });
}

#[test]
fn what_an_object_does_to_a_session_that_is_away_happens() {
    world().run(async |world| {
        let mut ada = Client::new(world, "ada").await;
        ada.settle().await;
        ada.cut();
        let book = world.actor::<Ledger>("book");
        book.dismiss("ada".into()).await.unwrap();
        world.advance(Duration::from_millis(10)).await;
        assert_eq!(left(world).await, [("ada".to_owned(), 4100)]);
        assert!(!ada.resume(world).await);
    });
}

#[test]
fn too_much_for_a_client_that_is_away_ends_its_session() {
    let limits = Limits {
        outbound_max_bytes: 4_096,
        ..Limits::default()
    };
    world().limits(limits).run(async |world| {
        let mut ada = Client::new(world, "ada").await;
        ada.settle().await;
        ada.cut();
        let book = world.actor::<Ledger>("book");
        for _ in 0..3 {
            book.tell("ada".into(), "x".repeat(1_500)).await.unwrap();
        }
        world.advance(Duration::from_millis(10)).await;
        let expected = ("ada".to_owned(), Close::TRY_AGAIN_LATER);
        assert_eq!(left(world).await, [expected]);
        assert!(!ada.resume(world).await);
        assert_eq!(ada.welcome.reset, Some(Reset::Expired));
    });
}

#[test]
fn who_has_missed_more_than_is_kept_gets_a_new_session() {
    let limits = Limits {
        resume_buffer_max_bytes: 300,
        ..Limits::default()
    };
    world().limits(limits).run(async |world| {
        let mut ada = Client::new(world, "ada").await;
        ada.settle().await;
        let before = ada.count;
        for _ in 0..20 {
            add(world, "a").await;
            ada.pump(Acknowledge::No).await;
        }
        // The client forgets what it got: a page that was loaded again, with the token in hand.
        ada.count = before;
        ada.cut();
        assert!(!ada.resume(world).await);
        assert_eq!(ada.welcome.reset, Some(Reset::Behind));
        ada.settle().await;
        assert_whole(&ada.got, 20);
        assert_eq!(left(world).await.len(), 1);
    });
}

/// A page that was copied with an old count, or a request that was under way for long: it gets a session
/// of its own, and the one whose client is there does not even notice.
#[test]
fn a_count_from_before_what_was_acknowledged_disturbs_nobody_who_is_connected() {
    world().run(async |world| {
        let mut ada = Client::new(world, "ada").await;
        ada.send("one");
        ada.settle().await;
        let old = Resumption::Resume {
            token: ada.token(),
            received: 0,
        };
        let late = connect(world.runtime(), "late", old).await.unwrap();
        let welcome = late.welcome().unwrap();
        assert_eq!(welcome.reset, Some(Reset::Behind));
        assert_ne!(welcome.session, ada.welcome.session);
        ada.send("two");
        ada.settle().await;
        assert_eq!((ada.acked, &ada.close), (2, &None));
        assert_whole(&ada.got, 2);
        let guests = world.actor::<Ledger>("book").guests().await.unwrap();
        assert_eq!(
            guests,
            [("ada".to_owned(), true), ("late".to_owned(), true)]
        );
        assert_eq!(left(world).await, []);
    });
}

/// As that, while the right client is on its way back: what it sent before has not settled yet.
#[test]
fn a_count_from_before_what_was_acknowledged_disturbs_nobody_who_comes_back() {
    world().run(async |world| {
        let mut ada = Client::new(world, "ada").await;
        ada.settle().await;
        let old = Resumption::Resume {
            token: ada.token(),
            received: 0,
        };
        ada.send("wait 3000");
        world.advance(Duration::from_millis(5)).await;
        ada.cut();
        let late = async {
            world.advance(Duration::from_secs(1)).await;
            connect(world.runtime(), "late", old).await.unwrap()
        };
        let (is_resumed, late) = tokio::join!(ada.resume(world), late);
        assert!(is_resumed);
        assert_eq!(late.welcome().unwrap().reset, Some(Reset::Behind));
        ada.settle().await;
        assert_eq!(heard(world, "ada").await, ["wait 3000"]);
        assert_eq!(left(world).await, []);
    });
}

#[test]
fn an_auto_response_is_counted_like_any_message() {
    world().run(async |world| {
        let mut ada = Client::new(world, "ada").await;
        ada.settle().await;
        ada.send("ping");
        ada.send("one");
        ada.settle().await;
        assert_eq!(ada.got[1..], ["pong", "1"]);
        assert_eq!((ada.acked, ada.count), (2, 3));
        ada.cut();
        add(world, "a").await;
        assert!(ada.resume(world).await);
        ada.settle().await;
        assert_eq!(ada.got[1..], ["pong", "1", "2"]);
    });
}

#[test]
fn a_wrong_token_or_count_changes_nothing() {
    world().run(async |world| {
        let mut ada = Client::new(world, "ada").await;
        ada.settle().await;
        let mut text = ada.token().to_string();
        let changed = if text.pop() == Some('A') { "Q" } else { "A" };
        let refused = |error| matches!(error, Err(ConnectError::InvalidToken(_)));
        if let Ok(token) = format!("{text}{changed}").parse() {
            let received = 0;
            let resumption = Resumption::Resume { token, received };
            assert!(refused(
                connect(world.runtime(), "ada", resumption).await.map(drop)
            ));
        }
        let future = Resumption::Resume {
            token: ada.token(),
            received: ada.count + 1,
        };
        let error = connect(world.runtime(), "ada", future).await.map(drop);
        assert!(
            matches!(error, Err(ConnectError::FromTheFuture(_))),
            "{error:?}"
        );
        let connection = ada.connection.as_mut().unwrap();
        assert!(connection.acknowledge(ada.count + 1).is_err());
        // One that was sent, and has not left yet, cannot have been got.
        add(world, "a").await;
        let future = Resumption::Resume {
            token: ada.token(),
            received: ada.count + 1,
        };
        let error = connect(world.runtime(), "ada", future).await.map(drop);
        assert!(
            matches!(error, Err(ConnectError::FromTheFuture(_))),
            "{error:?}"
        );
        // The session has not even lost its connection.
        ada.send("one");
        ada.settle().await;
        assert_whole(&ada.got, 2);
        // Another object's token.
        let target = world.runtime().target("ledger", "other").unwrap();
        let request = ConnectRequest {
            resumption: ada.resumption(),
            ..ConnectRequest::default()
        };
        let deadline = abide_actors::Deadline::after(Duration::from_secs(5));
        let foreign = world.runtime().connect(&target, request, deadline).await;
        assert!(refused(foreign.map(drop)));
    });
}

#[test]
fn a_restart_keeps_sessions_with_all_they_carry() {
    world().run(async |world| {
        let mut ada = Client::new(world, "ada").await;
        let mut bob = Client::new(world, "bob").await;
        ada.settle().await;
        bob.settle().await;
        let id = ada.welcome.session;
        bob.cut();
        add(world, "a").await;
        ada.send("before");
        world.restart().await;
        ada.send("too late");
        ada.pump(Acknowledge::Yes).await;
        assert_eq!(ada.close.as_ref().unwrap().code, Close::RESTART);
        assert!(ada.resume(world).await);
        assert_eq!(ada.welcome.session, id);
        let guests = world.actor::<Ledger>("book").guests().await.unwrap();
        let expected = [("ada".to_owned(), true), ("bob".to_owned(), false)];
        assert_eq!(guests, expected, "in the order they came");
        let book = world.actor::<Ledger>("book");
        book.tell("ada".into(), "by tag".into()).await.unwrap();
        ada.settle().await;
        assert_eq!(ada.got.pop().unwrap(), "3");
        assert_eq!(ada.got.remove(3), "by tag");
        assert!(bob.resume(world).await);
        bob.settle().await;
        assert_eq!(heard(world, "ada").await, ["before", "too late"]);
        assert_whole(&bob.got, 3);
        assert_eq!(left(world).await, []);
        let mut eve = Client::new(world, "eve").await;
        eve.settle().await;
        assert!(eve.welcome.session > bob.welcome.session);
    });
}

#[test]
fn a_session_nobody_comes_back_for_ends_after_a_restart() {
    world().run(async |world| {
        let mut ada = Client::new(world, "ada").await;
        ada.settle().await;
        world.restart().await;
        ada.cut();
        // Nobody calls the object: what the drain has left in the index of alarms wakes it.
        world.advance(Duration::from_secs(70)).await;
        assert_eq!(left(world).await, [("ada".to_owned(), Close::ABNORMAL)]);
        assert!(!ada.resume(world).await);
    });
}

/// The rows are gone with the first activation: a crash after it ends the sessions, and brings none back
/// that has gone on.
#[test]
fn a_crash_after_a_restart_brings_no_old_session_back() {
    world().run(async |world| {
        let mut ada = Client::new(world, "ada").await;
        ada.settle().await;
        world.restart().await;
        assert!(ada.resume(world).await);
        add(world, "a").await;
        ada.settle().await;
        world.crash().await;
        assert!(!ada.resume(world).await);
        assert_eq!(ada.welcome.reset, Some(Reset::Expired));
        ada.settle().await;
        assert_whole(&ada.got, 1);
    });
}

/// A crash while the deletion of the rows is on its way: nobody was welcomed yet, and the session is
/// restored once more.
#[test]
fn a_crash_before_the_rows_are_gone_restores_them_again() {
    world().run(async |_| {
        let start = |store: &Arc<MemoryStore>| {
            let node = Runtime::builder(store.clone());
            let node = node.register("ledger", ActorKind::<Ledger>::new());
            node.unwrap().start()
        };
        let store = Arc::new(MemoryStore::new());
        let node = start(&store);
        let mut ada = Client::of(&node, "ada").await;
        ada.send("one");
        ada.settle().await;
        node.drain().await;
        ada.cut();
        let store = Arc::new(store.crash());
        store.hold_commits();
        let node = start(&store);
        let coming = connect(&node, "ada", ada.resumption());
        let early = tokio::time::timeout(Duration::from_secs(1), coming).await;
        assert!(
            early.is_err(),
            "a stale row could still bring back what was"
        );
        node.abandon();
        let store = Arc::new(store.crash());
        let node = start(&store);
        assert!(ada.resume_on(&node).await);
        ada.send("two");
        ada.settle().await;
        assert_whole(&ada.got, 2);
        assert_eq!(ada.acked, 2);
    });
}

#[test]
fn plain_sessions_are_as_before() {
    world().run(async |world| {
        let mut plain = world.connect("ledger", "book", "plain").await.unwrap();
        let mut ada = Client::new(world, "ada").await;
        assert_eq!(plain.next_text().await.unwrap(), "from 0");
        plain.send("ping").await;
        assert_eq!(plain.next_text().await.unwrap(), "pong");
        plain.send("one").await;
        assert_eq!(plain.next_text().await.unwrap(), "1");
        ada.settle().await;
        world.restart().await;
        assert_eq!(plain.closed().await.unwrap().code, Close::RESTART);
        assert!(ada.resume(world).await);
        ada.settle().await;
        assert_whole(&ada.got, 1);
    });
}
