//! Ticks: a callback at a fixed rate while somebody is there to see what it does.

use std::time::Duration;

/// A tick more often than the timer's own resolution would only burn the core.
const EVERY_MIN: Duration = Duration::from_millis(1);
/// What must happen that rarely is an alarm.
const EVERY_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// How often the callback `tick` runs: [`Context::set_tick`](crate::Context::set_tick).
///
/// Ticks are due on a grid that begins one interval after there is somebody to tick for. It does not
/// drift, however long the turns take. What is due while the object is busy is *missed*: by default it is
/// skipped, and the next tick says how many were ([`Ticked::missed`]).
/// ```
/// use abide_actors::Tick;
/// use std::time::Duration;
///
/// let game = Tick::per_second(20).catch_up(5);
/// assert_eq!(game.interval(), Duration::from_millis(50));
/// let housekeeping = Tick::every(Duration::from_secs(60)).always();
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tick {
    every: Duration,
    catch_up_max: u32,
    is_unattended: bool,
}

impl Tick {
    /// At this interval: one millisecond to a day; what is beyond is taken for that.
    #[must_use]
    pub fn every(interval: Duration) -> Self {
        Self {
            every: interval.clamp(EVERY_MIN, EVERY_MAX),
            catch_up_max: 0,
            is_unattended: false,
        }
    }

    /// So many times a second: 1 to 1,000; what is beyond is taken for that.
    #[must_use]
    pub fn per_second(times: u32) -> Self {
        Self::every(Duration::from_secs(1) / times.max(1))
    }

    /// Makes up for missed ticks: up to `max` of them run at once, each as a turn of its own. Older ones
    /// are skipped, so that an object that cannot keep up does not fall behind without end. For a
    /// simulation whose every step must run.
    #[must_use]
    pub fn catch_up(self, max: u32) -> Self {
        Self {
            catch_up_max: max,
            ..self
        }
    }

    /// Also while no session is connected. It then keeps the activation in memory until it is ended.
    #[must_use]
    pub fn always(self) -> Self {
        Self {
            is_unattended: true,
            ..self
        }
    }

    /// The time from one tick to the next.
    #[must_use]
    pub fn interval(&self) -> Duration {
        self.every
    }

    pub(crate) fn catch_up_max(&self) -> u32 {
        self.catch_up_max
    }

    pub(crate) fn is_unattended(&self) -> bool {
        self.is_unattended
    }
}

/// One tick, as the callback `tick` sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticked {
    /// Counts from 1, missed ticks included: it is the number of the step in simulated time. The count
    /// rests while nobody is connected, and begins anew with the activation.
    pub number: u64,
    /// How many ticks right before this one were skipped.
    pub missed: u64,
    /// How long after its time it runs.
    pub late: Duration,
    /// The time from one tick to the next.
    pub interval: Duration,
}
