//! A folder of history: what is in it, and which timeline it belongs to.

use std::fmt;
use std::fs::TryLockError;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::container::{Content, Header, Reader};
use super::error::HistoryError;
use super::groups::Origin;
use crate::log::{Disk, FileLock};

const TITLE: &str = "abide history";
const FORMAT: u32 = 1;
const TIMELINE_FILE: &str = "TIMELINE";
const TIMELINE_DRAFT: &str = "TIMELINE.tmp";
/// More than any release writes into the file.
const TIMELINE_SIZE_MAX_BYTES: usize = 1 << 10;

/// One line of commits: drawn when a data folder is made or restored.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Timeline(pub(super) [u8; 16]);

impl Timeline {
    pub(crate) fn random() -> Self {
        Self(fastrand::u128(..).to_le_bytes())
    }

    fn parse(text: &str) -> Option<Self> {
        let number = u128::from_str_radix(text, 16).ok()?;
        (text.len() == 32).then(|| Self(number.to_be_bytes()))
    }
}

impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A folder of bases and commits.
#[derive(Debug, Clone)]
pub(crate) struct Repository {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) folder: PathBuf,
    pub(super) timeline: Timeline,
}

/// A whole file of it.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) header: Header,
}

/// All whole files, each kind in order of its first sequence.
#[derive(Debug, Clone, Default)]
pub(super) struct Contents {
    pub(super) bases: Vec<Found>,
    pub(super) commits: Vec<Found>,
}

impl Contents {
    pub(super) fn size_bytes(&self) -> u64 {
        let all = self.bases.iter().chain(&self.commits);
        all.map(|found| found.header.size_bytes).sum()
    }

    /// The last commit that follows `after` without a gap; `after` itself when none does.
    pub(super) fn gapless_to(&self, after: u64) -> u64 {
        self.commits.iter().fold(after, |end, found| {
            if found.header.first <= end + 1 {
                end.max(found.header.last)
            } else {
                end
            }
        })
    }

    /// The last commit that is in it.
    pub(super) fn last_commit(&self) -> u64 {
        self.commits.last().map_or(0, |last| last.header.last)
    }
}

impl Repository {
    /// For a store that keeps no history.
    #[cfg(feature = "test-util")]
    pub(crate) fn unopened(disk: Arc<dyn Disk>, folder: &Path) -> Self {
        Self {
            disk,
            folder: folder.into(),
            timeline: Timeline([0; 16]),
        }
    }

    /// Opens the folder; `None` when it is none yet.
    pub(crate) fn open(disk: Arc<dyn Disk>, folder: &Path) -> Result<Option<Self>, HistoryError> {
        let io_error = |error| HistoryError::io(folder, error);
        if !folder.is_dir() {
            return Ok(None);
        }
        let path = folder.join(TIMELINE_FILE);
        if !disk.list(folder).map_err(io_error)?.contains(&path) {
            return Ok(None);
        }
        let file = disk.open_to_read(&path).map_err(io_error)?;
        let mut bytes = [0; TIMELINE_SIZE_MAX_BYTES];
        let read = file.read_at(&mut bytes, 0).map_err(io_error)?;
        let timeline = parse(&path, &bytes[..read])?;
        Ok(Some(Self {
            disk,
            folder: folder.into(),
            timeline,
        }))
    }

    /// Opens the folder, or makes it one of this timeline when it is absent or empty.
    pub(crate) fn open_or_create(
        disk: Arc<dyn Disk>,
        folder: &Path,
        timeline: Timeline,
    ) -> Result<Self, HistoryError> {
        if let Some(repository) = Self::open(disk.clone(), folder)? {
            return Ok(repository);
        }
        let io_error = |error| HistoryError::io(folder, error);
        disk.create_folder(folder).map_err(io_error)?;
        let draft = folder.join(TIMELINE_DRAFT);
        for path in disk.list(folder).map_err(io_error)? {
            if path == draft {
                disk.remove(&path).map_err(io_error)?;
            } else if path
                .file_name()
                .is_none_or(|name| name != "LOCK" && name != "lost+found")
            {
                return Err(HistoryError::NotARepository {
                    path: folder.into(),
                    problem: "it has files but no TIMELINE".into(),
                });
            }
        }
        let text = format!("{TITLE}\nformat {FORMAT}\ntimeline {timeline}\n");
        let written = disk.create(&draft).and_then(|file| {
            file.write_at(text.as_bytes(), 0)?;
            file.sync()?;
            disk.rename(&draft, &folder.join(TIMELINE_FILE))?;
            disk.sync_folder(folder)?;
            // The name of the folder itself must be durable too.
            disk.sync_folder(
                folder
                    .parent()
                    .filter(|p| *p != Path::new(""))
                    .unwrap_or(Path::new(".")),
            )
        });
        written.map_err(io_error)?;
        Ok(Self {
            disk,
            folder: folder.into(),
            timeline,
        })
    }

