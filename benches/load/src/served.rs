//! A server that the driver starts itself, because it has to be restarted in the middle.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// A server's process on a data folder of its own. Its functions block.
#[derive(Debug)]
pub(crate) struct Served {
    program: PathBuf,
    listen: String,
    data: TempDir,
    child: Child,
}

impl Served {
    /// Starts it; gives back when it listens.
    ///
    /// # Errors
    /// When it does not start.
    pub(crate) fn start(program: PathBuf, listen: String) -> anyhow::Result<Self> {
        let data = tempfile::tempdir()?;
        let child = begin(&program, &listen, &data)?;
        Ok(Self {
            program,
            listen,
            data,
            child,
        })
    }

    /// The process of the moment.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGTERM, and another process on the same folder; gives back when that one listens.
    ///
    /// # Errors
    /// When the drain does not end with 0, or the next process does not start.
    pub(crate) fn restart(&mut self) -> anyhow::Result<()> {
        let pid = Pid::from_raw(self.pid().cast_signed()).context("it has no process id")?;
        kill_process(pid, Signal::TERM)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "the drain ended with {status}");
        self.child = begin(&self.program, &self.listen, &self.data)?;
        Ok(())
    }
}

impl Drop for Served {
    /// Nothing is left behind when a step fails.
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn begin(program: &PathBuf, listen: &str, data: &TempDir) -> anyhow::Result<Child> {
    let mut command = Command::new(program);
    command
        .args(["--listen", listen, "--admin-listen", "127.0.0.1:0"])
        .args(["--log-filter", "warn", "--data"])
        .arg(data.path())
        .stdout(Stdio::piped());
    let mut child = command
        .spawn()
        .with_context(|| format!("{} does not run", program.display()))?;
    let stdout = child.stdout.as_mut().context("it has no standard output")?;
    // The one line that it prints says that it listens.
    let mut greeting = String::new();
    BufReader::new(stdout).read_line(&mut greeting)?;
    ensure!(greeting.contains("http://"), "no greeting: {greeting:?}");
    Ok(child)
}
