//! What a run took of the machine.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

/// User and system time of this process.
pub(super) fn cpu_time() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<_> = stat
        .rsplit_once(')')
        .unwrap()
        .1
        .split_whitespace()
        .collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

pub(super) fn rss_mb() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap();
    statm
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        * 4
        / 1_024
}

pub(super) fn disk_mb(path: &Path) -> f64 {
    fn blocks(path: &Path) -> u64 {
        let Ok(metadata) = fs::symlink_metadata(path) else {
            return 0;
        };
        let inside = fs::read_dir(path).into_iter().flatten().flatten();
        metadata.blocks() + inside.map(|entry| blocks(&entry.path())).sum::<u64>()
    }
    blocks(path) as f64 * 512.0 / 1e6
}
