//! Rooms as their clients see them.

use std::time::Duration;

use abide::sync::{Replica, RowId, Value};
use abide_actors::testing::{TestSession, World};
use abide_actors::{Frame, Limits};
use serde_json::{Value as Json, json};

use crate::arena::Arena;
use crate::lobby::Lobby;
use crate::world::body::Keys;

pub(super) const ADA: &str = "ada-0123456789abcdef";
pub(super) const BOB: &str = "bob-0123456789abcdef";

pub(super) fn in_world(test: impl AsyncFnOnce(&mut World)) {
    World::builder()
        .actor::<Arena>("arena")
        .actor::<Lobby>("arena-lobby")
        .limits(Limits::default())
        .run(test);
}

/// A page without a screen.
pub(super) struct Player {
    session: TestSession,
    pub(super) replica: Replica,
    said: Vec<Json>,
    ship: u32,
    number: u32,
}

impl Player {
    pub(super) async fn enter(world: &World, name: &str, token: &str) -> Self {
        let session = world.connect("arena", "duel", "").await.unwrap();
        let mut player = Self {
            session,
            replica: Replica::new(),
            said: Vec::new(),
            ship: 0,
            number: 0,
        };
        player
            .say(&json!({"type": "join", "name": name, "token": token}))
            .await;
        world.advance(Duration::from_millis(300)).await;
        player.listen().await;
        let joined = player.heard("joined").expect("the room lets them in");
        player.ship = u32::try_from(joined["ship"].as_u64().unwrap()).unwrap();
        player
    }

    async fn say(&mut self, what: &Json) {
        self.session.send(what.to_string()).await;
    }

    async fn press(&mut self, keys: u8) {
        self.number += 1;
        let mut frame = vec![keys];
        frame.extend(self.number.to_le_bytes());
        self.session.send(frame).await;
    }

    async fn listen(&mut self) {
        for frame in self.session.arrived().await {
            match frame {
                Frame::Binary(bytes) => drop(self.replica.apply(&bytes).unwrap()),
                Frame::Text(text) => self.said.push(serde_json::from_str(text.as_str()).unwrap()),
            }
        }
    }

    fn heard(&self, kind: &str) -> Option<Json> {
        self.said
            .iter()
            .rev()
            .find(|said| said["type"] == kind)
            .cloned()
    }

    fn sees(&self, ship: u32, field: &str) -> Option<f64> {
        number_of(&self.replica, ship, field)
    }

    /// A row of the score table.
    pub(super) fn lists(&self, ship: u32) -> Option<Vec<Value>> {
        self.replica
            .rows("room")
            .find(|(id, _)| *id == RowId(ship))
            .map(|(_, row)| row)
    }
}

/// A number of a ship on the map.
pub(super) fn number_of(replica: &Replica, ship: u32, field: &str) -> Option<f64> {
    let topics = replica.topics();
    let topics = topics.filter(|topic| topic.starts_with("sector"));
    let rows = topics.flat_map(|topic| replica.rows(topic));
    let fields = ["x", "y", "vx", "vy", "angle", "ack"];
    let place = fields.iter().position(|name| *name == field);
    rows.into_iter()
        .find(|(id, _)| *id == RowId(ship))
        .and_then(|(_, row)| row[place?].as_f64())
}

/// Lets ticks pass, one after the other, and has everybody listen.
pub(super) async fn ticks(world: &World, count: u32, players: &mut [&mut Player]) {
    for _ in 0..count {
        world.advance(Duration::from_millis(49)).await;
        for player in players.iter_mut() {
            player.listen().await;
        }
    }
}

#[test]
fn a_player_sees_the_own_ship_answer_for_each_input() {
    in_world(async |world| {
        let mut ada = Player::enter(world, "Ada", ADA).await;
        let before = (
            ada.sees(ada.ship, "x").unwrap(),
            ada.sees(ada.ship, "y").unwrap(),
        );
        for _ in 0..20 {
            ada.press(Keys::THRUST).await;
            ticks(world, 1, &mut [&mut ada]).await;
        }
        ticks(world, 2, &mut [&mut ada]).await;
        assert_eq!(ada.sees(ada.ship, "ack"), Some(20.0));
        let (x, y) = (
            ada.sees(ada.ship, "x").unwrap(),
            ada.sees(ada.ship, "y").unwrap(),
        );
        assert!((x - before.0).hypot(y - before.1) > 50.0, "it did not move");
        assert_eq!(ada.replica.topics().count(), 5, "four sectors and the room");
    });
}

#[test]
fn players_are_listed_with_name_and_points_for_everybody() {
    in_world(async |world| {
        let mut ada = Player::enter(world, "Ada", ADA).await;
        let mut bob = Player::enter(world, " Bob ", BOB).await;
        ticks(world, 10, &mut [&mut ada, &mut bob]).await;
        for player in [&ada, &bob] {
            let names = [ada.ship, bob.ship].map(|ship| player.lists(ship).unwrap()[2].clone());
            assert_eq!(names, ["Ada".into(), "Bob".into()]);
        }
        assert_ne!(ada.ship, bob.ship);
    });
}

