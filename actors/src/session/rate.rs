//! How fast a client may send.
//!
//! Reading is paced by the object already: the next frame of a session is read when the last one was
//! handled. That keeps one session from filling a mailbox, but not from keeping its object busy with nothing
//! but it. This bound is what a client that means well never meets, and one that floods always does.

use std::time::Duration;

use tokio::time::Instant;

use super::{Close, SessionCore};

/// How many messages a client may send: so many a second in the long run, and so many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageRate {
    /// In the long run; 0 is no bound at all.
    pub per_second: u32,
    /// At once, after a pause; 0 is as 1.
    pub burst: u32,
}

impl MessageRate {
    /// As many as it likes.
    pub const UNLIMITED: Self = Self {
        per_second: 0,
        burst: 0,
    };
}

/// What a session has used of its rate: a generic cell rate algorithm (ITU-T I.371), as
/// `alarm/pace.rs` has it for alarms.
#[derive(Debug, Default)]
pub(super) struct Used {
    /// When everything may be sent at once again.
    whole_at: Option<Instant>,
}

impl Used {
    /// Takes one message from the rate, which is not 0; `false` when there is none to take.
    fn take(&mut self, rate: MessageRate, now: Instant) -> bool {
        let interval = Duration::from_secs(1) / rate.per_second;
        let lead = interval.saturating_mul(rate.burst.max(1) - 1);
        let whole_at = self.whole_at.map_or(now, |at| at.max(now));
        if whole_at - now > lead {
            return false;
        }
        self.whole_at = Some(whole_at + interval);
        true
    }
}

impl SessionCore {
    /// Takes one message from what the client may send, or ends the session: no later message of it is
    /// handled. `default` is the node's rate, unless the actor chose one.
    pub(super) fn admits_message(&self, default: MessageRate) -> bool {
        let mut traits = self.traits.lock();
        let rate = traits.rate.unwrap_or(default);
        if rate.per_second == 0 || traits.used.take(rate, Instant::now()) {
            return true;
        }
        drop(traits);
        let MessageRate { per_second, burst } = rate;
        let reason = format!("more than {per_second} messages a second, or {burst} at once");
        self.outbound.close(Close::new(Close::POLICY, reason));
        false
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{MessageRate, Used};

    const RATE: MessageRate = MessageRate {
        per_second: 10,
        burst: 5,
    };

    fn taken(used: &mut Used, now: Instant, count: usize) -> usize {
        (0..count).filter(|_| used.take(RATE, now)).count()
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_goes_through_and_then_the_rate() {
        let (mut used, began) = (Used::default(), Instant::now());
        assert_eq!(taken(&mut used, began, 8), 5);
        // What was refused took nothing.
        assert_eq!(taken(&mut used, began + Duration::from_millis(100), 8), 1);
        assert_eq!(taken(&mut used, began + Duration::from_millis(300), 8), 2);
        // However long the pause, no more than one burst gathers.
        assert_eq!(taken(&mut used, began + Duration::from_secs(3_600), 8), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_steady_client_within_the_rate_is_never_refused() {
        let (mut used, began) = (Used::default(), Instant::now());
        for step in 0..1_000 {
            let now = began + Duration::from_millis(100) * step;
            assert!(used.take(RATE, now), "{step}");
        }
    }
}
