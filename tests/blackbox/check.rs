//! `abide check` from outside: the folder of a killed server, of a running one, and a damaged one.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Output;

use crate::support::http::post;
use crate::support::process::{Abide, run};

fn check(data: &Path) -> Output {
    run(&["check", "--data", data.to_str().unwrap()])
}

fn said(output: &Output) -> String {
    [&output.stdout[..], &output.stderr]
        .map(String::from_utf8_lossy)
        .concat()
}

async fn killed_after_some_calls(data: &Path) {
    let running = Abide::start(data);
    let output = check(data);
    assert_eq!(output.status.code(), Some(1), "it is in use");
    assert!(
        said(&output).contains("in use by process"),
        "{}",
        said(&output)
    );
    // At once, so that no checkpoint comes between: ten seconds after the first one.
    for name in 0..5 {
        for _ in 0..5 {
            let reply = post(
                running.addr,
                &format!("/v1/counter/{name}/increment"),
                r#"{"by": 1}"#,
            )
            .await;
            assert_eq!(reply.status, 200);
        }
    }
    running.kill();
}

#[tokio::test]
async fn a_killed_server_leaves_a_sound_folder() {
    let folder = tempfile::tempdir().unwrap();
    killed_after_some_calls(folder.path()).await;
    let output = check(folder.path());
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let said = said(&output);
    assert!(
        said.contains("up to commit 25, of which 25 are replayed"),
        "{said}"
    );
    assert!(said.ends_with("sound\n"), "{said}");
}

#[tokio::test]
async fn damage_is_told_with_its_place_and_the_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    killed_after_some_calls(folder.path()).await;
    let log = OpenOptions::new()
        .write(true)
        .open(folder.path().join("log/000000000001.log"))
        .unwrap();
    log.write_all_at(&[0xff; 8], 4_096 + 64).unwrap();
    let output = check(folder.path());
    assert_eq!(output.status.code(), Some(1));
    let said = said(&output);
    for words in [
        "problem: ",
        "000000000001.log at byte 4096",
        "restore the folder",
        "has 1 problem,",
    ] {
        assert!(said.contains(words), "{words} in {said}");
    }
}
