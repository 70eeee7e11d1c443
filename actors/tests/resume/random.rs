//! Random histories: whatever is cut, taken over, put to sleep and restarted, and whenever, every message
//! arrives once and in order, in both directions.

use std::time::Duration;

use abide_actors::Limits;
use abide_actors::testing::World;

use crate::client::{Acknowledge, Client};
use crate::story::{Ledger, assert_whole, heard, world};

const SEEDS: u64 = 60;
const STEPS: usize = 60;
const CLIENTS: usize = 3;

/// Numbers that are the same for a seed (splitmix64, Steele et al., OOPSLA 2014).
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn of(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

#[test]
fn nothing_is_lost_or_doubled_whatever_happens() {
    for seed in 0..SEEDS {
        println!("seed {seed}");
        let limits = Limits {
            resume_window: Duration::from_secs(3_600),
            ..Limits::default()
        };
        world()
            .limits(limits)
            .seed(seed)
            .run(async |world| run(world, &mut Chance(seed)).await);
    }
}

struct History {
    clients: Vec<Client>,
    sent: Vec<Vec<String>>,
}

async fn run(world: &mut World, chance: &mut Chance) {
    let mut history = History {
        clients: Vec::new(),
        sent: vec![Vec::new(); CLIENTS],
    };
    for index in 0..CLIENTS {
        let name = format!("client {index}");
        history.clients.push(Client::new(world, &name).await);
    }
    for _ in 0..STEPS {
        step(world, &mut history, chance).await;
    }
    world.store().release_commits();
    for client in &mut history.clients {
        back(world, client).await;
        client.settle().await;
    }
    let entries = world.actor::<Ledger>("book").entries().await.unwrap();
    for (client, sent) in history.clients.iter_mut().zip(&history.sent) {
        client.settle().await;
        assert_eq!(client.unacknowledged(), 0, "{}", client.name);
        assert_eq!(heard(world, &client.name).await, *sent, "{}", client.name);
        assert_whole(&client.got, entries.len());
    }
}

async fn step(world: &mut World, history: &mut History, chance: &mut Chance) {
    let index = usize::try_from(chance.below(CLIENTS as u64)).unwrap();
    let client = &mut history.clients[index];
    match chance.below(18) {
        0..=5 => {
            for _ in 0..=chance.below(3) {
                let text = match chance.below(6) {
                    0 => "wait 40".to_owned(),
                    _ => format!("say {}", history.sent[index].len()),
                };
                history.sent[index].push(text.clone());
                client.send(text);
            }
        }
        6..=9 => {
            let acknowledge = match chance.below(2) {
                0 => Acknowledge::Yes,
                _ => Acknowledge::No,
            };
            client.pump(acknowledge).await;
        }
        10 | 11 => client.cut(),
        12 | 13 => back(world, client).await,
        14 => {
            // The old connection goes on to believe that it is one.
            if client.connection.is_some() {
                let connection = client.connection.take();
                back(world, client).await;
                drop(connection);
            }
        }
        15 => world.advance(Duration::from_secs(chance.below(15))).await,
        16 => {
            if chance.below(2) == 0 {
                world.store().hold_commits();
            } else {
                world.store().release_commits();
            }
        }
        _ => {
            world.store().release_commits();
            world.restart().await;
        }
    }
}

/// Connects again, if the client is not connected as far as it knows.
async fn back(world: &World, client: &mut Client) {
    client.pump(Acknowledge::No).await;
    if client.connection.is_none() {
        world.store().release_commits();
        assert!(
            client.resume(world).await,
            "{}: {:?}",
            client.name,
            client.welcome
        );
    }
}
