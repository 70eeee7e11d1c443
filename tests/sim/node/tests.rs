//! Runs of whole nodes.

use std::path::Path;
use std::time::Duration;

use abide::{Call, CallError, Deadline, Payload};
use abide_actors::Reply;
use abide_storage::Disk;
use tokio::time::sleep;

use super::machine::{NAMESPACE, Node};
use super::{Sim, probe, simulate};
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

/// A node of its own in which one thing is wrong, and what is said of it.
fn said(wrong: impl AsyncFnOnce(&Sim)) -> Vec<&'static str> {
    probe::begin();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let sim = Sim::new(1);
    runtime.block_on(wrong(&sim));
    probe::end();
    let violations = sim.history.into_inner().violations;
    violations.iter().map(|violation| violation.of).collect()
}

/// A turn that writes.
async fn add(node: &Node) -> Result<Reply, CallError> {
    let target = node.runtime.target(NAMESPACE, "a")?;
    let deadline = Deadline::after(Duration::from_secs(100_000_000));
    let call = Call::new("add", Payload::json("[1, 1, 0]"), deadline);
    node.runtime.call(&target, call).await
}

#[test]
fn a_store_that_does_not_open_is_noticed() {
    let said = said(async |sim| {
        sim.start();
        add(&sim.node().await.unwrap()).await.unwrap();
        sim.drain().await;
        let disk = sim.machine.borrow().disk.clone();
        for segment in disk.list(Path::new("/log")).unwrap() {
            disk.remove(&segment).unwrap();
        }
        sim.start();
        assert!(sim.is_over());
    });
    assert_eq!(said, ["opening"]);
}

/// The disk never gets there, so that a call is not answered and the drain that waits for it does not
/// end.
#[test]
fn a_node_that_hangs_is_noticed() {
    let said = said(async |sim| {
        sim.start();
        let node = sim.node().await.unwrap();
        *sim.machine.borrow().pace.lock() = Duration::from_secs(100_000_000);
        let mut adding = std::pin::pin!(add(&node));
        sleep(Duration::from_secs(1)).await;
        assert!(futures_util::poll!(adding.as_mut()).is_pending());
        sleep(Duration::from_secs(1)).await;
        sim.drain().await;
    });
    assert_eq!(said, ["liveness"]);
}

/// Faults end most sessions; those that only lose a connection, or see a drain, go on.
#[test]
fn sessions_go_on_here_and_after_a_restart() {
    let runs: Vec<_> = (0..SEEDS).map(|seed| simulate(seed).history).collect();
    let here: u32 = runs.iter().map(|run| run.resumes.here).sum();
    let after_restart: u32 = runs.iter().map(|run| run.resumes.after_restart).sum();
    assert!(here > 40 && after_restart > 10, "{here}, {after_restart}");
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
