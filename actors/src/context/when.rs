//! The time of an alarm, in the forms people have it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use abide_storage::Timestamp;

/// A moment: from now on, or on the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// This long from now.
    After(Duration),
    /// At this time.
    At(Timestamp),
}

impl When {
    /// The moment on the clock when it is `now`.
    pub(crate) fn seen_from(self, now: Timestamp) -> Timestamp {
        match self {
            Self::After(wait) => now + wait,
            Self::At(at) => at,
        }
    }
}

impl From<Duration> for When {
    fn from(wait: Duration) -> Self {
        Self::After(wait)
    }
}

impl From<Timestamp> for When {
    fn from(at: Timestamp) -> Self {
        Self::At(at)
    }
}

impl From<SystemTime> for When {
    /// Times before 1970 have passed, whichever they are.
    fn from(at: SystemTime) -> Self {
        let since_epoch = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::At(Timestamp(0) + since_epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(5_000);

    #[test]
    fn durations_count_from_now_and_times_do_not() {
        assert_eq!(
            When::from(Duration::from_secs(2)).seen_from(NOW),
            Timestamp(7_000)
        );
        assert_eq!(
            When::from(Timestamp(6_000)).seen_from(NOW),
            Timestamp(6_000)
        );
        let at = UNIX_EPOCH + Duration::from_millis(8_500);
        assert_eq!(When::from(at).seen_from(NOW), Timestamp(8_500));
    }

    #[test]
    fn times_before_1970_and_after_the_end_of_time_are_no_overflow() {
        let early = UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(When::from(early).seen_from(NOW), Timestamp(0));
        assert_eq!(
            When::from(Duration::MAX).seen_from(NOW),
            Timestamp(u64::MAX)
        );
    }
}
