//! **single-activation**: an object has at most one value in memory, whoever calls it and whenever.
//!
//! The actor counts its own values: each takes a [`Presence`] when it is activated and gives it
//! back when it is dropped. Two at the same time are the violation these tests look for.

use std::cell::RefCell;
use std::collections::BTreeMap;

use abide::prelude::*;
use abide_actors::Limits;
use abide_actors::testing::World;
use fastrand::Rng;
use futures_util::future::join_all;
use tokio::time::sleep;

use crate::seeds::each_seed;

thread_local! {
    /// Each test has its own thread, and a world runs all its actors on it.
    static LEDGER: RefCell<BTreeMap<String, Entry>> = RefCell::default();
}

/// What is known of one object's values.
#[derive(Clone, Copy, Default)]
struct Entry {
    activations: u64,
    present: u64,
    /// Most that were present at the same time.
    most: u64,
}

fn ledger() -> BTreeMap<String, Entry> {
    LEDGER.with_borrow(BTreeMap::clone)
}

/// Forgets what the last seed's world did.
fn new_ledger() {
    LEDGER.with_borrow_mut(BTreeMap::clear);
}

fn assert_never_two() {
    for (name, entry) in ledger() {
        assert_eq!(
            entry.most, 1,
            "{name} had {} values at the same time",
            entry.most
        );
    }
}

/// Held by a value as long as it lives.
struct Presence(String);

impl Presence {
    fn new(name: &str) -> Self {
        LEDGER.with_borrow_mut(|ledger| {
            let entry = ledger.entry(name.to_owned()).or_default();
            entry.activations += 1;
            entry.present += 1;
            entry.most = entry.most.max(entry.present);
        });
        Self(name.to_owned())
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        LEDGER.with_borrow_mut(|ledger| {
            if let Some(entry) = ledger.get_mut(&self.0) {
                entry.present -= 1;
            }
        });
    }
}

/// Counts visits, and its own values.
#[derive(Default, Serialize, Deserialize)]
struct Hall {
    visits: u64,
    #[serde(skip)]
    presence: Option<Presence>,
}

#[actor]
impl Hall {
    /// Activating takes a while, so that others come meanwhile.
    async fn activated(&mut self, ctx: &mut Context<Self>) {
        self.presence = ctx.name().map(Presence::new);
        sleep(Duration::from_millis(ctx.random_u64() % 3)).await;
    }

    /// Stays for a while and says how many have come so far.
    #[call]
    async fn visit(&mut self, stay_ms: u64) -> u64 {
        sleep(Duration::from_millis(stay_ms)).await;
        self.visits += 1;
        self.visits
    }

    /// Fails after it has counted; the value is made anew.
    #[call]
    fn trip(&mut self) -> Result<(), ActorError> {
        self.visits += 1000;
        Err(ActorError::new("tripped", "as it was told to"))
    }

    #[call]
    fn visits(&self) -> u64 {
        self.visits
    }

    /// Ending takes a while, so that others come meanwhile.
    async fn deactivating(&mut self, ctx: &mut Context<Self>) {
        sleep(Duration::from_millis(ctx.random_u64() % 5)).await;
    }
}

#[test]
fn a_thousand_first_callers_meet_one_activation() {
    World::builder().actor::<Hall>("hall").run(async |world| {
        let world = &*world;
        let calls = (0..1_000).map(|_| async move { world.actor::<Hall>("main").visit(0).await });
        let mut answers: Vec<_> = join_all(calls)
            .await
            .into_iter()
            .map(Result::unwrap)
            .collect();
        answers.sort_unstable();
        assert!(
            answers.into_iter().eq(1..=1_000),
            "each call is counted once"
        );
        assert_eq!(ledger()["main"].activations, 1);
        assert_never_two();
    });
}

#[test]
fn first_callers_of_many_objects_meet_one_activation_of_each() {
    World::builder().actor::<Hall>("hall").run(async |world| {
        let world = &*world;
        let calls = (0..1_000).map(|number| async move {
            world
                .actor::<Hall>(&format!("room {}", number % 50))
                .visit(1)
                .await
                .unwrap();
        });
        join_all(calls).await;
        let ledger = ledger();
        assert_eq!(ledger.len(), 50);
        assert!(ledger.values().all(|entry| entry.activations == 1));
        assert_never_two();
    });
}

