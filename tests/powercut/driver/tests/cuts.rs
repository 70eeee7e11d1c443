//! Two thousand power cuts in every run of the tests; `cargo xtask powercut` makes any number.
#![cfg(all(target_os = "linux", target_env = "gnu"))]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::process::Command;

fn powercut(arguments: &[&str]) {
    let program = env!("CARGO_BIN_EXE_abide-powercut");
    let output = Command::new(program).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    eprintln!("{said}");
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// **all-or-nothing** and no acknowledged commit lost, over the real files of both engines.
#[test]
fn a_power_cut_anywhere_loses_nothing_acknowledged() {
    powercut(&["--cuts", "2000"]);
}

/// The program must be able to see a loss.
#[test]
fn a_log_that_never_syncs_is_caught() {
    powercut(&["--cuts", "100", "--engine", "unsynced"]);
}

/// Nor would it do without the log.
#[test]
fn sled_without_the_log_is_caught() {
    powercut(&["--cuts", "400", "--engine", "bare"]);
}
