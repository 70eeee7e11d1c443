//! Reading a whole data folder, and saying what is wrong with it: `abide check`.
//!
//! What the log still holds is not in the engine yet, or only in part: rows of such objects are
//! written again by the next opening, so they are left out of the comparisons below.

use std::collections::HashMap;
use std::fmt;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use bytes::Bytes;

use super::memtable::Memtable;
use super::opening::{Seams, engine_error, engine_failed, open_engine, read_meta, replay_error};
use super::options::Options;
use super::recovery::{self, Recovered};
use crate::batch::{OUTGOING_WAKE, SESSIONS_WAKE, Section};
use crate::engine::{Engine, EngineKind};
use crate::folder::{Folder, OpenError};
use crate::id::{Namespace, ObjectId};
use crate::key::{self, EngineKey, Meta};
use crate::log::Disk;
use crate::store::{Direction, ReadError, ScheduledAlarm};

/// Rows read from the engine at a time.
const PAGE_ROWS: usize = 1_024;
/// Problems told one by one; of more, only the number.
const PROBLEMS_TOLD_MAX: usize = 100;

/// What [`check`] found in a data folder.
#[derive(Debug, Clone)]
pub struct CheckReport {
    /// The engine the folder was made with.
    pub engine: EngineKind,
    /// Sequence of the last commit in the log; 0 in an empty store or when the log is damaged.
    pub last_commit: u64,
    /// Commits in the log that the engine lacks; the next opening replays them.
    pub replayed_commits: u64,
    /// Bytes of a group at the end of the log that was not written whole and never acknowledged.
    /// The next opening drops it; it is no problem.
    pub cut_tail_bytes: u64,
    /// Objects in the engine.
    pub objects: u64,
    /// Rows of objects in the engine.
    pub rows: u64,
    /// Entries of the index of alarms in the engine.
    pub alarms: u64,
    /// The first hundred problems.
    pub problems: Vec<Problem>,
    /// All problems, those not told included.
    pub problems_count: u64,
}

/// Something that is not as any release writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where: a file and a byte, or a row by kind and object.
    pub place: String,
    /// What is wrong there.
    pub what: String,
    /// What to do about it.
    pub remedy: &'static str,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.place, self.what, self.remedy)
    }
}

const RESTORE: &str = "restore the folder from a backup made before";
const RESTORE_OBJECT: &str = "restore this object from a backup; the others are not touched by it";

/// Reads the log from the last checkpoint and every row of the engine, and compares them. The
/// folder is locked meanwhile; its log is left as it is, while the engine may finish its own
/// recovery when it opens. Blocks; takes about 100 bytes of memory per object.
///
/// # Errors
/// [`OpenError`] when there is nothing to check: no data folder, in use, or an engine that does
/// not open. A damaged log is a [`Problem`], not an error.
pub fn check(path: &Path, options: &Options) -> Result<CheckReport, OpenError> {
    check_with(path, options, &Seams::default())
}

/// As [`check`] with another engine or file system beneath, for tests.
///
/// # Errors
/// As [`check`].
pub fn check_with(path: &Path, options: &Options, seams: &Seams) -> Result<CheckReport, OpenError> {
    let (folder, kind) = Folder::open_existing(&*seams.disk, path)?;
    let options = Options {
        engine: kind,
        ..options.clone()
    };
    let options = options.clamped();
    let unreadable = |error: ReadError| engine_error(&folder.engine(), error);
    let engine = match &seams.engine {
        Some(engine) => engine.clone(),
        None => open_engine(&folder.engine(), &options)
            .map_err(|error| engine_failed(&folder.engine(), error))?,
    };
    let meta = read_meta(&*engine).map_err(unreadable)?;
    let mut findings = Findings::new(kind);
    let in_log = findings.read_log(&*seams.disk, &folder, meta)?;
    findings
        .read_engine(&*engine, in_log.as_ref())
        .map_err(unreadable)?;
    Ok(findings.report)
}

/// Whether the object has what an entry of the index of alarms is there for: the alarm, messages
/// that have not arrived, or sessions that are kept.
pub(super) fn has_cause(engine: &dyn Engine, alarm: &ScheduledAlarm) -> Result<bool, ReadError> {
    let id = &alarm.object.id;
    let section = if alarm.name == OUTGOING_WAKE {
        Section::Outgoing
    } else if alarm.name == SESSIONS_WAKE {
        Section::Session
    } else {
        let row = key::row(id, &key::local(Section::Alarm, &alarm.name));
        return Ok(engine.get(&row)?.is_some());
    };
    let cause = key::local_range(section, &Bound::Unbounded, &Bound::Unbounded);
    let range = key::row_range(id, &cause);
    let (start, end) = key::as_slices(&range);
    let first = engine.scan(start, end, Direction::Forward, 1)?;
    Ok(!first.is_empty())
}

