//! A machine with one data folder: its disk and its engine outlive the processes on it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use abide_storage::fault::{DiskStep, EngineOperation, FaultDisk, FaultEngine, PowerSwitch};
use abide_storage::{EngineKind, LogStore, MemoryEngine, OpenError, Options, Seams};

/// How long nothing must have been called for the machine to count as quiet.
const QUIET: Duration = Duration::from_millis(25);

pub(crate) struct Machine {
    folder: tempfile::TempDir,
    pub(crate) disk: Arc<FaultDisk>,
    pub(crate) engine: Arc<FaultEngine>,
    options: Options,
}

impl Machine {
    pub(crate) fn new(checkpoint_size_bytes: u64) -> Self {
        let inner = Arc::new(MemoryEngine::new());
        Self {
            folder: tempfile::tempdir().unwrap(),
            disk: Arc::new(FaultDisk::new(PowerSwitch::never())),
            engine: Arc::new(FaultEngine::new(inner, PowerSwitch::never())),
            options: Options {
                engine: EngineKind::Memory,
                segment_size_bytes: 1 << 20,
                first_segment_size_bytes: 64 << 10,
                checkpoint_size_bytes,
                // No checkpoint comes from age alone: each run makes the same calls.
                checkpoint_age: Duration::from_hours(1),
                disk_reserve_bytes: 0,
                reader_threads: 1,
                ..Options::default()
            },
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    pub(crate) fn seams(&self) -> Seams {
        Seams {
            engine: Some(self.engine.clone()),
            disk: self.disk.clone(),
        }
    }

    pub(crate) fn open(&self) -> Result<Arc<LogStore>, OpenError> {
        LogStore::open_with(&self.path(), self.options.clone(), self.seams())
    }

    /// The power goes while no process runs.
    pub(crate) fn lose_power(&mut self, seed: u64) {
        self.disk.lose_power(seed);
        self.engine = Arc::new(self.engine.forget(seed, PowerSwitch::never()));
    }

    pub(crate) fn calls(&self) -> Calls {
        (self.disk.steps(), self.engine.steps())
    }

    /// Waits until the store's threads have done what they do by themselves.
    pub(crate) async fn settle(&self) {
        loop {
            let before = self.calls();
            tokio::time::sleep(QUIET).await;
            if self.calls() == before {
                return;
            }
        }
    }

    pub(crate) fn is_armed(&self) -> bool {
        self.disk.is_armed() || self.engine.is_armed()
    }
}

/// Calls so far, of the disk and of the engine.
pub(crate) type Calls = (BTreeMap<DiskStep, u64>, BTreeMap<EngineOperation, u64>);
