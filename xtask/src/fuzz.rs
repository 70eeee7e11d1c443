//! `cargo xtask fuzz`: every target of `tests/fuzz/` for a while.
//!
//! Built without a sanitizer: the code is safe Rust, where overflows and broken assertions are
//! what there is to find, and so the stable toolchain does. New inputs go to a scratch corpus in
//! the target folder; the one in the tree grows by hand, when something was found.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

/// Where the fuzzers are, from the root of the workspace.
const FOLDER: &str = "tests/fuzz";
const SECONDS_DEFAULT: u32 = 10;
/// Longest input that is tried, bytes: long enough for a conversation, short enough to be fast.
const INPUT_SIZE_MAX_BYTES: u32 = 4_096;
/// An input that takes longer, in seconds, or a process that takes more memory, in MiB, is a
/// finding.
const INPUT_TIME_MAX_SECONDS: u32 = 10;
const MEMORY_MAX_MIB: u32 = 1_024;

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
struct Options {
    seconds: u32,
    targets: Vec<String>,
}

/// What one target did.
#[derive(Debug, Default, PartialEq, Eq)]
struct Figures {
    executions: u64,
    /// Edges of the program that were reached.
    coverage: u64,
    /// The files with inputs that broke something.
    found: Vec<String>,
}

/// Builds and runs the targets asked for, or all, and fails when anything was found.
pub(crate) fn run(root: &Path, arguments: &[&str]) -> anyhow::Result<()> {
    let manifest = root.join(FOLDER).join("Cargo.toml");
    let manifest = fs::read_to_string(&manifest)
        .with_context(|| format!("{} cannot be read", manifest.display()))?;
    let options = parse(arguments, &targets(&manifest)?)?;
    check_tools(root)?;
    let mut build = cargo_fuzz(root, "build");
    if !build.status()?.success() {
        bail!("the fuzzers do not build: libFuzzer needs a C++ compiler, too");
    }
    let mut all_found = Vec::new();
    println!(
        "{:<14} {:>11} {:>9}  found",
        "target", "executions", "coverage"
    );
    for target in &options.targets {
        let figures = fuzz(root, target, options.seconds)?;
        let found = match figures.found.len() {
            0 => "nothing".to_owned(),
            count => format!("{count}"),
        };
        println!(
            "{target:<14} {:>11} {:>9}  {found}",
            figures.executions, figures.coverage
        );
        all_found.extend(figures.found);
    }
    if all_found.is_empty() {
        return Ok(());
    }
    bail!(
        "inputs that break a promise:\n  {}\nsee one with: cargo fuzz run --fuzz-dir {FOLDER} --sanitizer none TARGET FILE",
        all_found.join("\n  ")
    );
}

fn parse(arguments: &[&str], known: &[String]) -> anyhow::Result<Options> {
    let mut options = Options {
        seconds: SECONDS_DEFAULT,
        targets: Vec::new(),
    };
    let mut arguments = arguments.iter();
    while let Some(&argument) = arguments.next() {
        if argument == "--seconds" {
            let seconds = arguments.next().and_then(|text| text.parse().ok());
            options.seconds = seconds.context("--seconds takes a whole number")?;
        } else if known.iter().any(|name| name == argument) {
            options.targets.push(argument.to_owned());
        } else {
            bail!(
                "there is no target '{argument}', there are: {}",
                known.join(", ")
            );
        }
    }
    if options.targets.is_empty() {
        options.targets = known.to_vec();
    }
    Ok(options)
}

/// The programs of the manifest, which are the targets.
fn targets(manifest: &str) -> anyhow::Result<Vec<String>> {
    let table: toml::Table = manifest.parse()?;
    let programs = table.get("bin").and_then(toml::Value::as_array);
    let programs = programs.context("the manifest of the fuzzers names no programs")?;
    let names = programs
        .iter()
        .filter_map(|program| program.get("name")?.as_str());
    Ok(names.map(str::to_owned).collect())
}

fn check_tools(root: &Path) -> anyhow::Result<()> {
    let mut version = Command::new("cargo");
    version
        .args(["fuzz", "--version"])
        .current_dir(root)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if !version.status().is_ok_and(|status| status.success()) {
        bail!("cargo-fuzz is missing, this installs it: cargo install --locked cargo-fuzz");
    }
    Ok(())
}

