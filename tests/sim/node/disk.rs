//! A disk in memory: it can be slow to nobody, full, broken, and forget what was not synced.
//!
//! What a power cut leaves of unsynced writes is chosen at random, by sector; of names the last
//! changes go first, as a journal has it. A sync that fails leaves the kernel thinking that the pages
//! are clean: a second sync succeeds and makes nothing durable.

use std::collections::BTreeMap;
use std::fs::TryLockError;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use abide_storage::{Disk, FileLock, LogFile, Room, Timestamp};
use parking_lot::Mutex;

/// Parts in which a disk writes, bytes: a torn write is torn at their ends.
const SECTOR_SIZE_BYTES: usize = 512;
/// What it says of its free space when it is not full.
const AMPLE_BYTES: u64 = 1 << 40;

/// See the module's documentation. Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub(super) struct SimDisk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    names: BTreeMap<PathBuf, Arc<Mutex<Contents>>>,
    /// Changes of names since the folder was synced, oldest first.
    unsynced_names: Vec<NameChange>,
    is_full: bool,
    next_sync_fails: bool,
    /// Writing operations until the power goes; `None`: it stays.
    operations_left: Option<u64>,
}

#[derive(Debug, Default)]
struct Contents {
    bytes: Vec<u8>,
    unsynced: Vec<Unsynced>,
}

#[derive(Debug)]
struct Unsynced {
    offset: usize,
    old: Vec<u8>,
    /// A sync has failed on it: later ones believe that it is durable, and it never is.
    is_doomed: bool,
}

#[derive(Debug)]
struct NameChange {
    path: PathBuf,
    before: Option<Arc<Mutex<Contents>>>,
}

impl SimDisk {
    /// From now on, or no longer, writes fail for lack of space.
    pub(super) fn set_room(&self, room: Room) {
        self.0.lock().is_full = room == Room::Full;
    }

    pub(super) fn fail_next_sync(&self) {
        self.0.lock().next_sync_fails = true;
    }

    /// The power goes at the `operations`-th writing operation from now.
    pub(super) fn cut_power_after(&self, operations: u64) {
        self.0.lock().operations_left = Some(operations);
    }

    pub(super) fn has_power(&self) -> bool {
        self.0.lock().operations_left != Some(0)
    }

    /// The faults are over, and the power is back.
    pub(super) fn mend(&self) {
        let mut state = self.0.lock();
        (state.is_full, state.next_sync_fails, state.operations_left) = (false, false, None);
    }

    /// Forgets an arbitrary part of what was not synced.
    pub(super) fn lose_power(&self, random: &mut fastrand::Rng) {
        let mut state = self.0.lock();
        let changes = std::mem::take(&mut state.unsynced_names);
        let lost = random.usize(0..=changes.len());
        for NameChange { path, before } in changes.into_iter().rev().take(lost) {
            match before {
                Some(contents) => _ = state.names.insert(path, contents),
                None => _ = state.names.remove(&path),
            }
        }
        for contents in state.names.values() {
            contents.lock().forget(random);
        }
    }
}

impl Contents {
    fn forget(&mut self, random: &mut fastrand::Rng) {
        for write in std::mem::take(&mut self.unsynced).into_iter().rev() {
            let fate = if write.is_doomed { 2 } else { random.u8(0..3) };
            for at in (0..write.old.len()).step_by(SECTOR_SIZE_BYTES) {
                let end = (at + SECTOR_SIZE_BYTES).min(write.old.len());
                let is_kept = fate == 0 || fate == 1 && random.bool();
                if !is_kept {
                    self.bytes[write.offset + at..write.offset + end]
                        .copy_from_slice(&write.old[at..end]);
                }
            }
        }
    }

    /// All is durable but what a failed sync has doomed and nobody has written again.
    fn sync(&mut self) {
        let Self { bytes, unsynced } = self;
        let range = |write: &Unsynced| write.offset..write.offset + write.old.len();
        let is_synced = |write: &&Unsynced| !write.is_doomed;
        let synced: Vec<_> = unsynced.iter().filter(is_synced).map(range).collect();
        unsynced.retain(|write| write.is_doomed);
        for doomed in unsynced {
            for synced in &synced {
                let start = synced.start.max(doomed.offset);
                let end = synced.end.min(doomed.offset + doomed.old.len());
                if start < end {
                    let here = start - doomed.offset..end - doomed.offset;
                    doomed.old[here].copy_from_slice(&bytes[start..end]);
                }
            }
        }
    }

