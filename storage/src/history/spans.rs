//! What can be restored: spans of commits, and where in them a target lies.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::HistoryError;
use super::groups;
use super::repository::{Contents, Found, Repository, Timeline};
use super::source::{Source, StoppedSource};
use crate::commit::Options;
use crate::folder;
use crate::id::Timestamp;
use crate::log::{self, Disk, Group, RealDisk};

/// Which state is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The last one there is.
    Latest,
    /// After the commit with this sequence, before the next one.
    Sequence(u64),
    /// After the last group of commits that was written at this time or before.
    Time(Timestamp),
}

/// States that can be restored: after any of these commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Sequence of the first commit after which the state is known; 0 is the empty store.
    pub first: u64,
    /// Sequence of the last one.
    pub last: u64,
    /// When the first one was written.
    pub first_time: Timestamp,
    /// When the last one was written.
    pub last_time: Timestamp,
}

/// What a folder of backups, or a data folder, keeps of the past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryReport {
    /// Which line of commits this is.
    pub timeline: Timeline,
    /// Bases.
    pub bases: u64,
    /// Size of all bases and commits kept as history, bytes. The log is not in it.
    pub size_bytes: u64,
    /// What can be restored, in order.
    pub spans: Vec<Span>,
}

/// Says what is retained in the folder: of backups, or a data folder that no process has open.
/// Blocks.
///
/// # Errors
/// [`HistoryError`]; nothing is changed.
pub fn history(path: &Path) -> Result<HistoryReport, HistoryError> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    if !folder::is_data_folder(path) {
        return Past::of_repository(&Repository::open_existing(disk, path)?)?.report();
    }
    report(&StoppedSource::open(disk, path, &Options::default())?)
}

/// As [`history`], of a store that nobody lets segments go of.
pub(crate) fn report(source: &dyn Source) -> Result<HistoryReport, HistoryError> {
    Past::of_source(source)?.report()
}

/// Commits that lie together.
#[derive(Debug, Clone)]
struct Stretch {
    first: u64,
    last: u64,
    place: Place,
}

#[derive(Debug, Clone)]
enum Place {
    File(Found),
    Log(PathBuf),
}

impl Stretch {
    fn path(&self) -> &Path {
        match &self.place {
            Place::File(found) => &found.path,
            Place::Log(folder) => folder,
        }
    }
}

/// All that is known of a timeline in one place.
#[derive(Debug)]
pub(super) struct Past {
    disk: Arc<dyn Disk>,
    timeline: Timeline,
    bases: Vec<Found>,
    /// In order of their first commit. They may overlap: the log may still have what is kept already.
    stretches: Vec<Stretch>,
    size_bytes: u64,
    /// The highest generation that any file names.
    pub(super) generation: u64,
}

/// How to make a state.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    /// What to begin with; `None`: an empty store.
    pub(super) base: Option<&'a Found>,
    /// The commits to replay: those after the first number, up to the second.
    pub(super) replay: (u64, u64),
}

/// Where a span begins, before the commits that follow are looked at.
struct Start<'a> {
    base: Option<&'a Found>,
    after: u64,
    first: u64,
    time: Timestamp,
}

impl Past {
    pub(super) fn of_repository(repository: &Repository) -> Result<Self, HistoryError> {
        Ok(Self::new(repository, repository.contents()?))
    }

    /// The history of a store, its log included. Nothing of either may go meanwhile.
    pub(super) fn of_source(source: &dyn Source) -> Result<Self, HistoryError> {
        let repository = source.history();
        let mut past = Self::new(repository, repository.contents()?);
        past.generation = past.generation.max(source.origin().generation);
        let last = source.last_commit();
        if let Some(first) = log::first_sequence(&*repository.disk, source.log())?
            && first <= last
        {
            past.stretches.push(Stretch {
                first,
                last,
                place: Place::Log(source.log().into()),
            });
            past.stretches.sort_by_key(|stretch| stretch.first);
        }
        Ok(past)
    }

