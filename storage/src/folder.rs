//! The data folder: who owns it, and what it is.
//!
//! ```text
//! abide-data/
//!   FORMAT    text: the folder's format number and its engine; written last when it is made
//!   LOCK      locked while a process has the folder open; holds its pid
//!   log/      segments of the commit log
//!   engine/   whatever the engine keeps
//!   history/  what is kept of the past (`history.rs`)
//!   RESTORING while a restore makes the folder; there is no FORMAT then
//!   REPAIRING while a repair changes the folder that loses something
//! ```

use std::fs::TryLockError;
use std::io;
use std::path::{Path, PathBuf};

use crate::engine::EngineKind;
use crate::log::{Disk, FileLock, is_disk_full};

/// The folder format this release makes: covers the layout above and the keys of `key.rs`.
const FORMAT: u32 = 1;
/// Lies in a folder while a restore makes it.
const RESTORING: &str = "RESTORING";
/// Lies in a folder while a repair changes it that loses something.
const REPAIRING: &str = "REPAIRING";
const TITLE: &str = "abide data folder";

/// An open data folder; locked until it is dropped.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    /// Its lock goes with the file, also when the process is killed.
    _lock: FileLock,
}

/// Why a store cannot be opened. Nothing was changed, except that an empty folder may have been created.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has the folder open.
    #[error(
        "the data folder {} is in use by process {}: stop it, or choose another folder",
        path.display(), pid.map_or_else(|| "unknown".into(), |pid| pid.to_string())
    )]
    InUse {
        /// The folder.
        path: PathBuf,
        /// The process, when it has written its number already.
        pid: Option<u32>,
    },
    /// A newer release made the folder, or a file in it.
    #[error(
        "{} has format {found}, this release reads up to {supported}: start the release that wrote it, or a newer one",
        path.display()
    )]
    NewerFormat {
        /// The folder.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The highest format this release reads.
        supported: u32,
    },
    /// The folder was made with another engine.
    #[error(
        "the data folder {} was made with engine {found}, asked for is {asked}: ask for {found}, or choose another folder",
        path.display()
    )]
    OtherEngine {
        /// The folder.
        path: PathBuf,
        /// The engine it was made with.
        found: String,
        /// The engine in the options.
        asked: EngineKind,
    },
    /// The folder has files but no valid `FORMAT`.
    #[error(
        "{} is not a data folder, or its FORMAT file is lost: {problem}; choose an empty folder, or restore the file",
        path.display()
    )]
    NotADataFolder {
        /// The folder.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// Acknowledged commits in the log cannot be read.
    #[error(
        "the log is damaged: {} at byte {offset}: {problem}; acknowledged commits stood there, so \
         nothing was changed",
        file.display()
    )]
    CorruptLog {
        /// The damaged file.
        file: PathBuf,
        /// Where in it, bytes.
        offset: u64,
        /// What is wrong.
        problem: String,
    },
    /// The engine does not open.
    #[error("the engine in {} does not open: {problem}", path.display())]
    Engine {
        /// The engine's folder.
        path: PathBuf,
        /// What the engine says.
        problem: String,
    },
    /// A repair that loses something was cut short.
    #[error("a repair of {} was cut short", path.display())]
    RepairCutShort {
        /// The folder.
        path: PathBuf,
    },
    /// The path names something else.
    #[error("{} is a file: name a folder for the data, one that exists or one to be made", path.display())]
    NotAFolder {
        /// The path.
        path: PathBuf,
    },
    /// This process may not write there.
    #[error("{} cannot be written by this user: {source}", path.display())]
    NotWritable {
        /// The folder.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// There is no space to open it.
    #[error("the disk of {} is full: free some space and start again", path.display())]
    DiskFull {
        /// The folder.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// Any other failure of the file system.
    #[error("{}: {source}", path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
}

impl OpenError {
    pub(crate) fn from_io(path: &Path, source: io::Error) -> Self {
        let path = path.to_path_buf();
        match source.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::NotWritable { path, source }
            }
            _ if is_disk_full(&source) => Self::DiskFull { path, source },
            _ => Self::Io { path, source },
        }
    }
}

