//! Where the power is cut, and the cutting.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use abide_storage::{Disk as _, RealDisk};
use anyhow::anyhow;

use crate::again;
use crate::check::{Ending, check};
use crate::content::OBJECTS;
use crate::disk::{Disk, Image, write_image};
use crate::marks::{self, Bounds};
use crate::subject::Subject;
use crate::trace::{Operation, Trace};

/// Longest time a check may take: a store that hangs at opening has failed.
const PATIENCE: Duration = Duration::from_secs(60);
/// Operations an opening takes, about.
const OPENING_OPERATIONS: usize = 60;
/// Failures after which a run ends.
const FAILURES_MAX: usize = 5;

/// A cut that did not hold.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) cut: u64,
    pub(crate) position: usize,
    pub(crate) error: anyhow::Error,
}

/// A cut, drawn but not made yet.
struct Cut {
    number: u64,
    position: usize,
    random: fastrand::Rng,
}

/// What a cut with this number leaves of the trace, and what each object may be at then.
pub(crate) fn first(trace: &Trace, seed: u64, number: u64) -> anyhow::Result<(Image, Vec<Bounds>)> {
    let mut random = random(seed, number);
    let position = Places::of(trace).draw(&mut random);
    let mut disk = Disk::new(trace);
    disk.advance(position)?;
    let bounds = marks::bounds(&marks::read(trace)?, position, OBJECTS as usize);
    Ok((disk.cut(&mut random)?, bounds))
}

fn random(seed: u64, number: u64) -> fastrand::Rng {
    fastrand::Rng::with_seed(seed.rotate_left(32) ^ number)
}

/// Makes the cuts with these numbers. A cut hangs on the trace, the seed and its number alone.
pub(crate) fn run(
    subject: Subject,
    trace: &Trace,
    seed: u64,
    numbers: impl Iterator<Item = u64>,
) -> anyhow::Result<Vec<Failure>> {
    let places = Places::of(trace);
    let mut cuts: Vec<_> = numbers
        .map(|number| {
            let mut random = random(seed, number);
            let position = places.draw(&mut random);
            Cut {
                number,
                position,
                random,
            }
        })
        .collect();
    // In order of the trace, so that each thread replays it once.
    cuts.sort_by_key(|cut| cut.position);
    let threads = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut shares: Vec<Vec<Cut>> = (0..threads).map(|_| Vec::new()).collect();
    for (index, cut) in cuts.into_iter().enumerate() {
        shares[index % threads].push(cut);
    }
    let failed = AtomicUsize::new(0);
    thread::scope(|scope| {
        let failed = &failed;
        let running: Vec<_> = shares
            .into_iter()
            .map(|share| scope.spawn(move || run_share(subject, trace, share, failed)))
            .collect();
        let mut failures = Vec::new();
        for share in running {
            failures.extend(share.join().map_err(|_| anyhow!("the driver panicked"))??);
        }
        Ok(failures)
    })
}

fn run_share(
    subject: Subject,
    trace: &Trace,
    cuts: Vec<Cut>,
    failed: &AtomicUsize,
) -> anyhow::Result<Vec<Failure>> {
    let marks = marks::read(trace)?;
    let mut disk = Disk::new(trace);
    let mut failures = Vec::new();
    for Cut {
        number,
        position,
        mut random,
    } in cuts
    {
        if failed.load(Ordering::Relaxed) >= FAILURES_MAX {
            break;
        }
        disk.advance(position)?;
        let folder = tempfile::tempdir_in(fast_folder())?;
        write_image(&disk.cut(&mut random)?, folder.path())?;
        let bounds = marks::bounds(&marks, position, OBJECTS as usize);
        let ending = if random.bool() {
            Ending::Shutdown
        } else {
            Ending::Drop
        };
        let path = folder.path().to_owned();
        let checked = patiently(move || check(subject, &path, &bounds, ending));
        if let Err(error) = checked {
            failed.fetch_add(1, Ordering::Relaxed);
            failures.push(Failure {
                cut: number,
                position,
                error,
            });
        }
    }
    Ok(failures)
}

