//! Calls beside the alarms, at a fixed rate.

use std::time::Duration;

use abide::{Call, Deadline, Payload};
use abide_actors::Runtime;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use crate::samples::Samples;

/// Time from the moment a call should have begun to its reply.
pub(crate) static LATENCY: Samples = Samples::new();
/// Objects that are called.
const OBJECTS: u64 = 100;
/// A call that takes longer is a failure of the run.
const PATIENCE: Duration = Duration::from_secs(60);

/// Calls until the handle is aborted.
pub(crate) fn begin(runtime: &Runtime, rate: u32) -> JoinHandle<()> {
    let (runtime, interval) = (runtime.clone(), Duration::from_secs(1) / rate);
    tokio::spawn(async move {
        let mut due = Instant::now();
        for number in 0.. {
            due += interval;
            sleep_until(due).await;
            let runtime = runtime.clone();
            tokio::spawn(async move {
                let method = if number % 2 == 0 { "add" } else { "get" };
                if let Err(error) = call(&runtime, number % OBJECTS, method).await {
                    eprintln!("a call failed: {error}");
                }
                LATENCY.add(due.elapsed());
            });
        }
    })
}

/// One call, on an object without an alarm.
pub(crate) async fn call(runtime: &Runtime, object: u64, method: &str) -> anyhow::Result<()> {
    let target = runtime.target("waiter", &format!("called {object}"))?;
    let call = Call::new(method, Payload::json("[]"), Deadline::after(PATIENCE));
    runtime.call(&target, call).await?;
    Ok(())
}