impl Folder {
    /// Locks the folder, and makes it one when it is empty or absent.
    pub(crate) fn open(
        disk: &dyn Disk,
        path: &Path,
        engine: EngineKind,
    ) -> Result<Self, OpenError> {
        let io_error = |source| OpenError::from_io(path, source);
        make(disk, path)?;
        // Looked at before the lock file is made, so that a refused folder stays as it was.
        let is_new = !check(disk, path, engine)?;
        let lock = lock(disk, path)?;
        if is_new && !check(disk, path, engine)? {
            create(disk, path, engine).map_err(io_error)?;
        }
        refuse_half_repaired(disk, path)?;
        for folder in FOLDERS {
            disk.create_folder(&path.join(folder)).map_err(io_error)?;
        }
        disk.sync_folder(path).map_err(io_error)?;
        Ok(Self {
            path: path.into(),
            _lock: lock,
        })
    }

    /// Locks a folder that exists, and says which engine it was made with. Makes nothing.
    pub(crate) fn open_existing(
        disk: &dyn Disk,
        path: &Path,
    ) -> Result<(Self, EngineKind), OpenError> {
        let opened = Self::open_for_repair(disk, path)?;
        refuse_half_repaired(disk, path)?;
        Ok(opened)
    }

    /// As [`open_existing`](Self::open_existing), also when a repair was cut short.
    pub(crate) fn open_for_repair(
        disk: &dyn Disk,
        path: &Path,
    ) -> Result<(Self, EngineKind), OpenError> {
        let not_one = |problem: String| OpenError::NotADataFolder {
            path: path.into(),
            problem,
        };
        let text = read_format(disk, path)?.ok_or_else(|| not_one("there is no FORMAT".into()))?;
        let name = text.lines().find_map(|line| line.strip_prefix("engine "));
        let name = name.ok_or_else(|| not_one("FORMAT names no engine".into()))?;
        let engine = EngineKind::from_name(name)
            .ok_or_else(|| not_one(format!("this build has no engine '{name}'")))?;
        check(disk, path, engine)?;
        let lock = lock(disk, path)?;
        let path = path.into();
        Ok((Self { path, _lock: lock }, engine))
    }

    /// Locks a folder that is absent or empty for a restore. Until
    /// [`finish_restore`](Self::finish_restore) it is no data folder.
    pub(crate) fn begin_restore(disk: &dyn Disk, path: &Path) -> Result<Self, OpenError> {
        let io_error = |source| OpenError::from_io(path, source);
        make(disk, path)?;
        // Looked at before the lock file is made, so that a refused folder stays as it was.
        if !disk
            .list(path)
            .map_err(io_error)?
            .iter()
            .all(|file| is_leftover(file))
        {
            return Err(OpenError::NotADataFolder {
                path: path.into(),
                problem: "it is not empty".into(),
            });
        }
        let lock = lock(disk, path)?;
        let begin = || {
            disk.create(&path.join(RESTORING))?.sync()?;
            for folder in FOLDERS {
                disk.create_folder(&path.join(folder))?;
            }
            disk.sync_folder(path)
        };
        begin().map_err(io_error)?;
        let path = path.into();
        Ok(Self { path, _lock: lock })
    }

    /// Makes it a data folder; everything in it must be durable.
    pub(crate) fn finish_restore(self, disk: &dyn Disk, engine: EngineKind) -> io::Result<()> {
        create(disk, &self.path, engine)?;
        disk.remove(&self.path.join(RESTORING))
    }

