//! Random guests against a model: whoever watches, from whenever on, shows exactly what the model
//! lists when all that was due has been told.

use std::collections::BTreeMap;

use abide_actors::Limits;
use serde_json::{Value, json};

use super::*;
use crate::seeds::each_seed;

/// What presence should be: sessions in the order they showed themselves.
#[derive(Default)]
struct Model {
    /// Number of a guest to its member, its state, and when it was given.
    given: BTreeMap<usize, (String, Value, u64)>,
    /// When each member came.
    since: BTreeMap<String, u64>,
    now: u64,
}

impl Model {
    fn present(&mut self, guest: usize, id: String, state: Value) {
        self.now += 1;
        let stays = self.given.get(&guest).is_some_and(|(old, ..)| *old == id);
        if !stays {
            self.absent(guest);
        }
        self.since.entry(id.clone()).or_insert(self.now);
        self.given.insert(guest, (id, state, self.now));
    }

    fn absent(&mut self, guest: usize) {
        self.given.remove(&guest);
        let given = &self.given;
        self.since
            .retain(|id, _| given.values().any(|(held, ..)| held == id));
    }

    fn listed(&self, max: usize) -> BTreeMap<String, Value> {
        let mut by_age: Vec<_> = self.since.iter().collect();
        by_age.sort_by_key(|(_, since)| **since);
        let state = |id: &str| {
            let of_member = self.given.values().filter(|(held, ..)| held == id);
            let newest = of_member.max_by_key(|(_, _, at)| *at).unwrap();
            newest.1.clone()
        };
        let listed = by_age.into_iter().take(max);
        listed.map(|(id, _)| (id.clone(), state(id))).collect()
    }
}

struct Guest {
    session: TestSession,
    mirror: Option<Mirror>,
    /// Its own number, as its member's id is when it has no key.
    id: String,
}

const LISTED_MAX: usize = 4;

#[test]
fn watchers_show_what_the_model_lists() {
    each_seed(60, |seed| {
        let limits = Limits {
            presence_listed_max: LISTED_MAX,
            ..Limits::default()
        };
        world(limits, async |world| {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut model = Model::default();
            let mut guests: BTreeMap<usize, Guest> = BTreeMap::new();
            for step in 0..120 {
                let chosen = random.usize(0..12);
                act(world, &mut random, &mut model, &mut guests, chosen).await;
                match random.u8(0..20) {
                    0 => world.advance(Duration::from_secs(11)).await,
                    1..=4 => {
                        world
                            .advance(Duration::from_millis(random.u64(1..150)))
                            .await
                    }
                    5..=8 => {
                        told(world).await;
                        check(&model, &mut guests, step).await;
                    }
                    _ => {}
                }
            }
            told(world).await;
            check(&model, &mut guests, 120).await;
        });
    });
}

async fn act(
    world: &World,
    random: &mut fastrand::Rng,
    model: &mut Model,
    guests: &mut BTreeMap<usize, Guest>,
    chosen: usize,
) {
    let Some(guest) = guests.get_mut(&chosen) else {
        let session = guest(world, "").await;
        let id = session.id().to_string();
        let mirror = None;
        guests.insert(
            chosen,
            Guest {
                session,
                mirror,
                id,
            },
        );
        return;
    };
    let state = json!(random.u8(0..3));
    match random.u8(0..12) {
        0 => {
            guests.remove(&chosen);
            model.absent(chosen);
        }
        1 => {
            guest.session.send("absent").await;
            model.absent(chosen);
        }
        2..=4 => {
            let key = format!("key{}", random.u8(0..4));
            guest.session.send(format!("as {key} {state}")).await;
            model.present(chosen, key, state);
        }
        5 | 6 => {
            let held = model.given.get(&chosen).map(|(id, ..)| id.clone());
            guest.session.send(format!("present {state}")).await;
            model.present(chosen, held.unwrap_or_else(|| guest.id.clone()), state);
        }
        7 => {
            let held = model.given.get(&chosen).map(|(id, ..)| id.clone());
            guest.session.presence(Some(state.clone())).unwrap();
            model.present(chosen, held.unwrap_or_else(|| guest.id.clone()), state);
        }
        8 => {
            guest.session.presence(None).unwrap();
            model.absent(chosen);
        }
        9 | 10 => {
            guest.session.send("watch").await;
            guest.mirror.get_or_insert_default();
        }
        _ => {
            // What was on its way before is of no more use.
            guest.session.send("unwatch").await;
            guest.session.arrived().await;
            guest.mirror = None;
        }
    }
}

async fn check(model: &Model, guests: &mut BTreeMap<usize, Guest>, step: usize) {
    let listed = model.listed(LISTED_MAX);
    for (number, guest) in guests {
        if let Some(mirror) = &mut guest.mirror {
            mirror.read(&mut guest.session).await;
            assert_eq!(mirror.members, listed, "guest {number} after step {step}");
            let count = mirror.count;
            assert_eq!(
                count,
                model.since.len() as u64,
                "guest {number} after step {step}"
            );
        }
    }
}
