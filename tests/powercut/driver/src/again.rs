//! A second cut: the start after a power cut is recorded, too, and cut in its turn.
//!
//! The recorded process first lays out what the first cut had left, and syncs all of it; a file called `recovery` marks
//! where it has. Then it opens the store, commits a little, and opens it once more. What an opening has shown
//! counts as acknowledged from there on: whoever saw it may have acted on it.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use abide_storage::{LogStore, Store};
use anyhow::Context as _;

use crate::content::{self, OBJECTS};
use crate::cuts::{self, Failure};
use crate::disk::{read_image, write_image};
use crate::marks::{self, Bounds, Marks, Saying};
use crate::record::record_process;
use crate::subject::Subject;
use crate::trace::{Operation, Trace};
use crate::workload;

/// Beside the files of the image.
const BOUNDS: &str = "bounds";
/// In the recorded folder.
const MARK: &str = "recovery";
/// Times the recorded process opens the store.
const SESSIONS: u64 = 2;

/// Operations of the trace before the one where what it records begins; cuts come after it.
pub(crate) fn beginning(trace: &Trace) -> usize {
    let is_mark = |one: &Operation| matches!(one, Operation::File { path, .. } if path == MARK);
    trace.operations.iter().position(is_mark).unwrap_or(0)
}

/// Makes the first cut with this number, and `second` cuts of the start after it. The trace of that start is left in `file`.
pub(crate) fn run(
    subject: Subject,
    trace: &Trace,
    (seed, number): (u64, u64),
    second: u64,
    file: &Path,
) -> anyhow::Result<Vec<Failure>> {
    let folder = tempfile::tempdir()?;
    let image = folder.path().join("image");
    fs::create_dir(&image)?;
    let (mut left, bounds) = cuts::first(trace, seed, number)?;
    // The recorded process makes its own.
    left.remove(marks::NAME);
    write_image(&left, &image)?;
    let lines = bounds
        .iter()
        .map(|bounds| format!("{} {}\n", bounds.acknowledged, bounds.tried));
    fs::write(folder.path().join(BOUNDS), lines.collect::<String>())?;
    let arguments = ["recovery", subject.name(), &image.to_string_lossy()];
    let recovery = record_process(&arguments, seed, file)?;
    cuts::run(subject, &recovery, seed ^ number, 0..second)
}

/// Runs in the process that is recorded.
pub(crate) fn recover(
    subject: Subject,
    image: &Path,
    root: &Path,
    seed: u64,
) -> anyhow::Result<()> {
    let bounds = read_bounds(&image.with_file_name(BOUNDS))?;
    let left = read_image(image)?;
    write_image(&left, root)?;
    for path in left.keys() {
        File::open(root.join(path))?.sync_all()?;
    }
    File::open(root)?.sync_all()?;
    let marks = Marks::create(root)?;
    for (number, bounds) in (0..OBJECTS).zip(bounds) {
        marks.say(Saying::Tried, number, bounds.tried)?;
        marks.say(Saying::Acknowledged, number, bounds.acknowledged)?;
    }
    File::create_new(root.join(MARK))?;
    let runtime = workload::two_threads()?;
    for session in 0..SESSIONS {
        runtime.block_on(hold_session(subject, root, &marks, seed ^ session))?;
    }
    std::thread::sleep(workload::SETTLING);
    Ok(())
}

async fn hold_session(
    subject: Subject,
    root: &Path,
    marks: &Marks,
    seed: u64,
) -> anyhow::Result<()> {
    let mut random = fastrand::Rng::with_seed(seed);
    let data = root.join(workload::DATA);
    let store = LogStore::open_with(&data, subject.options(), subject.seams())?;
    let shared: Arc<dyn Store> = store.clone();
    for number in 0..OBJECTS {
        let shown = shared.open(&content::object(number)).await?.version.0;
        marks.say(Saying::Acknowledged, number, shown)?;
        let commits = random.u64(1..30);
        let commits = workload::commit_many(shared.clone(), marks, number, commits, random.fork());
        commits.await?;
    }
    if random.bool() {
        store.shutdown().await;
    }
    Ok(())
}

fn read_bounds(file: &Path) -> anyhow::Result<Vec<Bounds>> {
    let text = fs::read_to_string(file)?;
    let numbers = text.lines().map(|line| {
        let (acknowledged, tried) = line.split_once(' ').context("a line cut short")?;
        anyhow::Ok(Bounds {
            acknowledged: acknowledged.parse()?,
            tried: tried.parse()?,
        })
    });
    numbers.collect()
}
