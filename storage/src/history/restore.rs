//! Making a data folder of a base and the commits after it.
//!
//! `FORMAT` is written last, so that a restore that was cut short is no data folder; `RESTORING`
//! says so to whoever tries to open it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::base;
use super::error::HistoryError;
use super::repository::{Repository, Timeline};
use super::source::StoppedSource;
use super::spans::{Past, Target};
use crate::commit::{Options, Rebuild, engine_error, open_engine};
use crate::folder::{self, Folder, OpenError};
use crate::log::{self, Disk, RealDisk};

/// A restore to be made.
#[derive(Debug, Clone)]
pub struct Restore {
    /// A folder of backups, or a data folder that no process has open.
    pub from: PathBuf,
    /// The data folder to make; absent or empty.
    pub data: PathBuf,
    /// Which state.
    pub target: Target,
    /// Of the store to make; `engine` must be one that keeps its rows.
    pub options: Options,
    /// The file system.
    pub disk: Arc<dyn Disk>,
}

/// What was restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestoreReport {
    /// The last commit in the new store; its next one follows it.
    pub last_commit: u64,
    /// Rows taken from the base.
    pub base_rows: u64,
    /// Commits replayed after it.
    pub replayed_commits: u64,
}

impl Restore {
    /// The latest state, with the default options.
    #[must_use]
    pub fn new(from: impl Into<PathBuf>, data: impl Into<PathBuf>) -> Self {
        Self {
            from: from.into(),
            data: data.into(),
            target: Target::Latest,
            options: Options::default(),
            disk: Arc::new(RealDisk),
        }
    }
}

/// The past in a folder of backups, or in a data folder, which stays locked as long as the second value lives.
pub(super) fn open_past(
    disk: &Arc<dyn Disk>,
    from: &Path,
) -> Result<(Past, Option<StoppedSource>), HistoryError> {
    if folder::is_data_folder(from) {
        let source = StoppedSource::open(disk.clone(), from, &Options::default())?;
        return Ok((Past::of_source(&source)?, Some(source)));
    }
    let repository = Repository::open_existing(disk.clone(), from)?;
    Ok((Past::of_repository(&repository)?, None))
}

/// Makes a data folder. Blocks. `progress` is called with the parts of a thousand of commits that
/// are replayed.
///
/// The new store is a timeline of its own. Its epochs begin above all that the old one had
/// given out by the newest file in `from`.
///
/// # Errors
/// [`HistoryError`]; what was made of the folder so far is no data folder, and is named as an
/// interrupted restore when it is opened.
pub fn restore(
    restore: &Restore,
    progress: &mut dyn FnMut(u16),
) -> Result<RestoreReport, HistoryError> {
    let Restore {
        from,
        data,
        target,
        options,
        disk,
    } = restore;
    if options.engine.is_volatile() {
        return Err(HistoryError::VolatileEngine);
    }
    let (past, _locked) = open_past(disk, from)?;
    let plan = past.plan(*target)?;
    let (after, up_to) = plan.replay;

    // From here on the folder is touched.
    let folder = Folder::begin_restore(&**disk, data).map_err(|error| match error {
        OpenError::NotADataFolder { path, .. } => HistoryError::NotEmpty { path },
        other => other.into(),
    })?;
    let options = options.clone().clamped();
    let engine = open_engine(&folder.engine(), &options)
        .map_err(|error| engine_error(&folder.engine(), error))?;
    let mut rebuild = Rebuild::new(&*engine);
    let mut base_rows = 0;
    if let Some(base) = plan.base {
        base::read(past.disk(), &base.path, &mut |rows| {
            base_rows += rows.len() as u64;
            Ok(rebuild.take_rows(&rows)?)
        })?;
    }
    past.read((after, up_to), &mut |group| {
        let done = group.first_sequence.saturating_sub(after) * 1_000 / (up_to - after).max(1);
        progress(u16::try_from(done.min(1_000)).expect("at most 1,000"));
        rebuild.take_group(&group, (after, up_to))
    })?;
    rebuild.finish(past.generation, up_to)?;

    let io_error = |error| HistoryError::io(data, error);
    let size_bytes = options.first_segment_size_bytes;
    log::create(&**disk, &folder.log(), (1, up_to + 1), size_bytes).map_err(io_error)?;
    let history = folder.history();
    Repository::open_or_create(disk.clone(), &history, Timeline::random())?;
    drop(engine);
    disk.sync_folder(data).map_err(io_error)?;
    folder
        .finish_restore(&**disk, options.engine)
        .map_err(io_error)?;
    Ok(RestoreReport {
        last_commit: up_to,
        base_rows,
        replayed_commits: up_to - after,
    })
}
