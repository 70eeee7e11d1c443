//! An engine that fails, stalls, tears and forgets.

use std::collections::BTreeMap;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;

use super::PowerSwitch;
use super::steps::Steps;
use crate::engine::{Engine, EngineError, Row, is_empty_range};
use crate::store::Direction;

/// A call of an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EngineOperation {
    /// One row is read.
    Get,
    /// A range is read.
    Scan,
    /// Rows are changed.
    Apply,
    /// Changes are made durable.
    Sync,
}

/// What happens at an operation instead of what should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineFault {
    /// It fails and does nothing.
    Fail,
    /// It fails for lack of space and does nothing.
    DiskFull,
    /// It takes this long, and then succeeds.
    Stall(Duration),
    /// An apply makes the first half of its changes, then fails. A sync fails.
    Tear,
}

/// An engine around another one. What is applied reaches the inner engine only with the next sync,
/// so that [`forget`](Self::forget) can take it back as a crash would.
#[derive(Debug)]
pub struct FaultEngine {
    inner: Arc<dyn Engine>,
    switch: Mutex<PowerSwitch>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    operations: u64,
    faults: BTreeMap<u64, EngineFault>,
    steps: Steps<EngineOperation, EngineFault>,
    /// Applied since the last sync, in order.
    unsynced: Vec<Row>,
}

impl FaultEngine {
    /// Around this engine, without faults.
    #[must_use]
    pub fn new(inner: Arc<dyn Engine>, switch: PowerSwitch) -> Self {
        Self {
            inner,
            switch: Mutex::new(switch),
            state: Mutex::default(),
        }
    }

    /// Hangs the engine on another switch, for a process that died while its machine went on.
    pub fn set_switch(&self, switch: PowerSwitch) {
        *self.switch.lock() = switch;
    }

    /// Makes the `nth` writing operation from now fail, counted from 1: applies and syncs.
    pub fn fault_at(&self, nth: u64, fault: EngineFault) {
        let mut state = self.state.lock();
        let at = state.operations + nth;
        state.faults.insert(at, fault);
    }

    /// Makes the `nth` call of this kind from now fail, counted from 1.
    pub fn fault_at_step(&self, operation: EngineOperation, nth: u64, fault: EngineFault) {
        self.state.lock().steps.fault_at(operation, nth, fault);
    }

    /// All calls so far.
    #[must_use]
    pub fn steps(&self) -> BTreeMap<EngineOperation, u64> {
        self.state.lock().steps.counts()
    }

    /// Whether a fault has not been met yet.
    #[must_use]
    pub fn is_armed(&self) -> bool {
        let state = self.state.lock();
        !state.faults.is_empty() || state.steps.is_armed()
    }

    /// Writing operations so far.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.state.lock().operations
    }

    /// What a new process finds after a crash: all that was synced, and of the rest an arbitrary part,
    /// chosen by `seed`. The new engine hangs on `switch`.
    ///
    /// # Panics
    /// When the inner engine fails.
    #[must_use]
    pub fn forget(&self, seed: u64, switch: PowerSwitch) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let unsynced = std::mem::take(&mut self.state.lock().unsynced);
        let mut kept: Vec<_> = unsynced.into_iter().filter(|_| random.bool()).collect();
        sort_and_dedup(&mut kept);
        self.inner
            .apply(&kept)
            .and_then(|()| self.inner.sync())
            .expect("the inner engine works");
        Self::new(self.inner.clone(), switch)
    }

    /// Counts a writing operation and answers its fault.
    fn next_fault(&self, operation: EngineOperation) -> Result<Option<EngineFault>, EngineError> {
        self.switch.lock().count()?;
        let mut state = self.state.lock();
        state.operations += 1;
        let at = state.operations;
        let at_step = state.steps.count(operation);
        Ok(state.faults.remove(&at).or(at_step))
    }

    /// Counts a read, which may fail or stall.
    fn read(&self, operation: EngineOperation) -> Result<(), EngineError> {
        let fault = self.state.lock().steps.count(operation);
        match fault {
            None => Ok(()),
            Some(EngineFault::Stall(duration)) => {
                thread::sleep(duration);
                Ok(())
            }
            Some(EngineFault::Fail | EngineFault::Tear) => Err(failed()),
            Some(EngineFault::DiskFull) => Err(disk_full()),
        }
    }
}

impl Engine for FaultEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        self.read(EngineOperation::Get)?;
        let state = self.state.lock();
        match state.unsynced.iter().rev().find(|row| row.key == key) {
            Some(row) => Ok(row.value.clone()),
            None => self.inner.get(key),
        }
    }

    fn scan(
        &self,
        start: Bound<&[u8]>,
        end: Bound<&[u8]>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, EngineError> {
        if is_empty_range(start, end) {
            return Ok(Vec::new());
        }
        self.read(EngineOperation::Scan)?;
        let state = self.state.lock();
        let inner = self
            .inner
            .scan(start, end, Direction::Forward, usize::MAX)?;
        let mut rows: BTreeMap<_, _> = inner.into_iter().collect();
        for row in &state.unsynced {
            let is_inside = RangeBounds::<[u8]>::contains(&(start, end), &row.key[..]);
            match &row.value {
                Some(value) if is_inside => _ = rows.insert(row.key.clone(), value.clone()),
                _ => _ = rows.remove(&row.key),
            }
        }
        Ok(match direction {
            Direction::Forward => rows.into_iter().take(limit).collect(),
            Direction::Reverse => rows.into_iter().rev().take(limit).collect(),
        })
    }

    fn apply(&self, rows: &[Row]) -> Result<(), EngineError> {
        let fault = self.next_fault(EngineOperation::Apply)?;
        match fault {
            None => {}
            Some(EngineFault::Stall(duration)) => thread::sleep(duration),
            Some(EngineFault::Tear) => {
                self.state
                    .lock()
                    .unsynced
                    .extend_from_slice(&rows[..rows.len() / 2]);
                return Err(failed());
            }
            Some(EngineFault::Fail) => return Err(failed()),
            Some(EngineFault::DiskFull) => return Err(disk_full()),
        }
        self.state.lock().unsynced.extend_from_slice(rows);
        Ok(())
    }

    fn sync(&self) -> Result<(), EngineError> {
        match self.next_fault(EngineOperation::Sync)? {
            None => {}
            Some(EngineFault::Stall(duration)) => thread::sleep(duration),
            Some(EngineFault::Fail | EngineFault::Tear) => return Err(failed()),
            Some(EngineFault::DiskFull) => return Err(disk_full()),
        }
        let mut state = self.state.lock();
        let mut rows = std::mem::take(&mut state.unsynced);
        sort_and_dedup(&mut rows);
        self.inner.apply(&rows)?;
        self.inner.sync()
    }

    fn size_bytes(&self) -> Result<u64, EngineError> {
        self.inner.size_bytes()
    }

    fn reads_are_memory(&self) -> bool {
        self.inner.reads_are_memory()
    }
}

/// As [`Engine::apply`] wants its rows; the last change of a row wins.
fn sort_and_dedup(rows: &mut Vec<Row>) {
    // Stable, so that of equal keys the last one applied comes last.
    rows.sort_by(|a, b| a.key.cmp(&b.key));
    rows.reverse();
    rows.dedup_by(|a, b| a.key == b.key);
    rows.reverse();
}

fn failed() -> EngineError {
    EngineError::Failed("broken on purpose".into())
}

fn disk_full() -> EngineError {
    EngineError::Io(io::ErrorKind::StorageFull.into())
}
