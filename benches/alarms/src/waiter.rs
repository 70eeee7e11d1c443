//! The actor whose alarms are measured.

use std::sync::atomic::{AtomicU64, Ordering};

use abide::prelude::*;

use crate::samples::Samples;

/// How late alarms were, microseconds; the clock counts milliseconds.
pub(crate) static LATENESS: Samples = Samples::new();
/// Alarms handled in this process.
pub(crate) static HANDLED: AtomicU64 = AtomicU64::new(0);

/// Waits for one alarm, and counts.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Waiter {
    count: u64,
}

#[actor]
impl Waiter {
    #[call]
    fn wait_until(&mut self, ctx: &mut Context<Self>, at_ms: u64) -> Result<(), CallError> {
        ctx.set_alarm("", Timestamp(at_ms))
    }

    #[call]
    fn add(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    #[call]
    fn get(&self) -> u64 {
        self.count
    }

    fn alarm(&mut self, ctx: &mut Context<Self>, alarm: Alarm) {
        LATENESS.add(Duration::from_millis(
            ctx.now().0.saturating_sub(alarm.scheduled.0),
        ));
        self.count += 1;
        HANDLED.fetch_add(1, Ordering::Relaxed);
    }
}
