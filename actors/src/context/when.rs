//! The time of an alarm, in the forms people have it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use abide_storage::Timestamp;

use crate::alarm::{Cron, NEVER, Setting};

/// A moment, from now on or on the clock; or many, by the calendar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When {
    /// This long from now.
    After(Duration),
    /// At this time.
    At(Timestamp),
    /// Again and again, from the first time after now.
    Cron(Cron),
}

impl When {
    /// What an alarm is set for when it is `now`.
    pub(crate) fn seen_from(self, now: Timestamp) -> Setting {
        let (at, cron) = match self {
            Self::After(wait) => (now + wait, None),
            Self::At(at) => (at, None),
            Self::Cron(cron) => (cron.next_after(now).unwrap_or(NEVER), Some(cron)),
        };
        Setting { at, cron }
    }
}

impl From<Cron> for When {
    fn from(cron: Cron) -> Self {
        Self::Cron(cron)
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

    fn moment(when: impl Into<When>) -> Timestamp {
        when.into().seen_from(NOW).at
    }

    #[test]
    fn durations_count_from_now_and_times_do_not() {
        assert_eq!(moment(Duration::from_secs(2)), Timestamp(7_000));
        assert_eq!(moment(Timestamp(6_000)), Timestamp(6_000));
        let at = UNIX_EPOCH + Duration::from_millis(8_500);
        assert_eq!(moment(at), Timestamp(8_500));
    }

    #[test]
    fn times_before_1970_and_after_the_end_of_time_are_no_overflow() {
        let early = UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(moment(early), Timestamp(0));
        assert_eq!(moment(Duration::MAX), Timestamp(u64::MAX));
    }

    #[test]
    fn a_cron_expression_begins_at_its_first_time_from_now() {
        let cron = Cron::new("* * * * *", "UTC").unwrap();
        let set = When::from(cron.clone()).seen_from(NOW);
        assert_eq!((set.at, set.cron), (Timestamp(60_000), Some(cron)));
    }
}