    fn write(&mut self, buffer: &[u8], offset: usize) {
        let end = offset + buffer.len();
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        let old = self.bytes[offset..end].to_vec();
        self.bytes[offset..end].copy_from_slice(buffer);
        self.unsynced.push(Unsynced {
            offset,
            old,
            is_doomed: false,
        });
    }
}

impl State {
    /// Counts a writing operation.
    fn operate(&mut self) -> io::Result<()> {
        match &mut self.operations_left {
            None => Ok(()),
            Some(0) => Err(io::Error::other("the power is gone")),
            Some(left) => {
                *left -= 1;
                if *left > 0 {
                    return Ok(());
                }
                Err(io::Error::other("the power goes"))
            }
        }
    }

    fn rename(&mut self, path: &Path, to: Option<Arc<Mutex<Contents>>>) {
        let before = match to {
            Some(contents) => self.names.insert(path.into(), contents),
            None => self.names.remove(path),
        };
        self.unsynced_names.push(NameChange {
            path: path.into(),
            before,
        });
    }

    fn file(&self, path: &Path) -> io::Result<Arc<Mutex<Contents>>> {
        let file = self.names.get(path).cloned();
        file.ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Disk for SimDisk {
    fn create_folder(&self, _folder: &Path) -> io::Result<()> {
        Ok(())
    }

    /// The stepped store has no data folder around its log, so nothing is locked.
    fn lock(&self, _path: &Path, _owner: &str) -> Result<FileLock, TryLockError> {
        Err(TryLockError::Error(io::ErrorKind::Unsupported.into()))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let contents = self.0.lock().file(path)?;
        let bytes = contents.lock().bytes.clone();
        Ok(bytes)
    }

    /// The machine's clock would not come back with the seed.
    fn time(&self) -> Timestamp {
        Timestamp(0)
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        let contents = self.0.lock().file(path)?;
        Ok(Arc::new(SimFile(contents, self.clone())))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        let mut state = self.0.lock();
        state.operate()?;
        if state.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let contents = Arc::<Mutex<Contents>>::default();
        state.rename(path, Some(contents.clone()));
        Ok(Arc::new(SimFile(contents, self.clone())))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.operate()?;
        let contents = state.file(from)?;
        // Two changes, the new name first: a cut in between leaves both, never none.
        state.rename(to, Some(contents));
        state.rename(from, None);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.operate()?;
        state.file(path)?;
        state.rename(path, None);
        Ok(())
    }

    fn sync_folder(&self, _folder: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.operate()?;
        state.unsynced_names.clear();
        Ok(())
    }

    fn list(&self, _folder: &Path) -> io::Result<Vec<PathBuf>> {
        Ok(self.0.lock().names.keys().cloned().collect())
    }

    fn available_bytes(&self, _folder: &Path) -> io::Result<u64> {
        Ok(if self.0.lock().is_full {
            0
        } else {
            AMPLE_BYTES
        })
    }
}

#[derive(Debug)]
struct SimFile(Arc<Mutex<Contents>>, SimDisk);

impl LogFile for SimFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let contents = self.0.lock();
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let rest = contents.bytes.get(start..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn write_at(&self, buffer: &[u8], offset: u64) -> io::Result<()> {
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        let mut state = self.1.0.lock();
        let operated = state.operate();
        let is_full = state.is_full;
        drop(state);
        // Without power, or space, half of it is written all the same.
        let half = &buffer[..buffer.len() / 2];
        match operated {
            Ok(()) if !is_full => self.0.lock().write(buffer, offset),
            Ok(()) => {
                self.0.lock().write(half, offset);
                return Err(io::ErrorKind::StorageFull.into());
            }
            Err(error) => {
                self.0.lock().write(half, offset);
                return Err(error);
            }
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.1.0.lock();
        state.operate()?;
        let fails = std::mem::take(&mut state.next_sync_fails);
        let mut contents = self.0.lock();
        if fails {
            contents
                .unsynced
                .iter_mut()
                .for_each(|write| write.is_doomed = true);
            return Err(io::Error::other("the device could not write"));
        }
        contents.sync();
        Ok(())
    }

    fn size_bytes(&self) -> io::Result<u64> {
        Ok(self.0.lock().bytes.len() as u64)
    }
}
