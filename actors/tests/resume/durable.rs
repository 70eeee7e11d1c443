//! Durable sessions: what a crash leaves of them, one story each.
//!
//! Seen to fail, by stories and by random histories but where said: with the count left out of the commit, or one
//! too high in it; with the row of a turn left out; with rows deleted before they are acknowledged; with numbers
//! that skip one; with rows deleted and no base recorded (random only), or when that is so for rows of which the last
//! reader has ended (`rows_go_…` only); with no number kept of what may be left out; with messages handled that came
//! behind one that failed (`what_comes_behind_…` only); with no entry that brings the object back; with the
//! object's own close left out of the store (`the_end_…` only).

mod failures;
mod random;

use std::time::Duration;

use abide_actors::testing::{Builder, World};
use abide_actors::{
    Close, ConnectError, ConnectRequest, Context, Frame, Limits, Refusal, Reset, Resumption,
    Session, actor,
};
use abide_storage::{Direction, Scan, Section, Store as _};
use serde::{Deserialize, Serialize};

use crate::client::{Acknowledge, Client, connect};
use crate::story::assert_whole;

/// Keeps what is said, answers what is asked, and has sessions that live through crashes.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Scribe {
    said: Vec<(String, String)>,
    left: Vec<(String, u16)>,
}

#[actor]
impl Scribe {
    fn activated(&mut self, ctx: &mut Context<Self>) {
        ctx.set_auto_response("ping", "pong");
    }

    #[call]
    fn said(&self) -> Vec<(String, String)> {
        self.said.clone()
    }

    #[call]
    fn left(&self) -> Vec<(String, u16)> {
        self.left.clone()
    }

    #[call]
    fn guests(&self, ctx: &Context<Self>) -> Vec<(String, bool)> {
        let guests = ctx.sessions().into_iter();
        let guests =
            guests.map(|guest| (guest.attachment().unwrap_or_default(), guest.is_connected()));
        guests.collect()
    }

    /// What those say who are shown to be here.
    #[call]
    fn here(&self, ctx: &Context<Self>) -> Vec<String> {
        let members = ctx.presence().into_iter();
        members.filter_map(|member| member.state()).collect()
    }

    #[call]
    fn add(&mut self, ctx: &mut Context<Self>) {
        self.said.push(("call".to_owned(), String::new()));
        ctx.broadcast(self.said.len().to_string());
    }

    /// Writes nothing.
    #[call]
    fn tell(&mut self, ctx: &mut Context<Self>, tag: String, text: String) {
        ctx.broadcast_to(&tag, text);
    }

    #[call]
    fn score(&mut self, ctx: &mut Context<Self>, text: String) {
        ctx.broadcast(Frame::from(text).latest("score"));
    }

    #[call]
    fn flicker(&mut self, ctx: &mut Context<Self>, text: String) {
        ctx.broadcast(Frame::from(text).lossy());
    }

    #[call]
    fn rename(&mut self, ctx: &mut Context<Self>, tag: String, name: String) {
        for session in ctx.sessions_tagged(&tag) {
            session.attach(&name).ok();
            session.present(&name).ok();
            session.set_tags([&*name]).ok();
        }
    }

    #[call]
    fn dismiss(&mut self, ctx: &mut Context<Self>, tag: String) {
        for session in ctx.sessions_tagged(&tag) {
            session.close(4100, "enough");
        }
    }

    #[call]
    fn late(&mut self, ctx: &mut Context<Self>) -> bool {
        ctx.sessions()
            .iter()
            .all(|session| session.set_durable().is_err())
    }

    fn connected(
        &mut self,
        session: &Session,
        request: &ConnectRequest,
    ) -> Result<(), ConnectError> {
        session.set_tags([&*request.query])?;
        session.attach(&request.query)?;
        session.present(&request.query)?;
        if !request.query.starts_with("mortal") {
            session.set_durable()?;
        }
        session.send(format!("from {}", self.said.len()));
        if request.query == "refused" {
            return Err(Refusal::new("not you").into());
        }
        Ok(())
    }

