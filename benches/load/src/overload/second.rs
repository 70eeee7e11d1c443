//! What became of the calls that were due in one second.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde_json::json;

use crate::histogram::Histogram;

/// A second of a phase. A call belongs to the second it was due in, whenever it ends.
#[derive(Debug, Default)]
pub(crate) struct Second {
    due: u64,
    /// How late the driver was, at worst: its own doing.
    late: Duration,
    latency: Option<Histogram>,
    /// By code of the problem, or by what the client saw.
    failed: BTreeMap<String, u64>,
    pub(crate) resident_bytes: Option<u64>,
}

impl Second {
    pub(crate) fn begin(&mut self, late: Duration) {
        self.due += 1;
        self.late = self.late.max(late);
    }

    pub(crate) fn end(&mut self, latency: Duration, outcome: Result<(), String>) {
        match outcome {
            Ok(()) => self.latency.get_or_insert_with(Histogram::new).add(latency),
            Err(what) => *self.failed.entry(what).or_default() += 1,
        }
    }

    /// How late the driver was.
    pub(crate) fn late(&self) -> Duration {
        self.late
    }

    /// Calls that were due.
    pub(crate) fn due(&self) -> u64 {
        self.due
    }

    /// Calls that were answered with a value in time.
    pub(crate) fn good(&self) -> u64 {
        self.latency.as_ref().map_or(0, Histogram::count)
    }

    fn quantile_ms(&self, share: f64) -> f64 {
        let nanos = self.latency.as_ref().map_or(0, |all| all.quantile(share));
        crate::rounded(nanos as f64 / 1e6)
    }
}

impl fmt::Display for Second {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (p50, p99) = (self.quantile_ms(0.5), self.quantile_ms(0.99));
        write!(
            f,
            "due {:>7}  good {:>6}  p50 {p50:>7} ms  p99 {p99:>7} ms",
            self.due,
            self.good()
        )?;
        if let Some(bytes) = self.resident_bytes {
            write!(f, "  rss {:>5} MiB", bytes >> 20)?;
        }
        write!(f, "  driver late {:>4} ms", self.late.as_millis())?;
        for (what, count) in &self.failed {
            write!(f, "  {what} {count}")?;
        }
        Ok(())
    }
}

/// All of them together.
pub(super) fn summary(seconds: &[Second]) -> serde_json::Value {
    let (mut latency, mut failed) = (Histogram::new(), BTreeMap::<&str, u64>::new());
    for second in seconds {
        if let Some(other) = &second.latency {
            latency.merge(other);
        }
        for (what, count) in &second.failed {
            *failed.entry(what).or_default() += count;
        }
    }
    json!({
        "seconds": seconds.len(),
        "due": seconds.iter().map(Second::due).sum::<u64>(),
        "good": latency.count(),
        "failed": failed,
        "driver_late_ms_max": seconds.iter().map(|second| second.late.as_millis()).max(),
        "latency_us": latency.summary_us(),
        "rss_bytes_max": seconds.iter().filter_map(|second| second.resident_bytes).max(),
    })
}