    /// As [`open`](Self::open), for folders that must exist.
    pub(super) fn open_existing(disk: Arc<dyn Disk>, folder: &Path) -> Result<Self, HistoryError> {
        Self::open(disk, folder)?.ok_or_else(|| HistoryError::NotARepository {
            path: folder.into(),
            problem: "it has no TIMELINE".into(),
        })
    }

    /// What files of this store say of themselves.
    pub(crate) fn origin(&self, generation: u64) -> Origin {
        Origin {
            timeline: self.timeline,
            generation,
        }
    }

    /// Keeps other processes from writing to the folder for as long as the file lives.
    pub(super) fn lock(&self) -> Result<FileLock, HistoryError> {
        let path = self.folder.join("LOCK");
        match self.disk.lock(&path, &std::process::id().to_string()) {
            Ok(lock) => Ok(lock),
            Err(TryLockError::WouldBlock) => Err(HistoryError::InUse {
                path: self.folder.clone(),
            }),
            Err(TryLockError::Error(error)) => Err(HistoryError::io(&path, error)),
        }
    }

    /// Reads the header of every file. A file whose header is damaged is an error: without it
    /// nobody can tell what is missing.
    pub(super) fn contents(&self) -> Result<Contents, HistoryError> {
        let mut contents = Contents::default();
        let listed = self.disk.list(&self.folder);
        let mut paths = listed.map_err(|error| HistoryError::io(&self.folder, error))?;
        paths.sort();
        for path in paths {
            let found = match content_of(&path) {
                None => continue,
                Some(Content::Rows) => &mut contents.bases,
                Some(Content::Commits) => &mut contents.commits,
            };
            let header = Reader::open(&*self.disk, &path)?.header;
            if header.timeline != self.timeline {
                let problem = format!("it is of timeline {}", header.timeline);
                return Err(HistoryError::corrupt(&path, 0, problem));
            }
            found.push(Found { path, header });
        }
        Ok(contents)
    }

    /// Removes what a crash left of files that were not finished.
    pub(crate) fn remove_drafts(&self) -> Result<(), HistoryError> {
        let io_error = |error| HistoryError::io(&self.folder, error);
        for path in self.disk.list(&self.folder).map_err(io_error)? {
            if path.extension().is_some_and(|extension| extension == "tmp") {
                self.disk.remove(&path).map_err(io_error)?;
            }
        }
        Ok(())
    }

    /// Removes a file for good.
    pub(super) fn remove(&self, found: &Found) -> Result<(), HistoryError> {
        let removed = self.disk.remove(&found.path);
        removed.map_err(|error| HistoryError::io(&found.path, error))
    }
}

/// What the name of a file says it holds; `None` for drafts and for whatever else lies there.
fn content_of(path: &Path) -> Option<Content> {
    let extension = path.extension()?.to_str()?;
    [Content::Commits, Content::Rows]
        .into_iter()
        .find(|content| content.extension() == extension)
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Timeline, HistoryError> {
    let not_one = |problem: &str| HistoryError::NotARepository {
        path: path.parent().unwrap_or(path).into(),
        problem: problem.into(),
    };
    let text = std::str::from_utf8(bytes).map_err(|_| not_one("TIMELINE is no text"))?;
    let mut lines = text.lines();
    if lines.next() != Some(TITLE) {
        return Err(not_one("TIMELINE does not begin as it should"));
    }
    let mut value = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
    match value("format").and_then(|number| number.parse::<u32>().ok()) {
        None | Some(0) => return Err(not_one("TIMELINE has no format number")),
        Some(found) if found > FORMAT => {
            return Err(HistoryError::NewerFormat {
                path: path.into(),
                found,
                supported: FORMAT,
            });
        }
        Some(_) => {}
    }
    value("timeline")
        .and_then(Timeline::parse)
        .ok_or_else(|| not_one("TIMELINE names no timeline"))
}
