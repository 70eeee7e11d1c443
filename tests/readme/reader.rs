//! Does what a block says.

use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::block::{Block, matches};

/// The longest a block may take: one with `cargo run` compiles the server first.
const BLOCK_DEADLINE: Duration = Duration::from_secs(400);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The ports of the README, in the order of `Reader::ports`.
const PORTS: [&str; 2] = ["7878", "7879"];

/// What the script prints that stays.
const STAYS: &str = "stays.txt";

/// How the server of a clone is started, in its folder.
const RUN_THE_CLONE: &str = "cargo run --release";
/// Where the README clones from.
const CLONE_URL: &str = "https://github.com/abide-rs/abide";

/// What every manifest of the README gets: its own workspace, and the profile of this one, so that
/// the dependencies are those that are built already.
const PACKAGE: &str = r#"
[package]
name = "NAME"
version = "0.0.0"
edition = "2024"

[workspace]

[profile.dev]
debug = "line-tables-only"
"#;

/// Somebody who does what the README says, in a folder of their own.
pub(crate) struct Reader {
    /// Of the package in the folder: pages are read at one time, and share a folder for what is built.
    name: &'static str,
    folder: tempfile::TempDir,
    ports: [u16; 2],
    server: Option<Child>,
    /// A script that runs beside the other blocks; it prints into [`STAYS`].
    stays: Option<Child>,
    /// What the last block printed; `None` when it did not run to its end.
    printed: Option<String>,
}

/// What came of a block instead of what the README promises.
type Problem = String;

