//! When the next tick is due.
//!
//! ```text
//! grid     ┼────┼────┼────┼────┼────┼──
//!               1    2    3    4    5        2 takes long, and ends behind 4:
//!               ▓    ▓▓▓▓▓▓▓▓▓▓▓▓▓▓ 4  5     skipping: 4 at once, which says that one was missed
//!               ▓    ▓▓▓▓▓▓▓▓▓▓▓▓▓▓ 34 5     catching up: 3 and 4 at once
//! ```

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use crate::clock::monotonic;
use crate::session::SessionSet;
use crate::tick::{Tick, Ticked};

/// The interval of the `tick` callback; in memory, and gone with the activation.
#[derive(Default)]
pub(super) struct Ticks(Option<Running>);

struct Running {
    tick: Tick,
    /// Of the last tick that was due.
    number: u64,
    /// When the next one is due; `None` while there is nobody to tick for.
    due: Option<Instant>,
    sleep: Pin<Box<Sleep>>,
}

impl Ticks {
    /// The one there is goes on when it is the same: `activated` sets it again after a failed turn.
    pub(super) fn set(&mut self, tick: Option<Tick>) {
        if tick.is_some() && tick == self.0.as_ref().map(|running| running.tick) {
            return;
        }
        self.0 = tick.map(|tick| Running {
            tick,
            number: 0,
            due: None,
            sleep: Box::pin(tokio::time::sleep(tick.interval())),
        });
    }

    /// Whether ticks keep the activation from being idle: as long as there are sessions, be they away,
    /// or it is to tick without.
    pub(super) fn hold(&self, sessions: &SessionSet) -> bool {
        let running = self.0.as_ref();
        running.is_some_and(|running| running.has_reason(sessions))
    }

    /// Ready when a tick is due. A session that is away keeps the grid going, but no tick runs when there
    /// are no others: so nobody has to tell when one comes back.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, sessions: &SessionSet) -> Poll<Ticked> {
        let Some(running) = &mut self.0 else {
            return Poll::Pending;
        };
        loop {
            let ticked = ready!(running.poll(cx, sessions));
            if running.tick.is_unattended() || sessions.is_attended() {
                return Poll::Ready(ticked);
            }
            // It is as if it had never been due.
            running.number -= 1 + ticked.missed;
        }
    }
}

impl Running {
    fn has_reason(&self, sessions: &SessionSet) -> bool {
        self.tick.is_unattended() || !sessions.is_empty()
    }

    fn poll(&mut self, cx: &mut Context<'_>, sessions: &SessionSet) -> Poll<Ticked> {
        if !self.has_reason(sessions) {
            // A session that joins is a message, so this is asked again.
            self.due = None;
            return Poll::Pending;
        }
        let now = monotonic();
        let due = *self.due.get_or_insert(now + self.tick.interval());
        if now < due {
            if self.sleep.deadline() != due {
                self.sleep.as_mut().reset(due);
            }
            ready!(self.sleep.as_mut().poll(cx));
        }
        Poll::Ready(self.next(due, monotonic().max(due)))
    }

    /// The tick to run now, with all between it and the one that was due taken for missed.
    fn next(&mut self, due: Instant, now: Instant) -> Ticked {
        let interval = self.tick.interval();
        let late = now - due;
        // How many others are due by now.
        let behind = late.as_nanos() / interval.as_nanos();
        let behind = u64::try_from(behind).unwrap_or(u64::MAX);
        let catch_up = behind.min(self.tick.catch_up_max().into());
        let missed = behind - catch_up;
        let newest = now - since_grid(late, interval);
        let at = newest - interval.saturating_mul(u32::try_from(catch_up).unwrap_or(u32::MAX));
        self.due = Some(at + interval);
        self.number += missed + 1;
        Ticked {
            number: self.number,
            missed,
            late: now - at,
            interval,
        }
    }
}

/// How long the newest point of the grid has passed.
fn since_grid(late: Duration, interval: Duration) -> Duration {
    let rest = late.as_nanos() % interval.as_nanos();
    Duration::from_nanos(u64::try_from(rest).expect("an interval is a day at most"))
}
