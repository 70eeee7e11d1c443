//! Far more calls than the server can handle, and what remains of it: peak, overload, recovery.
//!
//! **Goodput** is what clients get: answers with a value before they give up. First a closed loop
//! finds the server's peak. Then clients come in an open loop at a multiple of it, whatever has become
//! of those before; each waits for so long and no longer, and one that gives up closes its connection,
//! as real ones do. At last calls come at half of the peak, and it is measured how
//! soon the server handles all of them again.

mod client;
mod second;

use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use crate::options::{Options, Overload};
use crate::process::resident_bytes;
use client::{Clients, Plan};
use second::Second;

/// Calls of the closed loop that are open at one time: enough for every core and every group commit.
const PEAK_CLIENTS: usize = 64;
/// How long the last phase lasts at least, and so the longest recovery that can be told.
const RECOVERY: Duration = Duration::from_secs(15);
/// Recovered is when this share of the calls is answered with a value again, so many seconds in a row.
const RECOVERED_SHARE: f64 = 0.99;
const RECOVERED_SECONDS: usize = 3;
/// The goal: so much of the peak remains.
const GOODPUT_GOAL: f64 = 0.9;
/// The goal: so many seconds after the overload all is well again.
const RECOVERY_GOAL_S: usize = 5;

/// Runs the three phases and judges.
///
/// # Errors
/// When the server cannot be reached, or answers nothing at its peak.
pub(crate) async fn run(
    options: &Options,
    overload: &Overload,
) -> anyhow::Result<serde_json::Value> {
    let plan = Rc::new(Plan::of(options, overload)?);
    let peak = phase(&plan, options, "peak", None, overload.peak).await?;
    // The first second warms up.
    let steady = &peak[peak.len().min(1)..];
    let peak_rate = mean(steady);
    ensure!(peak_rate > 0.0, "the server answers nothing: {peak:?}");

    let rate = peak_rate * overload.factor;
    let loaded = phase(&plan, options, "overload", Some(rate), options.duration).await?;
    let goodput = mean(&loaded);
    let worst = loaded.iter().map(Second::good).min().unwrap_or(0);

    let rate = peak_rate / 2.0;
    let after = phase(&plan, options, "recovery", Some(rate), RECOVERY).await?;
    let recovery = recovered_after(&after);

    let share = goodput / peak_rate;
    let late = loaded.iter().map(Second::late).max().unwrap_or_default();
    let passed =
        share >= GOODPUT_GOAL && recovery.is_some_and(|seconds| seconds <= RECOVERY_GOAL_S);
    Ok(json!({
        "scenario": "overload",
        "verdict": match passed {
            // Calls that leave late have less time: what is measured then is the driver.
            _ if late > plan.patience / 4 => "INVALID: the driver was late, give it a core or more work per call",
            true => "PASS",
            false => "FAIL",
        },
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

/// One phase, at a rate or as one call after the other.
async fn phase(
    plan: &Rc<Plan>,
    options: &Options,
    name: &str,
    rate: Option<f64>,
    duration: Duration,
) -> anyhow::Result<Vec<Second>> {
    let whole = duration.as_secs().max(1);
    let count = usize::try_from(whole)?;
    let clients = Clients::new(plan.clone(), count);
    let start = clients.start();
    let end = start + Duration::from_secs(whole);
    let mut load = JoinSet::new();
    match rate {
        Some(rate) => load.spawn_local(clients.clone().open_loop(rate, end)),
        None => load.spawn_local(clients.clone().closed_loop(PEAK_CLIENTS, end)),
    };
    let told_after = usize::try_from(plan.patience.as_secs())? + 1;
    for number in 0..count {
        sleep_until(start + Duration::from_secs(number as u64 + 1)).await;
        let rss = options.server_pid.map(resident_bytes).transpose()?;
        clients.seconds.borrow_mut()[number].resident_bytes = rss;
        // A second is told when all its clients have been answered or have given up.
        if let Some(number) = number.checked_sub(told_after) {
            let second = &clients.seconds.borrow()[number];
            eprintln!("{name:>9} {number:>4} s  {second}");
        }
    }
    while let Some(ended) = load.join_next().await {
        ended.context("the load panicked")?;
    }
    Ok(clients.seconds.take())
}

fn mean(seconds: &[Second]) -> f64 {
    seconds.iter().map(Second::good).sum::<u64>() as f64 / seconds.len().max(1) as f64
}

/// Whole seconds until so many in a row are well; `None` when that never comes.
fn recovered_after(seconds: &[Second]) -> Option<usize> {
    let is_well = |second: &Second| second.good() as f64 >= second.due() as f64 * RECOVERED_SHARE;
    seconds
        .windows(RECOVERED_SECONDS)
        .position(|seconds| seconds.iter().all(is_well))
}
