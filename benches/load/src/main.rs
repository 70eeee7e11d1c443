//! `abide-load`: a macro load driver for a running server.
//!
//! It is an open loop: the moment each operation should start is set before the run, and latency is
//! counted from that moment, also when the driver or the server is late. A closed loop, which waits
//! for one answer before it asks again, asks less while the server stalls and so hides the stall
//! (Gil Tene calls it coordinated omission).
//!
//! One thread does everything; the result is one line of JSON on standard output.
#![expect(
    clippy::print_stdout,
    reason = "a command answers on its standard output"
)]

mod calls;
mod crowd;
mod histogram;
mod options;
mod overload;
mod presence;
mod process;
mod recorder;
mod schedule;
mod served;
mod sessions;

use std::process::ExitCode;
use std::rc::Rc;

use clap::Parser as _;
use serde_json::json;
use tokio::task::LocalSet;

use options::{Options, Scenario};
use process::Usages;
use recorder::Recorder;

fn main() -> ExitCode {
    let options = Options::parse();
    match measure(&options) {
        Ok(result) => {
            println!("{result}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("abide-load: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(options: &Options) -> anyhow::Result<serde_json::Value> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&runtime, run(options))
}

async fn run(options: &Options) -> anyhow::Result<serde_json::Value> {
    let outcome = match &options.scenario {
        Scenario::Overload(overload) => return overload::run(options, overload).await,
        Scenario::Presence(presence) => return presence::run(options, presence).await,
        Scenario::Crowd(crowd) => return crowd::run(options, crowd).await,
        Scenario::Calls(calls) => calls::run(options, calls).await?,
        Scenario::Sessions(sessions) => sessions::run(options, sessions).await?,
    };
    Ok(report(options, &outcome))
}

/// What a scenario brings home.
struct Outcome {
    recorder: Rc<Recorder>,
    usage: Usages,
}

fn report(options: &Options, Outcome { recorder, usage }: &Outcome) -> serde_json::Value {
    let completed = recorder.completed_count();
    let seconds = options.duration.as_secs_f64();
    json!({
        "scenario": options.scenario.name(),
        "rate_wanted_per_s": options.rate,
        "started_per_s": rounded(recorder.started_count() as f64 / seconds),
        "completed_per_s": rounded(completed as f64 / seconds),
        "duration_s": seconds,
        "started": recorder.started_count(),
        "completed": completed,
        "missing": recorder.missing_count(),
        "errors": recorder.errors(),
        "latency_us": recorder.latency().summary_us(),
        "started_late_us": recorder.lateness().summary_us(),
        "server": usage.server.as_ref().map(|usage| usage.report(completed)),
        "driver": usage.driver.report(completed),
    })
}

/// Two digits after the point: more would promise what one run cannot hold.
fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