/// Runs the check in a thread of its own: the engine beneath it may panic or hang.
fn patiently(check: impl FnOnce() -> anyhow::Result<()> + Send + 'static) -> anyhow::Result<()> {
    let (answer, answered) = mpsc::channel();
    // Nobody waits for a thread that hangs, nor asks one that panicked.
    drop(thread::Builder::new().spawn(move || answer.send(check()))?);
    match answered.recv_timeout(PATIENCE) {
        Ok(checked) => checked,
        Err(mpsc::RecvTimeoutError::Timeout) => Err(anyhow!("no answer in {PATIENCE:?}")),
        Err(mpsc::RecvTimeoutError::Disconnected) => Err(anyhow!("it panicked")),
    }
}

/// In memory, when there is room: a cut writes some megabytes and nobody needs them on a disk.
fn fast_folder() -> PathBuf {
    let memory = Path::new("/dev/shm");
    let room = RealDisk.available_bytes(memory).unwrap_or(0);
    if room >= 512 << 20 {
        memory.into()
    } else {
        std::env::temp_dir()
    }
}

/// Places of a trace near which cuts are made more often than elsewhere.
struct Places {
    begin: usize,
    end: usize,
    /// Syncs of the log, syncs of the engine, changes of names and sizes.
    events: [Vec<usize>; 3],
    /// Where the store was opened. It is there that an engine writes most of what it never syncs.
    openings: Vec<usize>,
}

impl Places {
    fn of(trace: &Trace) -> Self {
        let mut events = [Vec::new(), Vec::new(), Vec::new()];
        let mut openings = vec![0];
        let mut lock = None;
        let mut engine_nodes = std::collections::HashSet::new();
        for (at, operation) in trace.operations.iter().enumerate() {
            let kind = match operation {
                Operation::File { node, path } | Operation::Folder { node, path } => {
                    if path.starts_with("data/engine") {
                        engine_nodes.insert(*node);
                    }
                    if path == "data/LOCK" {
                        lock = Some(*node);
                    }
                    2
                }
                // An opening writes its process into the file that locks the folder.
                Operation::Resize { node, .. } if lock == Some(*node) => {
                    openings.push(at);
                    continue;
                }
                Operation::Rename { .. } | Operation::Remove { .. } | Operation::Resize { .. } => 2,
                Operation::SyncBegin { node, .. } | Operation::SyncEnd { node, .. } => {
                    usize::from(engine_nodes.contains(node))
                }
                Operation::Write { .. } => continue,
            };
            events[kind].push(at);
        }
        Self {
            begin: again::beginning(trace),
            end: trace.operations.len(),
            events,
            openings,
        }
    }

    /// Operations that happen before the cut.
    fn draw(&self, random: &mut fastrand::Rng) -> usize {
        let drawn = self.draw_anywhere(random);
        if drawn >= self.begin {
            return drawn;
        }
        random.usize(self.begin..=self.end)
    }

    fn draw_anywhere(&self, random: &mut fastrand::Rng) -> usize {
        match random.usize(..5) {
            4 => random.usize(0..=self.end),
            3 => {
                let opening = random.choice(&self.openings).copied().unwrap_or(0);
                (opening + random.usize(..OPENING_OPERATIONS)).min(self.end)
            }
            kind => match random.choice(&self.events[kind]) {
                // Just before it, just after it, or some operations later.
                Some(event) => (event + random.usize(..5)).saturating_sub(1).min(self.end),
                None => random.usize(0..=self.end),
            },
        }
    }
}

/// What a trace has, for people.
pub(crate) fn summary(trace: &Trace) -> anyhow::Result<String> {
    let count =
        |wanted: fn(&Operation) -> bool| trace.operations.iter().filter(|one| wanted(one)).count();
    let acknowledged = marks::bounds(&marks::read(trace)?, usize::MAX, OBJECTS as usize);
    let commits: u64 = acknowledged.iter().map(|bounds| bounds.acknowledged).sum();
    let mebibytes = trace.size_bytes() >> 20;
    let syncs = count(|one| matches!(one, Operation::SyncEnd { .. }));
    let names = count(|one| {
        let is_new = matches!(one, Operation::File { .. } | Operation::Folder { .. });
        is_new || matches!(one, Operation::Rename { .. } | Operation::Remove { .. })
    });
    Ok(format!(
        "{commits} commits, {} operations, {syncs} syncs, {names} changes of names, {mebibytes} MiB",
        trace.operations.len()
    ))
}
