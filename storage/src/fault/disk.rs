//! A file system under the log that fails at chosen operations, and forgets what was not synced.

use std::collections::HashMap;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::PowerSwitch;
use crate::id::Timestamp;
use crate::log::{Disk, LogFile, RealDisk};

/// Parts in which a real disk writes, bytes: a torn write is torn at their ends.
const SECTOR_SIZE_BYTES: usize = 512;

/// A writing operation of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DiskOperation {
    /// A file is created.
    Create,
    /// Bytes are written.
    Write,
    /// A file is synced.
    Sync,
    /// A file is renamed.
    Rename,
    /// A file is removed.
    Remove,
    /// A folder is synced.
    SyncFolder,
}

/// What happens at an operation instead of what should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskFault {
    /// An error of the device; nothing was done.
    Fail,
    /// No space; a write has written its first half.
    DiskFull,
}

/// The real file system, with faults.
#[derive(Debug)]
pub struct FaultDisk(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    switch: PowerSwitch,
    counts: HashMap<DiskOperation, u64>,
    faults: HashMap<(DiskOperation, u64), DiskFault>,
    available_bytes: Option<u64>,
    time: Option<Timestamp>,
    /// What a loss of power may take back, oldest first.
    undo: Vec<Undo>,
}

#[derive(Debug)]
enum Undo {
    Write {
        file: u64,
        real: Arc<dyn LogFile>,
        offset: u64,
        old: Vec<u8>,
        new: Vec<u8>,
    },
    Rename {
        folder: PathBuf,
        from: PathBuf,
        to: PathBuf,
    },
}

impl FaultDisk {
    /// Without faults.
    #[must_use]
    pub fn new(switch: PowerSwitch) -> Self {
        let state = State {
            switch,
            counts: HashMap::new(),
            faults: HashMap::new(),
            available_bytes: None,
            time: None,
            undo: Vec::new(),
        };
        Self(Arc::new(Shared {
            state: Mutex::new(state),
        }))
    }

    /// Hangs the disk on another switch, for a process that died while its machine went on: what
    /// it wrote stays as it is, synced or not.
    pub fn set_switch(&self, switch: PowerSwitch) {
        self.0.state.lock().switch = switch;
    }

    /// Makes the `nth` operation of this kind from now fail, counted from 1.
    pub fn fault_at(&self, operation: DiskOperation, nth: u64, fault: DiskFault) {
        let mut state = self.0.state.lock();
        let at = state.counts.get(&operation).copied().unwrap_or(0) + nth;
        state.faults.insert((operation, at), fault);
    }

    /// Operations of this kind so far.
    #[must_use]
    pub fn operations(&self, operation: DiskOperation) -> u64 {
        self.0
            .state
            .lock()
            .counts
            .get(&operation)
            .copied()
            .unwrap_or(0)
    }

    /// What the disk says of its free space; `None`: the truth.
    pub fn set_available_bytes(&self, available_bytes: Option<u64>) {
        self.0.state.lock().available_bytes = available_bytes;
    }

    /// What the disk says of the time; `None`: the truth.
    pub fn set_time(&self, time: Option<Timestamp>) {
        self.0.state.lock().time = time;
    }

    /// Takes back an arbitrary part of what was not synced, chosen by `seed`: whole writes, or
    /// sectors of them; of renames the later ones. Call it when nobody uses the files any more.
    ///
    /// # Panics
    /// When the real file system fails.
    pub fn lose_power(&self, seed: u64) {
        let mut random = fastrand::Rng::with_seed(seed);
        let undo = std::mem::take(&mut self.0.state.lock().undo);
        let renames = undo
            .iter()
            .filter(|one| matches!(one, Undo::Rename { .. }))
            .count();
        // A journal keeps the order of names: only the last of them are lost.
        let mut renames_lost = random.usize(0..=renames);
        for one in undo.into_iter().rev() {
            match one {
                Undo::Rename { from, to, .. } if renames_lost > 0 => {
                    renames_lost -= 1;
                    std::fs::rename(to, from).expect("the rename can be taken back");
                }
                Undo::Rename { .. } => {}
                Undo::Write {
                    real,
                    offset,
                    old,
                    new,
                    ..
                } => {
                    let fate = random.u8(0..3);
                    for at in (0..old.len()).step_by(SECTOR_SIZE_BYTES) {
                        let end = (at + SECTOR_SIZE_BYTES).min(old.len());
                        let keeps = fate == 0 || fate == 1 && random.bool();
                        let bytes = if keeps { &new[at..end] } else { &old[at..end] };
                        real.write_at(bytes, offset + at as u64)
                            .expect("the file can be written");
                    }
                }
            }
        }
    }
}

