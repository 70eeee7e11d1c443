//! CPU time and memory of a process, from Linux's `/proc`.

use std::fs;
use std::time::Duration;

use anyhow::Context;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use crate::options::Options;
use crate::schedule::Schedule;

/// Ticks per second of the times in `/proc/<pid>/stat`: `USER_HZ`, which is 100 on every
/// architecture Linux still tells user space about.
const TICKS_PER_SECOND: u64 = 100;

/// What the server and the driver itself used in the measured part of a run.
#[derive(Debug)]
pub(crate) struct Usages {
    /// `None` when nobody said which process it is.
    pub(crate) server: Option<Usage>,
    pub(crate) driver: Usage,
}

/// What one process used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    elapsed: Duration,
    /// CPU time over all its threads.
    cpu: Duration,
    /// Memory it held at the end.
    rss_bytes: u64,
}

/// Watches both processes through the measured part of the run.
///
/// # Errors
/// Here and from the task: when there is no such process, or no `/proc`.
pub(crate) fn watch(
    options: &Options,
    schedule: Schedule,
) -> anyhow::Result<JoinHandle<anyhow::Result<Usages>>> {
    let server = options.server_pid;
    let driver = std::process::id();
    // A wrong id is told before the load, not after it.
    server.map(cpu_time).transpose()?;
    Ok(tokio::task::spawn_local(async move {
        sleep_until(schedule.measured_from()).await;
        let since = Instant::now();
        let before = (server.map(cpu_time).transpose()?, cpu_time(driver)?);
        sleep_until(schedule.measured_until()).await;
        let elapsed = since.elapsed();
        let usage = |pid, before| {
            let cpu = cpu_time(pid)?.saturating_sub(before);
            anyhow::Ok(Usage {
                elapsed,
                cpu,
                rss_bytes: resident_bytes(pid)?,
            })
        };
        let server = server
            .zip(before.0)
            .map(|(pid, before)| usage(pid, before))
            .transpose()?;
        Ok(Usages {
            server,
            driver: usage(driver, before.1)?,
        })
    }))
}

impl Usage {
    /// As JSON, with the CPU time of one of the `completed` operations.
    pub(crate) fn report(&self, completed: u64) -> serde_json::Value {
        let cores = self.cpu.as_secs_f64() / self.elapsed.as_secs_f64();
        let per_operation = self.cpu.as_secs_f64() * 1e6 / completed.max(1) as f64;
        json!({
            "cpu_cores": crate::rounded(cores),
            "cpu_us_per_completed": crate::rounded(per_operation),
            "rss_bytes": self.rss_bytes,
        })
    }
}

/// CPU time over all threads of a process.
pub(crate) fn cpu_time(pid: u32) -> anyhow::Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).with_context(|| format!("no process {pid} in /proc"))?;
    let ticks = ticks(&stat).with_context(|| format!("{path} is not understood: {stat}"))?;
    Ok(Duration::from_millis(ticks * 1_000 / TICKS_PER_SECOND))
}

/// User and system time: fields 14 and 15 of proc(5). The name in field 2 may hold spaces and
/// parentheses, so they are counted from its last parenthesis.
fn ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(user + system)
}

pub(crate) fn resident_bytes(pid: u32) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))
        .with_context(|| format!("no process {pid} in /proc"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap_or("0 kB");
    let kib: u64 = line
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .context("VmRSS is no number")?;
    Ok(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let stat = "42 (a) b (c) S 1 42 42 0 -1 4194560 100 0 0 0 7 5 0 0 20 0 1 0 100 0 0";
        assert_eq!(ticks(stat), Some(12));
    }

    #[test]
    fn this_process_has_memory_and_cpu_time() {
        assert!(resident_bytes(std::process::id()).unwrap() > 100_000);
        cpu_time(std::process::id()).unwrap();
    }
}
