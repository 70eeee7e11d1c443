//! `abide-bench-alarms`: a million pending alarms on a real store.
//!
//! ```text
//! cargo build --release -p abide-bench-alarms
//! target/release/abide-bench-alarms [--alarms 1000000] [--engine sled] [--folder /on/the/disk]
//! ```
//!
//! One process writes the alarms, one object each, and stops cleanly. A second opens the folder at a
//! moment of its own choosing, shortly before the first of them is due: how long until it has answered a
//! call, how much memory it has, how late alarms are that fall due at a steady rate and then many in
//! one millisecond. A third opens the folder days later, when all that are left are overdue. All the while
//! calls are made beside them, at a fixed rate and timed from the moment each should have begun.
//! Lateness is from the time an alarm was set for to the moment its handler is entered.
#![expect(
    clippy::print_stdout,
    reason = "a command answers on its standard output"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "a bench measures the time of a process, not of a seam, and owns its tasks"
)]

mod calls;
mod fill;
mod measure;
mod plan;
mod samples;
mod waiter;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use abide_storage::EngineKind;
use anyhow::{Context, ensure};
use clap::Parser;

use crate::plan::Plan;

// The one of the server.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Measures start-up, memory and lateness with many pending alarms, and prints one line of JSON for
/// each state of the folder.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    #[command(flatten)]
    plan: Plan,

    /// Engine behind the log.
    #[arg(long, default_value = "sled", value_parser = engine)]
    engine: EngineKind,

    /// Threads that run actors.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..))]
    threads: u16,

    /// Calls a second beside the alarms; every other one writes.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    call_rate: u32,

    /// Where the data folder is made; it is removed at the end. The disk matters.
    #[arg(long, default_value = ".")]
    folder: PathBuf,

    /// What a process started by this program is to do in this data folder.
    #[arg(long, hide = true, requires = "data")]
    step: Option<Step>,

    #[arg(long, hide = true)]
    data: Option<PathBuf>,
}

/// Each in a process of its own, so that its memory is its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Step {
    Fill,
    Pending,
    Overdue,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let outcome = match (options.step, &options.data) {
        (Some(step), Some(data)) => work(&options, step, data),
        _ => orchestrate(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("abide-bench-alarms: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn orchestrate(options: &Options) -> anyhow::Result<()> {
    let folder = tempfile::tempdir_in(&options.folder)?;
    let data = folder.path().join("data");
    for step in ["fill", "pending", "overdue"] {
        let status = Command::new(std::env::current_exe()?)
            .args(std::env::args_os().skip(1))
            .args(["--step", step, "--data"])
            .arg(&data)
            .stdin(Stdio::null())
            .status()
            .with_context(|| format!("the process for '{step}'"))?;
        ensure!(
            status.success(),
            "the process for '{step}' failed: {status}"
        );
    }
    Ok(())
}

fn work(options: &Options, step: Step, data: &Path) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(options.threads.into())
        .enable_all()
        .build()?;
    let line = runtime.block_on(async {
        match step {
            Step::Fill => fill::fill(options, data).await,
            Step::Pending => measure::pending(options, data).await,
            Step::Overdue => measure::overdue(options, data).await,
        }
    })?;
    println!("{line}");
    Ok(())
}

fn engine(name: &str) -> anyhow::Result<EngineKind> {
    EngineKind::from_name(name).with_context(|| format!("there is no engine '{name}'"))
}
