//! Bringing a folder of backups up to date.
//!
//! Files are added and none is changed, each whole and durable before it has a name: a backup that is cut
//! short leaves the folder as valid as it was, with some newer commits perhaps, and the next one
//! goes on from there.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::base;
use super::error::HistoryError;
use super::groups::GroupWriter;
use super::repository::Repository;
use super::source::{Source, StoppedSource};
use super::spans::Past;
use crate::commit::Options;
use crate::log::{Disk, RealDisk};

/// How much is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BackupMode {
    /// What is new since the last backup; a base besides when there is none to build on.
    #[default]
    Incremental,
    /// A new base, and what is new.
    Full,
}

/// A backup to be made.
#[derive(Debug, Clone)]
pub struct Backup {
    /// The folder of backups; made when it is missing.
    pub to: PathBuf,
    /// How much is written.
    pub mode: BackupMode,
    /// The file system.
    pub disk: Arc<dyn Disk>,
}

/// What a backup is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Reading the engine from end to end.
    Base,
    /// Copying commits.
    Commits,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// At what.
    pub step: Step,
    /// Parts of a thousand of this step that are done.
    pub permille: u16,
}

/// What a backup has written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackupReport {
    /// Rows of the new base; `None` when none was needed.
    pub base_rows: Option<u64>,
    /// Commits added.
    pub commits: u64,
    /// Size of the files added, bytes.
    pub written_bytes: u64,
    /// The last commit that can be restored from the folder now.
    pub last_commit: u64,
}

impl Backup {
    /// An incremental backup to this folder.
    #[must_use]
    pub fn to(folder: impl Into<PathBuf>) -> Self {
        Self {
            to: folder.into(),
            mode: BackupMode::default(),
            disk: Arc::new(RealDisk),
        }
    }
}

/// Backs up a data folder that no process has open. Blocks. A server's folder is backed up by
/// [`LogStore::backup`](crate::LogStore::backup).
///
/// # Errors
/// [`HistoryError`]; what was in the folder of backups before stays.
pub fn backup(
    data: &Path,
    backup: &Backup,
    progress: &mut dyn FnMut(Progress),
) -> Result<BackupReport, HistoryError> {
    let source = StoppedSource::open(backup.disk.clone(), data, &Options::default())?;
    run(&source, backup, progress)
}

/// Backs up any source.
pub(crate) fn run(
    source: &dyn Source,
    backup: &Backup,
    progress: &mut dyn FnMut(Progress),
) -> Result<BackupReport, HistoryError> {
    let Backup { to, mode, disk } = backup;
    let wanted = source.origin().timeline;
    let repository = Repository::open_or_create(disk.clone(), to, wanted)?;
    if repository.timeline != wanted {
        return Err(HistoryError::OtherTimeline {
            path: to.clone(),
            found: repository.timeline,
            wanted,
        });
    }
    let _lock = repository.lock()?;
    repository.remove_drafts()?;
    let there = Past::of_repository(&repository)?;
    let (found, wanted) = (there.last_known(), source.last_commit());
    if found > wanted {
        let path = to.clone();
        return Err(HistoryError::Ahead {
            path,
            found,
            wanted,
        });
    }

    let end_of_newest = there.end_of_newest_start();
    let first_missing = Past::of_source(source)?.gapless_from();
    let goes_on = end_of_newest.filter(|end| first_missing <= end + 1);
    let mut report = BackupReport {
        base_rows: None,
        commits: 0,
        written_bytes: 0,
        last_commit: 0,
    };
    let after = match goes_on {
        Some(end) if *mode == BackupMode::Incremental => end,
        _ => {
            let step = Step::Base;
            let base = base::write(source, &**disk, to, &mut |permille| {
                progress(Progress { step, permille });
                source.go_on()
            })?;
            report.base_rows = Some(base.items);
            report.written_bytes += base.size_bytes;
            there.gapless_to(base.first)
        }
    };

    // Looked at again: while the base was read, commits came in, and the base needs them.
    let past = Past::of_source(source)?;
    let last = past.last_commit().max(after);
    let mut writer = GroupWriter::new(&**disk, to, source.origin());
    past.read((after, last), &mut |group| {
        source.go_on()?;
        progress(Progress {
            step: Step::Commits,
            permille: permille(
                group.first_sequence - after.min(group.first_sequence),
                last - after,
            ),
        });
        writer.push(&group)
    })?;
    writer.finish()?;
    report.commits = last - after;
    report.written_bytes += writer.written_bytes;
    report.last_commit = last;
    Ok(report)
}

fn permille(done: u64, of: u64) -> u16 {
    let permille = done.saturating_mul(1_000) / of.max(1);
    u16::try_from(permille.min(1_000)).expect("at most 1,000")
}
