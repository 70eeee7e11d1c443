//! The server's process and the one request that shows that it serves.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use abide_storage::EngineKind;
use anyhow::{Context, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::fill;

/// A server that has answered.
pub(crate) struct Abide {
    child: Child,
    addr: SocketAddr,
}

impl Abide {
    /// Starts it and asks for one of the counters; the time until that was answered.
    ///
    /// # Errors
    /// When it does not start or does not answer with 200.
    pub(crate) fn start(
        program: &Path,
        data: &Path,
        engine: EngineKind,
        object: u64,
    ) -> anyhow::Result<(Self, Duration)> {
        let mut command = Command::new(program);
        command
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(["--admin-listen", "127.0.0.1:0", "--log-filter", "warn"])
            .args(["--engine", engine.as_str(), "--data"])
            .arg(data)
            .stdout(Stdio::piped());
        let started = Instant::now();
        let mut child = command
            .spawn()
            .with_context(|| format!("{} does not run", program.display()))?;
        let mut greeting = String::new();
        let stdout = child.stdout.as_mut().context("it has no standard output")?;
        BufReader::new(stdout).read_line(&mut greeting)?;
        let addr = greeting.split("http://").nth(1);
        let addr = addr.and_then(|rest| rest.split(',').next()?.parse().ok());
        let addr = addr.with_context(|| format!("no address in its greeting: {greeting:?}"))?;
        let abide = Self { child, addr };
        let mut connection = Connection::open(addr)?;
        connection.request(
            "GET",
            &format!("/v1/counter/{}/get", fill::name(object)),
            "",
        )?;
        Ok((abide, started.elapsed()))
    }

    /// Where it listens.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// SIGTERM, and waits for its end.
    ///
    /// # Errors
    /// When it does not end with 0.
    pub(crate) fn terminate(mut self) -> anyhow::Result<()> {
        let pid = Pid::from_raw(self.child.id().cast_signed()).context("it has no process id")?;
        kill_process(pid, Signal::TERM)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "it ended with {status}");
        Ok(())
    }

    /// SIGKILL.
    ///
    /// # Errors
    /// When there is no such process any more.
    pub(crate) fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Abide {
    /// Nothing is left behind when a step fails.
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A kept-alive connection.
pub(crate) struct Connection(BufReader<TcpStream>);

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens.
    pub(crate) fn open(addr: SocketAddr) -> anyhow::Result<Self> {
        let socket = TcpStream::connect(addr)?;
        socket.set_nodelay(true)?;
        Ok(Self(BufReader::new(socket)))
    }

    /// One request, answered with 200.
    ///
    /// # Errors
    /// When it is not.
    pub(crate) fn request(&mut self, method: &str, path: &str, json: &str) -> anyhow::Result<()> {
        let size = json.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: {size}\r\n\r\n{json}"
        );
        self.0.get_mut().write_all(request.as_bytes())?;
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        ensure!(
            line.starts_with("HTTP/1.1 200 "),
            "{path} was answered with {line:?}"
        );
        let mut body_size = 0;
        while line != "\r\n" {
            line.clear();
            ensure!(
                self.0.read_line(&mut line)? > 0,
                "the response ended in its head"
            );
            if let Some(size) = line.strip_prefix("content-length: ") {
                body_size = size.trim().parse()?;
            }
        }
        self.0.read_exact(&mut vec![0; body_size])?;
        Ok(())
    }
}
