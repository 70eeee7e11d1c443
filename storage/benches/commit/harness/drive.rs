//! Writers at work, and what they saw.

use std::path::Path;
use std::time::{Duration, Instant};

use super::usage::{cpu_time, disk_mb, rss_mb};

/// The figures of one run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    pub(super) commits_per_second: u64,
    pub(super) p50_us: u64,
    pub(super) p99_us: u64,
    pub(super) max_us: u64,
    pub(super) cpu_us: f64,
    pub(super) rss_mb: u64,
    pub(super) disk_mb: f64,
}

/// One writer of a subject.
pub(super) trait Committing: Send + 'static {
    fn commit(&mut self) -> impl Future<Output = ()> + Send;
}

pub(super) async fn drive<W: Committing>(
    writers: usize,
    duration: Duration,
    make: impl Fn(usize) -> W,
) -> Driven {
    let (started, cpu_before) = (Instant::now(), cpu_time());
    let deadline = started + duration;
    let tasks: Vec<_> = (0..writers)
        .map(|number| {
            let mut writer = make(number);
            tokio::spawn(async move {
                let mut latencies = Vec::new();
                let mut now = Instant::now();
                while now < deadline {
                    let started = now;
                    writer.commit().await;
                    now = Instant::now();
                    latencies.push(u32::try_from((now - started).as_micros()).unwrap());
                }
                latencies
            })
        })
        .collect();
    let mut latencies_us = Vec::new();
    for task in tasks {
        latencies_us.extend(task.await.unwrap());
    }
    Driven {
        latencies_us,
        elapsed: started.elapsed(),
        cpu: cpu_time() - cpu_before,
    }
}

/// What the writers saw, without the time to set up and to clean up.
pub(super) struct Driven {
    latencies_us: Vec<u32>,
    elapsed: Duration,
    cpu: Duration,
}

pub(super) fn summarize(driven: Driven, path: &Path) -> Run {
    let Driven {
        latencies_us: mut latencies,
        elapsed,
        cpu,
    } = driven;
    latencies.sort_unstable();
    let at = |share: f64| u64::from(latencies[((latencies.len() - 1) as f64 * share) as usize]);
    Run {
        commits_per_second: (latencies.len() as f64 / elapsed.as_secs_f64()) as u64,
        p50_us: at(0.5),
        p99_us: at(0.99),
        max_us: at(1.0),
        cpu_us: cpu.as_secs_f64() * 1e6 / latencies.len() as f64,
        rss_mb: rss_mb(),
        disk_mb: disk_mb(path),
    }
}
