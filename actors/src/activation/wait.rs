//! Between turns: what comes next.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use abide_storage::CommitError;
use tokio::time::{Instant, Sleep};

use super::Activation;
use crate::clock::monotonic;
use crate::mailbox::Envelope;
use crate::tick::Ticked;

/// What an activation does next.
pub(super) enum Next {
    Message(Envelope),
    Tick(Ticked),
    /// Rows of delivered messages are to be deleted.
    Settle,
    /// It has been idle long enough, or was asked to end, and holds nothing.
    Nothing,
    Broken(CommitError),
}

/// When the activation has had nothing to do for long enough.
///
/// One timer for its whole life: it is not moved with each turn, but when it fires too early.
pub(super) struct Idleness {
    timeout: Duration,
    last_turn: Instant,
    sleep: Pin<Box<Sleep>>,
}

impl Idleness {
    pub(super) fn new(timeout: Duration) -> Self {
        let last_turn = monotonic();
        let sleep = Box::pin(tokio::time::sleep_until(last_turn + timeout));
        Self {
            timeout,
            last_turn,
            sleep,
        }
    }

    /// A turn has just ended.
    pub(super) fn interrupt(&mut self, now: Instant) {
        self.last_turn = now;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            std::task::ready!(self.sleep.as_mut().poll(cx));
            let end = self.last_turn + self.timeout;
            if self.sleep.deadline() >= end {
                return Poll::Ready(());
            }
            self.sleep.as_mut().reset(end);
        }
    }
}

impl Activation {
    /// Lets out what becomes durable while it waits for the next message. Messages come before
    /// idleness: a busy actor is never passivated.
    pub(super) async fn next(&mut self) -> Next {
        let slot = self.shared.slot.clone();
        let held_max = self.shared.node.limits.pipelined_commits_max;
        // Before the messages: a mailbox that is never empty must not starve the interval. But after a
        // tick a message comes first, or a tick that takes longer than its interval starved the mailbox.
        let mut tick_first = !std::mem::take(&mut self.has_ticked);
        std::future::poll_fn(|cx| {
            loop {
                let open = match self.poll_gate(cx) {
                    Poll::Ready(Err(error)) => return Poll::Ready(Next::Broken(error)),
                    Poll::Ready(Ok(())) => true,
                    Poll::Pending => false,
                };
                self.poll_outbox(cx);
                if self.has_settled() {
                    return Poll::Ready(Next::Settle);
                }
                // An activation that ends has none, or one that writes would never get to its end.
                if tick_first
                    && !self.ending
                    && let Poll::Ready(ticked) = self.ticks.poll(cx, &slot.sessions)
                {
                    return Poll::Ready(Next::Tick(ticked));
                }
                // **bounded**: reads write nothing, but behind a slow commit their answers are held,
                // too; when so many are, messages wait in the mailbox, which says when it is full.
                let next = if self.gate.depth() < held_max {
                    slot.mailbox.poll_next(cx)
                } else {
                    Poll::Pending
                };
                match next {
                    Poll::Ready(Envelope::Evict) => {
                        self.keep_ticking();
                        self.ending = true;
                        continue;
                    }
                    Poll::Ready(envelope) => return Poll::Ready(Next::Message(envelope)),
                    Poll::Pending if !tick_first => {
                        tick_first = true;
                        continue;
                    }
                    Poll::Pending => {}
                }
                if open && self.ending && !self.awaits_answers() {
                    return Poll::Ready(Next::Nothing);
                }
                // One that has messages to deliver is not idle.
                let rests = open && !self.ticks.hold(&slot.sessions) && !self.delivers();
                if rests && self.idleness.poll(cx).is_ready() {
                    return Poll::Ready(Next::Nothing);
                }
                return Poll::Pending;
            }
        })
        .await
    }

    /// Lets out what has become durable.
    pub(super) fn poll_gate(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CommitError>> {
        if self.gate.depth() == 0 {
            return Poll::Ready(Ok(()));
        }
        let polled = self.gate.poll(cx);
        self.shared.set_held(self.gate.depth());
        polled
    }

    /// Waits for something of the store while the gate goes on letting out earlier turns.
    pub(super) async fn meanwhile<T>(
        &mut self,
        work: impl Future<Output = T>,
    ) -> Result<T, CommitError> {
        tokio::pin!(work);
        std::future::poll_fn(|cx| {
            if let Poll::Ready(Err(error)) = self.poll_gate(cx) {
                return Poll::Ready(Err(error));
            }
            work.as_mut().poll(cx).map(Ok)
        })
        .await
    }

    /// Waits until a turn that writes may begin: until its commit will have a place in the store's
    /// queue, and the disk is not too many turns behind.
    pub(super) async fn room(&mut self) -> Result<(), CommitError> {
        let max = self.shared.node.limits.pipelined_commits_max;
        if self.gate.depth() < max && self.shared.node.store.has_room() {
            return Ok(());
        }
        let store = self.shared.node.store.clone();
        let room = store.room();
        tokio::pin!(room);
        let mut has_room = false;
        std::future::poll_fn(|cx| {
            if let Poll::Ready(Err(error)) = self.poll_gate(cx) {
                return Poll::Ready(Err(error));
            }
            has_room = has_room || room.as_mut().poll(cx).is_ready();
            if has_room && self.gate.depth() < max {
                Poll::Ready(Ok(()))
            } else {
                Poll::Pending
            }
        })
        .await
    }
}
