//! Writes the alarms, through the runtime, so that they are what any server writes.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use abide::{Call, Deadline, Payload};
use abide_actors::Runtime;
use serde_json::{Value, json};

use crate::measure::{Opened, open};
use crate::plan::OPENING;
use crate::{Options, plan::Plan};
use abide_storage::Store as _;

/// Calls open at a time, so that groups of commits are large.
const OPEN_CALLS: u64 = 1_024;

pub(crate) async fn fill(options: &Options, data: &Path) -> anyhow::Result<Value> {
    let begun = Instant::now();
    // A day before the opening: nothing falls due while it is written.
    let before = abide::Timestamp(OPENING.0 - 86_400_000);
    let Opened { runtime, store, .. } = open(options, data, before).await?;
    let next = Arc::new(AtomicU64::new(0));
    let plan = Arc::new(Plan { ..options.plan });
    let writers = (0..OPEN_CALLS).map(|_| {
        let (runtime, next, plan) = (runtime.clone(), next.clone(), plan.clone());
        tokio::spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= plan.alarms {
                    return anyhow::Ok(());
                }
                set(&runtime, number, plan.due(number)).await?;
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await??;
    }
    runtime.drain().await;
    store.shutdown().await;
    Ok(json!({
        "step": "fill",
        "alarms": plan.alarms,
        "seconds": begun.elapsed().as_secs_f64(),
    }))
}

async fn set(runtime: &Runtime, number: u64, at: abide::Timestamp) -> anyhow::Result<()> {
    let target = runtime.target("waiter", &number.to_string())?;
    let arguments = Payload::json(format!("[{}]", at.0));
    let deadline = Deadline::after(Duration::from_secs(60));
    let call = Call::new("wait_until", arguments, deadline);
    runtime.call(&target, call).await?;
    Ok(())
}
