//! The power goes at a random operation of the log or the engine; what was not synced is dropped, kept or
//! half kept. Every acknowledged commit must be there afterwards, every other whole or not at all.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;

use abide_storage::conformance::{self, Activation, put};
use abide_storage::fault::{FaultDisk, FaultEngine, PowerSwitch};
use abide_storage::{
    CommitError, Direction, EngineKind, LogStore, MemoryEngine, Object, Options, Scan, Seams,
    Section, Store,
};
use bytes::Bytes;

fn object(number: u32) -> Object {
    conformance::object("test", &number.to_string())
}

const OBJECTS: u32 = 4;
const KEYS_PER_COMMIT: u64 = 3;

fn options() -> Options {
    Options {
        engine: EngineKind::Memory,
        segment_size_bytes: 1 << 20,
        first_segment_size_bytes: 64 << 10,
        checkpoint_size_bytes: 8 << 10,
        ..Options::default()
    }
}

/// Commits until the power is gone; answers each object's last acknowledged version.
async fn commit_until_dark(store: Arc<dyn Store>, number: u32, seed: u64) -> (u32, u64, u64) {
    let mut random = fastrand::Rng::with_seed(seed ^ u64::from(number));
    let Ok(mut activation) = Activation::open(&store, object(number)).await else {
        return (number, 0, u64::MAX);
    };
    let mut acknowledged = activation.version.0;
    loop {
        // Every key of a commit carries its version, so that a torn one shows.
        let version = activation.version.0 + 1;
        let value =
            |size| Bytes::from([version.to_string().into_bytes(), vec![b' '; size]].concat());
        let writes =
            (0..KEYS_PER_COMMIT).map(|key| put(key.to_string(), value(random.usize(..3_000))));
        let ticket = match activation.try_commit(writes.collect()) {
            Ok(ticket) => ticket,
            Err(CommitError::Refused { .. }) => {
                return (number, acknowledged, activation.version.0);
            }
            Err(error) => panic!("{error}"),
        };
        match ticket.await {
            Ok(()) => acknowledged = version,
            Err(_) => return (number, acknowledged, activation.version.0),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_the_power_goes() {
    let base: u64 = std::env::var("ABIDE_SEED")
        .map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    let rounds = std::env::var("ABIDE_ROUNDS").map_or(60, |rounds| rounds.parse().unwrap());
    for round in 0..rounds {
        let seed = base.wrapping_add(round);
        eprintln!("seed {seed}");
        survive(seed).await;
    }
}

async fn survive(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let folder = tempfile::tempdir().unwrap();
    let inner = Arc::new(MemoryEngine::new());
    let mut engine = Arc::new(FaultEngine::new(inner, PowerSwitch::never()));
    let mut disk = Arc::new(FaultDisk::new(PowerSwitch::never()));
    // At least this version, at most that one.
    let mut bounds = vec![(0, 0); OBJECTS as usize];
    for cycle in 0..5 {
        // Half of the cycles end during the opening or with the first commits.
        let operations = if random.bool() { 1..40 } else { 20..600 };
        let switch = PowerSwitch::after(random.u64(operations));
        disk.set_switch(switch.clone());
        engine.set_switch(switch.clone());
        let seams = Seams {
            engine: Some(engine.clone()),
            disk: disk.clone(),
        };
        match LogStore::open_with(folder.path(), options(), seams) {
            Ok(store) => run_until_dark(store, &mut bounds, seed, cycle).await,
            // The power went while the store was opened.
            Err(error) => assert!(switch.is_off(), "seed {seed} cycle {cycle}: {error}"),
        }
        // Otherwise it was the process that died, and the machine kept what was not synced.
        if random.bool() {
            disk.lose_power(random.u64(..));
            engine = Arc::new(engine.forget(random.u64(..), switch));
        }
    }
    disk.lose_power(random.u64(..));
    disk = Arc::new(FaultDisk::new(PowerSwitch::never()));
    let engine = Arc::new(engine.forget(random.u64(..), PowerSwitch::never()));
    let seams = Seams {
        engine: Some(engine),
        disk,
    };
    let store = LogStore::open_with(folder.path(), options(), seams);
    let store: Arc<dyn Store> = store.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    check(&store, &mut bounds, seed, 5).await;
}

async fn run_until_dark(store: Arc<LogStore>, bounds: &mut [(u64, u64)], seed: u64, cycle: u64) {
    let store: Arc<dyn Store> = store;
    check(&store, bounds, seed, cycle).await;
    let writers = (0..OBJECTS).map(|number| commit_until_dark(store.clone(), number, seed + cycle));
    for (number, acknowledged, attempted) in futures_util::future::join_all(writers).await {
        if attempted != u64::MAX {
            bounds[number as usize] = (acknowledged, attempted);
        }
    }
}

async fn check(store: &Arc<dyn Store>, bounds: &mut [(u64, u64)], seed: u64, cycle: u64) {
    for (number, (acknowledged, attempted)) in (0..).zip(bounds) {
        let at = format!("seed {seed} cycle {cycle} object {number}");
        let found = match store.open(&object(number)).await {
            Ok(opened) => opened.version.0,
            // The power may be gone again already.
            Err(_) => return,
        };
        assert!(
            found >= *acknowledged,
            "{at}: {acknowledged} was acknowledged, {found} is there"
        );
        assert!(
            found <= *attempted,
            "{at}: {attempted} was attempted, {found} is there"
        );
        let scan = Scan {
            section: Section::Data,
            start: std::ops::Bound::Unbounded,
            end: std::ops::Bound::Unbounded,
            direction: Direction::Forward,
            limit: usize::MAX,
        };
        let rows = store.scan(&object(number), scan).await.unwrap();
        assert_eq!(
            rows.len() as u64,
            if found == 0 { 0 } else { KEYS_PER_COMMIT },
            "{at}"
        );
        for (key, value) in rows {
            let text = String::from_utf8(value.to_vec()).unwrap();
            assert_eq!(
                text.trim_end(),
                found.to_string(),
                "{at}: key {key:?} is of another commit"
            );
        }
        (*acknowledged, *attempted) = (found, found);
    }
}
