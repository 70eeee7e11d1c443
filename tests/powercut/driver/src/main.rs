//! Cuts the power over the real files of a whole store, thousands of times, and looks at what is left.
//!
//! A process runs a workload over the store with its log and its engine (sled, redb), and a preloaded
//! library records every change it makes to a file, every sync, and when each commit was acknowledged,
//! in one order. Replayed as a whole the record must make the very files the process left:
//! that proves it complete, in every run. Then the power is cut, after any operation: what a sync had made durable
//! is there, of the rest some part; the store is opened on it and must have every acknowledged commit.
//!
//! # What a power cut may do here
//!
//! - A write is durable when a sync of its file *began* after it and has *ended*. `fsync` and
//!   `fdatasync` count, with the file's length; `sync_file_range` does not.
//! - Every other write may be there, not be there, be there in any of its sectors of 512 bytes, or have made the
//!   file longer with zeros in place of its bytes. Which is so for one says nothing of another, in the
//!   same file or in others, earlier or later.
//! - A change of a file's length that makes it shorter may be lost, and then all later changes of the file are.
//! - A name (of a new file or folder, after a rename, of a removed file) is durable when a sync of its folder
//!   began after the change and has ended; a sync of the file is not enough. Of the other changes of a folder a
//!   first part is there and the rest is not, as with a journal; folders do not wait for each other.
//! - One exception: a sync of a draft of sled's snapshots makes its name durable too, with the changes of its
//!   folder before it. No standard says so, but ext4, XFS and btrfs do it for a new file, and without it
//!   no use of sled survives: it overwrites what only the snapshot before knows while the new one has no durable name.
//! - A sector is never torn, and what is durable stays as it is: this is no test of broken disks.
//!
//! # What must hold after it
//!
//! The store opens. Every object is at one version: at least the last one acknowledged before the cut, at
//! most the last one handed to the store. Its rows, its state, its alarm and its entry in the listing are exactly
//! those of that version. The store takes a commit for every object, and opened once more it has that, too.
//!
//! Two subjects are there to be caught, or this program proves nothing: a log whose syncs do
//! nothing, and sled without the log.
//!
//! The start after a cut is a workload of its own, recorded and cut in its turn (`again.rs`).
//!
//! In reading order: `trace.rs` (the record), `disk.rs` (the model above), `check.rs` (what must hold),
//! `cuts.rs` (where the power is cut), `workload.rs` and `content.rs` (what is recorded).
#![expect(
    clippy::print_stdout,
    reason = "a command answers on its standard output"
)]

mod again;
mod bare;
mod check;
mod content;
mod cuts;
mod disk;
mod marks;
mod record;
mod subject;
mod trace;
mod workload;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail, ensure};

use subject::{SUBJECTS, Subject};
use trace::Trace;

const HELP: &str = "\
Usage: cargo xtask powercut [OPTIONS]

  --cuts N         Power cuts in all [default: 2000]
  --seed S         For the workload and the cuts [default: random]
  --engine NAME    sled or redb [default: half of the cuts each];
                   or what must be caught: unsynced, bare
  --trace FILE     Cuts over this trace instead of recording a new one; needs --engine
  --cut K          This cut alone
  --twice N        Starts after a cut that are recorded and cut in their turn, 40 times each [default: 2]
";

/// What was asked for.
struct Arguments {
    cuts: u64,
    seed: u64,
    subjects: Vec<Subject>,
    trace: Option<PathBuf>,
    cut: Option<u64>,
    twice: u64,
}

/// Cuts of one start after a cut.
const SECOND_CUTS: u64 = 40;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let ended = match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["workload", subject, root, seed] => run_workload(subject, root, seed),
        ["recovery", subject, image, root, seed] => run_recovery(subject, image, root, seed),
        ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        options => Arguments::parse(options).and_then(|arguments| run(&arguments)),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("powercut: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run_workload(subject: &str, root: &str, seed: &str) -> anyhow::Result<()> {
    let subject = Subject::from_name(subject).context("no such subject")?;
    workload::run(subject, root.as_ref(), seed.parse()?)
}

fn run_recovery(subject: &str, image: &str, root: &str, seed: &str) -> anyhow::Result<()> {
    let subject = Subject::from_name(subject).context("no such subject")?;
    again::recover(subject, image.as_ref(), root.as_ref(), seed.parse()?)
}