    /// From here to [`finish_repair`](Self::finish_repair) nobody but a repair opens it.
    pub(crate) fn begin_repair(&self, disk: &dyn Disk) -> io::Result<()> {
        match disk.create(&self.path.join(REPAIRING)) {
            Ok(file) => file.sync()?,
            // One that was cut short has left it, maybe without its name on the disk.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        disk.sync_folder(&self.path)
    }

    /// Whether a repair that loses something was begun and not finished.
    pub(crate) fn is_half_repaired(&self, disk: &dyn Disk) -> Result<bool, OpenError> {
        is_half_repaired(disk, &self.path)
    }

    /// The repair is done, and durable.
    pub(crate) fn finish_repair(&self, disk: &dyn Disk) -> io::Result<()> {
        disk.remove(&self.path.join(REPAIRING))?;
        disk.sync_folder(&self.path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    pub(crate) fn engine(&self) -> PathBuf {
        self.path.join("engine")
    }

    pub(crate) fn history(&self) -> PathBuf {
        self.path.join("history")
    }
}

/// The folders in it.
const FOLDERS: [&str; 3] = ["log", "engine", "history"];

/// Whether the path looks like a data folder, of whatever release.
pub(crate) fn is_data_folder(path: &Path) -> bool {
    path.join("FORMAT").is_file()
}

/// Whether the folder is one already (`true`), or free to be made one.
fn check(disk: &dyn Disk, path: &Path, asked: EngineKind) -> Result<bool, OpenError> {
    let not_one = |problem: &str| OpenError::NotADataFolder {
        path: path.into(),
        problem: problem.into(),
    };
    let Some(text) = read_format(disk, path)? else {
        let files = disk
            .list(path)
            .map_err(|source| OpenError::from_io(path, source))?;
        return if files.iter().all(|file| is_leftover(file)) {
            Ok(false)
        } else if files.contains(&path.join(RESTORING)) {
            Err(not_one(
                "a restore into it was interrupted, remove the folder and restore again",
            ))
        } else {
            Err(not_one("it has files but no FORMAT"))
        };
    };
    let mut lines = text.lines();
    if lines.next() != Some(TITLE) {
        return Err(not_one("FORMAT does not begin as it should"));
    }
    let mut value = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
    let found = value("format").and_then(|number| number.parse::<u32>().ok());
    match found {
        None | Some(0) => return Err(not_one("FORMAT has no format number")),
        Some(found) if found > FORMAT => {
            return Err(OpenError::NewerFormat {
                path: path.into(),
                found,
                supported: FORMAT,
            });
        }
        Some(_) => {}
    }
    match value("engine") {
        None => Err(not_one("FORMAT names no engine")),
        Some(found) if found != asked.as_str() => Err(OpenError::OtherEngine {
            path: path.into(),
            found: found.into(),
            asked,
        }),
        Some(_) => Ok(true),
    }
}

fn is_half_repaired(disk: &dyn Disk, path: &Path) -> Result<bool, OpenError> {
    match disk.read(&path.join(REPAIRING)) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(OpenError::from_io(path, source)),
    }
}

/// What a repair has lost would be forgotten: the next backup would go on as if nothing had happened.
fn refuse_half_repaired(disk: &dyn Disk, path: &Path) -> Result<(), OpenError> {
    if is_half_repaired(disk, path)? {
        return Err(OpenError::RepairCutShort { path: path.into() });
    }
    Ok(())
}

/// The text of `FORMAT`; `None` when there is none.
fn read_format(disk: &dyn Disk, path: &Path) -> Result<Option<String>, OpenError> {
    match disk.read(&path.join("FORMAT")) {
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(OpenError::NotADataFolder {
                path: path.into(),
                problem: "FORMAT is no text".into(),
            }),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(OpenError::from_io(path, source)),
    }
}

/// Makes the folder itself, where it is missing.
fn make(disk: &dyn Disk, path: &Path) -> Result<(), OpenError> {
    disk.create_folder(path)
        .map_err(|source| match source.kind() {
            // Nothing else stops the making of a folder that exists.
            io::ErrorKind::AlreadyExists => OpenError::NotAFolder { path: path.into() },
            _ => OpenError::from_io(path, source),
        })
}

/// Whether the file is one that a creation leaves that was cut short.
fn is_leftover(file: &Path) -> bool {
    let leftovers = ["LOCK", "FORMAT.tmp", "lost+found"];
    let name = file.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| leftovers.contains(&name))
}

fn create(disk: &dyn Disk, path: &Path, engine: EngineKind) -> io::Result<()> {
    let draft = path.join("FORMAT.tmp");
    if disk.list(path)?.contains(&draft) {
        disk.remove(&draft)?;
    }
    let file = disk.create(&draft)?;
    let text = format!("{TITLE}\nformat {FORMAT}\nengine {engine}\n");
    file.write_at(text.as_bytes(), 0)?;
    file.sync()?;
    disk.rename(&draft, &path.join("FORMAT"))?;
    disk.sync_folder(path)?;
    // The name of the folder itself must be durable too.
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => disk.sync_folder(parent),
        _ => disk.sync_folder(Path::new(".")),
    }
}

