//! Opens the folder at a moment of choice and watches what fires.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use abide::Timestamp;
use abide_actors::{ActorKind, Clock, Limits, Runtime};
use abide_storage::{LogStore, Store};
use anyhow::Context;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::plan::{MUCH_LATER, OPENING, QUIET};
use crate::waiter::{HANDLED, LATENESS, Waiter};
use crate::{Options, calls};

/// Longest wait for alarms that should have fired.
const PATIENCE: Duration = Duration::from_secs(3_600);

/// A node over the folder.
pub(crate) struct Opened {
    pub(crate) runtime: Runtime,
    pub(crate) store: Arc<LogStore>,
    /// From the call to open to the first answer.
    pub(crate) took: Duration,
}

/// Starts a node whose clock says `now`.
pub(crate) async fn open(options: &Options, data: &Path, now: Timestamp) -> anyhow::Result<Opened> {
    let begun = Instant::now();
    let store_options = abide_storage::Options {
        engine: options.engine,
        ..abide_storage::Options::default()
    };
    let path = data.to_owned();
    let store = tokio::task::spawn_blocking(move || LogStore::open(&path, store_options)).await??;
    let limits = Limits {
        // Objects that were only asked to wait are not kept for long: there are a million.
        idle_timeout: Duration::from_millis(500),
        ..Limits::default()
    };
    let runtime = Runtime::builder(store.clone())
        .clock(Clock::starting_at(now))
        .limits(limits)
        .register("waiter", ActorKind::<Waiter>::new())?
        .start();
    calls::call(&runtime, 0, "get").await?;
    let took = begun.elapsed();
    Ok(Opened {
        runtime,
        store,
        took,
    })
}

/// Shortly before the first alarm is due, with all of them pending.
pub(crate) async fn pending(options: &Options, data: &Path) -> anyhow::Result<Value> {
    let node = open(options, data, OPENING).await?;
    sleep(QUIET / 2).await;
    let resident_started = resident_mib("VmRSS:")?;
    let calling = calls::begin(&node.runtime, options.call_rate);
    let (steady, burst) = (options.plan.steady(), options.plan.burst());
    until_handled(steady).await?;
    let (steady_late, steady_calls) = (LATENESS.take_ms(), calls::LATENCY.take_ms());
    let resident_steady = resident_mib("VmRSS:")?;
    until_handled(steady + burst).await?;
    let (burst_late, burst_calls) = (LATENESS.take_ms(), calls::LATENCY.take_ms());
    calling.abort();
    let line = json!({
        "step": "pending",
        "pending": options.plan.alarms,
        "start_ms": millis(node.took),
        "resident_mib": { "started": resident_started, "steady": resident_steady, "most": resident_mib("VmHWM:")? },
        "steady": { "rate": options.plan.steady_rate, "late_ms": steady_late, "calls_ms": steady_calls },
        "burst": { "late_ms": burst_late, "calls_ms": burst_calls },
    });
    stop(node).await;
    Ok(line)
}

/// Days later, with all that are left overdue.
pub(crate) async fn overdue(options: &Options, data: &Path) -> anyhow::Result<Value> {
    let node = open(options, data, OPENING + MUCH_LATER).await?;
    let begun = Instant::now();
    let calling = calls::begin(&node.runtime, options.call_rate);
    until_handled(options.plan.rest()).await?;
    calling.abort();
    let seconds = begun.elapsed().as_secs_f64();
    let line = json!({
        "step": "overdue",
        "overdue": options.plan.rest(),
        "start_ms": millis(node.took),
        "all_handled_s": seconds,
        "resident_mib": { "most": resident_mib("VmHWM:")? },
        "calls_ms": calls::LATENCY.take_ms(),
    });
    stop(node).await;
    Ok(line)
}

async fn until_handled(wanted: u64) -> anyhow::Result<()> {
    let handled = async {
        while HANDLED.load(Ordering::Relaxed) < wanted {
            sleep(Duration::from_millis(20)).await;
        }
    };
    let handled = tokio::time::timeout(PATIENCE, handled).await;
    handled.with_context(|| {
        let handled = HANDLED.load(Ordering::Relaxed);
        format!("{handled} alarms of {wanted} fired")
    })
}

async fn stop(node: Opened) {
    node.runtime.drain().await;
    node.store.shutdown().await;
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// One of this process's figures of memory.
fn resident_mib(figure: &str) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(figure));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    Ok(kib.context("no such figure of memory")?.parse::<u64>()? >> 10)
}
