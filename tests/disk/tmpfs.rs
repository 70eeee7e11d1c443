//! A small file system in memory, and what fills it up.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rustix::fs::{FallocateFlags, fallocate, statvfs};
use rustix::io::Errno;

const MIB: u64 = 1 << 20;

/// A mounted file system; unmounted when it is dropped.
pub(crate) struct Tmpfs {
    folder: tempfile::TempDir,
}

impl Tmpfs {
    /// Mounts one, or says aloud that the test is skipped.
    pub(crate) fn mount(size_mib: u64) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let options = format!("size={size_mib}m,nr_inodes=256,mode=755");
        let output = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(folder.path())
            .output();
        let problem = match output {
            Ok(Output { status, .. }) if status.success() => return Some(Self { folder }),
            Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
            Err(error) => error.to_string(),
        };
        skip(&format!("no file system could be mounted: {problem}"));
        None
    }

    /// The data folder of a server.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Makes everything on it read-only; no file may be open for writing.
    pub(crate) fn make_read_only(&self) {
        let mount = Command::new("mount")
            .args(["-o", "remount,ro"])
            .arg(self.folder.path())
            .status();
        assert!(mount.unwrap().success());
    }

    /// Takes all space but this much.
    pub(crate) fn fill_but(&self, left_mib: u64) -> Ballast {
        let ballast = Ballast(self.folder.path().join("ballast"));
        let file = File::create_new(&ballast.0).unwrap();
        let mut size = 0;
        loop {
            let excess = self.available().saturating_sub(left_mib * MIB);
            if excess == 0 {
                return ballast;
            }
            match fallocate(&file, FallocateFlags::empty(), size, excess) {
                Ok(()) => size += excess,
                // The server was quicker: what there is now is less.
                Err(Errno::NOSPC) => {}
                Err(error) => panic!("the ballast cannot grow: {error}"),
            }
        }
    }

    /// Takes every inode there is, so that no file can be made although there is space.
    pub(crate) fn fill_inodes(&self) -> Ballast {
        let ballast = Ballast(self.folder.path().join("ballast"));
        fs::create_dir(&ballast.0).unwrap();
        for number in 0.. {
            if File::create_new(ballast.0.join(number.to_string())).is_err() {
                break;
            }
        }
        ballast
    }

    fn available(&self) -> u64 {
        let disk = statvfs(self.folder.path()).unwrap();
        disk.f_bavail * disk.f_frsize
    }
}

impl Drop for Tmpfs {
    /// Lazily: a failed test may still have files open, and must leave no mount behind.
    fn drop(&mut self) {
        drop(
            Command::new("umount")
                .arg("-l")
                .arg(self.folder.path())
                .status(),
        );
    }
}

/// What takes the space; dropping it gives the space back.
pub(crate) struct Ballast(PathBuf);

impl Drop for Ballast {
    fn drop(&mut self) {
        let removed = if self.0.is_dir() {
            fs::remove_dir_all(&self.0)
        } else {
            fs::remove_file(&self.0)
        };
        removed.unwrap();
    }
}

/// Tells people, also when the test harness keeps the output of tests that pass to itself.
pub(crate) fn skip(reason: &str) {
    writeln!(std::io::stderr(), "skipped: {}", reason.trim_end()).unwrap();
}

/// Whether everybody may go into a folder and all those above it.
pub(crate) fn is_open_to_all(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.ancestors()
        .filter(|folder| !folder.as_os_str().is_empty())
        .all(|folder| {
            fs::metadata(folder).is_ok_and(|found| found.permissions().mode() & 0o001 != 0)
        })
}