fn lock(disk: &dyn Disk, path: &Path) -> Result<FileLock, OpenError> {
    let file = path.join("LOCK");
    match disk.lock(&file, &std::process::id().to_string()) {
        Ok(lock) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            let owner = disk.read(&file).unwrap_or_default();
            let pid = String::from_utf8_lossy(&owner).trim().parse().ok();
            Err(OpenError::InUse {
                path: path.into(),
                pid,
            })
        }
        Err(TryLockError::Error(source)) => Err(OpenError::from_io(path, source)),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::log::RealDisk;

    fn temporary() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    fn files(path: &Path) -> Vec<String> {
        let entries = fs::read_dir(path).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    const ENGINE: EngineKind = EngineKind::Memory;

    #[test]
    fn an_absent_folder_is_made_and_opens_again() {
        let temporary = temporary();
        let path = temporary.path().join("a/b");
        drop(Folder::open(&RealDisk, &path, ENGINE).unwrap());
        assert_eq!(files(&path), ["FORMAT", "LOCK", "engine", "history", "log"]);
        let text = fs::read_to_string(path.join("FORMAT")).unwrap();
        assert_eq!(text, "abide data folder\nformat 1\nengine memory\n");
        drop(Folder::open(&RealDisk, &path, ENGINE).unwrap());
    }

    #[test]
    fn an_open_folder_names_its_owner() {
        let temporary = temporary();
        let _open = Folder::open(&RealDisk, temporary.path(), ENGINE).unwrap();
        match Folder::open(&RealDisk, temporary.path(), ENGINE) {
            Err(OpenError::InUse { pid, .. }) => assert_eq!(pid, Some(std::process::id())),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_folder_of_something_else_is_refused_and_left_alone() {
        let temporary = temporary();
        fs::write(temporary.path().join("holiday.jpg"), "x").unwrap();
        let error = Folder::open(&RealDisk, temporary.path(), ENGINE).unwrap_err();
        assert!(matches!(error, OpenError::NotADataFolder { .. }), "{error}");
        assert_eq!(files(temporary.path()), ["holiday.jpg"]);
    }

    #[test]
    fn a_creation_cut_short_is_finished() {
        let temporary = temporary();
        fs::write(temporary.path().join("LOCK"), "1").unwrap();
        fs::write(temporary.path().join("FORMAT.tmp"), "aba").unwrap();
        drop(Folder::open(&RealDisk, temporary.path(), ENGINE).unwrap());
    }

    #[test]
    fn formats_are_refused_by_name_and_left_alone() {
        for (text, wanted) in [
            ("abide data folder\nformat 2\nengine memory\n", "newer"),
            ("abide data folder\nformat 1\nengine other\n", "engine"),
            ("abide data folder\nformat x\nengine memory\n", "no folder"),
            ("abide data folder\nformat 0\nengine memory\n", "no folder"),
            ("abide data folder\nformat 1\n", "no folder"),
            ("abi", "no folder"),
            ("", "no folder"),
        ] {
            let temporary = temporary();
            fs::write(temporary.path().join("FORMAT"), text).unwrap();
            let error = Folder::open(&RealDisk, temporary.path(), ENGINE).unwrap_err();
            let found = match &error {
                OpenError::NewerFormat {
                    found: 2,
                    supported: 1,
                    ..
                } => "newer",
                OpenError::OtherEngine { asked: ENGINE, .. } => "engine",
                OpenError::NotADataFolder { .. } => "no folder",
                _ => "?",
            };
            assert_eq!(found, wanted, "{text:?}: {error}");
            assert_eq!(files(temporary.path()), ["FORMAT"]);
        }
    }
}
