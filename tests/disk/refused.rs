//! Folders that cannot be a data folder: one message that names the folder and the reason, exit code 1.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::server::{Abide, command};
use crate::tmpfs::{Tmpfs, is_open_to_all, skip};

/// The user that owns nothing.
const NOBODY: u32 = 65_534;

#[test]
fn a_path_that_is_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "precious").unwrap();
    refused(&run(command(&file)), &file, "is a file");
    let below = file.join("data");
    refused(&run(command(&below)), &below, "Not a directory");
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
}

#[test]
fn a_file_system_that_is_read_only() {
    let Some(disk) = Tmpfs::mount(160) else {
        return;
    };
    assert_eq!(
        Abide::start(&disk.data(), "sled").terminate().code(),
        Some(0)
    );
    disk.make_read_only();
    let absent = disk.data().with_file_name("absent");
    for data in [disk.data(), absent] {
        refused(&run(command(&data)), &data, "Read-only file system");
    }
}

#[test]
fn a_folder_of_somebody_else() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    // One that may not be entered, and one that is absent where it may not be made.
    assert_eq!(Abide::start(&data, "sled").terminate().code(), Some(0));
    set_mode(&data, 0o000);
    set_mode(folder.path(), 0o555);
    for data in [&data, &folder.path().join("absent")] {
        if let Some(command) = as_nobody(command(data)) {
            refused(&run(command), data, "Permission denied");
        }
    }
    // So that it can be removed.
    set_mode(folder.path(), 0o755);
    set_mode(&data, 0o755);
}

/// The command without the rights of root, to whom every folder is open.
fn as_nobody(mut command: Command) -> Option<Command> {
    if rustix::process::geteuid().is_root() {
        if !is_open_to_all(Path::new(command.get_program())) {
            skip("another user cannot reach the program");
            return None;
        }
        command.uid(NOBODY).gid(NOBODY);
    }
    Some(command)
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Runs it to its end; fails when it serves instead.
fn run(mut command: Command) -> Output {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut greeting = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut greeting)
        .unwrap();
    if !greeting.is_empty() {
        child.kill().unwrap();
        child.wait().unwrap();
        panic!("it serves: {greeting}");
    }
    child.wait_with_output().unwrap()
}

#[track_caller]
fn refused(output: &Output, data: &Path, reason: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let wanted = format!("error: {}", data.display());
    assert!(said.starts_with(&wanted), "{said}");
    assert!(said.contains(reason), "{reason} in {said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}
