//! Pages that lose their connection, or their server for a moment, and take their session up again.

use std::task::{Context, Poll, Waker};
use std::time::Duration;

use abide::sync::Replica;
use abide_actors::testing::World;
use abide_actors::{
    ConnectRequest, Connection, Deadline, Frame, Incoming, Outgoing, Resumption, Token, Welcome,
};
use serde_json::{Value as Json, json};

use super::rooms::{ADA, BOB, Player, in_world, number_of, ticks};
use crate::world::body::Keys;

/// Bits of a row's `state` on the score table.
const AWAY: f64 = 2.0;

/// A page as `web/net.js` has it: its session outlives its connections.
struct Page {
    connection: Option<Connection>,
    token: Token,
    replica: Replica,
    ship: u32,
    number: u32,
    /// Frames of the session, and those since the last connection began.
    received: u64,
    fresh: u64,
}

impl Page {
    async fn enter(world: &World) -> Self {
        let connection = connect(world, Resumption::New).await;
        let mut page = Self {
            token: connection.welcome().unwrap().token,
            connection: Some(connection),
            replica: Replica::new(),
            ship: 0,
            number: 0,
            received: 0,
            fresh: 0,
        };
        let join = json!({"type": "join", "name": "Bob", "token": BOB});
        page.send(world, join.to_string().into()).await;
        world.advance(Duration::from_millis(300)).await;
        page.listen();
        assert_ne!(page.ship, 0, "the room lets them in");
        page
    }

    async fn press(&mut self, world: &World, keys: u8) {
        self.number += 1;
        let mut frame = vec![keys];
        frame.extend(self.number.to_le_bytes());
        self.send(world, frame.into()).await;
        world.advance(Duration::from_millis(48)).await;
        self.listen();
    }

    async fn send(&mut self, world: &World, frame: Frame) {
        let connection = self.connection.as_mut().unwrap();
        assert!(matches!(connection.deliver(frame), Incoming::Accepted));
        world.advance(Duration::from_millis(1)).await;
        self.listen();
    }

    /// Takes in what has come, and says so.
    fn listen(&mut self) {
        let cx = Context::from_waker(Waker::noop());
        let connection = self.connection.as_mut().unwrap();
        while let Poll::Ready(outgoing) = connection.poll_outgoing(&cx) {
            let Outgoing::Frame(frame) = outgoing else {
                continue;
            };
            self.received += 1;
            self.fresh += 1;
            match frame {
                Frame::Binary(bytes) => drop(self.replica.apply(&bytes).unwrap()),
                Frame::Text(text) => {
                    let said: Json = serde_json::from_str(text.as_str()).unwrap();
                    if said["type"] == "joined" {
                        self.ship = u32::try_from(said["ship"].as_u64().unwrap()).unwrap();
                    }
                }
            }
        }
        connection.acknowledge(self.received).unwrap();
    }

    async fn resume(&mut self, world: &World) -> Welcome {
        let (token, received) = (self.token.clone(), self.received);
        let connection = connect(world, Resumption::Resume { token, received }).await;
        let welcome = connection.welcome().unwrap();
        self.connection = Some(connection);
        self.fresh = 0;
        welcome
    }
}

async fn connect(world: &World, resumption: Resumption) -> Connection {
    let target = world.runtime().target("arena", "duel").unwrap();
    let request = ConnectRequest {
        resumption,
        ..ConnectRequest::default()
    };
    let deadline = Deadline::after(Duration::from_secs(30));
    let connection = world.runtime().connect(&target, request, deadline);
    connection.await.unwrap()
}

#[test]
fn who_loses_the_connection_is_there_all_along_and_comes_back_to_how_things_are() {
    in_world(async |world| {
        let mut ada = Player::enter(world, "Ada", ADA).await;
        let mut bob = Page::enter(world).await;
        for _ in 0..10 {
            bob.press(world, Keys::THRUST).await;
        }
        drop(bob.connection.take());
        for _ in 0..200 {
            ticks(world, 1, &mut [&mut ada]).await;
            let state = ada.lists(bob.ship).expect("the ship is listed")[5].clone();
            let is_away = (state.as_f64().unwrap() / AWAY).floor() % 2.0 > 0.5;
            assert!(!is_away, "seen as away");
        }

        let welcome = bob.resume(world).await;
        assert!(welcome.resumed, "{welcome:?}");
        assert_eq!(welcome.received, 11, "a request to join, ten inputs");
        world.advance(Duration::from_millis(120)).await;
        bob.listen();
        // 200 ticks of five topics have gone by.
        assert!(bob.fresh < 40, "{} frames after the resume", bob.fresh);
        assert_eq!(bob.replica.topics().count(), 5, "four sectors and the room");
        for _ in 0..10 {
            bob.press(world, Keys::THRUST).await;
        }
        assert_eq!(number_of(&bob.replica, bob.ship, "ack"), Some(20.0));
    });
}

#[test]
fn a_restart_leaves_everybody_in_the_ship() {
    in_world(async |world| {
        let mut bob = Page::enter(world).await;
        for _ in 0..30 {
            bob.press(world, Keys::THRUST).await;
        }
        let (session, before) = (bob.connection.as_ref().unwrap().id(), place(&bob));
        world.restart().await;
        drop(bob.connection.take());
        bob.ship = 0;
        let welcome = bob.resume(world).await;
        assert!(welcome.resumed && welcome.session == session, "{welcome:?}");
        world.advance(Duration::from_millis(300)).await;
        bob.listen();
        assert_ne!(bob.ship, 0, "it is told which ship it has");
        let after = place(&bob);
        let distance = (after.0 - before.0).hypot(after.1 - before.1);
        assert!(distance < 400.0, "the ship is {distance} units away");
        bob.press(world, Keys::THRUST).await;
        bob.press(world, Keys::THRUST).await;
        assert_eq!(
            number_of(&bob.replica, bob.ship, "ack"),
            Some(f64::from(bob.number)),
            "its inputs steer"
        );
    });
}

fn place(page: &Page) -> (f64, f64) {
    let at = |field| number_of(&page.replica, page.ship, field).expect("it is on the map");
    (at("x"), at("y"))
}
