//! `abide backup`, `abide restore` and `abide history` from outside: a server under load, killed ones,
//! and folders that are something else.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::support::PATIENCE;
use crate::support::http::{get, post};
use crate::support::process::{Abide, command, end, run};

const COUNTERS: usize = 4;

fn said(output: &Output) -> String {
    [&output.stdout[..], &output.stderr]
        .map(String::from_utf8_lossy)
        .concat()
}

#[track_caller]
fn done(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", said(output));
    said(output)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn admin(server: &Abide) -> String {
    format!("http://{}", server.admin_addr)
}

fn backup(server: &Abide, to: &Path) -> Output {
    run(&["backup", "--to", text(to), "--admin", &admin(server)])
}

/// Counters that are incremented all the time, and what their clients have been told.
struct Load {
    told: Arc<[AtomicU64; COUNTERS]>,
    stop: Arc<AtomicBool>,
    clients: JoinSet<()>,
}

impl Load {
    fn on(addr: SocketAddr) -> Self {
        let told: Arc<[AtomicU64; COUNTERS]> = Arc::default();
        let stop = Arc::new(AtomicBool::new(false));
        let client = |number: usize| {
            let (told, stop) = (told.clone(), stop.clone());
            async move {
                while !stop.load(Ordering::SeqCst) {
                    let path = format!("/v1/counter/{number}/increment");
                    let reply = post(addr, &path, r#"{"by": 1}"#).await;
                    assert_eq!(reply.status, 200);
                    told[number].fetch_add(1, Ordering::SeqCst);
                }
            }
        };
        let mut clients = JoinSet::new();
        for number in 0..COUNTERS {
            clients.spawn(client(number));
        }
        Self {
            told,
            stop,
            clients,
        }
    }

    fn told(&self) -> [u64; COUNTERS] {
        std::array::from_fn(|number| self.told[number].load(Ordering::SeqCst))
    }

    async fn told_at_least(&self, count: u64) {
        let telling = async {
            while self.told().iter().any(|told| *told < count) {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(PATIENCE, telling)
            .await
            .expect("calls are answered");
    }

    async fn end(self) -> [u64; COUNTERS] {
        self.stop.store(true, Ordering::SeqCst);
        let told = self.told.clone();
        self.clients.join_all().await;
        std::array::from_fn(|number| told[number].load(Ordering::SeqCst))
    }
}

async fn counted(addr: SocketAddr) -> [u64; COUNTERS] {
    let mut counted = [0; COUNTERS];
    for (number, counted) in counted.iter_mut().enumerate() {
        let reply = get(addr, &format!("/v1/counter/{number}/get")).await;
        *counted = serde_json::from_slice(&reply.body).unwrap();
    }
    counted
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

/// Restores, checks, serves and counts.
async fn restored(from: &Path, more: &[&str]) -> [u64; COUNTERS] {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("restored");
    let restore = ["restore", "--from", text(from), "--data", text(&data)];
    done(&run(&[&restore, more].concat()));
    assert!(done(&run(&["check", "--data", text(&data)])).ends_with("sound\n"));
    let engine = more.iter().position(|word| *word == "--engine");
    let engine = engine.map_or("sled", |at| more[at + 1]);
    let server = Abide::start_with(&data, &["--engine", engine]);
    counted(server.addr).await
}

#[tokio::test(flavor = "multi_thread")]
async fn backups_of_a_server_under_load_have_all_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let (data, to) = (folder.path().join("data"), folder.path().join("backups"));
    let server = Arc::new(Abide::start(&data));
    let load = Load::on(server.addr);
    load.told_at_least(20).await;
    for round in 0..2 {
        let before = load.told();
        let (server, folder) = (server.clone(), to.clone());
        let output = blocking(move || backup(&server, &folder)).await;
        let said = done(&output);
        assert_eq!(said.contains("a base of "), round == 0, "{said}");
        let after = load.told();
        let found = restored(&to, &[]).await;
        for number in 0..COUNTERS {
            // One more may have been committed and not told yet.
            let range = before[number]..=after[number] + 1;
            assert!(
                range.contains(&found[number]),
                "{found:?}: {before:?} to {after:?}"
            );
        }
    }

    // The server dies in the middle of a backup, or before, or after: nothing is harmed.
    let told = load.end().await;
    let mut third = command();
    let third = third.args(["backup", "--full", "--to", text(&to), "--admin"]);
    let third = third
        .arg(admin(&server))
        .stderr(Stdio::null())
        .stdout(Stdio::null());
    let mut third = third.spawn().unwrap();
    Arc::into_inner(server).unwrap().kill();
    assert!(matches!(third.wait().unwrap().code(), Some(0 | 3 | 4)));
    done(&run(&["backup", "--verify", text(&to)]));

    // What nobody serves is backed up by its folder.
    let said = done(&run(&["backup", "--to", text(&to), "--data", text(&data)]));
    assert!(said.contains("up to commit"), "{said}");
    assert_eq!(restored(&to, &["--engine", "redb"]).await, told);
    done(&run(&["backup", "--verify", text(&to)]));
}

#[tokio::test]
async fn a_state_of_the_past_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let (data, to) = (folder.path().join("data"), folder.path().join("backups"));
    let server = Abide::start(&data);
    for number in 0..COUNTERS {
        let path = format!("/v1/counter/{number}/increment");
        post(server.addr, &path, r#"{"by": 5}"#).await;
    }
    done(&backup(&server, &to));
    let path = "/v1/counter/0/increment";
    post(server.addr, path, r#"{"by": 100}"#).await;
    done(&backup(&server, &to));
    assert_eq!(restored(&to, &["--at", "4"]).await, [5, 5, 5, 5]);
    assert_eq!(restored(&to, &["--at", "5"]).await, [105, 5, 5, 5]);
    assert_eq!(
        restored(&to, &["--at", "9000-01-01T00:00:00Z"]).await,
        [105, 5, 5, 5]
    );

    // The running server tells what it has itself; its folder, stopped, is restored from like backups.
    let history = done(&run(&["history", "--admin", &admin(&server)]));
    assert!(
        history.contains("can be restored: everything up to commit 5 ("),
        "{history}"
    );
    server.kill();
    assert_eq!(restored(&data, &["--at", "2"]).await, [5, 5, 0, 0]);
    let history = done(&run(&["history", "--from", text(&to)]));
    assert!(history.contains("1 bases"), "{history}");
}

#[tokio::test]
async fn one_object_goes_back_into_the_running_server() {
    let folder = tempfile::tempdir().unwrap();
    let (data, to) = (folder.path().join("data"), folder.path().join("backups"));
    let server = Abide::start(&data);
    for number in [0, 0, 1] {
        let path = format!("/v1/counter/{number}/increment");
        post(server.addr, &path, r#"{"by": 5}"#).await;
    }
    done(&backup(&server, &to));
    let file = folder.path().join("0.json");
    let restore = ["restore", "--from", text(&to), "--object"];
    let to_file = ["counter/0", "--at", "3", "--to-json", text(&file)];
    post(server.addr, "/v1/counter/0/increment", r#"{"by": 100}"#).await;
    post(server.addr, "/v1/counter/1/increment", r#"{"by": 1}"#).await;
    done(&run(&[&restore[..], &to_file].concat()));
    let import = [
        "import",
        text(&file),
        "--replace",
        "--admin",
        &admin(&server),
    ];
    done(&run(&import));
    assert_eq!(counted(server.addr).await, [10, 6, 0, 0]);

    let absent = run(&[&restore[..], &["counter/9"]].concat());
    assert_eq!(absent.status.code(), Some(1));
    assert!(
        said(&absent).contains("counter/9 does not exist"),
        "{}",
        said(&absent)
    );
}

#[tokio::test]
async fn what_cannot_be_is_refused_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (data, to) = (folder.path().join("data"), folder.path().join("backups"));
    let server = Abide::start(&data);
    post(server.addr, "/v1/counter/0/increment", r#"{"by": 1}"#).await;
    done(&backup(&server, &to));
    let refused = |arguments: &[&str], words: &str| {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(
            said(&output).contains(words),
            "{words} in {}",
            said(&output)
        );
    };
    refused(
        &["backup", "--to", text(&data), "--admin", &admin(&server)],
        "backup-refused",
    );
    refused(
        &["backup", "--to", text(&to), "--data", text(&data)],
        "in use by process",
    );
    refused(
        &["restore", "--from", text(&to), "--data", text(&data)],
        "is not empty",
    );
    let new = folder.path().join("new");
    let restore = ["restore", "--from", text(&to), "--data", text(&new)];
    refused(
        &[&restore[..], &["--at", "7"]].concat(),
        "commit 7 is not retained",
    );
    refused(
        &[&restore[..], &["--engine", "memory"]].concat(),
        "sled or redb",
    );
    refused(&["backup", "--verify", text(&data)], "no folder of backups");
    assert!(!new.exists());

    let memory = Abide::start_with(&folder.path().join("memory"), &["--engine", "memory"]);
    refused(
        &["backup", "--to", text(&new), "--admin", &admin(&memory)],
        "in memory only",
    );
    let malformed = end(command().args([&restore[..], &["--at", "yesterday"]].concat()));
    assert_eq!(malformed.status.code(), Some(2));
}
