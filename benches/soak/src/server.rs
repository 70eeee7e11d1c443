//! The server's process: started on one port, ended in both ways.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use anyhow::{Context, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::restarts::{How, Restarts};

/// A server that can be ended and started again.
pub(crate) struct Server {
    program: PathBuf,
    data: PathBuf,
    engine: String,
    restarts: Arc<Restarts>,
    /// Chosen at the first start, and kept.
    addr: SocketAddr,
    child: Option<Child>,
}

impl Server {
    /// Starts it on any free port.
    ///
    /// # Errors
    /// When it does not start.
    pub(crate) fn start(
        program: &Path,
        data: &Path,
        engine: &str,
        restarts: Arc<Restarts>,
    ) -> anyhow::Result<Self> {
        let mut server = Self {
            program: program.to_owned(),
            data: data.to_owned(),
            engine: engine.to_owned(),
            restarts,
            addr: SocketAddr::from(([127, 0, 0, 1], 0)),
            child: None,
        };
        server.begin()?;
        Ok(server)
    }

    /// Where it listens, in every run.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Ends this run and begins the next.
    ///
    /// # Errors
    /// When a drain does not end with 0, or the next run does not start.
    pub(crate) fn restart(&mut self, how: How) -> anyhow::Result<()> {
        self.restarts.ended(how);
        self.end(how)?;
        self.begin()
    }

    /// Ends it for good.
    ///
    /// # Errors
    /// When a drain does not end with 0.
    pub(crate) fn end(&mut self, how: How) -> anyhow::Result<()> {
        let mut child = self.child.take().context("the server is running")?;
        match how {
            How::Killed => {
                child.kill()?;
                child.wait()?;
            }
            How::Drained => {
                let pid =
                    Pid::from_raw(child.id().cast_signed()).context("it has no process id")?;
                kill_process(pid, Signal::TERM)?;
                let status = child.wait()?;
                ensure!(status.success(), "the drain ended with {status}");
            }
        }
        Ok(())
    }

    fn begin(&mut self) -> anyhow::Result<()> {
        let mut command = Command::new(&self.program);
        command
            .args([
                "--listen",
                &self.addr.to_string(),
                "--admin-listen",
                "127.0.0.1:0",
            ])
            .args(["--engine", &self.engine, "--log-filter", "warn", "--data"])
            .arg(&self.data)
            .env("ABIDE_SOAK_RUN", self.restarts.next().to_string())
            .stdout(Stdio::piped());
        let child = command
            .spawn()
            .with_context(|| format!("{} does not run", self.program.display()))?;
        let child = self.child.insert(child);
        let stdout = child.stdout.as_mut().context("it has no standard output")?;
        let mut greeting = String::new();
        BufReader::new(stdout).read_line(&mut greeting)?;
        self.restarts.started();
        let addr = greeting.split("http://").nth(1);
        let addr = addr.and_then(|rest| rest.split(',').next()?.trim().parse().ok());
        self.addr = addr.with_context(|| format!("no address in its greeting: {greeting:?}"))?;
        Ok(())
    }
}

impl Drop for Server {
    /// Nothing is left behind when a step fails.
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            drop(child.kill());
            drop(child.wait());
        }
    }
}
