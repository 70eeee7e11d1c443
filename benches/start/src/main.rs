//! `abide-bench-start`: from the start of the process to its first answer.
//!
//! ```text
//! cargo build --release -p abide -p abide-bench-start
//! target/release/abide-bench-start [--objects 1000000] [--runs 5] [--engine sled] [--folder /on/the/disk]
//! ```
//!
//! Three states of the data folder, for each engine: none yet; a million counters and a clean stop
//! before; the same and SIGKILL before, in the middle of writes as fast as eight connections make
//! them. The page cache is as the runs before left it: warm. What is counted ends when a GET of one of
//! the counters has been answered, another one each run.
#![expect(
    clippy::print_stdout,
    reason = "a command answers on its standard output"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "a bench measures the time of a process, not of a seam"
)]

mod fill;
mod load;
mod server;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use abide_storage::EngineKind;
use anyhow::{Context, ensure};
use clap::Parser;

use crate::server::Abide;

/// Measures how long `abide serve` takes from its start to its first answer, and prints a table.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// The server; beside this program unless given.
    #[arg(long, value_name = "FILE")]
    abide: Option<PathBuf>,

    /// Objects in the large store.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    objects: u64,

    /// Starts that are measured in each state.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,

    /// Engine; both when not given.
    #[arg(long, value_parser = engine)]
    engine: Option<EngineKind>,

    /// Where the data folders are made; they are removed at the end. The disk matters.
    #[arg(long, default_value = ".")]
    folder: PathBuf,

    /// Seconds of writes before each SIGKILL.
    #[arg(long, default_value_t = 2)]
    load_seconds: u64,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("abide-bench-start: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> anyhow::Result<()> {
    println!(
        "{:<6} {:<40} {:>8} {:>8} {:>8}",
        "engine", "data folder", "min ms", "median", "max"
    );
    let engines = match options.engine {
        Some(engine) => vec![engine],
        None => vec![EngineKind::Sled, EngineKind::Redb],
    };
    for engine in engines {
        let folder = tempfile::tempdir_in(&options.folder)?;
        measure(options, engine, folder.path())
            .with_context(|| format!("with {engine} in {}", folder.path().display()))?;
    }
    Ok(())
}

fn measure(options: &Options, engine: EngineKind, folder: &Path) -> anyhow::Result<()> {
    let program = match &options.abide {
        Some(path) => path.clone(),
        None => std::env::current_exe()?.with_file_name("abide"),
    };
    let start = |data: &Path, object: u64| Abide::start(&program, data, engine, object);

    let mut times = vec![];
    for run in 0..options.runs {
        let (abide, took) = start(&folder.join(format!("empty-{run}")), 0)?;
        times.push(took);
        abide.terminate()?;
    }
    report(engine, "none", times);

    let data = folder.join("large");
    let started = Instant::now();
    fill::fill(&data, engine, options.objects)?;
    let size_mib = fill::size_bytes(&data)? >> 20;
    eprintln!(
        "{engine}: {} objects written in {:.1} s, {size_mib} MiB",
        options.objects,
        started.elapsed().as_secs_f64()
    );
    let objects = format!("{} objects", options.objects);
    // Far apart, so that no start finds what the one before has read.
    let object = |run: u32| u64::from(run) * 618_033 % options.objects;

    let mut times = vec![];
    for run in 0..options.runs {
        let (abide, took) = start(&data, object(run))?;
        times.push(took);
        abide.terminate()?;
    }
    report(engine, &format!("{objects}, clean stop"), times);

    let mut times = vec![];
    let mut written = 0;
    for run in 0..options.runs {
        let (abide, _) = start(&data, 0)?;
        let duration = Duration::from_secs(options.load_seconds);
        written += load::increment(abide.addr(), options.objects, duration, || abide.kill())?;
        let (abide, took) = start(&data, object(run))?;
        times.push(took);
        abide.kill()?;
    }
    ensure!(written > 0, "the writes before SIGKILL were none");
    eprintln!(
        "{engine}: {written} writes in all before {} kills",
        options.runs
    );
    report(engine, &format!("{objects}, SIGKILL"), times);
    Ok(())
}

fn report(engine: EngineKind, folder: &str, mut times: Vec<Duration>) {
    times.sort();
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    println!(
        "{:<6} {:<40} {:>8.1} {:>8.1} {:>8.1}",
        engine.as_str(),
        folder,
        millis(times[0]),
        millis(times[times.len() / 2]),
        millis(times[times.len() - 1])
    );
}

fn engine(name: &str) -> anyhow::Result<EngineKind> {
    EngineKind::from_name(name).with_context(|| format!("there is no engine '{name}'"))
}