impl Arguments {
    fn parse(options: &[&str]) -> anyhow::Result<Self> {
        let mut arguments = Self {
            cuts: 2_000,
            seed: fastrand::u64(..),
            subjects: SUBJECTS
                .iter()
                .map(|(_, subject)| *subject)
                .filter(|subject| !subject.is_tooth())
                .collect(),
            trace: None,
            cut: None,
            twice: 2,
        };
        for pair in options.chunks(2) {
            let [name, value] = pair else {
                bail!("{} lacks its value\n\n{HELP}", pair[0]);
            };
            match *name {
                "--cuts" => arguments.cuts = value.parse()?,
                "--seed" => arguments.seed = value.parse()?,
                "--engine" => {
                    let subject = Subject::from_name(value);
                    arguments.subjects = vec![subject.with_context(|| format!("no '{value}'"))?];
                }
                "--trace" => arguments.trace = Some(value.into()),
                "--twice" => arguments.twice = value.parse()?,
                "--cut" => arguments.cut = Some(value.parse()?),
                _ => bail!("not understood: '{name}'\n\n{HELP}"),
            }
        }
        let is_one = arguments.subjects.len() == 1;
        ensure!(
            arguments.trace.is_none() || is_one,
            "--trace needs --engine"
        );
        Ok(arguments)
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    for subject in &arguments.subjects {
        run_subject(*subject, arguments)?;
    }
    Ok(())
}

fn run_subject(subject: Subject, arguments: &Arguments) -> anyhow::Result<()> {
    let (seed, name) = (arguments.seed, subject.name());
    let cuts = arguments.cuts.div_ceil(arguments.subjects.len() as u64);
    let (trace, file) = match &arguments.trace {
        Some(file) => (Trace::read(file)?, file.clone()),
        None => {
            let file = std::env::temp_dir().join(format!("abide-powercut-{name}-{seed}.trace"));
            (record::record(subject, seed, &file)?, file)
        }
    };
    println!("{name}, seed {seed}: {}", cuts::summary(&trace)?);
    let numbers = arguments.cut.map_or(0..cuts, |cut| cut..cut + 1);
    let count = numbers.end - numbers.start;
    let mut failures = cuts::run(subject, &trace, seed, numbers)?;
    failures.sort_by_key(|failure| failure.cut);
    tell(subject, &failures, &file, seed);
    let is_wanted = !failures.is_empty() && !subject.is_tooth();
    if arguments.trace.is_none() && !is_wanted {
        std::fs::remove_file(&file)?;
    }
    if failures.is_empty() && !subject.is_tooth() && arguments.trace.is_none() {
        for number in 0..arguments.twice {
            cut_twice(subject, &trace, (seed, number))?;
        }
    }
    match (subject.is_tooth(), failures.is_empty()) {
        (false, true) => println!("{name}: {count} cuts held"),
        (true, false) => println!("{name}: caught, as it must be"),
        (false, false) => bail!("{name}: the trace is kept at {}", file.display()),
        (true, true) => bail!("{name}: {count} cuts held, though it must be caught"),
    }
    Ok(())
}

/// Cuts the start after the cut with this number.
fn cut_twice(subject: Subject, trace: &Trace, (seed, number): (u64, u64)) -> anyhow::Result<()> {
    let name = subject.name();
    let file = std::env::temp_dir().join(format!("abide-powercut-{name}-{seed}-{number}.trace"));
    let mut failures = again::run(subject, trace, (seed, number), SECOND_CUTS, &file)?;
    failures.sort_by_key(|failure| failure.cut);
    tell(subject, &failures, &file, seed ^ number);
    if !failures.is_empty() {
        bail!(
            "{name}: the trace of a start after a cut is kept at {}",
            file.display()
        );
    }
    std::fs::remove_file(&file)?;
    println!("{name}: {SECOND_CUTS} cuts of the start after cut {number} held");
    Ok(())
}

fn tell(subject: Subject, failures: &[cuts::Failure], file: &std::path::Path, seed: u64) {
    let name = subject.name();
    for failure in failures {
        println!(
            "{name}: cut {} after operation {}: {:#}\n  again: cargo xtask powercut --engine {name} --trace {} --seed {seed} --cut {}",
            failure.cut,
            failure.position,
            failure.error,
            file.display(),
            failure.cut,
        );
    }
}
