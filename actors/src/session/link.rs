//! Who has a session in hand: a connection, the one who keeps it while its client is away, or the drain
//! that stores it.
//!
//! A client may come back before anybody knows that its old connection is dead, and then there are two
//! that hold the session for theirs. So each that gets it in hand gets a [`Hold`] with a number, and only
//! the last one has a say. Looking and doing is one step under one lock: an old connection takes nothing
//! out of the queue that the new one is to write, and hands nothing over that the new one's client sends
//! again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::outbound::{AttachError, FromTheFuture};
use super::token::Secret;
use super::{Close, Outgoing, SessionCore};

/// What a session has that may outlive its connection.
pub(crate) struct Link {
    pub(crate) secret: Secret,
    held: Mutex<Held>,
    /// Rung when a message of the client's has settled, and when a stored row is gone.
    settled: Notify,
    /// Its client acknowledges, so that it can be declared durable…
    pub(super) may_last: bool,
    /// …and it was.
    pub(super) is_durable: AtomicBool,
    /// A turn on one of its client's messages has failed: those that came after it are not handled.
    has_failed: AtomicBool,
}

struct Held {
    last: Hold,
    by: Holder,
    /// The session comes out of a row that may still be in the store. Until that is gone nobody takes it
    /// up: after a crash the row would tell of a session that has gone on.
    has_row: bool,
}

/// Taken with the session; worth nothing as soon as there is a later one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hold(u64);

/// Who has the session in hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holder {
    Connection,
    /// It is away.
    Keeper,
    /// It is away, and a client that is back waits until all that it sent before has settled.
    Claimant,
    /// It is stored, or about to be; nothing changes any more.
    Drain,
    /// It is over.
    Nobody,
}

/// Why a client that is back does not get the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unclaimed {
    /// It is over, or stored.
    NotThere,
    /// It has more than was sent. The session is as it was.
    FromTheFuture(FromTheFuture),
    /// What it has missed is no longer there. The session is as it was: somebody else's if `away_by` is
    /// `None`, otherwise away with this hold.
    Behind { away_by: Option<Hold> },
}

/// Of a plain session, which has one connection in all its life.
const ONLY: Hold = Hold(0);

impl Link {
    /// Of a new session.
    pub(crate) fn new(secret: Secret) -> Self {
        let held = Held {
            last: ONLY,
            by: Holder::Connection,
            has_row: false,
        };
        Self::held(secret, held)
    }

    /// As that, with a client that cannot acknowledge.
    pub(crate) fn receiving(secret: Secret) -> Self {
        let link = Self::new(secret);
        let may_last = false;
        Self { may_last, ..link }
    }

    /// Of a session that a row told of.
    pub(super) fn restored(secret: Secret) -> Self {
        let held = Held {
            last: ONLY,
            by: Holder::Keeper,
            has_row: true,
        };
        Self::held(secret, held)
    }

    fn held(secret: Secret, held: Held) -> Self {
        Self {
            secret,
            held: Mutex::new(held),
            settled: Notify::new(),
            may_last: true,
            is_durable: AtomicBool::new(false),
            has_failed: AtomicBool::new(false),
        }
    }
}

impl Held {
    fn pass_to(&mut self, by: Holder) -> Hold {
        self.last.0 += 1;
        self.by = by;
        self.last
    }
}

impl SessionCore {
    /// The first hold there is.
    pub(crate) fn first_hold(&self) -> Hold {
        ONLY
    }

    /// Whether it can be taken up again.
    pub(crate) fn is_resumable(&self) -> bool {
        self.link.is_some()
    }

    /// Whether a client's connection has the session.
    pub(crate) fn is_connected(&self) -> bool {
        match &self.link {
            None => !self.outbound.has_ended(),
            Some(link) => link.held.lock().by == Holder::Connection,
        }
    }

    /// Does it if this is the last hold, and lets no other begin meanwhile.
    pub(super) fn while_held<T>(&self, hold: Hold, act: impl FnOnce() -> T) -> Option<T> {
        match &self.link {
            None => Some(act()),
            Some(link) => {
                let held = link.held.lock();
                (held.last == hold).then(act)
            }
        }
    }

    /// What a connection is to do next.
    pub(super) fn poll_connection(&self, hold: Hold, cx: &Context<'_>) -> Poll<Outgoing> {
        let Some(link) = &self.link else {
            return self.outbound.poll(cx);
        };
        let held = link.held.lock();
        // Who stores the session lets its connection write on: what it writes is in the store as well,
        // and the client knows what it got.
        if held.last == hold || held.by == Holder::Drain {
            return self.outbound.poll(cx);
        }
        let reason = "the session has been taken up by another connection";
        Poll::Ready(Outgoing::Close(Close::new(Close::TAKEN_OVER, reason)))
    }

