//! Random operations on a store, compared with a plain map after each one, through restarts and
//! crashes, with checkpoints all the time. Takes ten seconds on a busy machine: each case opens real folders.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use abide_storage::conformance::{self, Activation, Fixture, LogFixture, MemoryFixture};
use abide_storage::{
    Direction, EngineKind, Namespace, Object, Options, Scan, ScheduledAlarm, Section, Store,
    Timestamp, Write,
};
use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

fn object(number: u32) -> Object {
    conformance::object("test", &number.to_string())
}

const OBJECTS: u32 = 3;

#[derive(Debug, Clone)]
enum Operation {
    Commit {
        object: u32,
        changes: Vec<Change>,
    },
    Scan {
        object: u32,
        start: Option<u8>,
        end: Option<u8>,
        reverse: bool,
        limit: usize,
    },
    Alarms {
        skip: usize,
        limit: usize,
    },
    Reopen,
    Crash,
}

#[derive(Debug, Clone)]
enum Change {
    Put { key: u8, size: usize, fill: u8 },
    Delete { key: u8 },
    Schedule { due: u64, name: u8 },
    Unschedule { due: u64, name: u8 },
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let size = prop_oneof![8 => 0..200_usize, 1 => 4_000..9_000_usize];
    let change = prop_oneof![
        6 => (0..24_u8, size, any::<u8>()).prop_map(|(key, size, fill)| Change::Put { key, size, fill }),
        3 => (0..24_u8).prop_map(|key| Change::Delete { key }),
        1 => (0..6_u64, 0..3_u8).prop_map(|(due, name)| Change::Schedule { due, name }),
        1 => (0..6_u64, 0..3_u8).prop_map(|(due, name)| Change::Unschedule { due, name }),
    ];
    let key = || proptest::option::of(0..24_u8);
    let operation = prop_oneof![
        10 => (0..OBJECTS, vec(change, 0..6))
            .prop_map(|(object, changes)| Operation::Commit { object, changes }),
        6 => (0..OBJECTS, key(), key(), any::<bool>(), 0..12_usize).prop_map(
            |(object, start, end, reverse, limit)| Operation::Scan { object, start, end, reverse, limit }
        ),
        2 => (0..4_usize, 0..6_usize).prop_map(|(skip, limit)| Operation::Alarms { skip, limit }),
        1 => Just(Operation::Reopen),
        1 => Just(Operation::Crash),
    ];
    vec(operation, 1..60)
}

#[derive(Default)]
struct Model {
    rows: BTreeMap<(u32, Bytes), Bytes>,
    alarms: BTreeMap<ScheduledAlarm, ()>,
    versions: [u64; OBJECTS as usize],
}

impl Model {
    fn apply(&mut self, number: u32, changes: &[Change]) -> Vec<Write> {
        let alarm = |due: u64, name: u8| {
            let (due, name) = (Timestamp(due), Bytes::from(vec![name]));
            ScheduledAlarm {
                due,
                object: object(number),
                name,
            }
        };
        let write = |change: &Change| match *change {
            Change::Put { key, size, fill } => {
                let (key, value) = (Bytes::from(vec![key]), Bytes::from(vec![fill; size]));
                self.rows.insert((number, key.clone()), value.clone());
                Write::Put {
                    section: Section::Data,
                    key,
                    value,
                }
            }
            Change::Delete { key } => {
                let key = Bytes::from(vec![key]);
                self.rows.remove(&(number, key.clone()));
                Write::Delete {
                    section: Section::Data,
                    key,
                }
            }
            Change::Schedule { due, name } => {
                let alarm = alarm(due, name);
                self.alarms.insert(alarm.clone(), ());
                Write::ScheduleAlarm {
                    due: alarm.due,
                    name: alarm.name,
                }
            }
            Change::Unschedule { due, name } => {
                let alarm = alarm(due, name);
                self.alarms.remove(&alarm);
                Write::UnscheduleAlarm {
                    due: alarm.due,
                    name: alarm.name,
                }
            }
        };
        self.versions[number as usize] += 1;
        changes.iter().map(write).collect()
    }

    fn scan(&self, number: u32, scan: &Scan) -> Vec<(Bytes, Bytes)> {
        let inside = |key: &Bytes| {
            std::ops::RangeBounds::<Bytes>::contains(&(scan.start.clone(), scan.end.clone()), key)
        };
        let mut rows: Vec<_> = self
            .rows
            .iter()
            .filter(|((object, key), _)| *object == number && inside(key))
            .map(|((_, key), value)| (key.clone(), value.clone()))
            .collect();
        if scan.direction == Direction::Reverse {
            rows.reverse();
        }
        rows.truncate(scan.limit);
        rows
    }

