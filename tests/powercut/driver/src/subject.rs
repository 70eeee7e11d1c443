//! What the power is cut under.

use std::fs::TryLockError;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use abide_storage::{Disk, EngineKind, FileLock, LogFile, Options, RealDisk, Seams};

/// What a workload writes to and a check opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    /// The store over this engine, as it is.
    Store(EngineKind),
    /// The same over sled with a log that never syncs. Must be caught.
    Unsynced,
    /// sled without a log in front of it. Must be caught.
    Bare,
}

/// Every subject with its name on the command line.
pub(crate) const SUBJECTS: &[(&str, Subject)] = &[
    ("sled", Subject::Store(EngineKind::Sled)),
    ("redb", Subject::Store(EngineKind::Redb)),
    ("unsynced", Subject::Unsynced),
    ("bare", Subject::Bare),
];

impl Subject {
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        let found = SUBJECTS.iter().find(|(known, _)| *known == name);
        found.map(|(_, subject)| *subject)
    }

    pub(crate) fn name(self) -> &'static str {
        let found = SUBJECTS.iter().find(|(_, subject)| *subject == self);
        found.map_or("", |(name, _)| name)
    }

    /// Whether it is here to be caught.
    pub(crate) fn is_tooth(self) -> bool {
        matches!(self, Self::Unsynced | Self::Bare)
    }

    /// Options with which segments roll and checkpoints happen all the time.
    pub(crate) fn options(self) -> Options {
        Options {
            engine: match self {
                Self::Store(engine) => engine,
                Self::Unsynced | Self::Bare => EngineKind::Sled,
            },
            engine_cache_size_bytes: 1 << 20,
            segment_size_bytes: 1 << 20,
            first_segment_size_bytes: 64 << 10,
            checkpoint_size_bytes: 48 << 10,
            disk_reserve_bytes: 1 << 20,
            reader_threads: 1,
            ..Options::default()
        }
    }

    /// What lies beneath the store while its writes are recorded.
    pub(crate) fn seams(self) -> Seams {
        match self {
            Self::Unsynced => Seams {
                engine: None,
                disk: Arc::new(Unsynced(RealDisk)),
            },
            Self::Store(_) | Self::Bare => Seams::default(),
        }
    }
}

/// The file system, but syncing does nothing.
#[derive(Debug)]
struct Unsynced<T>(T);

impl Disk for Unsynced<RealDisk> {
    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        self.0.create_folder(folder)
    }

    fn lock(&self, path: &Path, owner: &str) -> Result<FileLock, TryLockError> {
        self.0.lock(path, owner)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.0.read(path)
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        Ok(Arc::new(Unsynced(self.0.open(path)?)))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        Ok(Arc::new(Unsynced(self.0.create(path)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.remove(path)
    }

    fn sync_folder(&self, _folder: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        self.0.list(folder)
    }

    fn available_bytes(&self, folder: &Path) -> io::Result<u64> {
        self.0.available_bytes(folder)
    }
}

impl LogFile for Unsynced<Arc<dyn LogFile>> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }

    fn write_at(&self, buffer: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_at(buffer, offset)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn size_bytes(&self) -> io::Result<u64> {
        self.0.size_bytes()
    }
}
