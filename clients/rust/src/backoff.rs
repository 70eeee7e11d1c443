//! How long to wait before the next attempt: full jitter, so that a thousand clients that lost the
//! same server do not come back at the same moment (Brooker, "Exponential Backoff And Jitter").

use std::time::Duration;

/// Bounds of the pauses between attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// Longest pause before the second attempt; doubled with each further one.
    pub first: Duration,
    /// Longest pause of all.
    pub max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(250),
            max: Duration::from_secs(10),
        }
    }
}

impl Backoff {
    /// A pause after so many failures in a row, the first of which is number zero.
    pub(crate) fn pause(self, failures: u32, random: &mut fastrand::Rng) -> Duration {
        let doubled = 2_u32.saturating_pow(failures);
        let longest = self.first.saturating_mul(doubled).min(self.max);
        jitter(longest, random)
    }
}

/// Anything from nothing to `longest`.
pub(crate) fn jitter(longest: Duration, random: &mut fastrand::Rng) -> Duration {
    longest.mul_f64(random.f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_are_spread() {
        let backoff = Backoff::default();
        let mut random = fastrand::Rng::with_seed(1);
        for (failures, longest_ms) in [
            (0, 250),
            (1, 500),
            (5, 8_000),
            (6, 10_000),
            (u32::MAX, 10_000),
        ] {
            let longest = Duration::from_millis(longest_ms);
            let pauses: Vec<_> = (0..100)
                .map(|_| backoff.pause(failures, &mut random))
                .collect();
            assert!(pauses.iter().all(|pause| *pause <= longest), "{failures}");
            assert!(
                pauses.iter().any(|pause| *pause < longest / 4),
                "{failures}"
            );
            assert!(
                pauses.iter().any(|pause| *pause > longest / 2),
                "{failures}"
            );
        }
    }
}
