//! The binary on a disk that may be full.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::http::{Response, get, post};

/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A running server. Its log goes to a file on another disk: a pipe that nobody reads would stop
/// it, and there is much to be said about a full disk.
pub(crate) struct Abide {
    child: Child,
    log: PathBuf,
    _folder: tempfile::TempDir,
    pub(crate) addr: SocketAddr,
    admin_addr: SocketAddr,
}

/// `abide serve` on free ports, deaf to this process's environment.
pub(crate) fn command(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_abide"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("ABIDE_") {
            command.env_remove(name);
        }
    }
    command
        .args(["serve", "--listen", "127.0.0.1:0"])
        .args(["--admin-listen", "127.0.0.1:0", "--data"])
        .arg(data);
    command
}

impl Abide {
    /// Returns when it says that it is ready.
    pub(crate) fn start(data: &Path, engine: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut child = command(data)
            .args(["--engine", engine])
            .stdout(Stdio::piped())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut greeting = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut greeting)
            .unwrap();
        let mut addresses = greeting.split("http://").skip(1).map(|rest| {
            rest.split(',')
                .next()
                .and_then(|addr| addr.trim().parse().ok())
        });
        match (addresses.next().flatten(), addresses.next().flatten()) {
            (Some(addr), Some(admin_addr)) => Self {
                child,
                log,
                _folder: folder,
                addr,
                admin_addr,
            },
            _ => panic!(
                "not ready: {greeting:?} {}",
                fs::read_to_string(log).unwrap()
            ),
        }
    }

    /// What `/readyz` answers.
    pub(crate) async fn readiness(&self) -> Response {
        get(self.admin_addr, "/readyz").await
    }

    /// Adds one to a counter nobody else uses; the answer.
    pub(crate) async fn write(&self) -> Response {
        post(self.addr, "/v1/counter/bystander/increment", r#"{"by":1}"#).await
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM; how it ended.
    pub(crate) fn terminate(mut self) -> ExitStatus {
        let pid = rustix::process::Pid::from_raw(self.child.id().cast_signed()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap()
    }
}

impl Drop for Abide {
    /// A failed test leaves no process behind.
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Looks again and again until there is an answer; fails the test when there is none in time.
pub(crate) async fn until<T>(
    what: &str,
    within: Duration,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            sleep(LOOK_EVERY).await;
        }
    };
    timeout(within, looking)
        .await
        .unwrap_or_else(|_| panic!("not within {within:?}: {what}"))
}
