//! Short soaks with the real server: drains, kills, connections cut all the time. And soaks that
//! do one thing wrong, which have to be noticed: a checker that cannot fail shows nothing.
//!
//! They take half a minute because sessions have to be away, and come back, in real time.
#![expect(clippy::unwrap_used, reason = "a step that fails here fails the test")]

use std::process::{Command, Output};

fn soak(arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    Command::new(env!("CARGO_BIN_EXE_abide-soak"))
        .args(["--server", env!("CARGO_BIN_EXE_abide-soak-server")])
        .arg("--folder")
        .arg(folder.path())
        .args(arguments)
        .output()
        .unwrap()
}

fn report(output: &Output) -> serde_json::Value {
    let said = String::from_utf8_lossy(&output.stdout);
    let line = said.lines().next().unwrap_or_default();
    serde_json::from_str(line).unwrap_or_else(|_| panic!("{output:?}"))
}

#[test]
fn every_frame_is_accounted_for() {
    let output = soak(&[
        "--sessions",
        "50",
        "--objects",
        "5",
        "--seconds",
        "20",
        "--every",
        "9",
        "--cuts",
        "3",
        "--rate",
        "4",
    ]);
    let report = report(&output);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    assert_eq!(
        (&report["drains"], &report["kills"]),
        (&1.into(), &1.into()),
        "{report}"
    );
    for counted in ["cuts", "resumes", "resets", "messages_acknowledged"] {
        assert!(
            report[counted].as_u64().unwrap() > 20,
            "{counted}: {report}"
        );
    }
}

/// Sessions that are declared durable: kills and drains in turns, and none of them ends.
#[test]
fn durable_sessions_live_through_kills() {
    let output = soak(&[
        "--sessions",
        "40",
        "--objects",
        "5",
        "--seconds",
        "20",
        "--every",
        "5",
        "--cuts",
        "3",
        "--rate",
        "4",
        "--plan",
        "durable",
    ]);
    let report = report(&output);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    assert_eq!(
        (&report["drains"], &report["kills"], &report["resets"]),
        (&2.into(), &2.into(), &0.into()),
        "{report}"
    );
    for counted in ["cuts", "resumes", "messages_acknowledged"] {
        assert!(
            report[counted].as_u64().unwrap() > 20,
            "{counted}: {report}"
        );
    }
}

#[test]
fn what_is_lost_or_doubled_is_noticed() {
    for sabotage in ["drop-line", "double-line", "drop-message", "double-message"] {
        let output = soak(&[
            "--sessions",
            "4",
            "--objects",
            "2",
            "--seconds",
            "3",
            "--plan",
            "cuts",
            "--rate",
            "20",
            "--sabotage",
            sabotage,
        ]);
        assert_eq!(output.status.code(), Some(1), "{sabotage}: {output:?}");
        assert!(
            report(&output)["faults"].as_u64().unwrap() > 0,
            "{sabotage}"
        );
    }
}