impl Reader {
    /// Somebody with the built `abide` at hand and an empty folder.
    pub(crate) fn new(name: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("bin")).unwrap();
        fs::create_dir(folder.path().join("src")).unwrap();
        symlink(env!("CARGO_BIN_EXE_abide"), folder.path().join("bin/abide")).unwrap();
        // Held together, so that they differ.
        let held = PORTS.map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
        let ports = held.map(|listener| listener.local_addr().unwrap().port());
        Self {
            name,
            folder,
            ports,
            server: None,
            stays: None,
            printed: None,
        }
    }

    /// Does what the block says.
    pub(crate) fn follow(&mut self, block: &Block) -> Result<(), Problem> {
        let mut text = block.text.clone();
        for (theirs, ours) in PORTS.iter().zip(self.ports) {
            text = text.replace(theirs, &ours.to_string());
        }
        if block.fence.starts_with("sh") {
            // The clone is of this repository, and its server is built already.
            let clone = format!("--quiet {} abide", repository().display());
            text = text.replace(CLONE_URL, &clone);
            if text.starts_with(RUN_THE_CLONE) {
                text.insert_str(0, "cd abide && "); // where the block before has led the reader
            }
            text = text.replace(RUN_THE_CLONE, "abide");
        }
        match block.fence.as_str() {
            "sh" => self.run("bash", &["-euo", "pipefail", "-c", &text]),
            "sh server" => self.start_server(&text),
            "text output" | "json output" => self.compare(&text),
            "toml" => self.manifest(&text),
            "rust" => {
                self.write("src/main.rs", &text);
                self.run("cargo", &["build", "--quiet", "--bin", self.name])
            }
            "js" => self.node(&text),
            "text output of the one that stays" => {
                self.wait_for_the_one_that_stays()?;
                self.compare(&text)
            }
            other => match other.strip_prefix("js stays after: ") {
                Some(words) => self.node_that_stays(&text, words),
                None => self.pass_over(other),
            },
        }
    }

    /// A block that only shows something, or says why it cannot run here.
    fn pass_over(&mut self, fence: &str) -> Result<(), Problem> {
        self.printed = None;
        if let Some(reason) = fence.strip_prefix("sh skip:") {
            eprintln!("  skipped:{reason}");
        } else if ["sh", "toml", "rust", "js"]
            .contains(&fence.split(' ').next().unwrap_or_default())
        {
            return Err("this test does not know what to do with this fence".to_owned());
        }
        Ok(())
    }

    /// Runs a program to its end and keeps what it printed.
    fn run(&mut self, program: &str, arguments: &[&str]) -> Result<(), Problem> {
        let mut command = self.command("timeout");
        command.arg(BLOCK_DEADLINE.as_secs().to_string());
        let Output {
            status,
            stdout,
            stderr,
        } = command.arg(program).args(arguments).output().unwrap();
        let stdout = String::from_utf8_lossy(&stdout).into_owned();
        if !status.success() {
            return Err(format!(
                "{status}\n{stdout}{}",
                String::from_utf8_lossy(&stderr)
            ));
        }
        self.printed = Some(stdout);
        Ok(())
    }

    fn compare(&self, wanted: &str) -> Result<(), Problem> {
        match &self.printed {
            Some(printed) if !matches(wanted.trim(), printed.trim()) => {
                Err(format!("but this was printed:\n{printed}"))
            }
            _ => Ok(()),
        }
    }

    fn start_server(&mut self, script: &str) -> Result<(), Problem> {
        self.stop_server()?;
        self.printed = None;
        let mut command = self.command("bash");
        // A group of its own, because the script may start the server as a process below itself.
        command
            .args(["-euo", "pipefail", "-c", script])
            .process_group(0);
        let server = self.server.insert(command.spawn().unwrap());
        let deadline = Deadline::new();
        while TcpStream::connect(("127.0.0.1", self.ports[0])).is_err() {
            if let Some(status) = server.try_wait().unwrap() {
                self.server = None;
                return Err(format!("it ended with {status} before it listened"));
            }
            deadline.look_again("it does not listen")?;
        }
        Ok(())
    }

    /// Ends the server that runs, if one does, as an operator would.
    pub(crate) fn stop_server(&mut self) -> Result<(), Problem> {
        let Some(server) = &mut self.server else {
            return Ok(());
        };
        signal(server, Signal::TERM);
        let deadline = Deadline::new();
        let status = loop {
            match server.try_wait().unwrap() {
                Some(status) => break status,
                None => deadline.look_again("the server did not end after SIGTERM")?,
            }
        };
        self.server = None;
        if !status.success() {
            return Err(format!("after SIGTERM the server ended with {status}"));
        }
        Ok(())
    }

    /// Takes our packages from here, and the others in the versions this workspace uses.
    fn manifest(&self, text: &str) -> Result<(), Problem> {
        let mut given: toml::Table = text.parse().map_err(|error| format!("{error}"))?;
        let dependencies = given
            .get_mut("dependencies")
            .and_then(toml::Value::as_table_mut)
            .ok_or("there are no dependencies")?;
        let mut are_ours = 0;
        for (name, folder) in [("abide", ""), ("abide-client", "clients/rust")] {
            let Some(dependency) = dependencies.get_mut(name) else {
                continue;
            };
            let mut ours = dependency.as_table().cloned().unwrap_or_default();
            ours.retain(|key, _| !["version", "git", "path"].contains(&key));
            let path = repository().join(folder);
            ours.insert("path".to_owned(), path.to_str().unwrap().into());
            *dependency = ours.into();
            are_ours += 1;
        }
        if are_ours == 0 {
            return Err("there is no dependency on abide or abide-client".to_owned());
        }
        given.remove("package");
        let package = PACKAGE.replace("NAME", self.name);
        self.write("Cargo.toml", &format!("{given}{package}"));
        fs::copy(
            repository().join("Cargo.lock"),
            self.folder.path().join("Cargo.lock"),
        )
        .unwrap();
        Ok(())
    }

    fn node(&mut self, text: &str) -> Result<(), Problem> {
        if !self.has_packages() {
            self.printed = None;
            return Ok(());
        }
        self.write("script.mjs", text);
        self.run("node", &["script.mjs"])
    }

    fn node_that_stays(&mut self, text: &str, words: &str) -> Result<(), Problem> {
        self.printed = None;
        if !self.has_packages() {
            return Ok(());
        }
        self.write("stays.mjs", text);
        let path = self.folder.path().join(STAYS);
        let output = fs::File::create(&path).unwrap();
        let mut command = self.command("node");
        command.arg("stays.mjs").stdout(output);
        let staying = self.stays.insert(command.spawn().unwrap());
        let deadline = Deadline::new();
        while !fs::read_to_string(&path).unwrap().contains(words) {
            if let Some(status) = staying.try_wait().unwrap() {
                return Err(format!("it ended with {status}"));
            }
            deadline.look_again("it does not say so")?;
        }
        Ok(())
    }

    /// What it has printed is what was printed last.
    fn wait_for_the_one_that_stays(&mut self) -> Result<(), Problem> {
        self.printed = None;
        let Some(staying) = &mut self.stays else {
            return Ok(());
        };
        let deadline = Deadline::new();
        let status = loop {
            match staying.try_wait().unwrap() {
                Some(status) => break status,
                None => deadline.look_again("it does not end")?,
            }
        };
        self.stays = None;
        let printed = fs::read_to_string(self.folder.path().join(STAYS)).unwrap();
        if !status.success() {
            return Err(format!("{status}\n{printed}"));
        }
        self.printed = Some(printed);
        Ok(())
    }

    /// Whether scripts find the packages they import.
    fn has_packages(&self) -> bool {
        let link = self.folder.path().join("node_modules");
        if link.exists() {
            return true;
        }
        let packages = repository().join("tests/clients/node_modules");
        let client = repository().join("clients/typescript");
        for (there, what) in [
            (&packages, "tests/clients has no packages (npm ci)"),
            (
                &client.join("dist"),
                "clients/typescript is not built (npm run build)",
            ),
        ] {
            if !there.exists() {
                eprintln!("  skipped: {what}");
                return false;
            }
        }
        fs::create_dir(&link).unwrap();
        for package in fs::read_dir(packages).unwrap() {
            let package = package.unwrap();
            symlink(package.path(), link.join(package.file_name())).unwrap();
        }
        symlink(client, link.join("abide-client")).unwrap();
        true
    }

    /// A command in the folder, which finds `abide`, builds offline and knows the ports.
    fn command(&self, program: &str) -> Command {
        let folder = self.folder.path();
        let mut path = folder.join("bin").into_os_string();
        path.push(":");
        path.push(env::var_os("PATH").unwrap());
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        let mut command = Command::new(program);
        command
            .current_dir(folder)
            .stdin(Stdio::null())
            .env("PATH", path);
        command
            .env("CARGO_NET_OFFLINE", "true")
            .env("CARGO_TARGET_DIR", target);
        for (name, port) in ["ABIDE_LISTEN", "ABIDE_ADMIN_LISTEN"]
            .iter()
            .zip(self.ports)
        {
            command.env(name, format!("127.0.0.1:{port}"));
        }
        command
    }

    fn write(&self, path: &str, text: &str) {
        fs::write(self.folder.path().join(path), text).unwrap();
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(server) = &mut self.server {
            signal(server, Signal::KILL);
            server.wait().unwrap();
        }
        if let Some(staying) = &mut self.stays {
            staying.kill().unwrap();
            staying.wait().unwrap();
        }
    }
}

fn signal(server: &Child, signal: Signal) {
    // It may have ended by itself just now.
    kill_process_group(Pid::from_child(server), signal).unwrap_or_default();
}

/// The root of the repository.
pub(crate) fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Until when to look again.
struct Deadline(Instant);

impl Deadline {
    #[expect(
        clippy::disallowed_methods,
        reason = "other processes live in real time"
    )]
    fn new() -> Self {
        Self(Instant::now() + BLOCK_DEADLINE)
    }

    fn look_again(&self, problem: &str) -> Result<(), Problem> {
        if !self.0.elapsed().is_zero() {
            return Err(format!("{problem} after {BLOCK_DEADLINE:?}"));
        }
        thread::sleep(LOOK_EVERY);
        Ok(())
    }
}
