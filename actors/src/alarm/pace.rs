//! The budget of each object: how often its alarms may fire.
//!
//! A generic cell rate algorithm (ITU-T I.371): of each object one moment is kept, the one at which
//! its budget would be whole again had nothing else been taken from it. An alarm above the budget
//! is not refused but given a place in the future, and places are given out in the order of asking.

use std::collections::HashMap;
use std::time::Duration;

use abide_storage::ObjectId;
use tokio::time::Instant;

/// Objects looked over for those whose budget is whole again when there are this many…
const SWEEP_FROM: usize = 1_024;
/// An object that stays above its budget is told of this often.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// See the module's documentation.
pub(super) struct Pace {
    /// Time between two alarms of one object that fires steadily.
    interval: Duration,
    /// How far ahead of that steady time an object may be.
    lead: Duration,
    /// **bounded**: an object stays until its budget is whole again, and all objects together take
    /// no more than the scheduler fires in that time.
    objects: HashMap<ObjectId, Spent>,
    sweep_at: usize,
}

struct Spent {
    whole_at: Instant,
    warned: Option<Instant>,
}

/// When an alarm may fire.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    Now,
    /// The object is above its budget.
    Later {
        wait: Duration,
        /// Whether it is time to tell of it.
        warn: bool,
    },
}

impl Pace {
    pub(super) fn new(rate_per_second: u32, burst: u32) -> Self {
        let interval = Duration::from_secs(1) / rate_per_second.max(1);
        Self {
            interval,
            lead: interval.saturating_mul(burst.max(1) - 1),
            objects: HashMap::new(),
            sweep_at: SWEEP_FROM,
        }
    }

    /// Takes one alarm from the object's budget.
    pub(super) fn take(&mut self, object: ObjectId, now: Instant) -> Place {
        self.sweep(now);
        let spent = self.objects.entry(object).or_insert(Spent {
            whole_at: now,
            warned: None,
        });
        let whole_at = spent.whole_at.max(now);
        spent.whole_at = whole_at + self.interval;
        let wait = (whole_at - now).saturating_sub(self.lead);
        if wait.is_zero() {
            return Place::Now;
        }
        let warn = spent.warned.is_none_or(|last| now >= last + WARN_EVERY);
        if warn {
            spent.warned = Some(now);
        }
        Place::Later { wait, warn }
    }

    fn sweep(&mut self, now: Instant) {
        if self.objects.len() < self.sweep_at {
            return;
        }
        self.objects.retain(|_, spent| spent.whole_at > now);
        self.objects.shrink_to(SWEEP_FROM);
        self.sweep_at = SWEEP_FROM.max(2 * self.objects.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::monotonic;

    fn object(number: u16) -> ObjectId {
        let mut bytes = [0; 32];
        bytes[..2].copy_from_slice(&number.to_be_bytes());
        ObjectId::from_bytes(bytes)
    }

    fn wait_of(place: &Place) -> Duration {
        match place {
            Place::Now => Duration::ZERO,
            Place::Later { wait, .. } => *wait,
        }
    }

    #[tokio::test]
    async fn a_burst_is_free_and_then_each_has_its_own_place() {
        let mut pace = Pace::new(10, 3);
        let now = monotonic();
        let places: Vec<_> = (0..6).map(|_| pace.take(object(1), now)).collect();
        let waits: Vec<_> = places.iter().map(|p| wait_of(p).as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 100, 200, 300]);
        let warned: Vec<_> = places
            .iter()
            .map(|place| matches!(place, Place::Later { warn: true, .. }))
            .collect();
        assert_eq!(warned, [false, false, false, true, false, false]);
        assert_eq!(
            pace.take(object(2), now),
            Place::Now,
            "another object's budget"
        );
    }

    #[tokio::test]
    async fn a_steady_pace_within_the_rate_is_never_slowed() {
        let mut pace = Pace::new(10, 1);
        let mut now = monotonic();
        for _ in 0..1_000 {
            assert_eq!(pace.take(object(1), now), Place::Now);
            now += Duration::from_millis(100);
        }
        let early = pace.take(object(1), now - Duration::from_millis(50));
        assert_eq!(wait_of(&early).as_millis(), 50);
    }

    #[tokio::test]
    async fn objects_whose_budget_is_whole_again_are_forgotten() {
        let mut pace = Pace::new(10, 3);
        let mut now = monotonic();
        for number in 0..50_000 {
            _ = pace.take(object(number), now);
            now += Duration::from_millis(1);
        }
        assert!(
            pace.objects.len() <= 2 * SWEEP_FROM,
            "{}",
            pace.objects.len()
        );
    }
}
