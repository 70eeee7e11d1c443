//! The seam between the store and the file system, so that tests can make each operation fail. The
//! data folder and the log use nothing else; an engine brings its own files.

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Seek as _, Write as _};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::clock;
use crate::id::Timestamp;

/// What the data folder and the log need of a file system. Every method may block.
pub trait Disk: Send + Sync + fmt::Debug + 'static {
    /// Makes a folder, and those above it, where they are missing.
    ///
    /// # Errors
    /// As the operating system says; some of the folders may have been made.
    fn create_folder(&self, folder: &Path) -> io::Result<()>;

    /// Locks a file, which is made when it is missing, and writes `owner` into it. The lock holds for as
    /// long as the value lives, and ends with the process at the latest.
    ///
    /// # Errors
    /// [`TryLockError::WouldBlock`] when somebody else has it; otherwise as the operating system says.
    fn lock(&self, path: &Path, owner: &str) -> Result<FileLock, TryLockError>;

    /// The bytes of a small file.
    ///
    /// # Errors
    /// As the operating system says.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// Opens an existing file for reading and writing.
    ///
    /// # Errors
    /// As the operating system says.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn LogFile>>;

    /// Creates a file that must not exist yet.
    ///
    /// # Errors
    /// As the operating system says.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn LogFile>>;

    /// Gives a file another name in the same folder.
    ///
    /// # Errors
    /// As the operating system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// As the operating system says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a folder durable.
    ///
    /// # Errors
    /// As the operating system says.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;

    /// The files of a folder, in no order.
    ///
    /// # Errors
    /// As the operating system says.
    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>>;

    /// Bytes that this process may still write to the disk of this folder.
    ///
    /// # Errors
    /// As the operating system says.
    fn available_bytes(&self, folder: &Path) -> io::Result<u64>;

    /// Opens an existing file that is only read, so that a folder may be write-protected.
    ///
    /// # Errors
    /// As the operating system says.
    fn open_to_read(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        self.open(path)
    }

    /// The time of the machine, which may be set back and forth: it is written beside commits, and
    /// nothing but a restore to a time asks for it.
    fn time(&self) -> Timestamp {
        clock::wall()
    }
}

/// A lock on a file, given back when it is dropped.
#[derive(Debug)]
pub struct FileLock(#[expect(dead_code, reason = "the lock goes with the open file")] File);

/// An open file of the log.
pub trait LogFile: Send + Sync + fmt::Debug {
    /// Reads up to the end of `buffer` or of the file; answers the bytes read.
    ///
    /// # Errors
    /// As the operating system says.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes the whole buffer.
    ///
    /// # Errors
    /// As the operating system says; a part may have been written.
    fn write_at(&self, buffer: &[u8], offset: u64) -> io::Result<()>;

    /// Makes what was written durable, with the size of the file.
    ///
    /// # Errors
    /// As the operating system says. Final: the kernel may have dropped what it could not write, and a
    /// second sync would not notice.
    fn sync(&self) -> io::Result<()>;

    /// Size of the file.
    ///
    /// # Errors
    /// As the operating system says.
    fn size_bytes(&self) -> io::Result<u64>;
}

/// The file system itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)
    }

    fn lock(&self, path: &Path, owner: &str) -> Result<FileLock, TryLockError> {
        let mut options = OpenOptions::new();
        let mut file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(TryLockError::Error)?;
        file.try_lock()?;
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{owner}"))
            .map_err(TryLockError::Error)?;
        Ok(FileLock(file))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        Ok(Arc::new(RealFile(
            OpenOptions::new().read(true).write(true).open(path)?,
        )))
    }

    fn open_to_read(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        Ok(Arc::new(RealFile(File::open(path)?)))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        let mut options = OpenOptions::new();
        Ok(Arc::new(RealFile(
            options.read(true).write(true).create_new(true).open(path)?,
        )))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        fs::read_dir(folder)?
            .map(|entry| Ok(entry?.path()))
            .collect()
    }

    fn available_bytes(&self, folder: &Path) -> io::Result<u64> {
        let disk = rustix::fs::statvfs(folder)?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    }
}

#[derive(Debug)]
struct RealFile(File);

impl LogFile for RealFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self
                .0
                .read_at(&mut buffer[filled..], offset + filled as u64)
            {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn write_at(&self, buffer: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(buffer, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn size_bytes(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
}
