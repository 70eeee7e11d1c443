//! How much memory there is, and how much this process has.

use std::fs;
use std::path::Path;
use std::time::Duration;

use abide_actors::Memory;

/// Time between two looks at the process's size.
const LOOK_PAUSE: Duration = Duration::from_secs(1);
/// The part of the machine's memory that objects get unless `memory_max` says otherwise. The rest is
/// for the store's caches, the allocator's slack, the kernel's buffers, and other programs.
const SHARE: u64 = 2;
/// Taken for the machine's memory where nobody says how much it is.
const UNKNOWN_BYTES: u64 = 2 << 30;

/// The objects' budget when none is set: half of what the machine has, or of what the process's
/// control group may have, whichever is less.
pub(crate) fn default_budget_bytes() -> usize {
    let machine = fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| machine_bytes(&text));
    let least = machine.into_iter().chain(group_bytes()).min();
    usize::try_from(least.unwrap_or(UNKNOWN_BYTES) / SHARE).unwrap_or(usize::MAX)
}

/// Tells the budget how large the process is, until the server stops. Where the system does not say,
/// what is counted has to do.
pub(crate) async fn watch(memory: &Memory) {
    loop {
        tokio::time::sleep(LOOK_PAUSE).await;
        match resident_bytes() {
            Some(bytes) => memory.set_resident_bytes(bytes),
            None => return,
        }
    }
}

/// Memory this process has in use.
pub(crate) fn resident_bytes() -> Option<usize> {
    let pages = resident_pages(&fs::read_to_string("/proc/self/statm").ok()?)?;
    Some(pages * rustix::param::page_size())
}

/// The second field of proc(5)'s `statm`.
fn resident_pages(statm: &str) -> Option<usize> {
    statm.split_whitespace().nth(1)?.parse().ok()
}

/// `MemTotal` of proc(5)'s `meminfo`, which counts in KiB.
fn machine_bytes(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

/// The smallest limit of the process's control group (version 2) and all above it.
fn group_bytes() -> Option<u64> {
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let root = Path::new("/sys/fs/cgroup");
    let groups = root.join(path);
    let limits = groups
        .ancestors()
        .take_while(|group| group.starts_with(root))
        .filter_map(|group| fs::read_to_string(group.join("memory.max")).ok());
    // "max" is no number, and no limit.
    limits.filter_map(|text| text.trim().parse().ok()).min()
}

#[cfg(test)]
mod tests {
    use super::{default_budget_bytes, machine_bytes, resident_bytes, resident_pages};

    #[test]
    fn the_kernels_words_are_understood() {
        let meminfo = "MemTotal:       24683012 kB\nMemFree:        18566660 kB\n";
        assert_eq!(machine_bytes(meminfo), Some(24_683_012 << 10));
        assert_eq!(resident_pages("9154 2311 1904 5 0 1101 0\n"), Some(2_311));
        assert_eq!((machine_bytes(""), resident_pages("")), (None, None));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_machine_has_memory_and_this_process_uses_some() {
        let resident = resident_bytes().unwrap();
        assert!((100_000..default_budget_bytes()).contains(&resident));
    }
}