/// Calls come exactly when the activation passivates, a moment before and a moment after: the
/// value may go or stay, but a new one never comes while the old one is there.
#[test]
fn calls_around_the_idle_timeout_never_meet_two() {
    const IDLE_MS: u64 = 100;
    each_seed(200, |seed| {
        new_ledger();
        let limits = Limits {
            idle_timeout: Duration::from_millis(IDLE_MS),
            ..Limits::default()
        };
        World::builder()
            .seed(seed)
            .limits(limits)
            .actor::<Hall>("hall")
            .run(async |world| {
                let world = &*world;
                let mut rng = Rng::with_seed(seed);
                let mut calls = 0;
                for round in 0..15 {
                    let callers: Vec<_> = (0..rng.u64(1..4))
                        .map(|_| {
                            // After the last turn the activation ends at IDLE_MS, and its last
                            // callback takes up to 4 ms more.
                            // The last round is late, so that every schedule passivates it.
                            let later = if round == 14 { 5 } else { rng.u64(0..8) };
                            let wait_ms = IDLE_MS - 2 + later;
                            let stay_ms = rng.u64(0..2);
                            async move {
                                sleep(Duration::from_millis(wait_ms)).await;
                                world.actor::<Hall>("main").visit(stay_ms).await.unwrap();
                            }
                        })
                        .collect();
                    calls += u64::try_from(callers.len()).unwrap();
                    join_all(callers).await;
                }
                assert_eq!(world.actor::<Hall>("main").visits().await.unwrap(), calls);
                assert!(
                    ledger()["main"].activations > 1,
                    "the schedule never passivated it"
                );
                assert_never_two();
            });
    });
}

/// More objects are busy than the node may hold: activations are ended early, failed turns make
/// values anew, and calls keep coming for those that are on their way out.
#[test]
fn eviction_under_traffic_never_makes_two() {
    const OBJECTS: usize = 12;
    const CALLERS: usize = 6;
    const CALLS_EACH: usize = 30;
    each_seed(50, |seed| {
        new_ledger();
        let limits = Limits {
            activations_max: 4,
            ..Limits::default()
        };
        World::builder()
            .seed(seed)
            .limits(limits)
            .actor::<Hall>("hall")
            .run(async |world| {
                let world = &*world;
                let visits = RefCell::new([0_u64; OBJECTS]);
                let callers = (0..CALLERS).map(|caller| {
                    let mut rng = Rng::with_seed(seed * 100 + caller as u64);
                    let visits = &visits;
                    async move {
                        for _ in 0..CALLS_EACH {
                            let object = rng.usize(..OBJECTS);
                            let name = format!("room {object}");
                            sleep(Duration::from_millis(rng.u64(..4))).await;
                            if rng.u8(..8) == 0 {
                                world.actor::<Hall>(&name).trip().await.unwrap_err();
                            } else {
                                world
                                    .actor::<Hall>(&name)
                                    .visit(rng.u64(..3))
                                    .await
                                    .unwrap();
                                visits.borrow_mut()[object] += 1;
                            }
                        }
                    }
                });
                join_all(callers).await;
                for (object, expected) in visits.take().into_iter().enumerate() {
                    let found = world
                        .actor::<Hall>(&format!("room {object}"))
                        .visits()
                        .await
                        .unwrap();
                    assert_eq!(found, expected, "room {object}");
                }
                let activations: u64 = ledger().values().map(|entry| entry.activations).sum();
                assert!(
                    activations > OBJECTS as u64,
                    "the schedule never evicted any"
                );
                assert_never_two();
            });
    });
}

/// A drain and a start: the old node's values are gone before the new node has its own.
#[test]
fn a_restart_under_traffic_never_makes_two() {
    each_seed(50, |seed| {
        new_ledger();
        World::builder()
            .seed(seed)
            .actor::<Hall>("hall")
            .run(async |world| {
                let mut rng = Rng::with_seed(seed);
                let mut acknowledged = 0;
                for _round in 0..5 {
                    let old = world.runtime().clone();
                    let target = old.target("hall", "main").unwrap();
                    let traffic = (0..10).map(|_| {
                        let (old, target) = (old.clone(), target.clone());
                        let wait = Duration::from_millis(rng.u64(..6));
                        async move {
                            sleep(wait).await;
                            let arguments = abide::Payload::json("[1]");
                            let deadline = abide::Deadline::after(Duration::from_secs(9));
                            old.call(&target, abide::Call::new("visit", arguments, deadline))
                                .await
                        }
                    });
                    let (answers, ()) = tokio::join!(join_all(traffic), async {
                        sleep(Duration::from_millis(3)).await;
                        world.restart().await;
                    });
                    for answer in answers {
                        match answer {
                            Ok(_) => acknowledged += 1,
                            Err(error) => assert!(matches!(error, CallError::Draining), "{error}"),
                        }
                    }
                    assert_eq!(
                        world.actor::<Hall>("main").visits().await.unwrap(),
                        acknowledged
                    );
                }
                assert_never_two();
            });
    });
}
