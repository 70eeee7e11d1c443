//! Making a damaged data folder one that opens again: `abide repair`.
//!
//! ```text
//! look    at a copy of the engine and at the log: findings, each with what it costs      changes nothing
//! keep    what will be changed, in repair-<n>/
//! mend    rows of the engine; commits that the log still gives go into the engine
//! renew   a new segment, the checkpoint, and the old segments go to repair-<n>/, if the log is damaged or anything is lost
//! ```
//!
//! It can be killed anywhere and run again: until the new segment and the checkpoint are durable the old log is
//! still read from where it was, and every change before that is one that the next run makes again. That anything is lost may
//! not be seen a second time, so a file says it until the repair is done.
//!
//! Files: `plan.rs` what is asked and answered, `commits.rs` which commits are kept, `rows.rs` the engine's rows,
//! `aside.rs` what is put away.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use self::aside::Scratch;
use self::commits::Survivors;
use self::plan::Findings;
pub use self::plan::{Loss, Repair, RepairError, RepairMode, RepairReport, RepairStep};
use super::checkpointer::pieces_of;
use super::memtable::Memtable;
use super::opening::{EPOCH_COUNTER_BITS, Seams, open_engine, replay_error};
use super::options::Options;
use crate::engine::{Engine, EngineError, MemoryEngine, Row};
use crate::folder::{Folder, OpenError};
use crate::id::Epoch;
use crate::key::{self, Meta};
use crate::log::{self, Disk, Salvage, salvage, salvaged_start};
use crate::store::{Direction, ReadError};

mod aside;
mod commits;
mod plan;
mod rows;

/// Commits gathered before they go to the engine, bytes of memory as estimated.
const TABLE_SIZE_BYTES: u64 = 16 << 20;
/// Room for what a repair writes besides its copy, bytes.
const ROOM_SIZE_BYTES: u64 = 64 << 20;
/// Sequences left out when nobody can tell how many commits are lost: none of them is given out twice, so that
/// backups that have them stay true. More than a segment holds.
const UNKNOWN_SEQUENCES: u64 = 1 << 32;
/// Sequences left out when anything is lost. A backup may have it: the gap makes the next one begin with a base, instead of
/// adding commits to a state that the store no longer has.
const LOST_SEQUENCES: u64 = 1;
/// A checkpoint beyond it is damage, so that sequences can be added to every other one.
const CHECKPOINT_MAX: u64 = u64::MAX / 2;

/// Repairs the data folder of a stopped server as far as `request.mode` allows. Blocks; reads all of it, and copies
/// its engine twice.
///
/// # Errors
/// [`RepairError`]; each says whether anything was changed.
pub fn repair(request: &Repair) -> Result<RepairReport, RepairError> {
    repair_with(request, &Seams::default())
}

/// As [`repair`] with another engine or file system beneath, for tests. An engine that is given is not copied.
///
/// # Errors
/// As [`repair`].
pub fn repair_with(request: &Repair, seams: &Seams) -> Result<RepairReport, RepairError> {
    let disk = &*seams.disk;
    let (folder, kind) = Folder::open_for_repair(disk, &request.data)?;
    if kind.is_volatile() && seams.engine.is_none() {
        return Err(RepairError::VolatileEngine);
    }
    let options = Options {
        engine: kind,
        ..request.options.clone()
    };
    let site = Site {
        disk,
        folder: &folder,
        options: options.clamped(),
        given: seams.engine.clone(),
    };
    let (plan, findings) = site.look()?;
    let mut report = findings.0;
    if report.steps_count == 0 || request.mode == RepairMode::DryRun {
        return Ok(report);
    }
    if report.lossy_count > 0 && request.mode == RepairMode::Lossless {
        return Err(RepairError::Lossy { report });
    }
    site.check_room()?;
    report.aside = Some(site.mend(&plan).map_err(|error| RepairError::Interrupted {
        path: request.data.clone(),
        problem: error.to_string(),
    })?);
    Ok(report)
}

/// What is to be changed.
struct Plan {
    /// The engine does not open: an empty one takes its place.
    replaces_engine: bool,
    /// Where the log is read from.
    checkpoint: u64,
    /// Of the meta row to write.
    generation: u64,
    /// The meta row is lost, or the log is renewed.
    writes_meta: bool,
    rows: Vec<Row>,
    /// The log goes on in a new segment that begins with this commit.
    next_sequence: Option<u64>,
    /// It loses something, or finishes a repair that does.
    is_lossy: bool,
}

struct Site<'a> {
    disk: &'a dyn Disk,
    folder: &'a Folder,
    options: Options,
    given: Option<Arc<dyn Engine>>,
}

