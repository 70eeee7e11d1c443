//! The chores of the workspace, in Rust so that they run wherever the code builds.
//!
//! `cargo xtask ci` is the gate a change has to pass; `cargo xtask tidy` is its part that reads the
//! sources and needs no build. This program depends on almost nothing: it is built before
//! everything else.
#![expect(
    clippy::print_stdout,
    reason = "a command answers on its standard output"
)]

mod ci;
mod fuzz;
mod sim;
mod tidy;

use std::path::Path;
use std::process::ExitCode;

use anyhow::bail;

const HELP: &str = "\
Usage: cargo xtask <COMMAND>

Commands:
  ci [--skip STEP,...]  Everything a change has to pass, quickest first: fmt, tidy, deny, clippy,
                        doc, clients, teeth, test. Stops at the first step that fails.
  fuzz [--seconds N] [TARGET...]
                        The fuzzers of tests/fuzz, for N seconds each (10). Needs cargo-fuzz.
  sim [--seeds N] [--from S | --seed S]
                        The random schedules of tests/sim, with N seeds each (1000) from S on, which is
                        another one each time if not told; --seed runs that one alone.
  teeth                 Breaks each promise of the product once, and looks that tests/sim notices.
  tidy                  The rules of the repository that no compiler knows: layers, banned text,
                        error pages, links, file sizes, invariants, teeth.
  powercut [OPTIONS]    Cuts the power over the real files of a store, 2,000 times if not told
                        otherwise; `powercut --help` has the options. Linux with glibc.
";

fn main() -> ExitCode {
    match run(std::env::args().skip(1).collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Vec<String>) -> anyhow::Result<()> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["ci"] => ci::run(workspace(), &[]),
        ["ci", "--skip", steps] => ci::run(workspace(), &steps.split(',').collect::<Vec<_>>()),
        ["fuzz", ref rest @ ..] => fuzz::run(workspace(), rest),
        ["sim", ref rest @ ..] => sim::run(workspace(), rest),
        ["teeth"] => ci::teeth(workspace()).map(|_| ()),
        ["tidy"] => tidy::run(workspace()),
        ["powercut", ref options @ ..] => ci::powercut(workspace(), options),
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        _ => bail!("not understood: '{}'\n\n{HELP}", arguments.join(" ")),
    }
}

/// The root of the workspace, wherever the command was called from.
fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask lies in the workspace")
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_unknown_command_is_refused_with_the_usage() {
        let refusal = super::run(vec!["tidi".to_owned()]).unwrap_err().to_string();
        assert!(refusal.starts_with("not understood: 'tidi'"), "{refusal}");
        assert!(refusal.contains("Usage: cargo xtask"), "{refusal}");
    }
}
