//! Durations, all of them kept: a few million numbers are no burden to a bench.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

/// Durations in microseconds.
pub(crate) struct Samples(Mutex<Vec<u32>>);

impl Samples {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    pub(crate) fn add(&self, duration: Duration) {
        let micros = u32::try_from(duration.as_micros()).unwrap_or(u32::MAX);
        self.lock().push(micros);
    }

    /// Takes all out: how many, and quantiles in milliseconds.
    pub(crate) fn take_ms(&self) -> Value {
        let mut all = std::mem::take(&mut *self.lock());
        all.sort_unstable();
        let quantile = |percent: usize| {
            let at = (all.len() * percent / 100).min(all.len().saturating_sub(1));
            f64::from(all.get(at).copied().unwrap_or(0)) / 1e3
        };
        json!({
            "count": all.len(),
            "p50": quantile(50),
            "p99": quantile(99),
            "max": quantile(100),
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
