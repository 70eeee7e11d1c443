//! Finding out that a client is gone though its connection looks open.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

use super::super::progress::Progress;

/// Pings a silent client and gives a dead one up.
///
/// Silence is counted in whole intervals, so a frame costs no look at the clock: it only leaves
/// a mark that the next beat finds.
///
/// A client that is slow but alive answers a ping only after it has taken all that was written before. While a ping is on
/// its way and what is ahead of it moves, silence is not counted. Once the client's system has the ping it is: a system acknowledges
/// for a program that has stopped, too.
#[derive(Debug)]
pub(super) struct Heartbeat {
    timer: Pin<Box<Sleep>>,
    interval: Duration,
    timeout: Duration,
    heard: bool,
    silence: Duration,
    /// Where in the stream the oldest ping without an answer ends.
    ping_ends: Option<u64>,
    /// What was acknowledged at the last beat.
    acknowledged: u64,
}

/// What a beat asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beat {
    /// Send a ping, then say so with [`Heartbeat::pinged`].
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
            ping_ends: None,
            acknowledged: 0,
        }
    }

    /// Something came from the client.
    pub(super) fn heard(&mut self) {
        self.heard = true;
    }

    /// A ping was written, the last of these bytes; or so many bytes wait already that it could not be.
    pub(super) fn pinged(&mut self, progress: Option<Progress>) {
        self.ping_ends = self.ping_ends.or(progress.map(|p| p.written));
    }

    /// Waits for the next beat that asks for something; asks for the progress at each that finds silence.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        progress: impl Fn() -> Option<Progress>,
    ) -> Poll<Beat> {
        loop {
            ready!(self.timer.as_mut().poll(cx));
            self.timer.as_mut().reset(Instant::now() + self.interval);
            if std::mem::take(&mut self.heard) {
                self.ping_ends = None;
                self.silence = Duration::ZERO;
                continue;
            }
            if self.is_catching_up(progress()) {
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

    /// Whether the client has taken something since the last beat, but not yet the ping.
    fn is_catching_up(&mut self, progress: Option<Progress>) -> bool {
        let Some(progress) = progress else {
            return false;
        };
        let before = std::mem::replace(&mut self.acknowledged, progress.acknowledged);
        let is_on_its_way = self
            .ping_ends
            .is_some_and(|end| progress.acknowledged < end);
        is_on_its_way && progress.acknowledged > before
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::poll_fn;
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{Beat, Heartbeat, Progress};

    fn heartbeat() -> Heartbeat {
        Heartbeat::new(Duration::from_secs(30), Duration::from_secs(60))
    }

    async fn beat(heartbeat: &mut Heartbeat) -> Beat {
        poll_fn(|cx| heartbeat.poll(cx, || None)).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_client_is_pinged_and_then_given_up() {
        let mut heartbeat = heartbeat();
        let began = Instant::now();
        assert_eq!(beat(&mut heartbeat).await, Beat::Ping);
        assert_eq!(began.elapsed().as_secs(), 30);
        heartbeat.pinged(None);
        assert_eq!(beat(&mut heartbeat).await, Beat::Dead);
        assert_eq!(began.elapsed().as_secs(), 60);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_was_heard_is_not_pinged() {
        let mut heartbeat = heartbeat();
        let began = Instant::now();
        assert_eq!(beat(&mut heartbeat).await, Beat::Ping);
        heartbeat.heard();
        assert_eq!(beat(&mut heartbeat).await, Beat::Ping);
        assert_eq!(began.elapsed().as_secs(), 90);
    }

    /// 1,000 bytes are ahead of the ping, of which the client takes 100 between two beats.
    #[tokio::test(start_paused = true)]
    async fn a_slow_client_has_time_until_the_ping_is_there() {
        let mut heartbeat = heartbeat();
        let acknowledged = Cell::new(0);
        let written = 1_002;
        let took = |bytes| {
            acknowledged.set(written.min(acknowledged.get() + bytes));
            let acknowledged = acknowledged.get();
            Some(Progress {
                written,
                acknowledged,
            })
        };
        let began = Instant::now();
        assert_eq!(
            poll_fn(|cx| heartbeat.poll(cx, || took(0))).await,
            Beat::Ping
        );
        heartbeat.pinged(took(0));
        // Ten beats at which it has taken something. At the one after it has the ping, and from there on silence counts.
        assert_eq!(
            poll_fn(|cx| heartbeat.poll(cx, || took(100))).await,
            Beat::Ping
        );
        assert_eq!(began.elapsed().as_secs(), 30 * 12);
        assert_eq!(
            poll_fn(|cx| heartbeat.poll(cx, || took(100))).await,
            Beat::Dead
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_given_up_however_much_waits() {
        let mut heartbeat = heartbeat();
        let stuck = || {
            Some(Progress {
                written: 1_000,
                acknowledged: 10,
            })
        };
        assert_eq!(poll_fn(|cx| heartbeat.poll(cx, stuck)).await, Beat::Ping);
        heartbeat.pinged(stuck());
        assert_eq!(poll_fn(|cx| heartbeat.poll(cx, stuck)).await, Beat::Dead);
    }

    /// Frames go on being sent, and the client's system takes them; its program does not answer.
    #[tokio::test(start_paused = true)]
    async fn what_a_system_takes_after_the_ping_is_no_sign_of_life() {
        let mut heartbeat = heartbeat();
        let taken = Cell::new(0);
        let all_taken = || {
            taken.set(taken.get() + 100);
            Some(Progress {
                written: taken.get(),
                acknowledged: taken.get(),
            })
        };
        assert_eq!(
            poll_fn(|cx| heartbeat.poll(cx, all_taken)).await,
            Beat::Ping
        );
        heartbeat.pinged(all_taken());
        assert_eq!(
            poll_fn(|cx| heartbeat.poll(cx, all_taken)).await,
            Beat::Dead
        );
    }
}
