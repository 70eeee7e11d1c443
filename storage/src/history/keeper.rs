//! Keeping history beside a running store: what is done with closed segments before they go.
//!
//! Copied first, durable second, let go third: a crash between any two leaves the commits in the log,
//! in history, or in both, and the next round goes on from what the names of the files say. History
//! never stops the service: when it cannot be written it has a gap, which a new base ends.

use super::base;
use super::error::HistoryError;
use super::groups::GroupWriter;
use super::retention::{self, Limits};
use super::source::Source;
use crate::log;

/// Commits copied between two pauses, bytes.
const STEP_SIZE_BYTES: usize = 1 << 20;

/// Copies the commits of the log up to `last` into history, as far as they are not there. `step` is
/// called now and then, to leave the disk to others.
pub(crate) fn keep(
    source: &dyn Source,
    last: u64,
    step: &mut dyn FnMut(),
) -> Result<(), HistoryError> {
    let repository = source.history();
    let disk = &*repository.disk;
    let first_in_log = log::first_sequence(disk, source.log())?.unwrap_or(1);
    let kept = repository.contents()?.last_commit();
    let after = kept.max(first_in_log - 1);
    if after >= last {
        return Ok(());
    }
    let mut writer = GroupWriter::new(disk, &repository.folder, source.origin());
    let mut copied_bytes = 0;
    log::read_groups(disk, source.log(), (after, last), &mut |group| {
        copied_bytes += group.payload.len();
        if copied_bytes >= STEP_SIZE_BYTES {
            copied_bytes = 0;
            step();
        }
        writer.push(&group)
    })?;
    writer.finish()
}

/// What is left to do for the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    Nothing,
    /// [`write_base`].
    Base,
}

/// Removes what is beyond the limits. Nobody may read history meanwhile.
pub(crate) fn retain(source: &dyn Source, limits: Limits) -> Result<Wanted, HistoryError> {
    let repository = source.history();
    let contents = repository.contents()?;
    let store = retention::Store {
        first_in_log: log::first_sequence(&*repository.disk, source.log())?.unwrap_or(1),
        engine_size_bytes: source.engine().size_bytes()?,
        now: repository.disk.time(),
    };
    let decision = retention::decide(&contents, limits, store);
    for found in decision.remove {
        tracing::debug!(file = %found.path.display(), "beyond what history keeps");
        repository.remove(found)?;
    }
    Ok(match decision.base_wanted {
        true => Wanted::Base,
        false => Wanted::Nothing,
    })
}

/// Copies the engine into history. `step` is called after each page.
pub(crate) fn write_base(
    source: &dyn Source,
    step: &mut dyn FnMut() -> Result<(), HistoryError>,
) -> Result<(), HistoryError> {
    let repository = source.history();
    let disk = &*repository.disk;
    let written = base::write(source, disk, &repository.folder, &mut |_| step())?;
    tracing::info!(
        rows = written.items,
        bytes = written.size_bytes,
        "history has a new base"
    );
    Ok(())
}
