//! A file system under the log that fails at chosen operations, and forgets what was not synced.

use std::collections::{BTreeMap, HashMap};
use std::fs::TryLockError;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;

use super::PowerSwitch;
use super::steps::{DiskOperation, DiskStep, FileRole, Steps};
use crate::id::Timestamp;
use crate::log::{Disk, FileLock, LogFile, RealDisk};

/// Parts in which a real disk writes, bytes: a torn write is torn at their ends.
const SECTOR_SIZE_BYTES: usize = 512;

/// What happens at an operation instead of what should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskFault {
    /// An error of the device; nothing was done. After a sync that failed, what it should have made durable
    /// counts as clean: a later sync does not write it.
    Fail,
    /// No space; a write has written its first half.
    DiskFull,
    /// An error of the device after the first half of a write.
    Tear,
    /// It takes this long, and then succeeds.
    Stall(Duration),
}

impl DiskFault {
    /// Every fault that this operation can meet. A stall takes `stall`.
    #[must_use]
    pub fn all_of(operation: DiskOperation, stall: Duration) -> Vec<Self> {
        let mut faults = vec![Self::Fail, Self::Stall(stall)];
        if operation.is_writing() {
            faults.push(Self::DiskFull);
        }
        if operation == DiskOperation::Write {
            faults.push(Self::Tear);
        }
        faults
    }
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
    operations: Steps<DiskOperation, DiskFault>,
    steps: Steps<DiskStep, DiskFault>,
    available_bytes: Option<u64>,
    time: Option<Timestamp>,
    /// What a file is by now, by inode: a rename makes a spare a segment, and a segment a spare.
    roles: HashMap<u64, FileRole>,
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
        /// A sync of it has failed, and no later one will write it: the kernel takes its pages for clean.
        is_lost: bool,
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
            operations: Steps::default(),
            steps: Steps::default(),
            available_bytes: None,
            time: None,
            roles: HashMap::new(),
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
        state.operations.fault_at(operation, nth, fault);
    }

    /// Makes the `nth` step of this kind from now fail, counted from 1.
    pub fn fault_at_step(&self, step: DiskStep, nth: u64, fault: DiskFault) {
        self.0.state.lock().steps.fault_at(step, nth, fault);
    }

    /// Operations of this kind so far.
    #[must_use]
    pub fn operations(&self, operation: DiskOperation) -> u64 {
        self.0.state.lock().operations.counted(operation)
    }

    /// All steps so far.
    #[must_use]
    pub fn steps(&self) -> BTreeMap<DiskStep, u64> {
        self.0.state.lock().steps.counts()
    }

    /// Whether a fault has not been met yet.
    #[must_use]
    pub fn is_armed(&self) -> bool {
        let state = self.0.state.lock();
        state.operations.is_armed() || state.steps.is_armed()
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
    /// sectors of them; of renames the later ones. What a failed sync should have written is taken back whole.
    /// Call it when nobody uses the files any more.
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
                    is_lost,
                    ..
                } => {
                    let fate = if is_lost { 2 } else { random.u8(0..3) };
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
    /// Counts a step. Answers the fault that needs a hand of its own; the others have happened.
    fn next_fault(
        &self,
        operation: DiskOperation,
        file: FileRole,
    ) -> io::Result<Option<DiskFault>> {
        let fault = {
            let mut state = self.state.lock();
            if operation.is_writing() {
                state.switch.count()?;
            }
            let at_operation = state.operations.count(operation);
            at_operation.or(state.steps.count(DiskStep { operation, file }))
        };
        if let Some(DiskFault::Stall(duration)) = fault {
            thread::sleep(duration);
            return Ok(None);
        }
        Ok(fault)
    }

    /// As [`next_fault`](Self::next_fault), for operations that are done whole or not at all.
    fn check(&self, operation: DiskOperation, file: FileRole) -> io::Result<()> {
        match self.next_fault(operation, file)? {
            None | Some(DiskFault::Stall(_)) => Ok(()),
            Some(DiskFault::Fail | DiskFault::Tear) => Err(failed()),
            Some(DiskFault::DiskFull) => Err(io::ErrorKind::StorageFull.into()),
        }
    }

    fn note_role(&self, path: &Path) -> io::Result<u64> {
        let id = std::fs::metadata(path)?.ino();
        self.state.lock().roles.insert(id, FileRole::of(path));
        Ok(id)
    }

    /// Files are known by their inode: a sync through one handle counts for all.
    fn wrap(self: &Arc<Self>, path: &Path, real: Arc<dyn LogFile>) -> io::Result<Arc<dyn LogFile>> {
        let id = self.note_role(path)?;
        Ok(Arc::new(FaultFile {
            id,
            real,
            shared: self.clone(),
        }))
    }
}

