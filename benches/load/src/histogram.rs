//! Latencies in bounded memory: a log-linear histogram, as HdrHistogram's.

use std::time::Duration;

use serde_json::json;

/// Each doubling is cut into this many buckets, so a value is kept to within 1/128 of itself.
const BUCKETS_PER_DOUBLING: u64 = 1 << PRECISION_BITS;
const PRECISION_BITS: u32 = 7;

/// Counts of durations, in nanoseconds, with a relative error below 0.8 %.
#[derive(Debug, Clone)]
pub(crate) struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    max: u64,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self {
            buckets: vec![0; bucket_of(u64::MAX) + 1],
            count: 0,
            max: 0,
        }
    }

    /// Adds one; longer than 584 years counts as that.
    pub(crate) fn add(&mut self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.buckets[bucket_of(nanos)] += 1;
        self.count += 1;
        self.max = self.max.max(nanos);
    }

    /// Adds all of another one.
    pub(crate) fn merge(&mut self, other: &Self) {
        let buckets = self.buckets.iter_mut().zip(&other.buckets);
        buckets.for_each(|(own, more)| *own += more);
        self.count += other.count;
        self.max = self.max.max(other.max);
    }

    /// How many were added.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The smallest value that at least `share` of the values do not exceed, in nanoseconds; zero
    /// when there are none.
    pub(crate) fn quantile(&self, share: f64) -> u64 {
        let rank = (self.count as f64 * share).ceil().max(1.0);
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen as f64 >= rank {
                // The greatest value was kept exactly; no quantile may exceed it.
                return last_of(bucket).min(self.max);
            }
        }
        self.max
    }

    /// The usual percentiles in microseconds.
    pub(crate) fn summary_us(&self) -> serde_json::Value {
        let at = |share| crate::rounded(self.quantile(share) as f64 / 1_000.0);
        json!({
            "p50": at(0.5),
            "p90": at(0.9),
            "p99": at(0.99),
            "p99.9": at(0.999),
            "max": crate::rounded(self.max as f64 / 1_000.0),
        })
    }
}

/// Small values have a bucket each; from there on the leading eight bits choose it.
fn bucket_of(value: u64) -> usize {
    let shift = (u64::BITS - value.leading_zeros()).saturating_sub(PRECISION_BITS + 1);
    let bucket = u64::from(shift) * BUCKETS_PER_DOUBLING + (value >> shift);
    usize::try_from(bucket).expect("there are fewer than 2^13 buckets")
}

/// The greatest value of a bucket: what a quantile answers, so that it never flatters.
fn last_of(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < 2 * BUCKETS_PER_DOUBLING {
        return bucket;
    }
    let shift = bucket / BUCKETS_PER_DOUBLING - 1;
    let leading = bucket - shift * BUCKETS_PER_DOUBLING;
    (leading << shift) | ((1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(nanos: impl IntoIterator<Item = u64>) -> Histogram {
        let mut histogram = Histogram::new();
        nanos
            .into_iter()
            .for_each(|value| histogram.add(Duration::from_nanos(value)));
        histogram
    }

    #[test]
    fn every_value_lies_in_the_bucket_that_claims_it() {
        let around = |power: u32| [(1 << power) - 1, 1 << power, (1 << power) + 1];
        for value in (0..64).flat_map(around).chain([u64::MAX, 123_456_789]) {
            let last = last_of(bucket_of(value));
            assert!(last >= value, "{value} in a bucket that ends at {last}");
            assert!(
                last - value <= value / BUCKETS_PER_DOUBLING,
                "{value} told as {last}"
            );
            assert_eq!(bucket_of(last), bucket_of(value));
        }
    }

    #[test]
    fn quantiles_are_those_of_a_sorted_list() {
        let histogram = of(1..=1_000);
        for (share, exact) in [
            (0.0, 1),
            (0.5, 500),
            (0.99, 990),
            (0.999, 999),
            (1.0, 1_000),
        ] {
            let told = histogram.quantile(share);
            assert!(
                told >= exact && told <= exact + exact / 128,
                "{share}: {told} for {exact}"
            );
        }
    }

    #[test]
    fn no_values_have_no_latency() {
        assert_eq!(Histogram::new().quantile(0.99), 0);
    }
}
