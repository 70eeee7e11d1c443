//! A store that remembers what it was after each commit.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use abide_storage::conformance::{self, Activation};
use abide_storage::fault::{FaultDisk, PowerSwitch};
use abide_storage::{
    Backup, BackupReport, EngineKind, LogStore, Object, Options, Seams, Section, Store, Timestamp,
    Write, backup,
};
use bytes::Bytes;

pub(crate) const OBJECTS: u32 = 3;

/// Rows by object and key, and entries of the index of alarms by object and time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) rows: BTreeMap<(u32, Bytes), Bytes>,
    pub(crate) alarms: BTreeMap<(u64, u32), ()>,
    pub(crate) versions: [u64; OBJECTS as usize],
}

/// A store in a folder, on a disk whose clock the test sets.
pub(crate) struct Written {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) disk: Arc<FaultDisk>,
    pub(crate) options: Options,
    pub(crate) store: Option<Arc<LogStore>>,
    open: Vec<Activation>,
    /// After each commit, by its sequence; the first is the empty store.
    pub(crate) states: Vec<State>,
    /// When each commit was written.
    pub(crate) times: Vec<Timestamp>,
    pub(crate) random: fastrand::Rng,
}

pub(crate) fn object(number: u32) -> Object {
    conformance::object("test", &number.to_string())
}

pub(crate) fn options(engine: EngineKind) -> Options {
    Options {
        engine,
        segment_size_bytes: 1 << 20,
        first_segment_size_bytes: 64 << 10,
        checkpoint_size_bytes: 8 << 10,
        engine_cache_size_bytes: 4 << 20,
        reader_threads: 1,
        ..Options::default()
    }
}

impl Written {
    pub(crate) fn new(options: Options, seed: u64) -> Self {
        let disk = Arc::new(FaultDisk::new(PowerSwitch::never()));
        disk.set_time(Some(Timestamp(1_000)));
        Self {
            folder: tempfile::tempdir().unwrap(),
            disk,
            options,
            store: None,
            open: Vec::new(),
            states: vec![State::default()],
            times: vec![Timestamp(0)],
            random: fastrand::Rng::with_seed(seed),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn last_commit(&self) -> u64 {
        self.states.len() as u64 - 1
    }

    pub(crate) async fn start(&mut self) {
        let store = self.open_store();
        let shared: Arc<dyn Store> = store.clone();
        for number in 0..OBJECTS {
            let activation = Activation::open(&shared, object(number)).await.unwrap();
            assert_eq!(activation.version.0, self.now().versions[number as usize]);
            self.open.push(activation);
        }
        self.store = Some(store);
    }

    pub(crate) async fn shutdown(&mut self) {
        self.store.as_ref().unwrap().shutdown().await;
        self.crash();
    }

    pub(crate) fn crash(&mut self) {
        self.open.clear();
        self.store = None;
    }

    pub(crate) fn now(&self) -> &State {
        self.states.last().unwrap()
    }

    /// Commits a few random changes of one object.
    pub(crate) async fn commit(&mut self) {
        let number = self.random.u32(0..OBJECTS);
        let mut state = self.now().clone();
        let mut writes = Vec::new();
        for _ in 0..self.random.usize(0..5) {
            writes.push(self.change(&mut state, number));
        }
        state.versions[number as usize] += 1;
        let time = Timestamp(self.times.last().unwrap().0.max(1_000) + self.random.u64(0..3));
        self.disk.set_time(Some(time));
        let activation = &mut self.open[number as usize];
        activation.try_commit(writes).unwrap().await.unwrap();
        self.states.push(state);
        self.times.push(time);
    }

    /// Commits a large row that does not compress: the log rolls all the time.
    pub(crate) async fn commit_large(&mut self) {
        assert!(self.try_commit_large().await, "a healthy store takes it");
    }

    /// Whether the commit was acknowledged. When it was not, it may be there all the same: it is the
    /// last of the states then.
    pub(crate) async fn try_commit_large(&mut self) -> bool {
        let mut state = self.now().clone();
        let value: Vec<u8> = std::iter::repeat_with(|| self.random.u8(..))
            .take(60_000)
            .collect();
        let (key, value) = (Bytes::from_static(b"large"), Bytes::from(value));
        state.rows.insert((0, key.clone()), value.clone());
        state.versions[0] += 1;
        let time = Timestamp(self.times.last().unwrap().0.max(1_000) + 1);
        self.disk.set_time(Some(time));
        let write = Write::Put {
            section: Section::Data,
            key,
            value,
        };
        let ticket = self.open[0].try_commit(vec![write]);
        self.states.push(state);
        self.times.push(time);
        match ticket {
            Ok(ticket) => ticket.await.is_ok(),
            Err(_) => false,
        }
    }

    /// Opens the store after its last commit was not acknowledged, and forgets the commit if it is not
    /// there.
    pub(crate) async fn recover(&mut self) {
        let store = self.open_store();
        if store.metrics().durable_sequence < self.last_commit() {
            self.states.pop();
            self.times.pop();
        }
        assert_eq!(store.metrics().durable_sequence, self.last_commit());
        drop(store);
        self.start().await;
    }

    /// Commits without setting the time.
    pub(crate) async fn commit_at_disk_time(&mut self) {
        let mut state = self.now().clone();
        state.versions[0] += 1;
        self.open[0].try_commit(Vec::new()).unwrap().await.unwrap();
        self.states.push(state);
        self.times.push(*self.times.last().unwrap());
    }

    fn open_store(&self) -> Arc<LogStore> {
        let seams = Seams {
            disk: self.disk.clone(),
            ..Seams::default()
        };
        LogStore::open_with(self.path(), self.options.clone(), seams).unwrap()
    }

    pub(crate) async fn commits(&mut self, count: usize) {
        for _ in 0..count {
            self.commit().await;
        }
    }

    fn change(&mut self, state: &mut State, number: u32) -> Write {
        let random = &mut self.random;
        let key = Bytes::from(vec![random.u8(0..24)]);
        let due = random.u64(1..6);
        match random.u8(0..10) {
            0..6 => {
                let size = if random.u8(0..8) == 0 { 9_000 } else { 200 };
                let value = Bytes::from(vec![random.u8(..); random.usize(0..size)]);
                state.rows.insert((number, key.clone()), value.clone());
                Write::Put {
                    section: Section::Data,
                    key,
                    value,
                }
            }
            6..8 => {
                state.rows.remove(&(number, key.clone()));
                Write::Delete {
                    section: Section::Data,
                    key,
                }
            }
            8 => {
                state.alarms.insert((due, number), ());
                Write::ScheduleAlarm {
                    due: Timestamp(due),
                    name: Bytes::new(),
                }
            }
            _ => {
                state.alarms.remove(&(due, number));
                Write::UnscheduleAlarm {
                    due: Timestamp(due),
                    name: Bytes::new(),
                }
            }
        }
    }

    /// Backs the stopped folder up.
    pub(crate) fn backup(&self, to: &Path) -> BackupReport {
        let request = Backup {
            disk: self.disk.clone(),
            ..Backup::to(to)
        };
        backup(self.path(), &request, &mut |_| {}).unwrap()
    }
}