    fn message(
        &mut self,
        ctx: &mut Context<Self>,
        session: &Session,
        frame: Frame,
    ) -> Result<(), Refusal> {
        let text = frame.as_text().unwrap_or_default();
        if text.starts_with("fail") {
            return Err(Refusal::new("as it was told to"));
        }
        if text.starts_with("echo") {
            session.send(frame);
        } else if !text.starts_with("quiet") {
            let name: String = session.attachment().unwrap_or_default();
            self.said.push((name, text.to_owned()));
            ctx.broadcast(self.said.len().to_string());
        }
        Ok(())
    }

    fn disconnected(&mut self, session: &Session, close: &Close) {
        let name: String = session.attachment().unwrap_or_default();
        self.left.push((name, close.code));
    }
}

pub(crate) fn world() -> Builder {
    World::builder().actor::<Scribe>("ledger")
}

async fn add(world: &World) {
    world.actor::<Scribe>("book").add().await.unwrap();
}

async fn left(world: &World) -> Vec<(String, u16)> {
    world.actor::<Scribe>("book").left().await.unwrap()
}

/// The power is cut, for the client as well.
pub(crate) async fn crash(world: &mut World, clients: &mut [&mut Client]) {
    world.crash().await;
    for client in clients {
        client.cut();
    }
}

#[test]
fn a_session_goes_on_after_a_crash_in_both_directions() {
    world().run(async |world| {
        let mut ada = Client::new(world, "ada").await;
        ada.send("one");
        ada.send("echo 1");
        ada.settle().await;
        assert_eq!((ada.acked, ada.count), (2, 3));
        ada.send("two");
        add(world).await;
        crash(world, &mut [&mut ada]).await;
        add(world).await;
        assert!(ada.resume(world).await, "{:?}", ada.welcome);
        ada.settle().await;
        assert_eq!(ada.got.remove(2), "echo 1");
        let said = world.actor::<Scribe>("book").said().await.unwrap();
        assert_eq!(said.iter().filter(|(name, _)| name == "ada").count(), 2);
        assert_whole(&ada.got, said.len());
        assert_eq!(ada.unacknowledged(), 0);
    });
}

/// **counted-with-the-turn**: neither is a message counted whose turn is not durable, nor one that is durable
/// forgotten, though the turn writes nothing.
#[test]
fn what_is_counted_is_what_is_durable() {
    world().run(async |world| {
        let mut ada = Client::new(world, "ada").await;
        ada.send("quiet 1");
        ada.settle().await;
        assert_eq!(ada.acked, 1);
        crash(world, &mut [&mut ada]).await;
        assert!(ada.resume(world).await);
        assert_eq!(ada.welcome.received, 1);
        world.store().hold_commits();
        ada.send("quiet 2");
        for _ in 0..5 {
            ada.pump(Acknowledge::Yes).await;
        }
        assert_eq!(ada.acked, 1, "not acknowledged before it is durable");
        crash(world, &mut [&mut ada]).await;
        assert!(ada.resume(world).await);
        assert_eq!(ada.welcome.received, 1);
        ada.settle().await;
        assert_eq!(ada.acked, 2);
    });
}

