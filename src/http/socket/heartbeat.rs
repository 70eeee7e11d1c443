//! Finding out that a client is gone though its connection looks open.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// Pings a silent client and gives a dead one up.
///
/// Silence is counted in whole intervals, so a frame costs no look at the clock: it only leaves
/// a mark that the next beat finds.
#[derive(Debug)]
pub(super) struct Heartbeat {
    timer: Pin<Box<Sleep>>,
    interval: Duration,
    timeout: Duration,
    heard: bool,
    silence: Duration,
}

/// What a beat asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beat {
    /// Send a ping.
    Ping,
    /// Nothing came for the whole timeout.
    Dead,
}

impl Heartbeat {
    pub(super) fn new(interval: Duration, timeout: Duration) -> Self {
        let timer = Box::pin(sleep(interval));
        Self {
            timer,
            interval,
            timeout,
            heard: false,
            silence: Duration::ZERO,
        }
    }

    /// Something came from the client.
    pub(super) fn heard(&mut self) {
        self.heard = true;
    }

    /// Waits for the next beat that asks for something.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Beat> {
        loop {
            ready!(self.timer.as_mut().poll(cx));
            self.timer.as_mut().reset(Instant::now() + self.interval);
            if std::mem::take(&mut self.heard) {
                self.silence = Duration::ZERO;
                continue;
            }
            self.silence += self.interval;
            return Poll::Ready(if self.silence >= self.timeout {
                Beat::Dead
            } else {
                Beat::Ping
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{Beat, Heartbeat};

    #[tokio::test(start_paused = true)]
    async fn a_silent_client_is_pinged_and_then_given_up() {
        let mut heartbeat = Heartbeat::new(Duration::from_secs(30), Duration::from_secs(60));
        let began = Instant::now();
        assert_eq!(poll_fn(|cx| heartbeat.poll(cx)).await, Beat::Ping);
        assert_eq!(began.elapsed().as_secs(), 30);
        assert_eq!(poll_fn(|cx| heartbeat.poll(cx)).await, Beat::Dead);
        assert_eq!(began.elapsed().as_secs(), 60);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_was_heard_is_not_pinged() {
        let mut heartbeat = Heartbeat::new(Duration::from_secs(30), Duration::from_secs(60));
        let began = Instant::now();
        assert_eq!(poll_fn(|cx| heartbeat.poll(cx)).await, Beat::Ping);
        heartbeat.heard();
        assert_eq!(poll_fn(|cx| heartbeat.poll(cx)).await, Beat::Ping);
        assert_eq!(began.elapsed().as_secs(), 90);
    }
}
