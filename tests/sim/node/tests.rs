//! Runs of whole nodes.

use super::simulate;
use crate::seeds::each_seed;

/// Seeds of every test run; `cargo xtask sim` has more.
const SEEDS: u64 = 40;
/// Lines of a failed run's end that are shown; all of them when it is the only one.
const LINES_SHOWN: usize = 60;

#[test]
fn a_whole_node_keeps_its_promises() {
    each_seed(SEEDS, |seed| {
        let run = simulate(seed);
        if run.violations.is_empty() {
            return;
        }
        let lines: Vec<_> = run.history.log().lines().collect();
        let is_alone = std::env::var_os("ABIDE_SIM_SEED").is_some();
        let shown = if is_alone {
            lines.len()
        } else {
            lines.len().min(LINES_SHOWN)
        };
        for line in &lines[lines.len() - shown..] {
            eprintln!("{line}");
        }
        panic!("seed {seed}: {:#?}", run.violations);
    });
}

#[test]
fn a_seed_gives_the_same_run_again() {
    for seed in [1, 2, 3] {
        let (first, second) = (simulate(seed), simulate(seed));
        let differing = first
            .history
            .log()
            .lines()
            .zip(second.history.log().lines());
        let differing = differing.enumerate().find(|(_, (one, other))| one != other);
        assert_eq!(differing, None, "seed {seed}");
        assert_eq!(first.history.fingerprint(), second.history.fingerprint());
    }
}
