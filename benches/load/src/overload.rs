//! Far more calls than the server can handle, and what remains of it: peak, overload, recovery.
//!
//! **Goodput** is what clients get: answers with a value before they give up. First a closed loop
//! finds the server's peak. Then calls come in an open loop at a multiple of it, from clients that
//! wait for so long and no longer: one that gives up closes its connection, as real ones do, and
//! opens another for its next call. At last calls come at half of the peak, and it is measured how
//! soon the server handles all of them again.

mod client;
mod second;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::options::{Options, Overload};
use crate::process::resident_bytes;
use client::{Client, Plan};
use second::Second;

/// Calls of the closed loop that are open at one time: enough for every core and every group commit.
const PEAK_CLIENTS: u32 = 64;
/// How long the last phase lasts at least, and so the longest recovery that can be told.
const RECOVERY: Duration = Duration::from_secs(15);
/// Recovered is when this share of the calls is answered with a value again, second after second.
const RECOVERED_SHARE: f64 = 0.99;
/// The goal: so much of the peak remains.
const GOODPUT_GOAL: f64 = 0.9;
/// The goal: so many seconds after the overload all is well again.
const RECOVERY_GOAL_S: usize = 5;

/// Seconds as they pass, shared by all clients on the one thread.
type Seconds = Rc<RefCell<Vec<Second>>>;

/// Runs the three phases and judges.
///
/// # Errors
/// When the server cannot be reached, or answers nothing at its peak.
pub(crate) async fn run(
    options: &Options,
    overload: &Overload,
) -> anyhow::Result<serde_json::Value> {
    let plan = Rc::new(Plan::of(options, overload)?);
    let peak = phase(&plan, options, "peak", PEAK_CLIENTS, None, overload.peak).await?;
    // The first second warms up.
    let steady = &peak[peak.len().min(1)..];
    let peak_rate = mean(steady);
    ensure!(peak_rate > 0.0, "the server answers nothing: {peak:?}");

    let rate = peak_rate * overload.factor;
    let clients = overload.clients;
    let loaded = phase(
        &plan,
        options,
        "overload",
        clients,
        Some(rate),
        options.duration,
    )
    .await?;
    let goodput = mean(&loaded);
    let worst = loaded.iter().map(Second::good).min().unwrap_or(0);

    let rate = peak_rate / 2.0;
    let after = phase(&plan, options, "recovery", clients, Some(rate), RECOVERY).await?;
    let recovery = recovered_after(&after);

    let share = goodput / peak_rate;
    let passed =
        share >= GOODPUT_GOAL && recovery.is_some_and(|seconds| seconds <= RECOVERY_GOAL_S);
    Ok(json!({
        "scenario": "overload",
        "verdict": if passed { "PASS" } else { "FAIL" },
        "peak_per_s": crate::rounded(peak_rate),
        "offered_per_s": crate::rounded(peak_rate * overload.factor),
        "goodput_per_s": crate::rounded(goodput),
        "goodput_share": crate::rounded(share),
        "worst_second_per_s": worst,
        "recovery_s": recovery,
        "at_peak": second::summary(steady),
        "overloaded": second::summary(&loaded),
        "afterwards": second::summary(&after),
    }))
}

/// One phase: `clients` clients, at a rate or one call after the other.
async fn phase(
    plan: &Rc<Plan>,
    options: &Options,
    name: &str,
    clients: u32,
    rate: Option<f64>,
    duration: Duration,
) -> anyhow::Result<Vec<Second>> {
    let whole = duration.as_secs().max(1);
    let count = usize::try_from(whole).context("the phase is too long")?;
    let seconds: Seconds = Rc::new(RefCell::new(
        (0..count).map(|_| Second::default()).collect(),
    ));
    let start = Instant::now();
    let end = start + Duration::from_secs(whole);
    let mut lanes = JoinSet::new();
    for number in 0..clients {
        let client = Client::new(plan.clone(), seconds.clone(), start);
        match rate {
            Some(rate) => lanes.spawn_local(client.open_loop(number, clients, rate, end)),
            None => lanes.spawn_local(client.closed_loop(number, end)),
        };
    }
    for second in 0..count {
        sleep_until(start + Duration::from_secs(second as u64 + 1)).await;
        let rss = options.server_pid.map(resident_bytes).transpose()?;
        let mut seconds = seconds.borrow_mut();
        seconds[second].resident_bytes = rss;
        // Answers of calls that began in the last instants come a moment later; the table is for
        // watching, the result for judging.
        eprintln!("{name:>9} {second:>4} s  {}", seconds[second]);
    }
    while let Some(ended) = lanes.join_next().await {
        ended.context("a client panicked")?;
    }
    Ok(seconds.take())
}

fn mean(seconds: &[Second]) -> f64 {
    seconds.iter().map(Second::good).sum::<u64>() as f64 / seconds.len().max(1) as f64
}

/// Whole seconds until all that follow are well; `None` when that never comes.
fn recovered_after(seconds: &[Second]) -> Option<usize> {
    let ill = seconds
        .iter()
        .rposition(|second| second.good() as f64 + 1.0 < second.due() as f64 * RECOVERED_SHARE);
    match ill {
        Some(last) if last + 1 == seconds.len() => None,
        Some(last) => Some(last + 1),
        None => Some(0),
    }
}
