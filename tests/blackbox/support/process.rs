//! The real binary.

use std::io::{BufRead, BufReader, Read, copy, sink};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// The server as users run it, in a process of its own.
pub(crate) struct Abide {
    child: Child,
    pub(crate) addr: SocketAddr,
    pub(crate) admin_addr: SocketAddr,
}

/// The command, with nothing of this process's environment that would set something.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_abide"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("ABIDE_") {
            command.env_remove(name);
        }
    }
    command
}

/// Runs a command that must end by itself: one that begins to serve instead is a failure.
pub(crate) fn run(arguments: &[&str]) -> Output {
    end(command().args(arguments))
}

/// The same for a command with an environment.
pub(crate) fn end(command: &mut Command) -> Output {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if line.contains(" on http://") {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("it serves: {line}");
        }
        stdout.extend_from_slice(line.as_bytes());
        stdout.push(b'\n');
    }
    Output {
        stdout,
        ..child.wait_with_output().unwrap()
    }
}

impl Abide {
    /// Starts it on free ports; returns when it says that it is ready.
    pub(crate) fn start(data: &Path) -> Self {
        Self::start_with(data, &[])
    }

    /// The same with more flags.
    pub(crate) fn start_with(data: &Path, flags: &[&str]) -> Self {
        let mut child = command()
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--admin-listen",
                "127.0.0.1:0",
                "--data",
            ])
            .arg(data)
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut greeting = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut greeting)
            .unwrap();
        let mut addresses = greeting
            .split("http://")
            .skip(1)
            .map(|rest| rest.split(',').next().unwrap());
        let mut next = || {
            addresses
                .next()
                .and_then(|address| address.trim().parse().ok())
        };
        match (next(), next()) {
            (Some(addr), Some(admin_addr)) => {
                // A pipe that is full and read by nobody would stop the server at its next log line.
                let mut log = child.stderr.take().unwrap();
                std::thread::spawn(move || copy(&mut log, &mut sink()));
                Self {
                    child,
                    addr,
                    admin_addr,
                }
            }
            _ => {
                let mut said = String::new();
                child
                    .stderr
                    .take()
                    .unwrap()
                    .read_to_string(&mut said)
                    .unwrap();
                panic!("not ready: {greeting:?} {said}")
            }
        }
    }

    pub(crate) fn terminate(&self) {
        kill_process(self.pid(), Signal::TERM).unwrap();
    }

    /// As a power cut does it, except that the disk's cache survives.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// Memory it has in use, bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1_024
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed()).unwrap()
    }
}

impl Drop for Abide {
    /// A failed test leaves no process behind.
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
