//! The output gate: what a turn lets out waits here until the writes it may reveal are durable.
//!
//! Each turn hands over what is to leave, with the ticket of its commit when it wrote something.
//! The gate lets them out in the order of the turns, each when its own commit and every earlier
//! one is durable (**durable-before-visible**). It waits for no later write: the actor may be
//! several turns ahead of the disk. When a commit fails, nothing held leaves; the callers are told
//! what became of their turns, and the activation ends.
//!
//! (The gates' rules are those of Cloudflare's Durable Objects, `workerd` `src/workerd/io/io-gate.h`;
//! here a turn is one transaction, so only the output side is needed.)

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use abide_storage::{CommitError, Ticket};

use crate::teeth::{Tooth, broken};

/// What leaves when its turn is durable, or is answered with the reason why not.
pub(crate) trait Held {
    /// The turn and all before it are durable.
    fn release(self);

    /// The turn did not become durable, or an earlier one it may have built upon did not.
    fn refuse(self, why: Refused);
}

/// Why held effects do not leave.
#[derive(Debug, Clone)]
pub(crate) enum Refused {
    /// The turn's own commit failed.
    Own(CommitError),
    /// The turn wrote nothing, but saw what an earlier, failed one wrote.
    Earlier(CommitError),
}

/// See the module's documentation.
pub(crate) struct OutputGate<H: Held> {
    held: VecDeque<(Option<Ticket>, H)>,
}

impl<H: Held> OutputGate<H> {
    pub(crate) fn new() -> Self {
        Self {
            held: VecDeque::new(),
        }
    }

    /// Turns whose effects have not left yet.
    pub(crate) fn depth(&self) -> usize {
        self.held.len()
    }

    /// Takes what a turn lets out. Without a ticket and with nothing held it leaves at once.
    pub(crate) fn hold(&mut self, ticket: Option<Ticket>, effects: H) {
        let is_free = ticket.is_none() && self.held.is_empty();
        if is_free || broken(Tooth::SkipOutputGate) {
            effects.release();
        } else {
            self.held.push_back((ticket, effects));
        }
    }

    /// Lets out what has become durable. Ready with the error of the first commit that failed;
    /// the caller then ends the activation with [`refuse_all`](Self::refuse_all).
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CommitError>> {
        while let Some((ticket, _)) = self.held.front_mut() {
            if let Some(ticket) = ticket
                && let Err(error) = ready!(Pin::new(ticket).poll(cx))
            {
                let (_, effects) = self.held.pop_front().expect("the front was just seen");
                effects.refuse(Refused::Own(error.clone()));
                return Poll::Ready(Err(error));
            }
            let (_, effects) = self.held.pop_front().expect("the front was just seen");
            effects.release();
            if self.held.is_empty() && self.held.capacity() > 64 {
                self.held = VecDeque::new();
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Answers everything still held after a failed commit: each turn by its own commit's
    /// outcome, which the store's law makes a failure too; those that wrote nothing by `first`.
    ///
    /// # Cancel safety
    /// No: what is held would be dropped without an answer.
    pub(crate) async fn refuse_all(&mut self, first: &CommitError) {
        while let Some((ticket, effects)) = self.held.pop_front() {
            match ticket {
                None => effects.refuse(Refused::Earlier(first.clone())),
                Some(ticket) => {
                    let own = ticket.await.err();
                    // A store that made a later commit durable after it failed an earlier one has
                    // broken its contract; going on would serve a state with a hole.
                    let own = own.expect("a commit after a failed one of its object must fail");
                    effects.refuse(Refused::Own(own));
                }
            }
        }
    }
}

impl<H: Held> Drop for OutputGate<H> {
    /// The activation was torn down (actor code panicked where nobody expects it to): whether what
    /// is held becomes durable is not known here.
    fn drop(&mut self) {
        for (_, effects) in self.held.drain(..) {
            effects.refuse(Refused::Own(CommitError::Unknown));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::task::Waker;

    use parking_lot::Mutex;

    use super::*;

    type Log = Arc<Mutex<Vec<String>>>;
    struct Note(&'static str, Log);

    impl Held for Note {
        fn release(self) {
            self.1.lock().push(self.0.to_owned());
        }
        fn refuse(self, why: Refused) {
            let why = if matches!(why, Refused::Own(_)) {
                "own"
            } else {
                "earlier"
            };
            self.1.lock().push(format!("{} refused: {why}", self.0));
        }
    }

    fn poll(gate: &mut OutputGate<Note>) -> Poll<Result<(), CommitError>> {
        gate.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_turn_without_writes_leaves_at_once_but_never_overtakes() {
        let log = Log::default();
        let mut gate = OutputGate::new();
        gate.hold(None, Note("a", log.clone()));
        assert_eq!(*log.lock(), ["a"]);

        let (durable, ticket) = Ticket::new();
        gate.hold(Some(ticket), Note("b", log.clone()));
        gate.hold(None, Note("c", log.clone()));
        assert!(poll(&mut gate).is_pending());
        assert_eq!(*log.lock(), ["a"], "c read what b wrote, so it waits for b");

        durable.send(Ok(())).unwrap();
        assert!(poll(&mut gate).is_ready());
        assert_eq!(*log.lock(), ["a", "b", "c"]);
    }

    #[test]
    fn a_later_commit_does_not_hold_an_earlier_turn() {
        let log = Log::default();
        let mut gate = OutputGate::new();
        let (first, ticket) = Ticket::new();
        gate.hold(Some(ticket), Note("first", log.clone()));
        let (_second, ticket) = Ticket::new();
        gate.hold(Some(ticket), Note("second", log.clone()));
        first.send(Ok(())).unwrap();
        assert!(poll(&mut gate).is_pending());
        assert_eq!(*log.lock(), ["first"]);
    }

    #[tokio::test]
    async fn a_failed_commit_lets_nothing_out() {
        let log = Log::default();
        let mut gate = OutputGate::new();
        let (first, ticket) = Ticket::new();
        gate.hold(Some(ticket), Note("first", log.clone()));
        gate.hold(None, Note("read", log.clone()));
        let (second, ticket) = Ticket::new();
        gate.hold(Some(ticket), Note("second", log.clone()));
        first.send(Err(CommitError::Unknown)).unwrap();
        second.send(Err(CommitError::Unknown)).unwrap();
        let Poll::Ready(Err(error)) = poll(&mut gate) else {
            panic!("the failure is reported")
        };
        gate.refuse_all(&error).await;
        let expected = [
            "first refused: own",
            "read refused: earlier",
            "second refused: own",
        ];
        assert_eq!(*log.lock(), expected);
    }
}