    /// In order of the index: time, id, name.
    fn alarms(&self) -> Vec<ScheduledAlarm> {
        let mut alarms: Vec<_> = self.alarms.keys().cloned().collect();
        alarms.sort_by(|a, b| (a.due, a.object.id, &a.name).cmp(&(b.due, b.object.id, &b.name)));
        alarms
    }
}

async fn run(fixture: &mut impl Fixture, operations: Vec<Operation>) {
    let mut model = Model::default();
    let mut open = activations(&fixture.store()).await;
    for operation in operations {
        match operation {
            Operation::Commit { object, changes } => {
                let writes = model.apply(object, &changes);
                let ticket = open[object as usize].try_commit(writes).unwrap();
                // Every other commit is only accepted when the next operation comes.
                if changes.len() % 2 == 0 {
                    ticket.await.unwrap();
                }
            }
            Operation::Scan {
                object: number,
                start,
                end,
                reverse,
                limit,
            } => {
                let key = |key: u8| Bytes::from(vec![key]);
                let scan = Scan {
                    section: Section::Data,
                    start: start.map_or(Bound::Unbounded, |start| Bound::Included(key(start))),
                    end: end.map_or(Bound::Unbounded, |end| Bound::Excluded(key(end))),
                    direction: if reverse {
                        Direction::Reverse
                    } else {
                        Direction::Forward
                    },
                    limit,
                };
                let wanted = model.scan(number, &scan);
                let found = fixture.store().scan(&object(number), scan).await.unwrap();
                assert_eq!(found, wanted);
            }
            Operation::Alarms { skip, limit } => {
                let all = model.alarms();
                let after = skip.checked_sub(1).and_then(|at| all.get(at)).cloned();
                let rest = if after.is_some() {
                    &all[skip..]
                } else {
                    &all[..]
                };
                let found = fixture.store().alarms(after, limit).await.unwrap();
                assert_eq!(found, rest[..limit.min(rest.len())]);
            }
            Operation::Reopen => {
                open.clear();
                fixture.reopen().await;
                open = activations(&fixture.store()).await;
            }
            Operation::Crash => {
                // Opening waits until what was accepted is durable, so that the model is exact.
                open = activations(&fixture.store()).await;
                open.clear();
                fixture.crash();
                open = activations(&fixture.store()).await;
            }
        }
        check(&fixture.store(), &model, &open).await;
    }
}

async fn activations(store: &Arc<dyn Store>) -> Vec<Activation> {
    let mut open = Vec::new();
    for number in 0..OBJECTS {
        open.push(Activation::open(store, object(number)).await.unwrap());
    }
    open
}

async fn check(store: &Arc<dyn Store>, model: &Model, open: &[Activation]) {
    let all = Scan {
        section: Section::Data,
        start: Bound::Unbounded,
        end: Bound::Unbounded,
        direction: Direction::Forward,
        limit: usize::MAX,
    };
    for number in 0..OBJECTS {
        assert_eq!(
            open[number as usize].version.0,
            model.versions[number as usize]
        );
        let found = store.scan(&object(number), all.clone()).await.unwrap();
        assert_eq!(found, model.scan(number, &all));
        for key in 0..24 {
            let key = Bytes::from(vec![key]);
            let found = store
                .get(&object(number), Section::Data, &key)
                .await
                .unwrap();
            assert_eq!(found.as_ref(), model.rows.get(&(number, key)));
        }
    }
    assert_eq!(
        store.alarms(None, usize::MAX).await.unwrap(),
        model.alarms()
    );
    let namespace = Namespace::new("test").unwrap();
    let mut listed: Vec<_> = store.objects(&namespace, None, usize::MAX).await.unwrap();
    listed.retain(|listed| listed.version.0 > 0);
    let mut wanted: Vec<_> = (0..OBJECTS)
        .map(|number| (object(number).id, model.versions[number as usize]))
        .filter(|(_, version)| *version > 0)
        .collect();
    wanted.sort_unstable();
    let found: Vec<_> = listed
        .iter()
        .map(|listed| (listed.id, listed.version.0))
        .collect();
    assert_eq!(found, wanted);
}

fn tiny(engine: EngineKind) -> LogFixture {
    LogFixture::new(LogFixture::tiny(Options {
        engine,
        ..Options::default()
    }))
}

fn block_on(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
        .block_on(future);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn memory_store_is_a_map(operations in operations()) {
        block_on(async { run(&mut MemoryFixture::default(), operations).await });
    }

    #[test]
    fn log_over_memory_is_a_map(operations in operations()) {
        block_on(async { run(&mut tiny(EngineKind::Memory), operations).await });
    }

    #[test]
    fn log_over_sled_is_a_map(operations in operations()) {
        block_on(async { run(&mut tiny(EngineKind::Sled), operations).await });
    }

    #[test]
    fn log_over_redb_is_a_map(operations in operations()) {
        block_on(async { run(&mut tiny(EngineKind::Redb), operations).await });
    }
}