#[test]
fn a_ship_waits_for_its_player_and_not_for_ever() {
    in_world(async |world| {
        let mut ada = Player::enter(world, "Ada", ADA).await;
        let bob = Player::enter(world, "Bob", BOB).await;
        let ship = bob.ship;
        bob.session.close(1001, "reload");
        ticks(world, 40, &mut [&mut ada]).await;
        assert_eq!(ada.lists(ship).unwrap()[5], 2.into(), "away, flying");
        let bob = Player::enter(world, "Bob", BOB).await;
        assert_eq!(bob.ship, ship, "the same ship");
        drop(bob);
        ticks(world, 61 * 20, &mut [&mut ada]).await;
        // Its id may be a drone's by now; its player is gone for good.
        assert_ne!(
            ada.lists(ship).map(|row| row[2].clone()),
            Some("Bob".into())
        );
    });
}

#[test]
fn the_newest_page_with_a_token_has_the_ship() {
    in_world(async |world| {
        let mut first = Player::enter(world, "Ada", ADA).await;
        let mut second = Player::enter(world, "Ada", ADA).await;
        assert_eq!(first.ship, second.ship);
        assert_eq!(first.session.closed().await.unwrap().code, 4_100);
        second.press(Keys::THRUST).await;
        ticks(world, 3, &mut [&mut second]).await;
        assert_eq!(second.sees(second.ship, "ack"), Some(1.0));
    });
}

#[test]
fn after_a_crash_players_find_their_ships_and_the_table_of_all_times() {
    in_world(async |world| {
        let mut ada = Player::enter(world, "Ada", ADA).await;
        // Full speed ahead, guns blazing: something is in the way sooner or later.
        for at in 0..1_200 {
            let turn = if at % 40 < 6 { Keys::LEFT } else { 0 };
            ada.press(Keys::FIRE | turn).await;
            ticks(world, 1, &mut [&mut ada]).await;
        }
        let best = world.actor::<Arena>("duel").best().await.unwrap();
        assert!(
            !best.is_empty() && best[0].points > 0,
            "a minute without a point"
        );
        // Points are in the table at the latest two seconds after they were won.
        ticks(world, 45, &mut [&mut ada]).await;
        let best = world.actor::<Arena>("duel").best().await.unwrap();
        let score = ada.lists(ada.ship).unwrap()[4].clone();
        world.crash().await;
        let mut ada = Player::enter(world, "Ada", ADA).await;
        assert_eq!(world.actor::<Arena>("duel").best().await.unwrap(), best);
        ticks(world, 10, &mut [&mut ada]).await;
        assert_eq!(
            ada.lists(ada.ship).unwrap()[4],
            score,
            "the ship has its points again"
        );
    });
}

#[test]
fn what_is_not_understood_is_told_and_harms_nobody() {
    in_world(async |world| {
        let mut ada = Player::enter(world, "Ada", ADA).await;
        let mut eve = world.connect("arena", "duel", "").await.unwrap();
        for (frame, code) in [
            (Frame::from("{"), "not-understood"),
            (Frame::from(r#"{"type":"dance"}"#), "not-understood"),
            (Frame::from(vec![1, 2, 3]), "not-understood"),
            (
                Frame::from(json!({"type": "join", "name": "", "token": BOB}).to_string()),
                "invalid-name",
            ),
            (
                Frame::from(json!({"type": "join", "name": "Eve", "token": "short"}).to_string()),
                "invalid-token",
            ),
        ] {
            eve.arrived().await;
            eve.send(frame).await;
            let texts = eve.arrived().await;
            let said = texts.iter().find_map(Frame::as_text).expect("an answer");
            assert!(said.contains(code), "{said}");
        }
        // An input of one without a ship is nobody's.
        eve.send(vec![1, 1, 0, 0, 0]).await;
        ada.press(Keys::THRUST).await;
        ticks(world, 3, &mut [&mut ada]).await;
        assert_eq!(ada.sees(ada.ship, "ack"), Some(1.0), "the world goes on");
    });
}

#[test]
fn the_lobby_knows_who_plays_where() {
    in_world(async |world| {
        let mut watcher = world.connect("arena-lobby", "lobby", "").await.unwrap();
        assert_eq!(watcher.next_json().await.unwrap(), json!([]));
        let mut ada = Player::enter(world, "Ada", ADA).await;
        ticks(world, 30, &mut [&mut ada]).await;
        let rooms = watcher.next_json().await.unwrap();
        assert_eq!(rooms, json!([{"name": "duel", "players": 1}]));
        ada.session.close(1000, "");
        world.advance(Duration::from_secs(3)).await;
        assert_eq!(watcher.next_json().await.unwrap(), json!([]));
    });
}

#[test]
fn a_room_without_anybody_costs_nothing() {
    in_world(async |world| {
        let ada = Player::enter(world, "Ada", ADA).await;
        drop(ada);
        world.advance(Duration::from_secs(90)).await;
        assert_eq!(world.runtime().stats().activations, 0);
        // Its ship has been saved, and waits for as long as nobody is there to see it.
        let stats = world.actor::<Arena>("duel").stats().await.unwrap();
        assert_eq!((stats.players, stats.ships), (0, 1));
    });
}
