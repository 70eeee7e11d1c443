//! Damaged data folders, from outside: the server says what is wrong, where, and which commands mend it; and they do.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Output;

use crate::support::http::post;
use crate::support::process::{Abide, run};

const OBJECTS: u32 = 5;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn said(output: &Output) -> String {
    [&output.stdout[..], &output.stderr]
        .map(String::from_utf8_lossy)
        .concat()
}

/// Five counters at five, all of it in the log.
async fn killed(data: &Path) {
    let running = Abide::start(data);
    for _ in 0..5 {
        for name in 0..OBJECTS {
            let path = format!("/v1/counter/{name}/increment");
            let reply = post(running.addr, &path, r#"{"by": 1}"#).await;
            assert_eq!(reply.status, 200);
        }
    }
    running.kill();
}

fn start(data: &Path) -> Output {
    let addresses = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    let arguments = [&["serve", "--data", text(data)][..], &addresses].concat();
    run(&arguments)
}

/// Without one the engine is empty, and the log has everything.
fn checkpoint(data: &Path) {
    let running = Abide::start(data);
    running.terminate();
    assert!(running.wait().success());
}

fn segment(data: &Path) -> std::path::PathBuf {
    data.join("log/000000000001.log")
}

fn overwrite(file: &Path, at: u64) {
    let file = fs::OpenOptions::new().write(true).open(file).unwrap();
    file.write_all_at(&[0xff; 8], at).unwrap();
}

#[tokio::test]
async fn every_kind_of_damage_stops_the_start_and_names_its_commands() {
    type Damage = fn(&Path);
    let kinds: [(&str, Damage); 4] = [
        ("000000000001.log at byte 4096", |data| {
            overwrite(&segment(data), 4_096 + 64);
        }),
        ("000000000001.log at byte 0", |data| {
            overwrite(&segment(data), 16);
        }),
        ("does not open", |data| {
            checkpoint(data);
            fs::write(data.join("engine/db"), vec![0xff; 100_000]).unwrap();
        }),
        ("no segment, though the engine is at commit 25", |data| {
            checkpoint(data);
            let log = fs::read_dir(data.join("log")).unwrap();
            log.for_each(|entry| fs::remove_file(entry.unwrap().path()).unwrap());
        }),
    ];
    for (words, damage) in kinds {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path();
        killed(data).await;
        damage(data);
        let output = start(data);
        assert_eq!(output.status.code(), Some(1), "{words}: {}", said(&output));
        let said = said(&output);
        let commands = [
            format!("abide check --data {}", text(data)),
            format!("abide repair --dry-run --data {}", text(data)),
            "abide restore".to_owned(),
        ];
        for words in commands.iter().map(String::as_str).chain([words]) {
            assert!(said.contains(words), "{words} in {said}");
        }
    }
}

/// The way that the messages lead: a start that fails, a check, a dry run, a refusal, a repair, a start.
#[tokio::test]
async fn a_damaged_folder_is_repaired_by_the_commands_it_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    killed(data).await;
    overwrite(&segment(data), 4_096 + 64);
    let data_text = text(data);
    assert_eq!(start(data).status.code(), Some(1));

    let checked = run(&["check", "--data", data_text]);
    assert_eq!(checked.status.code(), Some(1));
    assert!(said(&checked).contains("abide repair --dry-run"));

    let planned = run(&["repair", "--dry-run", "--data", data_text]);
    assert_eq!(planned.status.code(), Some(0), "{}", said(&planned));
    assert!(
        said(&planned).contains("lost: commits 1 to 1"),
        "{}",
        said(&planned)
    );
    assert!(said(&planned).contains("nothing was changed"));

    let refused = run(&["repair", "--data", data_text]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        said(&refused).contains("--accept-loss"),
        "{}",
        said(&refused)
    );
    assert_eq!(start(data).status.code(), Some(1));

    let repaired = run(&["repair", "--accept-loss", "--data", data_text]);
    assert_eq!(repaired.status.code(), Some(0), "{}", said(&repaired));
    assert!(data.join("repair-1/log/000000000001.log").exists());
    let checked = run(&["check", "--data", data_text]);
    assert_eq!(checked.status.code(), Some(0), "{}", said(&checked));
    let again = run(&["repair", "--data", data_text]);
    assert!(said(&again).contains("nothing to repair"));

    let running = Abide::start(data);
    // The first object lost its first commit, and with it those that build on it.
    for (name, value) in [(0, "1"), (1, "6"), (4, "6")] {
        let path = format!("/v1/counter/{name}/increment");
        let reply = post(running.addr, &path, r#"{"by": 1}"#).await;
        assert_eq!((reply.status, reply.text()), (200, value), "{name}");
    }
    running.kill();
}

/// What a repair leaves that loses something and is killed.
#[tokio::test]
async fn a_repair_that_was_cut_short_is_finished_before_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    killed(data).await;
    fs::write(data.join("REPAIRING"), "").unwrap();
    let command = format!("`abide repair --data {}` finishes it", text(data));
    for refused in [start(data), run(&["check", "--data", text(data)])] {
        assert_eq!(refused.status.code(), Some(1));
        assert!(said(&refused).contains(&command), "{}", said(&refused));
    }
    let repaired = run(&["repair", "--data", text(data)]);
    assert!(repaired.status.success(), "{}", said(&repaired));
    let running = Abide::start(data);
    for name in 0..OBJECTS {
        let path = format!("/v1/counter/{name}/increment");
        assert_eq!(post(running.addr, &path, r#"{"by": 1}"#).await.json(), 6);
    }
}
