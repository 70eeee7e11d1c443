//! When each alarm is due, by its number.

use std::time::Duration;

use abide::Timestamp;
use clap::Args;

/// The moment at which the second process takes its clock to begin: 2030-01-01 00:00 UTC.
pub(crate) const OPENING: Timestamp = Timestamp(1_893_456_000_000);
/// How much later the third one does, when all that are left are overdue.
pub(crate) const MUCH_LATER: Duration = Duration::from_secs(3 * 86_400);
/// From the opening to the first alarm, and between the steady ones and the burst.
pub(crate) const QUIET: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
pub(crate) struct Plan {
    /// Alarms in all.
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) alarms: u64,

    /// Alarms a second that fall due steadily.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) steady_rate: u64,

    /// For so many seconds.
    #[arg(long, default_value_t = 30)]
    pub(crate) steady_seconds: u64,

    /// Alarms that fall due in the same millisecond.
    #[arg(long, default_value_t = 50_000)]
    pub(crate) burst: u64,
}

impl Plan {
    pub(crate) fn steady(&self) -> u64 {
        (self.steady_rate * self.steady_seconds).min(self.alarms)
    }

    pub(crate) fn burst(&self) -> u64 {
        self.burst.min(self.alarms - self.steady())
    }

    /// Those that are not due until much later.
    pub(crate) fn rest(&self) -> u64 {
        self.alarms - self.steady() - self.burst()
    }

    pub(crate) fn burst_at(&self) -> Timestamp {
        OPENING + QUIET + Duration::from_secs(self.steady_seconds) + QUIET
    }

    /// When an alarm is due. Neighbours in time are far apart in number, as they would be.
    pub(crate) fn due(&self, number: u64) -> Timestamp {
        let (steady, burst) = (self.steady(), self.burst());
        if number < steady {
            return OPENING + QUIET + Duration::from_millis(number * 1_000 / self.steady_rate);
        }
        if number < steady + burst {
            return self.burst_at();
        }
        // Over one day, from the next day on; the factor is prime.
        let place = (number % 1_000_003) * 618_033 % 86_400_000;
        OPENING + Duration::from_secs(86_400) + Duration::from_millis(place)
    }
}