    fn new(repository: &Repository, contents: Contents) -> Self {
        let size_bytes = contents.size_bytes();
        let all = contents.bases.iter().chain(&contents.commits);
        let generation = all.map(|found| found.header.generation).max().unwrap_or(0);
        let stretch = |found: Found| Stretch {
            first: found.header.first,
            last: found.header.last,
            place: Place::File(found),
        };
        Self {
            disk: repository.disk.clone(),
            timeline: repository.timeline,
            bases: contents.bases,
            stretches: contents.commits.into_iter().map(stretch).collect(),
            size_bytes,
            generation,
        }
    }

    pub(super) fn disk(&self) -> &dyn Disk {
        &*self.disk
    }

    /// The earliest commit from which on there is every one up to the last.
    pub(super) fn gapless_from(&self) -> u64 {
        let mut from = self.last_commit() + 1;
        for stretch in self.stretches.iter().rev() {
            if stretch.last + 1 >= from {
                from = from.min(stretch.first);
            }
        }
        from
    }

    /// The last commit that follows `after` without a gap; `after` itself when none does.
    pub(super) fn gapless_to(&self, after: u64) -> u64 {
        self.stretches.iter().fold(after, |end, stretch| {
            if stretch.first <= end + 1 {
                end.max(stretch.last)
            } else {
                end
            }
        })
    }

    /// The last commit.
    pub(super) fn last_commit(&self) -> u64 {
        let lasts = self.stretches.iter().map(|stretch| stretch.last);
        lasts.max().unwrap_or(0)
    }

    /// The last commit that anything knows of: a base may end behind the commits.
    pub(super) fn last_known(&self) -> u64 {
        let bases = self.bases.iter().map(|base| base.header.last);
        bases.max().unwrap_or(0).max(self.last_commit())
    }

    /// Where the commits end that follow the newest base, or the beginning of the store when there
    /// is no base; `None` when there is neither.
    pub(super) fn end_of_newest_start(&self) -> Option<u64> {
        let newest = self.starts().iter().map(|start| start.after).max()?;
        Some(self.gapless_to(newest))
    }

