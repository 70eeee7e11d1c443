//! When each operation should start.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// How long before its moment a wait stops sleeping: tokio's timer is exact to a millisecond, and
/// an operation that starts a millisecond late would be told as a millisecond of latency.
const SPIN: Duration = Duration::from_micros(1_500);

/// The moments of one run: evenly spaced, and taken in turns by the lanes (connections, sessions).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schedule {
    /// Moment of operation 0.
    start: Instant,
    rate: f64,
    lanes: u32,
    warmup: Duration,
    duration: Duration,
}

/// One operation's moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Due {
    /// When it should start, from the start of the run.
    pub(crate) after: Duration,
    /// Whether it counts, or only warms up.
    pub(crate) measured: bool,
}

impl Schedule {
    /// A run that starts now, warms up and then is measured for `duration`.
    pub(crate) fn starting_now(options: &crate::Options, lanes: u32) -> Self {
        Self {
            start: Instant::now(),
            rate: options.rate,
            lanes,
            warmup: options.warmup,
            duration: options.duration,
        }
    }

    /// When the measured part begins.
    pub(crate) fn measured_from(&self) -> Instant {
        self.start + self.warmup
    }

    /// When it ends; the last operations complete after it.
    pub(crate) fn measured_until(&self) -> Instant {
        self.measured_from() + self.duration
    }

    /// The moments of one lane, in order.
    pub(crate) fn of_lane(self, lane: u32) -> impl Iterator<Item = Due> {
        let numbers = (u64::from(lane)..).step_by(self.lanes as usize);
        let dues = numbers.map(move |number| {
            let after = Duration::from_secs_f64(number as f64 / self.rate);
            Due {
                after,
                measured: after >= self.warmup,
            }
        });
        dues.take_while(move |due| due.after < self.warmup + self.duration)
    }

    /// Waits for an operation's moment; says how late it is by then, which is the driver's own doing
    /// unless the lane was busy.
    ///
    /// # Cancel safety
    /// Yes.
    pub(crate) async fn wait(&self, due: Due) -> Duration {
        let moment = self.start + due.after;
        if let Some(asleep) = moment
            .checked_sub(SPIN)
            .filter(|until| *until > Instant::now())
        {
            sleep_until(asleep).await;
        }
        while Instant::now() < moment {
            // Lets everybody else run, and the sockets be polled, between two looks at the clock.
            tokio::task::yield_now().await;
        }
        moment.elapsed()
    }

    /// Time since an operation should have started.
    pub(crate) fn since(&self, after: Duration) -> Duration {
        self.start.elapsed().saturating_sub(after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(rate: f64, lanes: u32) -> Schedule {
        let (warmup, duration) = (Duration::from_secs(1), Duration::from_secs(2));
        Schedule {
            start: Instant::now(),
            rate,
            lanes,
            warmup,
            duration,
        }
    }

    #[test]
    fn the_lanes_together_make_the_rate() {
        let schedule = schedule(100.0, 7);
        let mut moments: Vec<_> = (0..7).flat_map(|lane| schedule.of_lane(lane)).collect();
        moments.sort_by_key(|due| due.after);
        assert_eq!(moments.len(), 300);
        assert_eq!(moments.iter().filter(|due| due.measured).count(), 200);
        for (number, due) in (0_u32..).zip(&moments) {
            assert_eq!(
                due.after,
                Duration::from_secs_f64(f64::from(number) / 100.0)
            );
        }
    }

    #[test]
    fn more_lanes_than_operations_leave_some_idle() {
        assert_eq!(schedule(1.0, 10).of_lane(9).count(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_overdue_starts_at_once_and_tells_how_late() {
        let schedule = schedule(1.0, 1);
        tokio::time::advance(Duration::from_millis(2_500)).await;
        let due = schedule.of_lane(0).nth(2).unwrap();
        assert_eq!(schedule.wait(due).await, Duration::from_millis(500));
        assert_eq!(schedule.since(due.after), Duration::from_millis(500));
    }
}
