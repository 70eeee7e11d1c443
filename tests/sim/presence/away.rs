//! Presence of sessions that lose their connection, and of a node that restarts.

use std::task::{Context, Poll, Waker};

use abide_actors::{Connection, Deadline, Limits, Outgoing, Resumption, Token};
use serde_json::json;

use super::*;

async fn connect(world: &World, orders: &str, resumption: Resumption) -> Connection {
    let target = world.runtime().target("club", "a").unwrap();
    let request = ConnectRequest {
        query: orders.to_owned(),
        resumption,
        ..ConnectRequest::default()
    };
    let deadline = Deadline::after(Duration::from_secs(60));
    let connection = world.runtime().connect(&target, request, deadline);
    connection.await.unwrap()
}

async fn resume(world: &World, token: Token) -> Connection {
    let received = 0;
    let connection = connect(world, "", Resumption::Resume { token, received }).await;
    assert!(connection.welcome().unwrap().resumed);
    connection
}

fn token(connection: &Connection) -> Token {
    connection.welcome().unwrap().token
}

/// What this connection has been told, as control messages.
fn mirror(connection: &mut Connection) -> Mirror {
    let mut mirror = Mirror::default();
    let cx = Context::from_waker(Waker::noop());
    while let Poll::Ready(outgoing) = connection.poll_outgoing(&cx) {
        let Outgoing::Control(text) = outgoing else {
            panic!("{outgoing:?} is no control message")
        };
        let json = text.as_str().strip_prefix('\u{10}').unwrap();
        mirror.apply(&serde_json::from_str(json).unwrap());
    }
    mirror
}

#[test]
fn one_that_is_away_is_here_and_is_told_all_again_when_it_is_back() {
    world(Limits::default(), async |world| {
        let mut ann = connect(world, "as ann 1;watch", Resumption::New).await;
        let mut bob = guest(world, "as bob 0;watch").await;
        told(world).await;
        assert_eq!(mirror(&mut ann).shows(), ["ann=1", "bob=0"]);
        let token = token(&ann);
        drop(ann);
        bob.presence(Some(json!(2))).unwrap();
        world.advance(Duration::from_secs(30)).await;
        let mut seen = Mirror::default();
        assert_eq!(shown(&mut seen, &mut bob).await, ["ann=1", "bob=2"]);

        let mut ann = resume(world, token).await;
        told(world).await;
        let again = mirror(&mut ann);
        assert_eq!((again.syncs, again.shows()), (1, seen.shows()));
        ann.presence(Some(&json!(3))).unwrap();
        told(world).await;
        assert_eq!(shown(&mut seen, &mut bob).await, ["ann=3", "bob=2"]);
        drop(ann);
        world.advance(Duration::from_secs(70)).await;
        assert_eq!(shown(&mut seen, &mut bob).await, ["bob=2"]);
    });
}

#[test]
fn who_was_here_before_a_restart_is_here_after_it() {
    world(Limits::default(), async |world| {
        let ann = connect(world, "as ann 1;watch", Resumption::New).await;
        let bob = connect(world, "as bob 2", Resumption::New).await;
        let plain = guest(world, "as eve 3").await;
        bob.presence(Some(&json!(4))).unwrap();
        told(world).await;
        let token = token(&ann);
        world.restart().await;
        drop((ann, bob, plain));

        let mut ann = resume(world, token).await;
        told(world).await;
        let mut seen = mirror(&mut ann);
        assert_eq!(
            (seen.count, seen.shows()),
            (2, vec!["ann=1".into(), "bob=4".into()])
        );
        ann.presence(Some(&json!(5))).unwrap();
        world.advance(Duration::from_secs(70)).await;
        let cx = Context::from_waker(Waker::noop());
        while let Poll::Ready(Outgoing::Control(text)) = ann.poll_outgoing(&cx) {
            let json = text.as_str().strip_prefix('\u{10}').unwrap();
            seen.apply(&serde_json::from_str(json).unwrap());
        }
        assert_eq!(seen.shows(), ["ann=5"], "bob did not come back in time");
    });
}
