//! Writes meet a full disk: refused whole, nothing acknowledged is lost, and it passes by itself.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::http::{get, send};
use crate::load::{Load, Writer};
use crate::server::{Abide, until};
use crate::tmpfs::Tmpfs;

/// Room for three log segments, the engine, and the reserve of 64 MiB.
const DISK_SIZE_MIB: u64 = 320;
/// Below the reserve, and enough for the engine to finish what it owes.
const LOW_MIB: u64 = 48;
/// How soon writes must go on when there is space again: without a restart, on a busy machine too.
const RECOVERY: Duration = Duration::from_secs(20);
const WRITERS: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_reserve_refuses_writes_in_time_over_sled() {
    the_reserve_refuses_writes_in_time("sled").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_reserve_refuses_writes_in_time_over_redb() {
    the_reserve_refuses_writes_in_time("redb").await;
}

async fn the_reserve_refuses_writes_in_time(engine: &str) {
    let Some(disk) = Tmpfs::mount(DISK_SIZE_MIB) else {
        return;
    };
    let running = Abide::start(&disk.data(), engine);
    let load = Load::start(running.addr, "a", WRITERS).await;
    load.acknowledge(200).await;

    let ballast = disk.fill_but(LOW_MIB);
    load.refuse(4 * WRITERS as u64).await;
    let before = load.acknowledged();
    let refusal = running.write().await;
    refusal.problem(507, "disk-full");
    assert_eq!(refusal.json()["effect"], "none");
    assert_eq!(refusal.header("retry-after"), Some("5"));
    let put = br#"{"key":"k","value":1}"#;
    let json = [("content-type", "application/json")];
    let refusal = send(running.addr, "POST", "/v1/kv/bystander/put", &json, put).await;
    assert_eq!(refusal.json()["effect"], "none");
    load.refuse(50).await;
    assert_eq!(
        load.acknowledged(),
        before,
        "one is refused, another is not"
    );

    for name in ["a-0", "a-1", "never-written"] {
        for path in [
            format!("/v1/counter/{name}/get"),
            format!("/v1/kv/{name}/list"),
        ] {
            assert_eq!(get(running.addr, &path).await.status, 200, "{path}");
        }
    }
    let readiness = running.readiness().await;
    assert_eq!(readiness.status, 503);
    assert!(
        readiness.text().contains("the disk is full"),
        "{readiness:?}"
    );
    assert!(readiness.text().contains("67108864"), "{readiness:?}");

    drop(ballast);
    writes_go_on(&running).await;
    assert_eq!(running.readiness().await.status, 200);
    load.acknowledge(200).await;

    // Killed while it is full, started while it is full: what there is can be read.
    let ballast = disk.fill_but(LOW_MIB);
    load.refuse(4 * WRITERS as u64).await;
    running.kill();
    let writers = load.end().await;
    let running = Abide::start(&disk.data(), engine);
    check(&writers, &running).await;
    running.write().await.problem(507, "disk-full");
    drop(ballast);
    writes_go_on(&running).await;
    assert_eq!(running.terminate().code(), Some(0));
    check(&writers, &Abide::start(&disk.data(), engine)).await;
}

/// The disk has space and no inode to name it by, as with a quota: nothing warns the server, and the
/// log itself fails when it needs its next segment. Over redb, because sled makes a file when it opens;
/// to the log it is the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_without_space_takes_back_what_did_not_fit() {
    let Some(disk) = Tmpfs::mount(DISK_SIZE_MIB) else {
        return;
    };
    Abide::start(&disk.data(), "redb").kill();
    // With a spare at hand the log would need no new file for a long time.
    remove_spares(&disk.data().join("log"));
    let ballast = disk.fill_inodes();
    let running = Abide::start(&disk.data(), "redb");
    let load = Load::start(running.addr, "a", WRITERS).await;
    load.refuse(4 * WRITERS as u64).await;
    assert!(
        running.log().contains("no space for the log"),
        "{}",
        running.log()
    );
    assert!(load.acknowledged() > 0, "the log had room left for none");
    for name in ["a-0", "never-written"] {
        let path = format!("/v1/counter/{name}/get");
        assert_eq!(get(running.addr, &path).await.status, 200);
    }

    drop(ballast);
    writes_go_on(&running).await;
    load.acknowledge(200).await;
    running.kill();
    let writers = load.end().await;
    check(&writers, &Abide::start(&disk.data(), "redb")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_full_from_one_moment_to_the_next_loses_nothing_over_sled() {
    a_disk_that_is_full_from_one_moment_to_the_next_loses_nothing("sled").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_full_from_one_moment_to_the_next_loses_nothing_over_redb() {
    a_disk_that_is_full_from_one_moment_to_the_next_loses_nothing("redb").await;
}

/// Faster than the server looks at the free space: the reserve is gone while log and engine write.
/// An engine that met the end may be of no more use to this process; then readiness must say so, and a
/// restart must find everything.
async fn a_disk_that_is_full_from_one_moment_to_the_next_loses_nothing(engine: &str) {
    let Some(disk) = Tmpfs::mount(DISK_SIZE_MIB) else {
        return;
    };
    for round in 0..4 {
        let running = Abide::start(&disk.data(), engine);
        let load = Load::start(running.addr, &round.to_string(), WRITERS).await;
        // Another moment each round: of a segment, of a checkpoint.
        load.acknowledge(250 + 70 * round).await;
        let ballast = disk.fill_but(0);
        load.refuse(100).await;
        assert_eq!(running.readiness().await.status, 503);
        drop(ballast);
        let settled = async || {
            let readiness = running.readiness().await;
            match readiness.status {
                200 => Some(true),
                _ if readiness.text().contains("the store has failed") => Some(false),
                _ => None,
            }
        };
        if until("it recovers or says that it cannot", RECOVERY, settled).await {
            load.acknowledge(100).await;
        }
        running.kill();
        let writers = load.end().await;
        let running = Abide::start(&disk.data(), engine);
        check(&writers, &running).await;
        writes_go_on(&running).await;
        running.kill();
    }
}

fn remove_spares(log: &Path) {
    for entry in fs::read_dir(log).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "tmp") {
            fs::remove_file(path).unwrap();
        }
    }
}

async fn writes_go_on(running: &Abide) {
    let write = async || (running.write().await.status == 200).then_some(());
    until("writes go on", RECOVERY, write).await;
}

async fn check(writers: &[Writer], running: &Abide) {
    for writer in writers {
        writer.check(running.addr).await;
    }
}
