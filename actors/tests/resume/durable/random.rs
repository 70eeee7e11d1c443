//! Random histories with crashes that lose what was not synced: whatever happens, and whenever, every message
//! takes effect once and arrives once, in order, in both directions.

use std::time::Duration;

use abide_actors::testing::World;
use abide_actors::{Close, Limits};

use super::{Scribe, world};
use crate::client::{Acknowledge, Client};
use crate::random::Chance;
use crate::story::assert_whole;

const SEEDS: u64 = 240;
const STEPS: usize = 70;
const CLIENTS: usize = 3;

#[test]
fn nothing_is_lost_or_doubled_by_crashes() {
    let only = std::env::var("SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    for seed in only.map_or(0..SEEDS, |seed| seed..seed + 1) {
        println!("seed {seed}");
        let mut chance = Chance::of(seed);
        let limits = Limits {
            resume_window: Duration::from_secs(3_600),
            // Small enough to wait for acknowledgements, or so large that nobody ever does.
            resume_buffer_max_bytes: [400, 256 * 1024][usize::from(chance.below(2) == 0)],
            ..Limits::default()
        };
        world()
            .limits(limits)
            .seed(seed)
            .run(async |world| run(world, &mut chance).await);
    }
}

struct History {
    clients: Vec<Client>,
    sent: Vec<Vec<String>>,
    /// One that comes and goes: with it go rows in which others have something, too.
    visitor: Option<Client>,
    /// Scores and flickers are numbered.
    last: u64,
}

async fn run(world: &mut World, chance: &mut Chance) {
    let mut history = History {
        clients: Vec::new(),
        sent: vec![Vec::new(); CLIENTS],
        visitor: None,
        last: 0,
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
    let said = world.actor::<Scribe>("book").said().await.unwrap();
    for (client, sent) in history.clients.iter_mut().zip(&history.sent) {
        client.settle().await;
        assert_eq!(client.unacknowledged(), 0, "{}", client.name);
        check(client, sent, &said, history.last);
    }
    let left = world.actor::<Scribe>("book").left().await.unwrap();
    assert!(left.iter().all(|(name, _)| name == "visitor"), "{left:?}");
}

/// What the client was sent, by kind, and what the object heard of it.
fn check(client: &Client, sent: &[String], said: &[(String, String)], last: u64) {
    let is_told = |text: &&String| !text.starts_with("echo") && !text.starts_with("quiet");
    let told: Vec<&String> = sent
        .iter()
        .filter(is_told)
        .filter(|text| *text != "ping")
        .collect();
    let heard = said.iter().filter(|(name, _)| *name == client.name);
    let heard: Vec<&String> = heard.map(|(_, text)| text).collect();
    assert_eq!(heard, told, "{}", client.name);

    let answers = sent.iter().filter_map(|text| match &**text {
        "ping" => Some("pong".to_owned()),
        text if text.starts_with("echo") => Some(text.to_owned()),
        _ => None,
    });
    let is_answer = |text: &&String| text.starts_with("echo") || *text == "pong";
    let answered = client.got.iter().filter(is_answer).cloned();
    assert_eq!(
        answered.collect::<Vec<_>>(),
        answers.collect::<Vec<_>>(),
        "{}",
        client.name
    );

    let numbered = |kind: &str| -> Vec<u64> {
        let got = client.got.iter();
        let numbers = got.filter_map(|text| text.strip_prefix(kind));
        numbers.map(|number| number.parse().unwrap()).collect()
    };
    let scores = numbered("score ");
    assert!(scores.is_sorted_by(|a, b| a < b), "{scores:?}");
    assert!(numbered("flicker ").is_sorted_by(|a, b| a < b));
    assert_eq!(
        scores.last().copied().unwrap_or(0),
        last,
        "the newest arrives"
    );

    let is_count = |text: &&String| text.starts_with("from") || text.parse::<u64>().is_ok();
    let counts: Vec<String> = client.got.iter().filter(is_count).cloned().collect();
    assert_whole(&counts, said.len());
}

async fn step(world: &mut World, history: &mut History, chance: &mut Chance) {
    let index = usize::try_from(chance.below(CLIENTS as u64)).unwrap();
    let client = &mut history.clients[index];
    match chance.below(28) {
        0..=5 => {
            for _ in 0..=chance.below(3) {
                let number = history.sent[index].len();
                let text = match chance.below(8) {
                    0 => "ping".to_owned(),
                    1 | 2 => format!("quiet {number}"),
                    3 | 4 => format!("echo {number}"),
                    _ => format!("say {number}"),
                };
                history.sent[index].push(text.clone());
                client.send(text);
            }
        }
        6..=10 => {
            let acknowledge = match chance.below(2) {
                0 => Acknowledge::Yes,
                _ => Acknowledge::No,
            };
            client.pump(acknowledge).await;
        }
        11 => client.cut(),
        12..=14 => back(world, client).await,
        15 => {
            // The old connection goes on to believe that it is one.
            if client.connection.is_some() {
                let connection = client.connection.take();
                back(world, client).await;
                drop(connection);
            }
        }
        16 => world.advance(Duration::from_secs(chance.below(15))).await,
        17 | 18 => {
            if chance.below(2) == 0 {
                world.store().hold_commits();
            } else {
                world.store().release_commits();
            }
        }
        19 | 20 => {
            world.store().release_commits();
            history.last += 1;
            let book = world.actor::<Scribe>("book");
            book.score(format!("score {}", history.last)).await.unwrap();
            if chance.below(2) == 0 {
                let text = format!("flicker {}", history.last);
                book.flicker(text).await.unwrap();
            }
        }
        21 => {
            world.store().release_commits();
            world.actor::<Scribe>("book").add().await.unwrap();
        }
        22 => {
            world.store().release_commits();
            world.restart().await;
            history.clients.iter_mut().for_each(Client::cut);
            history.visitor = None;
        }
        23 | 24 => {
            world.store().release_commits();
            match history.visitor.take().map(|visitor| visitor.connection) {
                None => history.visitor = Some(Client::new(world, "visitor").await),
                Some(Some(connection)) => connection.left(Close::new(Close::NORMAL, "bye")),
                Some(None) => {}
            }
        }
        _ => {
            // What is on its way is lost, what is durable is not, and nobody has time to say goodbye.
            world.crash().await;
            history.visitor = None;
            history.clients.iter_mut().for_each(Client::cut);
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