impl Disk for FaultDisk {
    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        self.0
            .check(DiskOperation::CreateFolder, FileRole::of(folder))?;
        RealDisk.create_folder(folder)
    }

    fn lock(&self, path: &Path, owner: &str) -> Result<FileLock, TryLockError> {
        self.0
            .check(DiskOperation::Lock, FileRole::of(path))
            .map_err(TryLockError::Error)?;
        RealDisk.lock(path, owner)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.0.check(DiskOperation::Read, FileRole::of(path))?;
        RealDisk.read(path)
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        self.0.check(DiskOperation::Open, FileRole::of(path))?;
        self.0.wrap(path, RealDisk.open(path)?)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        self.0.check(DiskOperation::Create, FileRole::of(path))?;
        self.0.wrap(path, RealDisk.create(path)?)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.check(DiskOperation::Rename, FileRole::of(to))?;
        RealDisk.rename(from, to)?;
        self.0.note_role(to)?;
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
        self.0.check(DiskOperation::Remove, FileRole::of(path))?;
        RealDisk.remove(path)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.0
            .check(DiskOperation::SyncFolder, FileRole::of(folder))?;
        let mut state = self.0.state.lock();
        state
            .undo
            .retain(|one| !matches!(one, Undo::Rename { folder: of, .. } if of == folder));
        Ok(())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        self.0.check(DiskOperation::List, FileRole::of(folder))?;
        RealDisk.list(folder)
    }

    fn available_bytes(&self, folder: &Path) -> io::Result<u64> {
        // The folder's name is the user's; it has no role.
        self.0.check(DiskOperation::Space, FileRole::Other)?;
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
    fn role(&self) -> FileRole {
        let roles = &self.shared.state.lock().roles;
        roles.get(&self.id).copied().unwrap_or(FileRole::Other)
    }

    fn write_undoably(&self, buffer: &[u8], offset: u64) -> io::Result<()> {
        let mut old = vec![0; buffer.len()];
        // Beyond the end of the file it stays zero, like the space a file system adds.
        self.real.read_at(&mut old, offset)?;
        self.real.write_at(buffer, offset)?;
        let (file, real, new) = (self.id, self.real.clone(), buffer.to_vec());
        let end = offset + new.len() as u64;
        let mut state = self.shared.state.lock();
        for one in &mut state.undo {
            // Written again as a whole, its pages are dirty again: the next sync writes them.
            if let Undo::Write {
                file: of,
                offset: start,
                old,
                is_lost,
                ..
            } = one
                && *of == file
                && offset <= *start
                && *start + old.len() as u64 <= end
            {
                *is_lost = false;
            }
        }
        state.undo.push(Undo::Write {
            file,
            real,
            offset,
            old,
            new,
            is_lost: false,
        });
        Ok(())
    }
}

impl LogFile for FaultFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.shared.check(DiskOperation::Read, self.role())?;
        self.real.read_at(buffer, offset)
    }

    fn write_at(&self, buffer: &[u8], offset: u64) -> io::Result<()> {
        let half = &buffer[..buffer.len() / 2];
        match self.shared.next_fault(DiskOperation::Write, self.role()) {
            Ok(None | Some(DiskFault::Stall(_))) => self.write_undoably(buffer, offset),
            Ok(Some(DiskFault::Fail)) => Err(failed()),
            Ok(Some(DiskFault::Tear)) => {
                self.write_undoably(half, offset)?;
                Err(failed())
            }
            Ok(Some(DiskFault::DiskFull)) => {
                self.write_undoably(half, offset)?;
                Err(io::ErrorKind::StorageFull.into())
            }
            Err(error) => {
                // The power may go in the middle of a write, too.
                self.write_undoably(half, offset)?;
                Err(error)
            }
        }
    }

    fn sync(&self) -> io::Result<()> {
        // Without power nothing has failed: the process is gone.
        let fault = self.shared.next_fault(DiskOperation::Sync, self.role())?;
        let mut state = self.shared.state.lock();
        if let Some(fault) = fault {
            for one in &mut state.undo {
                if let Undo::Write { file, is_lost, .. } = one
                    && *file == self.id
                {
                    *is_lost = true;
                }
            }
            return Err(match fault {
                DiskFault::DiskFull => io::ErrorKind::StorageFull.into(),
                DiskFault::Fail | DiskFault::Tear | DiskFault::Stall(_) => failed(),
            });
        }
        state.undo.retain(
            |one| !matches!(one, Undo::Write { file, is_lost: false, .. } if *file == self.id),
        );
        Ok(())
    }

    fn size_bytes(&self) -> io::Result<u64> {
        self.shared.check(DiskOperation::Read, self.role())?;
        self.real.size_bytes()
    }
}

fn failed() -> io::Error {
    io::Error::other("broken on purpose")
}