    /// How the session ends while it is away, or `None` when somebody has taken it up.
    pub(super) fn poll_away(&self, hold: Hold, cx: &Context<'_>) -> Poll<Option<Close>> {
        let polled = self.while_held(hold, || self.outbound.poll(cx));
        match polled {
            None => Poll::Ready(None),
            Some(Poll::Ready(Outgoing::Close(close))) => Poll::Ready(Some(close)),
            // Nobody is there to take anything else.
            Some(_) => Poll::Pending,
        }
    }

    /// The session has lost its connection, which had this hold, and goes on without. `None` when it does
    /// not: it is over, or none of this connection's business any more.
    pub(super) fn let_go(&self, hold: Hold) -> Option<Hold> {
        let mut held = self.link.as_ref()?.held.lock();
        (held.last == hold && self.outbound.detach()).then(|| held.pass_to(Holder::Keeper))
    }

    /// Takes the session from whoever has it, for a client that has come back and has got `received`
    /// messages. One whose count does not fit takes it from nobody.
    pub(super) fn claim(&self, received: u64) -> Result<Hold, Unclaimed> {
        let Some(link) = &self.link else {
            return Err(Unclaimed::NotThere);
        };
        let mut held = link.held.lock();
        let away_by = match held.by {
            Holder::Connection | Holder::Claimant => None,
            Holder::Keeper => Some(held.last),
            Holder::Drain | Holder::Nobody => return Err(Unclaimed::NotThere),
        };
        // Nobody writes through from here on. A connection that keeps the session lends its wire again.
        self.outbound.take_wire_back();
        // Nothing is written or acknowledged meanwhile, since both need the lock, and nothing after it,
        // since both need the last hold: what fits now fits when it is taken up.
        match self.outbound.fits(received) {
            Ok(()) if self.outbound.detach() => Ok(held.pass_to(Holder::Claimant)),
            Ok(()) | Err(AttachError::Over) => Err(Unclaimed::NotThere),
            Err(AttachError::Behind) => Err(Unclaimed::Behind { away_by }),
            Err(AttachError::FromTheFuture(error)) => Err(Unclaimed::FromTheFuture(error)),
        }
    }

    /// Gives the session that was [claimed](Self::claim) to its new connection, and how many of the
    /// client's messages have taken effect. `None` when it is over, stored, or another client was faster.
    pub(super) fn take_up(&self, hold: Hold, received: u64) -> Option<(Hold, u64)> {
        let mut held = self.link.as_ref()?.held.lock();
        if held.last != hold {
            return None;
        }
        let settled = match self.outbound.attach(received) {
            Ok(settled) => settled,
            Err(AttachError::Over) => return None,
            Err(error) => unreachable!("looked at when the session was claimed: {error}"),
        };
        Some((held.pass_to(Holder::Connection), settled))
    }

    /// The session is over. `false` when that is not for this hold to say.
    pub(super) fn finish(&self, hold: Hold) -> bool {
        if let Some(link) = &self.link {
            let mut held = link.held.lock();
            if held.last != hold {
                return false;
            }
            held.pass_to(Holder::Nobody);
            link.settled.notify_waiters();
        }
        self.outbound.end();
        true
    }

    /// Takes the session out of everybody's hands, so that it can be stored. `false` when there is none.
    pub(crate) fn freeze(&self) -> bool {
        let Some(link) = &self.link else { return false };
        let mut held = link.held.lock();
        match held.by {
            Holder::Connection | Holder::Keeper | Holder::Claimant => {
                // Its connection writes on, but could not take the wire back any more.
                self.outbound.set_wire(None);
                held.pass_to(Holder::Drain);
                true
            }
            Holder::Drain => true,
            Holder::Nobody => false,
        }
    }

    /// A message of the client's has settled, or never came to anything; or the session is over for it.
    pub(crate) fn has_settled(&self) {
        if let Some(link) = &self.link {
            link.settled.notify_waiters();
        }
    }

    /// A turn on one of the client's messages has failed, and its session ends.
    pub(crate) fn fail(&self) {
        if let Some(link) = &self.link {
            link.has_failed.store(true, Ordering::Relaxed);
        }
    }

    /// Whether one has. What the client has sent since must not take effect without it.
    pub(crate) fn has_failed(&self) -> bool {
        let link = self.link.as_ref();
        link.is_some_and(|link| link.has_failed.load(Ordering::Relaxed))
    }

    /// The row that told of the session is gone.
    pub(crate) fn row_is_gone(&self) {
        if let Some(link) = &self.link {
            link.held.lock().has_row = false;
            link.settled.notify_waiters();
        }
    }

    /// Waits until all that the client's last connection handed over has settled and no row tells of the
    /// session, or it is over.
    pub(super) async fn settled(&self) {
        let Some(link) = &self.link else { return };
        loop {
            // Enlisted before the look: what settles in between rings.
            let rings = link.settled.notified();
            tokio::pin!(rings);
            rings.as_mut().enable();
            let (is_over, has_row) = {
                let held = link.held.lock();
                (held.by == Holder::Nobody, held.has_row)
            };
            if is_over || !has_row && self.outbound.is_settled() {
                return;
            }
            rings.await;
        }
    }
}
