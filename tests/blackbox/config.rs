//! What the binary says when it cannot start, and how it is told what to do.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Output;

use crate::support::http::{get, post};
use crate::support::process::{Abide, command, end, run};

/// It failed, with one message on standard error that has these words.
#[track_caller]
fn refused(output: &Output, words: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let message = said
        .split("error: ")
        .nth(1)
        .unwrap_or_else(|| panic!("no message: {said}"));
    for word in words {
        assert!(message.contains(word), "{word} in {message}");
    }
    assert!(!said.contains("panicked"), "{said}");
}

fn serve(data: &Path) -> Output {
    run(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--admin-listen",
        "127.0.0.1:0",
        "--data",
        data.to_str().unwrap(),
    ])
}

#[test]
fn an_unknown_key_is_named_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("abide.toml");
    fs::write(&file, "listen = \"127.0.0.1:0\"\nbody_size = \"1MiB\"\n").unwrap();
    let output = run(&["serve", "--config", file.to_str().unwrap()]);
    refused(
        &output,
        &["abide.toml", "line 2", "body_size", "body_size_max"],
    );
}

#[test]
fn a_value_is_refused_with_its_key_and_range() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("abide.toml");
    let check = |text: &str| {
        fs::write(&file, text).unwrap();
        run(&["config", "--check", file.to_str().unwrap()])
    };
    refused(
        &check("mailbox_max = 0"),
        &["mailbox_max = 0", "1 to 1048576"],
    );
    refused(
        &check("idle_timeout = 10"),
        &["idle_timeout", "expected a string"],
    );
    refused(&check("idle_timeout = \"10\""), &["line 1", "'10'", "10s"]);
    refused(&check("engine = \"leveldb\""), &["leveldb", "sled"]);
    refused(
        &check("ping_timeout = \"1s\""),
        &["ping_timeout = 1s", "ping_interval = 30s"],
    );
    assert!(check("mailbox_max = 7\n").status.success());
    refused(
        &run(&["config", "--check", "/nowhere/abide.toml"]),
        &["/nowhere/abide.toml", "No such file"],
    );
}

#[test]
fn the_printed_file_is_one_that_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("abide.toml");
    fs::write(&file, run(&["config"]).stdout).unwrap();
    assert!(
        run(&["config", "--check", file.to_str().unwrap()])
            .status
            .success()
    );
}

#[test]
fn flags_go_before_the_environment_before_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("abide.toml");
    fs::write(&file, "mailbox_max = 0\nping_timeout = \"1s\"").unwrap();
    let serve = |environment: &[(&str, &str)], flags: &[&str]| {
        let mut command = command();
        command
            .envs(environment.iter().copied())
            .args(["--config", file.to_str().unwrap()]);
        String::from_utf8(end(command.args(flags)).stderr).unwrap()
    };
    assert!(
        serve(&[], &[]).contains("mailbox_max = 0"),
        "the file is read"
    );
    let said = serve(&[("ABIDE_MAILBOX_MAX", "2000000")], &[]);
    assert!(
        said.contains("mailbox_max = 2000000"),
        "the environment wins: {said}"
    );
    let said = serve(&[("ABIDE_MAILBOX_MAX", "2000000")], &["--mailbox-max", "9"]);
    assert!(
        said.contains("ping_timeout = 1s"),
        "the flag wins, so the next error shows: {said}"
    );
}

#[test]
fn a_port_in_use_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let output = run(&[
        "--listen",
        &address,
        "--admin-listen",
        "127.0.0.1:0",
        "--data",
        data,
    ]);
    refused(&output, &[&address, "another process", "--listen"]);
    let output = run(&[
        "--listen",
        "127.0.0.1:0",
        "--admin-listen",
        &address,
        "--data",
        data,
    ]);
    refused(&output, &[&address, "--admin-listen"]);
}

#[test]
fn a_data_folder_in_use_is_named_with_its_process() {
    let folder = tempfile::tempdir().unwrap();
    let running = Abide::start(folder.path());
    refused(
        &serve(folder.path()),
        &[folder.path().to_str().unwrap(), "in use", "choose another"],
    );
    running.terminate();
    assert!(running.wait().success());
}

#[test]
fn a_folder_of_a_newer_release_or_another_engine_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let running = Abide::start(folder.path());
    running.terminate();
    assert!(running.wait().success());

    let data = folder.path().to_str().unwrap();
    let output = run(&[
        "--listen",
        "127.0.0.1:0",
        "--admin-listen",
        "127.0.0.1:0",
        "--data",
        data,
        "--engine",
        "redb",
    ]);
    refused(&output, &["made with engine sled", "redb"]);

    let format = folder.path().join("FORMAT");
    let text = fs::read_to_string(&format).unwrap();
    fs::write(&format, text.replace('1', "9")).unwrap();
    refused(&serve(folder.path()), &["format 9", "newer"]);
}

#[test]
fn a_folder_that_is_none_or_damaged_is_left_alone() {
    let foreign = tempfile::tempdir().unwrap();
    fs::write(foreign.path().join("thesis.doc"), "precious").unwrap();
    refused(&serve(foreign.path()), &["not a data folder"]);
    assert_eq!(
        fs::read_to_string(foreign.path().join("thesis.doc")).unwrap(),
        "precious"
    );
}

/// Acknowledged commits that cannot be read must stop the start, not be skipped.
#[tokio::test]
async fn a_damaged_log_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let running = Abide::start(folder.path());
    for _ in 0..5 {
        assert_eq!(
            post(running.addr, "/v1/counter/a/increment", r#"{"by":1}"#)
                .await
                .status,
            200
        );
    }
    running.kill();

    let log = fs::read_dir(folder.path().join("log")).unwrap();
    let segment = log
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|extension| extension == "log"))
        .unwrap();
    let mut bytes = fs::read(&segment).unwrap();
    let first = bytes
        .windows(7)
        .position(|window| window == b"counter")
        .unwrap();
    bytes[first] ^= 0x20;
    fs::write(&segment, bytes).unwrap();
    refused(
        &serve(folder.path()),
        &["the log is damaged", segment.to_str().unwrap(), "backup"],
    );
}

#[tokio::test]
async fn each_engine_serves() {
    for engine in ["sled", "redb", "memory"] {
        let folder = tempfile::tempdir().unwrap();
        let flags = ["--engine", engine, "--threads", "1", "--log-format", "json"];
        let running = Abide::start_with(folder.path(), &flags);
        let reply = post(running.addr, "/v1/counter/a/increment", r#"{"by":3}"#).await;
        assert_eq!(reply.json(), 3, "{engine}");
        assert_eq!(get(running.admin_addr, "/readyz").await.status, 200);
        running.terminate();
        assert!(running.wait().success(), "{engine}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn what_cannot_be_written_is_an_error() {
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let output = command().arg("config").stdout(full).output().unwrap();
    refused(&output, &["standard output", "No space left"]);
}