    /// How to make the state that is asked for.
    pub(super) fn plan(&self, target: Target) -> Result<Plan<'_>, HistoryError> {
        let not_retained = || {
            let retained = self.spans()?;
            Err(HistoryError::NotRetained { target, retained })
        };
        let starts = self.starts();
        let ends = |start: &Start<'_>| self.gapless_to(start.after);
        let up_to = match target {
            Target::Sequence(sequence) => Some(sequence),
            Target::Time(time) => self.sequence_at(time)?,
            Target::Latest => starts
                .iter()
                .map(ends)
                .zip(&starts)
                .filter(|(end, start)| *end >= start.first)
                .map(|(end, _)| end)
                .max(),
        };
        let Some(up_to) = up_to else {
            return not_retained();
        };
        // Of several, the one with the least to replay.
        let best = starts
            .iter()
            .filter(|start| (start.first..=ends(start)).contains(&up_to))
            .max_by_key(|start| start.after);
        match best {
            Some(start) => Ok(Plan {
                base: start.base,
                replay: (start.after, up_to),
            }),
            None => not_retained(),
        }
    }

    /// Hands every group with a commit after `after` and up to `up_to` to `visit`, in order; the
    /// first and the last one may hold more.
    pub(super) fn read(
        &self,
        (after, up_to): (u64, u64),
        visit: &mut dyn FnMut(Group) -> Result<(), HistoryError>,
    ) -> Result<(), HistoryError> {
        let mut done = after;
        for stretch in &self.stretches {
            if stretch.last <= done || done >= up_to {
                continue;
            }
            if stretch.first > done + 1 {
                // A plan has no gap: somebody has removed a file meanwhile.
                let problem = format!("the commits from {} on are missing before it", done + 1);
                return Err(HistoryError::corrupt(stretch.path(), 0, problem));
            }
            let range = (done, up_to.min(stretch.last));
            match &stretch.place {
                Place::File(found) => groups::read_file(&*self.disk, &found.path, range, visit)?,
                Place::Log(folder) => log::read_groups(&*self.disk, folder, range, visit)?,
            }
            done = range.1;
        }
        Ok(())
    }

    pub(super) fn spans(&self) -> Result<Vec<Span>, HistoryError> {
        let mut spans: Vec<Span> = Vec::new();
        for start in self.starts() {
            let last = self.gapless_to(start.after);
            if last < start.first {
                continue;
            }
            match spans.last_mut() {
                // It ends where the one before ends, or that one would go on.
                Some(before) if before.last >= start.first => {}
                _ => spans.push(Span {
                    first: start.first,
                    last,
                    first_time: start.time,
                    last_time: self.time_of(last)?.unwrap_or(start.time),
                }),
            }
        }
        Ok(spans)
    }

    fn report(&self) -> Result<HistoryReport, HistoryError> {
        Ok(HistoryReport {
            timeline: self.timeline,
            bases: self.bases.len() as u64,
            size_bytes: self.size_bytes,
            spans: self.spans()?,
        })
    }

    /// In order of the first state that is known.
    fn starts(&self) -> Vec<Start<'_>> {
        let first = self.stretches.first().filter(|first| first.first == 1);
        let origin = first.map(|_| Start {
            base: None,
            after: 0,
            first: 0,
            time: Timestamp(0),
        });
        let bases = self.bases.iter().map(|base| Start {
            base: Some(base),
            after: base.header.first,
            first: base.header.last,
            time: base.header.last_time,
        });
        let mut starts: Vec<_> = origin.into_iter().chain(bases).collect();
        starts.sort_by_key(|start| start.first);
        starts
    }

    /// The last commit written at this time or before; `None` when that is not known.
    fn sequence_at(&self, time: Timestamp) -> Result<Option<u64>, HistoryError> {
        let bases = self.bases.iter().map(|base| base.header);
        let mut found = bases
            .filter(|base| base.last_time <= time)
            .map(|base| base.last)
            .max();
        // All of them: the log may begin before a file of history and end after it.
        for stretch in &self.stretches {
            let within = match &stretch.place {
                Place::File(file) if file.header.last_time <= time => Some(stretch.last),
                Place::File(file) if file.header.first_time > time => None,
                _ => self.last_at(stretch, time)?,
            };
            found = found.max(within);
        }
        let is_whole = self.stretches.first().is_some_and(|first| first.first == 1);
        Ok(found.or_else(|| is_whole.then_some(0)))
    }

    fn last_at(&self, stretch: &Stretch, time: Timestamp) -> Result<Option<u64>, HistoryError> {
        let mut found = None;
        self.visit(stretch, &mut |group| {
            if group.time <= time {
                found = Some(group.last_sequence().min(stretch.last));
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// When the commit was written, as far as its file says.
    fn time_of(&self, sequence: u64) -> Result<Option<Timestamp>, HistoryError> {
        let holds = |stretch: &&Stretch| (stretch.first..=stretch.last).contains(&sequence);
        let Some(stretch) = self.stretches.iter().find(holds) else {
            return Ok(None);
        };
        if let Place::File(found) = &stretch.place
            && found.header.last == sequence
        {
            return Ok(Some(found.header.last_time));
        }
        let mut time = None;
        self.visit(stretch, &mut |group| {
            if group.first_sequence <= sequence {
                time = Some(group.time);
            }
            Ok(())
        })?;
        Ok(time)
    }

    fn visit(
        &self,
        stretch: &Stretch,
        visit: &mut dyn FnMut(Group) -> Result<(), HistoryError>,
    ) -> Result<(), HistoryError> {
        let range = (stretch.first - 1, stretch.last);
        match &stretch.place {
            Place::File(found) => groups::read_file(&*self.disk, &found.path, range, visit),
            Place::Log(folder) => log::read_groups(&*self.disk, folder, range, visit),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => f.write_str("the latest state"),
            Self::Sequence(sequence) => write!(f, "commit {sequence}"),
            Self::Time(time) => write!(f, "the state at {time}"),
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            first,
            last,
            first_time,
            last_time,
        } = self;
        match first {
            0 => write!(f, "everything up to commit {last} ({last_time})"),
            _ => write!(f, "commits {first} ({first_time}) to {last} ({last_time})"),
        }
    }
}

/// For people: the spans, or that there are none.
pub(super) fn describe_spans(spans: &[Span]) -> String {
    if spans.is_empty() {
        return "nothing is, because there is no base with the commits that belong to it".into();
    }
    let told: Vec<_> = spans.iter().map(ToString::to_string).collect();
    format!("retained are {}", told.join("; "))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::groups::Origin;
    use super::super::keeper::keep;
    use super::*;
    use crate::engine::Engine;
    use crate::log::{Log, LogOptions, SpareMaker, replay};

    /// A store of which nothing but its log and its history is looked at.
    struct Kept {
        repository: Repository,
        log: PathBuf,
        last_commit: u64,
    }

    impl Source for Kept {
        fn engine(&self) -> &dyn Engine {
            unreachable!("spans are made of files")
        }

        fn engine_sequence(&self) -> u64 {
            0
        }

        fn last_commit(&self) -> u64 {
            self.last_commit
        }

        fn origin(&self) -> Origin {
            self.repository.origin(1)
        }

        fn log(&self) -> &Path {
            &self.log
        }

        fn history(&self) -> &Repository {
            &self.repository
        }

        fn go_on(&self) -> Result<(), HistoryError> {
            Ok(())
        }
    }

    /// While somebody reads the log its segments stay, though history has them already, in several files.
    #[test]
    fn a_time_is_looked_for_behind_the_files_that_the_log_overlaps() {
        let folder = tempfile::tempdir().unwrap();
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let log = folder.path().join("log");
        disk.create_folder(&log).unwrap();
        let replayed = replay(&RealDisk, &log, 0, &mut |_, _| Ok(())).unwrap();
        let sizes = LogOptions {
            first_segment_size_bytes: 64 << 10,
            segment_size_bytes: 64 << 10,
            spare_maker: SpareMaker::Nobody,
        };
        let mut written = Log::open(disk.clone(), &log, replayed, sizes).unwrap();
        for _ in 0..6 {
            written.append([Bytes::from("commit")].iter()).unwrap();
        }
        let history = folder.path().join("history");
        let kept = Kept {
            repository: Repository::open_or_create(disk, &history, Timeline::random()).unwrap(),
            log,
            last_commit: 6,
        };
        for last in [2, 4] {
            keep(&kept, last, &mut || ()).unwrap();
        }
        let past = Past::of_source(&kept).unwrap();
        let plan = past.plan(Target::Time(Timestamp(u64::MAX))).unwrap();
        assert_eq!(plan.replay, (0, 6));
        let before = past.plan(Target::Time(Timestamp(1))).unwrap();
        assert_eq!(before.replay, (0, 0));
    }

    #[test]
    fn a_file_that_goes_meanwhile_is_named_and_no_panic() {
        let folder = tempfile::tempdir().unwrap();
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let repository =
            Repository::open_or_create(disk, folder.path(), Timeline::random()).unwrap();
        let mut writer = groups::GroupWriter::new(&RealDisk, folder.path(), repository.origin(1));
        let group = Group {
            first_sequence: 7,
            count: 1,
            time: Timestamp(1),
            payload: Bytes::from("commit"),
        };
        writer.push(&group).unwrap();
        writer.finish().unwrap();
        let past = Past::of_repository(&repository).unwrap();
        let error = past.read((3, 7), &mut |_| Ok(())).unwrap_err().to_string();
        assert!(error.contains("7.commits"), "{error}");
        assert!(error.contains("commits from 4 on are missing"), "{error}");
    }
}
