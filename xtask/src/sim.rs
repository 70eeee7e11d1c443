//! `cargo xtask sim`: the random schedules of `tests/sim/`, with as many seeds as one likes.
//!
//! `cargo test` runs each schedule with some hundred seeds that never change, so that it is red for
//! a change and not for bad luck. This is for looking further.

use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};

use crate::ci::timed;

const SEEDS_DEFAULT: u64 = 1_000;

/// Which seeds each schedule runs with.
#[derive(Debug, PartialEq, Eq)]
struct Seeds {
    first: u64,
    count: u64,
}

/// Runs every schedule with the seeds asked for; fails when one fails, which names its seed.
pub(crate) fn run(root: &Path, arguments: &[&str]) -> anyhow::Result<()> {
    let Seeds { first, count } = parse(arguments)?;
    println!("seeds {first} to {}", first.saturating_add(count - 1));
    let mut command = Command::new("cargo");
    command
        // Optimised, with all assertions; built anew the first time, which takes some minutes.
        .args(["test", "--quiet", "--profile", "sim"])
        .args(["--package", "abide", "--test", "sim"])
        .env_remove("ABIDE_SIM_SEED")
        .env("ABIDE_SIM_FROM", first.to_string())
        .env("ABIDE_SIM_SEEDS", count.to_string())
        .current_dir(root);
    let (status, elapsed) = timed(|| command.status());
    if !status.context("cargo did not start")?.success() {
        bail!(
            "a test failed; one with a seed runs again by `cargo xtask sim --seed` and that number"
        );
    }
    println!("all held, in {:.0} s", elapsed.as_secs_f64());
    Ok(())
}

fn parse(arguments: &[&str]) -> anyhow::Result<Seeds> {
    let mut seeds = Seeds {
        first: a_new_seed(),
        count: SEEDS_DEFAULT,
    };
    for pair in arguments.chunks(2) {
        let [name, value] = pair else {
            bail!("{} takes a number", pair[0]);
        };
        let number: u64 = value
            .parse()
            .with_context(|| format!("{name} takes a number, not '{value}'"))?;
        match *name {
            "--seeds" if number > 0 => seeds.count = number,
            "--from" => seeds.first = number,
            "--seed" => {
                seeds = Seeds {
                    first: number,
                    count: 1,
                };
            }
            _ => bail!("not understood: '{name} {value}'"),
        }
    }
    Ok(seeds)
}

/// Another one each time, so that every run looks somewhere else; short enough to be typed.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where a run may differ from the one before"
)]
fn a_new_seed() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| u64::from(since.subsec_nanos()))
}

#[cfg(test)]
mod tests {
    use super::{Seeds, parse};

    #[test]
    fn seeds_are_a_range_or_one() {
        let seeds = |first, count| Seeds { first, count };
        assert_eq!(
            parse(&["--seeds", "5", "--from", "7"]).unwrap(),
            seeds(7, 5)
        );
        assert_eq!(parse(&["--seed", "26"]).unwrap(), seeds(26, 1));
        assert_eq!(parse(&[]).unwrap().count, 1_000);
        for bad in [
            &["--seeds"][..],
            &["--seeds", "0"],
            &["--seeds", "x"],
            &["--sed", "1"],
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