/// **kept-with-the-turn**, of turns that write nothing, for who is away and who has not acknowledged.
#[test]
fn what_was_sent_is_sent_again_until_it_is_acknowledged() {
    world().run(async |world| {
        let mut ada = Client::new(world, "ada").await;
        ada.pump(Acknowledge::Yes).await;
        let book = world.actor::<Scribe>("book");
        book.tell("ada".into(), "a".into()).await.unwrap();
        ada.pump(Acknowledge::No).await;
        // As a client that has got the message and not stored it: it asks for it again.
        assert_eq!(ada.got.pop().unwrap(), "a");
        ada.count -= 1;
        book.tell("ada".into(), "b".into()).await.unwrap();
        crash(world, &mut [&mut ada]).await;
        let book = world.actor::<Scribe>("book");
        book.tell("ada".into(), "c".into()).await.unwrap();
        crash(world, &mut [&mut ada]).await;
        assert!(ada.resume(world).await);
        ada.settle().await;
        assert_eq!(ada.got[1..], ["a", "b", "c"]);
        crash(world, &mut [&mut ada]).await;
        assert!(ada.resume(world).await);
        ada.settle().await;
        assert_eq!(ada.got[1..], ["a", "b", "c"], "and nothing twice");
    });
}

#[test]
fn what_may_be_left_out_is_counted_and_the_newest_of_a_key_arrives() {
    world().run(async |world| {
        let mut ada = Client::new(world, "ada").await;
        ada.settle().await;
        let before = ada.count;
        let book = world.actor::<Scribe>("book");
        book.flicker("flash".into()).await.unwrap();
        ada.settle().await;
        assert_eq!(ada.got.pop().unwrap(), "flash");
        assert_eq!(ada.count, before + 1);
        // Nothing but the row of a message that may be left out says that its number is taken.
        crash(world, &mut [&mut ada]).await;
        assert!(ada.resume(world).await);
        ada.pump(Acknowledge::No).await;
        ada.cut();
        let book = world.actor::<Scribe>("book");
        for n in 0..5 {
            book.flicker(format!("flash {n}")).await.unwrap();
            book.score(n.to_string()).await.unwrap();
        }
        crash(world, &mut [&mut ada]).await;
        assert!(ada.resume(world).await);
        ada.settle().await;
        assert_eq!(ada.got[1..], ["4"]);
        assert_eq!(ada.count, before + 11, "the others are counted as left out");
    });
}

#[test]
fn a_session_comes_back_with_all_it_carries_and_in_its_place() {
    world().run(async |world| {
        let mut ada = Client::new(world, "ada").await;
        let mut bob = Client::new(world, "bob").await;
        let book = world.actor::<Scribe>("book");
        book.rename("ada".into(), "countess".into()).await.unwrap();
        crash(world, &mut [&mut ada, &mut bob]).await;
        let mut eve = Client::new(world, "eve").await;
        assert!(bob.resume(world).await);
        crash(world, &mut [&mut ada, &mut bob, &mut eve]).await;
        assert!(ada.resume(world).await);
        let book = world.actor::<Scribe>("book");
        let guests = book.guests().await.unwrap();
        let guest = |name: &str, is_connected| (name.to_owned(), is_connected);
        let expected = [
            guest("countess", true),
            guest("bob", false),
            guest("eve", false),
        ];
        assert_eq!(guests, expected);
        assert_eq!(book.here().await.unwrap(), ["countess", "bob", "eve"]);
        book.tell("countess".into(), "by tag".into()).await.unwrap();
        ada.settle().await;
        assert_eq!(ada.got.last().unwrap(), "by tag");
        assert!(eve.welcome.session > bob.welcome.session);
    });
}

#[test]
fn nobody_comes_back_and_the_object_is_told_once_though_nobody_calls_it() {
    world().run(async |world| {
        let mut ada = Client::new(world, "ada").await;
        ada.settle().await;
        crash(world, &mut [&mut ada]).await;
        // Activated by this call it would begin the window only now.
        world.advance(Duration::from_secs(70)).await;
        let told = [("ada".to_owned(), Close::ABNORMAL)];
        assert_eq!(left(world).await, told);
        crash(world, &mut []).await;
        world.advance(Duration::from_secs(200)).await;
        assert_eq!(left(world).await, told);
        assert!(!ada.resume(world).await);
        assert_eq!(ada.welcome.reset, Some(Reset::Expired));
    });
}