fn cargo_fuzz(root: &Path, action: &str) -> Command {
    let mut command = Command::new("cargo");
    command
        .args(["fuzz", action, "--fuzz-dir", FOLDER, "--sanitizer", "none"])
        .current_dir(root);
    command
}

fn fuzz(root: &Path, target: &str, seconds: u32) -> anyhow::Result<Figures> {
    let scratch = root.join(FOLDER).join("target/corpus").join(target);
    fs::create_dir_all(&scratch)
        .with_context(|| format!("{} cannot be made", scratch.display()))?;
    let mut command = cargo_fuzz(root, "run");
    command
        .arg(target)
        // The first folder is the one that new inputs go to.
        .arg(&scratch)
        .arg(root.join(FOLDER).join("corpus").join(target))
        .arg("--")
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-max_len={INPUT_SIZE_MAX_BYTES}"))
        .arg(format!("-timeout={INPUT_TIME_MAX_SECONDS}"))
        .arg(format!("-rss_limit_mb={MEMORY_MAX_MIB}"))
        .arg("-print_final_stats=1");
    let output = command
        .output()
        .with_context(|| format!("{command:?} did not start"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    let figures = read(&text);
    if output.status.success() != figures.found.is_empty() || figures.executions == 0 {
        // Neither a run nor a finding: whatever it is, the output knows.
        bail!("{command:?} ended with {}:\n{text}", output.status);
    }
    if !figures.found.is_empty() {
        println!("{text}");
    }
    Ok(figures)
}

/// Reads what libFuzzer says of a run.
fn read(output: &str) -> Figures {
    let mut figures = Figures::default();
    for line in output.lines() {
        let mut words = line.split_whitespace();
        if let Some(executions) = line.strip_prefix("stat::number_of_executed_units:") {
            figures.executions = executions.trim().parse().unwrap_or(0);
        } else if line.starts_with('#') && words.any(|word| word == "cov:") {
            let coverage = words.next().and_then(|word| word.parse().ok());
            figures.coverage = coverage.unwrap_or(figures.coverage);
        } else if let Some((_, file)) = line.split_once("Test unit written to ") {
            figures.found.push(file.to_owned());
        }
    }
    figures
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 2] = ["key", "yjs"];

    fn parsed(arguments: &[&str]) -> anyhow::Result<Options> {
        parse(arguments, &KNOWN.map(str::to_owned))
    }

    #[test]
    fn without_targets_all_are_run_and_an_unknown_one_is_refused() {
        let all = parsed(&[]).unwrap();
        assert_eq!(
            (all.seconds, all.targets.as_slice()),
            (10, &KNOWN.map(str::to_owned)[..])
        );
        let one = parsed(&["yjs", "--seconds", "60"]).unwrap();
        assert_eq!((one.seconds, one.targets), (60, vec!["yjs".to_owned()]));
        let refused = parsed(&["yks"]).unwrap_err().to_string();
        assert_eq!(refused, "there is no target 'yks', there are: key, yjs");
        assert!(parsed(&["--seconds", "soon"]).is_err());
    }

    #[test]
    fn the_manifest_of_the_fuzzers_names_the_targets() {
        let manifest = "[package]\nname = \"x\"\n[[bin]]\nname = \"key\"\n[[bin]]\nname = \"yjs\"";
        assert_eq!(targets(manifest).unwrap(), KNOWN);
        assert!(targets("[package]").is_err());
    }

    #[test]
    fn figures_are_those_of_the_last_line() {
        let output = "#2\tINITED cov: 40 ft: 50 corp: 1/1b exec/s: 0 rss: 30Mb\n\
             #90\tNEW    cov: 71 ft: 82 corp: 3/9b lim: 4 exec/s: 45 rss: 31Mb\n\
             artifact_prefix='a/'; Test unit written to a/crash-0f\n\
             stat::number_of_executed_units: 91\n";
        let figures = Figures {
            executions: 91,
            coverage: 71,
            found: vec!["a/crash-0f".to_owned()],
        };
        assert_eq!(read(output), figures);
        assert_eq!(read("no fuzzer said this"), Figures::default());
    }
}
