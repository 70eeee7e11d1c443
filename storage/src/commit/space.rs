//! Refusing writes before the disk is full: a full disk fails in the middle of things.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::clock;
use crate::log::Disk;
use crate::store::CommitError;

/// The disk is asked at most this often …
const CHECK_INTERVAL: Duration = Duration::from_millis(250);
/// … or whenever this much has been written, bytes. Far below the default reserve.
const CHECK_SIZE_BYTES: u64 = 4 << 20;

/// Watches the free space of the data folder's disk.
#[derive(Debug)]
pub(super) struct Space {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    reserve_bytes: u64,
    available_bytes: AtomicU64,
    is_low: AtomicBool,
    last: Mutex<LastCheck>,
}

#[derive(Debug, Default)]
struct LastCheck {
    at: Option<Instant>,
    written_bytes: u64,
}

impl Space {
    pub(super) fn new(disk: Arc<dyn Disk>, folder: PathBuf, reserve_bytes: u64) -> Self {
        let space = Self {
            disk,
            folder,
            reserve_bytes,
            available_bytes: AtomicU64::new(u64::MAX),
            is_low: AtomicBool::new(false),
            last: Mutex::default(),
        };
        space.note_written(0);
        space
    }

    pub(super) fn is_low(&self) -> bool {
        self.is_low.load(Ordering::Relaxed)
    }

    /// Whether even the engine should write no more: half of the reserve is its share.
    pub(super) fn is_critical(&self) -> bool {
        self.is_low() && self.available_bytes.load(Ordering::Relaxed) < self.reserve_bytes / 2
    }

    /// The refusal that a commit gets while space is low.
    pub(super) fn refusal(&self) -> CommitError {
        CommitError::DiskFull {
            available_bytes: self.available_bytes.load(Ordering::Relaxed),
            reserve_bytes: self.reserve_bytes,
        }
    }

    /// The disk has just refused a write, whatever it says of its free space: no more writes until
    /// the next look.
    pub(super) fn note_full(&self) {
        self.check();
        self.is_low.store(true, Ordering::Relaxed);
    }

    /// Counts bytes written, and looks at the disk when it is time to.
    pub(super) fn note_written(&self, size_bytes: u64) {
        let now = clock::now();
        {
            let mut last = self.last.lock();
            last.written_bytes += size_bytes;
            let is_time = last
                .at
                .is_none_or(|at| now.duration_since(at) >= CHECK_INTERVAL);
            if !is_time && last.written_bytes < CHECK_SIZE_BYTES {
                return;
            }
            *last = LastCheck {
                at: Some(now),
                written_bytes: 0,
            };
        }
        self.check();
    }

    fn check(&self) {
        let available_bytes = match self.disk.available_bytes(&self.folder) {
            Ok(available_bytes) => available_bytes,
            Err(error) => {
                tracing::warn!(%error, "the free space of the data folder is not known");
                return;
            }
        };
        self.available_bytes
            .store(available_bytes, Ordering::Relaxed);
        let is_low = available_bytes < self.reserve_bytes;
        let was_low = self.is_low.swap(is_low, Ordering::Relaxed);
        let reserve_bytes = self.reserve_bytes;
        match (was_low, is_low) {
            (false, true) => {
                tracing::error!(
                    available_bytes,
                    reserve_bytes,
                    "disk almost full: no writes"
                );
            }
            (true, false) => tracing::info!(available_bytes, "the disk has space: writes go on"),
            _ => {}
        }
    }
}
