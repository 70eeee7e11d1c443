//! Keeping what a repair changes: a folder `repair-<n>` beside what is repaired.
//!
//! ```text
//! repair-1/engine/   the engine's files as they were before
//! repair-1/log/      the segments that the log goes on without
//! repair-scratch/    a copy of the engine to look at; only while a repair runs
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::log::{Disk, LogFile};

/// Where a repair looks at a copy of the engine, because opening an engine changes its files.
const SCRATCH: &str = "repair-scratch";
/// Bytes copied at a time.
const CHUNK_SIZE_BYTES: usize = 1 << 20;

/// Bytes of all files in the folder; 0 when it is absent.
pub(super) fn size_bytes(disk: &dyn Disk, folder: &Path) -> io::Result<u64> {
    let mut size_bytes = 0;
    for path in list(disk, folder)? {
        size_bytes += if is_folder(&path)? {
            self::size_bytes(disk, &path)?
        } else {
            disk.open_to_read(&path)?.size_bytes()?
        };
    }
    Ok(size_bytes)
}

/// A copy of the engine's files, gone when it is dropped.
#[derive(Debug)]
pub(super) struct Scratch(PathBuf);

impl Scratch {
    /// Copies `engine`, and removes what a repair left that was killed.
    pub(super) fn copy(disk: &dyn Disk, data: &Path, engine: &Path) -> io::Result<Self> {
        let scratch = Self(data.join(SCRATCH));
        remove_all(&scratch.0)?;
        copy_folder(disk, engine, &scratch.0)?;
        Ok(scratch)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = remove_all(&self.0) {
            tracing::warn!(folder = %self.0.display(), %error, "a copy of the engine stays behind");
        }
    }
}

/// Makes the next folder `repair-<n>`, whole with a copy of the engine or absent.
pub(super) fn begin(disk: &dyn Disk, data: &Path, engine: Option<&Path>) -> io::Result<PathBuf> {
    let present = disk.list(data)?;
    let folder = (1_u32..)
        .map(|number| data.join(format!("repair-{number}")))
        .find(|folder| !present.contains(folder))
        .expect("there are not 4 billion repairs");
    let draft = data.join("repair.tmp");
    remove_all(&draft)?;
    disk.create_folder(&draft.join("log"))?;
    if let Some(engine) = engine {
        copy_folder(disk, engine, &draft.join("engine"))?;
    }
    disk.sync_folder(&draft)?;
    disk.rename(&draft, &folder)?;
    disk.sync_folder(data)?;
    Ok(folder)
}

/// Moves files of one folder to another one.
pub(super) fn put_away(
    disk: &dyn Disk,
    files: &[PathBuf],
    from: &Path,
    to: &Path,
) -> io::Result<()> {
    for file in files {
        if let Some(name) = file.file_name() {
            disk.rename(file, &to.join(name))?;
        }
    }
    disk.sync_folder(to)?;
    disk.sync_folder(from)
}

fn copy_folder(disk: &dyn Disk, from: &Path, to: &Path) -> io::Result<()> {
    disk.create_folder(to)?;
    for path in list(disk, from)? {
        let Some(name) = path.file_name() else {
            continue;
        };
        let copy = to.join(name);
        if is_folder(&path)? {
            copy_folder(disk, &path, &copy)?;
        } else {
            copy_file(&*disk.open_to_read(&path)?, &*disk.create(&copy)?)?;
        }
    }
    disk.sync_folder(to)
}

fn copy_file(from: &dyn LogFile, to: &dyn LogFile) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK_SIZE_BYTES];
    let mut at = 0;
    loop {
        let read = from.read_at(&mut chunk, at)?;
        if read == 0 {
            return to.sync();
        }
        to.write_at(&chunk[..read], at)?;
        at += read as u64;
    }
}

fn list(disk: &dyn Disk, folder: &Path) -> io::Result<Vec<PathBuf>> {
    match disk.list(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        listed => listed,
    }
}

fn is_folder(path: &Path) -> io::Result<bool> {
    Ok(fs::metadata(path)?.is_dir())
}

fn remove_all(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