impl Site<'_> {
    /// Changes nothing.
    fn look(&self) -> Result<(Plan, Findings), RepairError> {
        let mut findings = Findings::new();
        let scratch = match &self.given {
            Some(_) => None,
            None => Some(self.copy_engine()?),
        };
        let opened = match (&self.given, &scratch) {
            (Some(engine), _) => Ok(engine.clone()),
            (None, Some(scratch)) => open_engine(scratch.path(), &self.options),
            (None, None) => Ok(Arc::new(MemoryEngine::new()) as Arc<dyn Engine>),
        };
        let replaces_engine = opened.is_err();
        let engine = opened.unwrap_or_else(|error| {
            findings.add(
                self.folder.engine().display().to_string(),
                &format!("the engine does not open: {}", ReadError::from(error)),
                "it is put aside, and an empty one filled with what the log has",
                Loss::Some("all that the log does not have any more".into()),
            );
            Arc::new(MemoryEngine::new())
        });
        let plan = Plan {
            replaces_engine,
            ..self.plan(&*engine, &mut findings)?
        };
        // Its files, before they are removed.
        drop(engine);
        drop(scratch);
        Ok((plan, findings))
    }

    fn plan(&self, engine: &dyn Engine, findings: &mut Findings) -> Result<Plan, RepairError> {
        let unreadable = |error: ReadError| {
            let path = self.folder.engine();
            RepairError::Open(super::opening::engine_error(&path, error))
        };
        let is_unfinished = self.folder.is_half_repaired(self.disk)?;
        if is_unfinished {
            findings.add(
                self.folder.path().display().to_string(),
                "a repair that loses something was cut short",
                "it is finished",
                Loss::Nothing,
            );
        }
        let (meta, is_meta_lost) = self.meta(engine, findings)?;
        let before = findings.0.steps_count;
        let mut survivors = Survivors::new(engine, meta.checkpoint);
        let mut failed = None;
        self.read_log(meta.checkpoint, &mut |salvaged| {
            // Only what becomes of them is of interest here, not the rows.
            let taken = survivors.take(salvaged, &new_table(), findings);
            failed = failed.take().or(taken.err());
        })?;
        failed.map_or(Ok(()), Err).map_err(unreadable)?;
        survivors.tell(findings);
        let is_log_damaged = findings.0.steps_count > before;
        let (rows, epoch_max) = rows::changes(engine, &survivors, findings).map_err(unreadable)?;
        let epoch_max = epoch_max.max(survivors.epoch_max);
        let is_lossy = is_unfinished || findings.0.lossy_count > 0;
        let renews_log = is_log_damaged || is_lossy;
        let left_out = match (survivors.is_open_ended, is_lossy) {
            (true, _) => UNKNOWN_SEQUENCES,
            (false, true) => LOST_SEQUENCES,
            (false, false) => 0,
        };
        Ok(Plan {
            replaces_engine: false,
            checkpoint: meta.checkpoint,
            generation: generation(meta, epoch_max),
            writes_meta: is_meta_lost || renews_log,
            rows,
            next_sequence: renews_log.then_some(survivors.next_sequence + left_out),
            is_lossy,
        })
    }

    /// The meta row, or what takes its place: the log goes back at least to the checkpoint, and reading more of it
    /// than is needed sets the same rows again.
    fn meta(
        &self,
        engine: &dyn Engine,
        findings: &mut Findings,
    ) -> Result<(Meta, bool), RepairError> {
        let unreadable = |error: EngineError| {
            RepairError::Open(super::opening::engine_failed(&self.folder.engine(), error))
        };
        let problem = match engine.get(&key::meta()).map_err(unreadable)? {
            Some(bytes) => match key::decode_value::<Meta>(&bytes) {
                Ok(meta) if meta.checkpoint <= CHECKPOINT_MAX => return Ok((meta, false)),
                Ok(meta) => format!("it claims commit {}, which cannot be", meta.checkpoint),
                Err(error) => error.to_string(),
            },
            None => {
                let (start, end) = (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded);
                let first = engine.scan(start, end, Direction::Forward, 1);
                if first.map_err(unreadable)?.is_empty() {
                    return Ok((Meta::default(), false));
                }
                "it is missing".into()
            }
        };
        let start = salvaged_start(self.disk, &self.folder.log()).map_err(replay_error)?;
        let meta = Meta {
            generation: 0,
            checkpoint: start.map_or(0, |start| start - 1),
        };
        let place = "the engine's row of its checkpoint".to_owned();
        let remedy = "it is made anew, from where the log begins";
        findings.add(place, &problem, remedy, Loss::Nothing);
        Ok((meta, true))
    }

    fn read_log(
        &self,
        checkpoint: u64,
        visit: &mut dyn FnMut(log::Salvaged),
    ) -> Result<Salvage, OpenError> {
        salvage(self.disk, &self.folder.log(), checkpoint, visit).map_err(replay_error)
    }

    fn copy_engine(&self) -> Result<Scratch, RepairError> {
        self.check_room()?;
        let (data, engine) = (self.folder.path(), self.folder.engine());
        Scratch::copy(self.disk, data, &engine)
            .map_err(|error| OpenError::from_io(data, error).into())
    }

    fn check_room(&self) -> Result<(), RepairError> {
        let data = self.folder.path();
        let io_error = |error| OpenError::from_io(data, error);
        let size_bytes = aside::size_bytes(self.disk, &self.folder.engine()).map_err(io_error)?;
        let needed_bytes = size_bytes + ROOM_SIZE_BYTES;
        let available_bytes = self.disk.available_bytes(data).map_err(io_error)?;
        if available_bytes >= needed_bytes {
            return Ok(());
        }
        Err(RepairError::NoRoom {
            path: data.into(),
            needed_bytes,
            available_bytes,
        })
    }

    /// Does what the plan says. Answers where everything lies that was changed.
    fn mend(&self, plan: &Plan) -> Result<std::path::PathBuf, Failure> {
        let (disk, data, engine_folder) = (self.disk, self.folder.path(), self.folder.engine());
        let is_copied = self.given.is_none() && !plan.replaces_engine;
        let aside = aside::begin(disk, data, is_copied.then_some(&engine_folder))?;
        if plan.is_lossy {
            self.folder.begin_repair(disk)?;
        }
        if plan.replaces_engine {
            disk.rename(&engine_folder, &aside.join("engine"))?;
            disk.create_folder(&engine_folder)?;
            disk.sync_folder(&aside)?;
            disk.sync_folder(data)?;
        }
        let engine = match &self.given {
            Some(engine) => engine.clone(),
            None => open_engine(&engine_folder, &self.options)?,
        };
        write_rows(&*engine, &plan.rows)?;
        engine.sync()?;
        match plan.next_sequence {
            Some(next_sequence) => self.renew_log(&*engine, plan, next_sequence, &aside)?,
            None if plan.writes_meta => write_meta(&*engine, plan, plan.checkpoint)?,
            None => {}
        }
        if plan.is_lossy {
            self.folder.finish_repair(disk)?;
        }
        Ok(aside)
    }

    /// Brings what the log still gives into the engine, and lets it go on empty.
    ///
    /// The new segment comes before the checkpoint: without the one, the engine would be ahead of its log; without the
    /// other, the log is read once more from where it was.
    fn renew_log(
        &self,
        engine: &dyn Engine,
        plan: &Plan,
        next_sequence: u64,
        aside: &Path,
    ) -> Result<(), Failure> {
        let mut survivors = Survivors::new(engine, plan.checkpoint);
        let mut table = new_table();
        let mut failed: Option<Failure> = None;
        let mut ignored = Findings::new();
        let old = self.read_log(plan.checkpoint, &mut |salvaged| {
            if failed.is_some() {
                return;
            }
            let taken = survivors.take(salvaged, &table, &mut ignored);
            let mut taken = taken.map_err(Failure::from);
            if table.size_bytes() >= TABLE_SIZE_BYTES {
                let full = std::mem::replace(&mut table, new_table());
                taken = taken.and_then(|()| flush(engine, &full));
            }
            failed = taken.err();
        })?;
        failed.map_or(Ok(()), Err)?;
        flush(engine, &table)?;
        engine.sync()?;

        let log = self.folder.log();
        let size_bytes = self.options.first_segment_size_bytes;
        let number = old.last_number + 1;
        log::create(self.disk, &log, (number, next_sequence), size_bytes)?;
        write_meta(engine, plan, next_sequence - 1)?;
        aside::put_away(self.disk, &old.segments, &log, &aside.join("log"))?;
        Ok(())
    }
}

/// What stops a repair on its way; all of it is told in the same words.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Open(#[from] OpenError),
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        Self::Read(error.into())
    }
}

fn flush(engine: &dyn Engine, table: &Memtable) -> Result<(), Failure> {
    table.drain(|rows| write_rows(engine, &rows))?;
    engine.sync()?;
    Ok(())
}

fn write_rows(engine: &dyn Engine, rows: &[Row]) -> Result<(), Failure> {
    for piece in pieces_of(rows) {
        engine.apply(piece)?;
    }
    Ok(())
}

fn write_meta(engine: &dyn Engine, plan: &Plan, checkpoint: u64) -> Result<(), Failure> {
    let meta = Meta {
        generation: plan.generation,
        checkpoint,
    };
    engine.apply(&[meta.row()])?;
    engine.sync()?;
    Ok(())
}

/// At least that of every epoch that was given out.
fn generation(meta: Meta, epoch_max: Epoch) -> u64 {
    meta.generation.max(epoch_max.0 >> EPOCH_COUNTER_BITS)
}

fn new_table() -> Memtable {
    Memtable::new(Arc::new(AtomicU64::new(0)))
}