/// Whatever ended it, and however soon the power is cut after that: the object is told, once.
#[test]
fn the_end_of_a_session_is_told_once() {
    for held in [false, true] {
        world().run(async |world| {
            let mut ada = Client::new(world, "ada").await;
            let mut bob = Client::new(world, "bob").await;
            ada.settle().await;
            bob.settle().await;
            let book = world.actor::<Scribe>("book");
            book.dismiss("ada".into()).await.unwrap();
            if held {
                world.store().hold_commits();
            }
            ada.pump(Acknowledge::Yes).await;
            assert_eq!(ada.close.take().unwrap().code, 4100);
            let connection = bob.connection.take().unwrap();
            connection.left(Close::new(Close::NORMAL, "bye"));
            world.advance(Duration::from_millis(5)).await;
            crash(world, &mut [&mut ada, &mut bob]).await;
            assert!(!ada.resume(world).await, "it was closed for good");
            ada.connection.take().unwrap().left(Close::new(1000, ""));
            world.advance(Duration::from_secs(70)).await;
            let mut left = left(world).await;
            left.sort();
            let names: Vec<&str> = left.iter().map(|(name, _)| &**name).collect();
            assert_eq!(names, ["ada", "ada", "bob"], "{held}: {left:?}");
            assert!(left.contains(&("ada".to_owned(), 4100)));
        });
    }
}

#[test]
fn of_a_session_that_was_refused_nothing_is_kept() {
    world().run(async |world| {
        let refused = connect(world.runtime(), "refused", Resumption::New);
        assert!(matches!(refused.await, Err(ConnectError::Refused(_))));
        let mut ada = Client::new(world, "ada").await;
        assert!(world.actor::<Scribe>("book").late().await.unwrap());
        crash(world, &mut [&mut ada]).await;
        let guests = world.actor::<Scribe>("book").guests().await.unwrap();
        assert_eq!(guests, [("ada".to_owned(), false)]);
        world.advance(Duration::from_secs(70)).await;
        assert_eq!(left(world).await.len(), 1);
    });
}

#[test]
fn sessions_that_are_not_durable_end_with_a_crash_beside_one_that_is() {
    world().run(async |world| {
        let mut ada = Client::new(world, "ada").await;
        let mut bob = Client::new(world, "mortal").await;
        let mut plain = world.connect("ledger", "book", "plain").await.unwrap();
        for n in 1..=3 {
            ada.send(format!("a {n}"));
            ada.settle().await;
            bob.send(format!("b {n}"));
            bob.settle().await;
            if n == 2 {
                world.restart().await;
                ada.cut();
                bob.cut();
                assert_eq!(plain.closed().await.unwrap().code, Close::RESTART);
                assert!(ada.resume(world).await && bob.resume(world).await);
            }
        }
        crash(world, &mut [&mut ada, &mut bob]).await;
        assert!(ada.resume(world).await && !bob.resume(world).await);
        ada.settle().await;
        bob.settle().await;
        assert_whole(&ada.got, 6);
        assert_eq!(bob.got, ["from 6"]);
        world.restart().await;
        ada.cut();
        bob.cut();
        assert!(ada.resume(world).await && bob.resume(world).await);
        crash(world, &mut [&mut ada, &mut bob]).await;
        assert!(ada.resume(world).await && !bob.resume(world).await);
    });
}

#[test]
fn an_automatic_answer_is_counted_in_the_store() {
    world().run(async |world| {
        let mut ada = Client::new(world, "ada").await;
        ada.send("ping");
        ada.settle().await;
        ada.send("ping");
        ada.pump(Acknowledge::No).await;
        crash(world, &mut [&mut ada]).await;
        assert!(ada.resume(world).await);
        ada.settle().await;
        assert_eq!(ada.got[1..], ["pong", "pong"]);
        assert_eq!((ada.acked, ada.count), (2, 3));
    });
}

