//! Runs the workload in a process of its own, with the recorder preloaded.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};

use crate::disk::{Disk, read_image};
use crate::subject::Subject;
use crate::trace::Trace;

/// Records the workload and proves that the trace is complete: replayed, it makes the very files that
/// the workload left.
pub(crate) fn record(subject: Subject, seed: u64, file: &Path) -> anyhow::Result<Trace> {
    record_process(&["workload", subject.name()], seed, file)
}

/// As [`record`], for a process with these arguments; root and seed follow them.
pub(crate) fn record_process(arguments: &[&str], seed: u64, file: &Path) -> anyhow::Result<Trace> {
    let folder = tempfile::tempdir()?;
    let root = folder.path().canonicalize()?.join("root");
    std::fs::create_dir(&root)?;
    let status = Command::new(env::current_exe()?)
        .args(arguments)
        .arg(&root)
        .arg(seed.to_string())
        .env("LD_PRELOAD", recorder()?)
        .env("ABIDE_RECORD_ROOT", &root)
        .env("ABIDE_RECORD_TRACE", file)
        .status()?;
    ensure!(status.success(), "the workload ended with {status}");
    let trace = Trace::read(file)?;
    compare(&trace, &root).context("the recorder has missed something")?;
    Ok(trace)
}

/// The library cargo built for the dependency, beside this program.
fn recorder() -> anyhow::Result<PathBuf> {
    let program = env::current_exe()?;
    let folder = program.parent().context("the program lies in no folder")?;
    let name = "libabide_powercut_record.so";
    let places = [folder.join("deps").join(name), folder.join(name)];
    let found = places.into_iter().find(|place| place.exists());
    found.with_context(|| format!("{name} is not beside {}", program.display()))
}

fn compare(trace: &Trace, root: &Path) -> anyhow::Result<()> {
    let mut disk = Disk::new(trace);
    disk.advance(trace.operations.len())?;
    let (mut replayed, real) = (disk.live()?, read_image(root)?);
    for (path, bytes) in real {
        match replayed.remove(&path) {
            None => bail!("{path} is not in the trace"),
            Some(replayed) if replayed == bytes => {}
            Some(replayed) => {
                let (replayed, bytes) = (replayed.unwrap_or_default(), bytes.unwrap_or_default());
                let same = replayed
                    .iter()
                    .zip(&bytes)
                    .take_while(|(a, b)| a == b)
                    .count();
                bail!(
                    "{path}: {} bytes replayed, {} there, different from byte {same} on",
                    replayed.len(),
                    bytes.len()
                );
            }
        }
    }
    ensure!(
        replayed.is_empty(),
        "in the trace only: {:?}",
        replayed.keys()
    );
    Ok(())
}