impl Shared {
    fn next_fault(&self, operation: DiskOperation) -> io::Result<Option<DiskFault>> {
        let mut state = self.state.lock();
        state.switch.count()?;
        let count = state.counts.entry(operation).or_insert(0);
        *count += 1;
        let at = *count;
        Ok(state.faults.remove(&(operation, at)))
    }

    /// As [`next_fault`](Self::next_fault), for operations that are done whole or not at all.
    fn check(&self, operation: DiskOperation) -> io::Result<()> {
        match self.next_fault(operation)? {
            None => Ok(()),
            Some(DiskFault::Fail) => Err(failed()),
            Some(DiskFault::DiskFull) => Err(io::ErrorKind::StorageFull.into()),
        }
    }

    /// Files are known by their inode: a sync through one handle counts for all.
    fn wrap(self: &Arc<Self>, path: &Path, real: Arc<dyn LogFile>) -> io::Result<Arc<dyn LogFile>> {
        let id = std::fs::metadata(path)?.ino();
        Ok(Arc::new(FaultFile {
            id,
            real,
            shared: self.clone(),
        }))
    }
}

impl Disk for FaultDisk {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        self.0.wrap(path, RealDisk.open(path)?)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        self.0.check(DiskOperation::Create)?;
        self.0.wrap(path, RealDisk.create(path)?)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.check(DiskOperation::Rename)?;
        RealDisk.rename(from, to)?;
        let folder = to.parent().map(Path::to_path_buf).unwrap_or_default();
        let undo = Undo::Rename {
            folder,
            from: from.into(),
            to: to.into(),
        };
        self.0.state.lock().undo.push(undo);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.check(DiskOperation::Remove)?;
        RealDisk.remove(path)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.0.check(DiskOperation::SyncFolder)?;
        let mut state = self.0.state.lock();
        state
            .undo
            .retain(|one| !matches!(one, Undo::Rename { folder: of, .. } if of == folder));
        Ok(())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        RealDisk.list(folder)
    }

    fn available_bytes(&self, folder: &Path) -> io::Result<u64> {
        match self.0.state.lock().available_bytes {
            Some(available_bytes) => Ok(available_bytes),
            None => RealDisk.available_bytes(folder),
        }
    }

    fn time(&self) -> Timestamp {
        let time = self.0.state.lock().time;
        time.unwrap_or_else(|| RealDisk.time())
    }
}

#[derive(Debug)]
struct FaultFile {
    id: u64,
    real: Arc<dyn LogFile>,
    shared: Arc<Shared>,
}

impl FaultFile {
    fn write_undoably(&self, buffer: &[u8], offset: u64) -> io::Result<()> {
        let mut old = vec![0; buffer.len()];
        // Beyond the end of the file it stays zero, like the space a file system adds.
        self.real.read_at(&mut old, offset)?;
        self.real.write_at(buffer, offset)?;
        let (file, real, new) = (self.id, self.real.clone(), buffer.to_vec());
        self.shared.state.lock().undo.push(Undo::Write {
            file,
            real,
            offset,
            old,
            new,
        });
        Ok(())
    }
}

impl LogFile for FaultFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.real.read_at(buffer, offset)
    }

    fn write_at(&self, buffer: &[u8], offset: u64) -> io::Result<()> {
        match self.shared.next_fault(DiskOperation::Write) {
            Ok(None) => self.write_undoably(buffer, offset),
            Ok(Some(DiskFault::Fail)) => Err(failed()),
            Ok(Some(DiskFault::DiskFull)) => {
                self.write_undoably(&buffer[..buffer.len() / 2], offset)?;
                Err(io::ErrorKind::StorageFull.into())
            }
            Err(error) => {
                // The power may go in the middle of a write, too.
                self.write_undoably(&buffer[..buffer.len() / 2], offset)?;
                Err(error)
            }
        }
    }

    fn sync(&self) -> io::Result<()> {
        self.shared.check(DiskOperation::Sync)?;
        let mut state = self.shared.state.lock();
        state
            .undo
            .retain(|one| !matches!(one, Undo::Write { file, .. } if *file == self.id));
        Ok(())
    }

    fn size_bytes(&self) -> io::Result<u64> {
        self.real.size_bytes()
    }
}

fn failed() -> io::Error {
    io::Error::other("broken on purpose")
}
