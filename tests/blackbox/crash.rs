//! SIGKILL under load: every acknowledged write is there after the restart.

use crate::drain::{Load, stored};
use crate::support::process::Abide;

const ROUNDS: u32 = 6;
const WRITERS: usize = 16;

#[tokio::test]
async fn a_kill_under_load_loses_no_acknowledged_write() {
    for engine in ["sled", "redb"] {
        let folder = tempfile::tempdir().unwrap();
        let mut history = vec![];
        for round in 0..ROUNDS {
            let running = Abide::start_with(folder.path(), &["--engine", engine]);
            let load = Load::start(running.addr, WRITERS, round).await;
            // A different moment each round, from nothing acknowledged on.
            load.acknowledged(round * 37).await;
            running.kill();
            history.push((round, load.join().await));

            let running = Abide::start_with(folder.path(), &["--engine", engine]);
            for (round, counts) in &history {
                for (writer, acknowledged) in counts {
                    let stored = stored(running.addr, *round, *writer).await;
                    // The one request that was under way may have been stored unanswered.
                    assert!(
                        (*acknowledged..=acknowledged + 1).contains(&stored),
                        "{engine}, round {round}, writer {writer}: {acknowledged} acknowledged, {stored} stored"
                    );
                }
            }
            running.kill();
        }
        let total: u64 = history
            .iter()
            .flat_map(|(_, counts)| counts)
            .map(|(_, count)| count)
            .sum();
        assert!(total > u64::from(ROUNDS) * 37, "the load was none: {total}");
    }
}