/// The report as it grows.
struct Findings {
    report: CheckReport,
    /// Namespace of every object that has a header.
    objects: HashMap<ObjectId, Namespace>,
    /// The last object whose rows were met, since they come together.
    last_met: Option<ObjectId>,
}

impl Findings {
    fn new(engine: EngineKind) -> Self {
        Self {
            report: CheckReport {
                engine,
                last_commit: 0,
                replayed_commits: 0,
                cut_tail_bytes: 0,
                objects: 0,
                rows: 0,
                alarms: 0,
                problems: Vec::new(),
                problems_count: 0,
            },
            objects: HashMap::new(),
            last_met: None,
        }
    }

    /// Answers the commits that the engine lacks; `None` when they cannot be read.
    fn read_log(
        &mut self,
        disk: &dyn Disk,
        folder: &Folder,
        meta: Meta,
    ) -> Result<Option<Memtable>, OpenError> {
        let empty = Memtable::new(Arc::new(AtomicU64::new(0)));
        match recovery::recover(disk, &folder.log(), meta.checkpoint, empty) {
            Ok(Recovered {
                active, replayed, ..
            }) => {
                self.report.last_commit = replayed.next_sequence - 1;
                self.report.replayed_commits = replayed.next_sequence - 1 - meta.checkpoint;
                self.report.cut_tail_bytes = replayed.cut_tail_bytes;
                Ok(Some(active))
            }
            Err(error) => match replay_error(error) {
                OpenError::CorruptLog {
                    file,
                    offset,
                    problem,
                } => {
                    let place = format!("{} at byte {offset}", file.display());
                    self.found(place, problem, RESTORE);
                    Ok(None)
                }
                other => Err(other),
            },
        }
    }

    fn read_engine(
        &mut self,
        engine: &dyn Engine,
        in_log: Option<&Memtable>,
    ) -> Result<(), ReadError> {
        let mut last: Option<Bytes> = None;
        loop {
            let start = match &last {
                Some(key) => Bound::Excluded(&key[..]),
                None => Bound::Unbounded,
            };
            let page = engine.scan(start, Bound::Unbounded, Direction::Forward, PAGE_ROWS)?;
            let Some((key, _)) = page.last() else {
                return Ok(());
            };
            last = Some(key.clone());
            for (key, value) in &page {
                self.read_row(engine, in_log, key, value)?;
            }
        }
    }

    fn read_row(
        &mut self,
        engine: &dyn Engine,
        in_log: Option<&Memtable>,
        key: &Bytes,
        value: &Bytes,
    ) -> Result<(), ReadError> {
        // Without the log nobody can tell what of the engine is still to be written again.
        let is_settled = |id: &ObjectId| in_log.is_some_and(|in_log| in_log.object(id).is_none());
        match key::decode(key, value) {
            Ok(EngineKey::Meta) => {}
            Ok(EngineKey::Header { namespace, id }) => {
                self.report.objects += 1;
                if !id.belongs_to(&namespace) {
                    let what = format!("its id is not one of namespace '{}'", namespace.as_str());
                    self.found(format!("header of object {id}"), what, RESTORE_OBJECT);
                }
                self.objects.insert(id, namespace);
            }
            Ok(EngineKey::Row { id, section }) => {
                self.report.rows += 1;
                if !Section::is_known(section) {
                    let what = format!("section {section:#04x} is none that this release knows");
                    let remedy = "check the folder with the release that wrote it last";
                    self.found(format!("a row of object {id}"), what, remedy);
                }
                let is_first = self.last_met.replace(id) != Some(id);
                if is_first && is_settled(&id) && !self.objects.contains_key(&id) {
                    let what = "it has rows but no header".to_owned();
                    self.found(format!("object {id}"), what, RESTORE_OBJECT);
                }
            }
            Ok(EngineKey::Alarm(alarm)) => {
                self.report.alarms += 1;
                let id = alarm.object.id;
                if !is_settled(&id) {
                    return Ok(());
                }
                let place = || format!("alarm of object {id} due at {} ms", alarm.due.0);
                if self.objects.get(&id) != Some(&alarm.object.namespace) {
                    let what = "the index names an object that does not exist".to_owned();
                    self.found(place(), what, RESTORE_OBJECT);
                } else if !has_cause(engine, &alarm)? {
                    let what = "the index has it, the object does not".to_owned();
                    self.found(place(), what, RESTORE_OBJECT);
                }
            }
            Err(error) => self.found("a row of the engine".to_owned(), error.to_string(), RESTORE),
        }
        Ok(())
    }

    fn found(&mut self, place: String, what: String, remedy: &'static str) {
        self.report.problems_count += 1;
        if self.report.problems.len() < PROBLEMS_TOLD_MAX {
            self.report.problems.push(Problem {
                place,
                what,
                remedy,
            });
        }
    }
}