/// A frame that fails ends the session. What its client had handed over behind it does not take effect, or
/// after a crash it would be counted, and the one before it with it.
#[test]
fn what_comes_behind_a_message_that_failed_has_no_effect() {
    world().run(async |world| {
        let mut ada = Client::new(world, "ada").await;
        ada.settle().await;
        world.store().hold_commits();
        // Held by the gate behind this, the close does not reach the client before it sends the third.
        ada.send("first");
        ada.send("fail");
        ada.send("third");
        for _ in 0..5 {
            ada.pump(Acknowledge::Yes).await;
        }
        world.store().release_commits();
        world.advance(Duration::from_millis(5)).await;
        crash(world, &mut [&mut ada]).await;
        let said = world.actor::<Scribe>("book").said().await.unwrap();
        assert_eq!(said, [("ada".to_owned(), "first".to_owned())]);
    });
}

/// **bounded**: who does not acknowledge is waited for, and then too slow.
#[test]
fn what_nobody_acknowledges_is_bounded() {
    let limits = Limits {
        resume_buffer_max_bytes: 1_000,
        outbound_max_bytes: 4_000,
        ..Limits::default()
    };
    world().limits(limits).run(async |world| {
        let mut ada = Client::new(world, "ada").await;
        ada.settle().await;
        let book = world.actor::<Scribe>("book");
        for n in 0..30 {
            book.tell("ada".into(), n.to_string()).await.unwrap();
        }
        ada.pump(Acknowledge::No).await;
        let got = ada.got.len();
        assert!((5..20).contains(&got), "{got} of 30 were written");
        ada.settle().await;
        assert_eq!(
            ada.got.len(),
            31,
            "it goes on when something is acknowledged"
        );
        for n in 0..100 {
            book.tell("ada".into(), n.to_string()).await.unwrap();
            ada.pump(Acknowledge::No).await;
        }
        assert_eq!(ada.close.take().unwrap().code, Close::TRY_AGAIN_LATER);
        world.advance(Duration::from_millis(5)).await;
        assert_eq!(
            left(world).await,
            [("ada".to_owned(), Close::TRY_AGAIN_LATER)]
        );
        assert_eq!(rows(world).await, 0, "nothing of it stays");
    });
}

/// Rows of sessions in the store.
async fn rows(world: &World) -> usize {
    let target = world.runtime().target("ledger", "book").unwrap();
    let scan = Scan {
        section: Section::Session,
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

#[test]
fn rows_go_when_they_are_acknowledged_and_with_the_session() {
    world().run(async |world| {
        let mut ada = Client::new(world, "ada").await;
        let mut bob = Client::new(world, "bob").await;
        for _ in 0..50 {
            add(world).await;
            ada.pump(Acknowledge::Yes).await;
            bob.pump(Acknowledge::Yes).await;
        }
        // The object's, two of each session, and the last turn's.
        let before = rows(world).await;
        assert!(before <= 7, "{before} rows");
        // An away session keeps them, the object's end of it lets them go.
        ada.cut();
        for n in 0..20 {
            add(world).await;
            bob.pump(Acknowledge::Yes).await;
            let book = world.actor::<Scribe>("book");
            book.score(n.to_string()).await.unwrap();
            book.flicker(n.to_string()).await.unwrap();
            bob.pump(Acknowledge::Yes).await;
        }
        let away = rows(world).await;
        assert!(
            (25..=30).contains(&away),
            "20 reliable ones, the newest score, a number: {away}"
        );
        world.advance(Duration::from_secs(70)).await;
        add(world).await;
        bob.pump(Acknowledge::Yes).await;
        let after = rows(world).await;
        assert!(after <= 5, "{after} rows");
        bob.connection.take().unwrap().left(Close::new(1000, ""));
        world.advance(Duration::from_millis(5)).await;
        assert_eq!(rows(world).await, 0);
        crash(world, &mut []).await;
        assert_eq!(world.actor::<Scribe>("book").guests().await.unwrap(), []);
    });
}
