//! A child process commits under load and is killed at a random moment; the parent opens the same folder
//! and looks for every commit that the child had acknowledged. Takes some seconds: processes start,
//! run for a while and die.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use abide_storage::conformance::{self, Activation, put};
use abide_storage::{Direction, EngineKind, LogStore, Object, Options, Scan, Section, Store};
use bytes::Bytes;

fn object(number: u32) -> Object {
    conformance::object("test", &number.to_string())
}

const WRITERS: u32 = 16;
const KEYS_PER_COMMIT: u64 = 3;
const ROUNDS: usize = 10;
const FOLDER: &str = "ABIDE_KILL_FOLDER";
const ENGINE: &str = "ABIDE_KILL_ENGINE";

fn options(engine: EngineKind) -> Options {
    // Small, so that checkpoints and new segments fall into every round.
    Options {
        engine,
        segment_size_bytes: 2 << 20,
        checkpoint_size_bytes: 512 << 10,
        overlay_size_max_bytes: 8 << 20,
        ..Options::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_commits_survive_sigkill_over_sled() {
    kill_and_check(EngineKind::Sled).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_commits_survive_sigkill_over_redb() {
    kill_and_check(EngineKind::Redb).await;
}

/// Not a test by itself: what the child process runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let Ok(folder) = std::env::var(FOLDER) else {
        return;
    };
    let engine = EngineKind::from_name(&std::env::var(ENGINE).unwrap()).unwrap();
    let store: Arc<dyn Store> = LogStore::open(Path::new(&folder), options(engine)).unwrap();
    let writers = (0..WRITERS).map(|number| commit_forever(store.clone(), number));
    futures_util::future::join_all(writers).await;
}

async fn commit_forever(store: Arc<dyn Store>, number: u32) {
    let mut activation = Activation::open(&store, object(number)).await.unwrap();
    loop {
        store.room().await;
        let version = activation.version.0 + 1;
        let writes = (0..KEYS_PER_COMMIT)
            .map(|key| {
                // From a few bytes to more than a piece of sled, and never the same for long.
                let size = usize::try_from((version * 37 + key * 1_009) % 6_000).unwrap();
                let value = [version.to_string().into_bytes(), vec![b' '; size]].concat();
                put(key.to_string(), Bytes::from(value))
            })
            .collect();
        activation.try_commit(writes).unwrap().await.unwrap();
        // One write per line: the pipe keeps lines of many threads apart.
        let line = format!("ack {number} {version}\n");
        std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
    }
}

async fn kill_and_check(engine: EngineKind) {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = vec![0_u64; WRITERS as usize];
    let mut total = 0;
    for round in 0..ROUNDS {
        let lifetime = Duration::from_millis(fastrand::u64(100..600));
        for (number, version) in run_child(folder.path(), engine, lifetime) {
            total += 1;
            acknowledged[number] = acknowledged[number].max(version);
        }
        let store: Arc<dyn Store> = LogStore::open(folder.path(), options(engine))
            .unwrap_or_else(|error| panic!("{engine} round {round}: {error}"));
        for (number, acknowledged) in (0..).zip(&mut acknowledged) {
            *acknowledged = check(&store, number, *acknowledged).await;
        }
    }
    assert!(
        total > 500,
        "the children acknowledged only {total} commits"
    );
}

fn run_child(folder: &Path, engine: EngineKind, lifetime: Duration) -> Vec<(usize, u64)> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(FOLDER, folder)
        .env(ENGINE, engine.as_str())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let reader = std::thread::spawn(move || {
        let parse = |line: std::io::Result<String>| {
            let line = line.ok()?;
            let (number, version) = line.strip_prefix("ack ")?.split_once(' ')?;
            Some((number.parse().ok()?, version.parse().ok()?))
        };
        output.lines().filter_map(parse).collect()
    });
    std::thread::sleep(lifetime);
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap()
}

/// Everything acknowledged is there, and what is there is whole. Answers the version found.
async fn check(store: &Arc<dyn Store>, number: u32, acknowledged: u64) -> u64 {
    let found = store.open(&object(number)).await.unwrap().version.0;
    assert!(
        found >= acknowledged,
        "object {number}: {acknowledged} acknowledged, {found} found"
    );
    let scan = Scan {
        section: Section::Data,
        start: std::ops::Bound::Unbounded,
        end: std::ops::Bound::Unbounded,
        direction: Direction::Forward,
        limit: usize::MAX,
    };
    let rows = store.scan(&object(number), scan).await.unwrap();
    assert_eq!(
        rows.len() as u64,
        if found == 0 { 0 } else { KEYS_PER_COMMIT }
    );
    for (key, value) in rows {
        let text = String::from_utf8(value.to_vec()).unwrap();
        assert_eq!(
            text.trim_end(),
            found.to_string(),
            "object {number}: {key:?} is torn"
        );
    }
    found
}
