//! A message that may write: one turn, one transaction.

use std::panic::AssertUnwindSafe;
use std::task::Poll;

use abide_storage::{Effect, Object, Ticket};
use futures_util::FutureExt;

use super::seal::{Joining, Sealed};
use super::{Activation, Flow};
use crate::call::{CallError, Deadline, Origin};
use crate::clock::monotonic;
use crate::departure::{Answer as Addressee, Departure};
use crate::kind::Callbacks;
use crate::message::{Answer, Message};
use crate::send::outbox::Starts;
use crate::teeth::{Tooth, broken};
use crate::turn::TurnContext;

/// Why a turn did not succeed, and what it means for the activation.
pub(super) struct Failure {
    pub(super) error: CallError,
    pub(super) flow: Flow,
}

impl Failure {
    pub(super) fn of(error: CallError) -> Self {
        Self {
            error,
            flow: Flow::GoOn,
        }
    }
}

impl Activation {
    /// Runs one turn to its seal, or undoes it.
    pub(super) async fn turn(
        &mut self,
        message: Message,
        deadline: Deadline,
        origin: Origin,
        joining: Option<Joining>,
    ) -> Result<Sealed, Failure> {
        match tokio::time::timeout_at(deadline.0, self.room()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                let flow = Flow::Broken(error.clone());
                return Err(Failure {
                    error: CallError::EarlierCommit(error),
                    flow,
                });
            }
            Err(_elapsed) => {
                let effect = Effect::None;
                return Err(Failure::of(CallError::DeadlineExceeded { effect }));
            }
        }
        let now = monotonic();
        if now >= deadline.0 {
            return Err(Failure::of(CallError::DeadlineExceeded {
                effect: Effect::None,
            }));
        }
        let deadline = deadline.min(Deadline(now + self.shared.node.limits.turn_timeout));
        // Without its first turn, or after its last, the activation has no use for a value made anew.
        let is_edge = matches!(message, Message::Activated | Message::Deactivating);
        // The alarm is already gone for its own handler, as it will be in its commit.
        let hides = if let Some(Joining::Alarm(alarm)) = &joining {
            self.shared.alarms.lock().hide(Some(alarm.name.clone()));
            true
        } else {
            false
        };
        let outcome = self.run(message, deadline, origin).await;
        if hides {
            self.shared.alarms.lock().hide(None);
        }
        let sealed = outcome.and_then(|answer| self.seal(answer, joining));
        match sealed {
            Ok(sealed) => Ok(sealed),
            Err(Failure {
                error,
                flow: Flow::GoOn,
            }) if is_edge => Err(self
                .undone(Failure {
                    error,
                    flow: Flow::End,
                })
                .await),
            Err(failure) => Err(self.undone(failure).await),
        }
    }

    /// Runs actor code, with its deadline and its panics contained, while the gate goes on
    /// letting out earlier turns.
    async fn run(
        &mut self,
        message: Message,
        deadline: Deadline,
        origin: Origin,
    ) -> Result<Answer, Failure> {
        let cx = TurnContext {
            shared: self.shared.clone(),
            deadline,
            origin,
        };
        let Self {
            incarnation,
            gate,
            shared,
            outbox,
            ..
        } = self;
        // **one-turn**: the value is borrowed mutably until the turn is over. A panic may leave it
        // in any shape; it is dropped with the activation and never looked at again.
        let turn = AssertUnwindSafe(async move { incarnation.turn(cx, message).await });
        let turn = tokio::time::timeout_at(deadline.0, turn.catch_unwind());
        tokio::pin!(turn);
        std::future::poll_fn(|cx| {
            if gate.depth() > 0 {
                let polled = gate.poll(cx);
                shared.set_held(gate.depth());
                if let Poll::Ready(Err(error)) = polled {
                    let flow = Flow::Broken(error.clone());
                    return Poll::Ready(Err(Failure {
                        error: CallError::EarlierCommit(error),
                        flow,
                    }));
                }
            }
            if let Some(outbox) = outbox {
                outbox.poll(cx, shared, Starts::Yes);
            }
            turn.as_mut().poll(cx).map(|outcome| match outcome {
                Ok(Ok(Ok(answer))) => Ok(answer),
                Ok(Ok(Err(error))) => Err(Failure::of(error)),
                Ok(Err(_panic)) => Err(Failure {
                    error: CallError::Panicked,
                    flow: Flow::End,
                }),
                Err(_elapsed) => {
                    let error = CallError::DeadlineExceeded {
                        effect: Effect::None,
                    };
                    Err(Failure {
                        error,
                        flow: Flow::End,
                    })
                }
            })
        })
        .await
    }

    /// **all-or-nothing**: takes back all a failed turn did, in the stage and in the value.
    async fn undone(&mut self, mut failure: Failure) -> Failure {
        if !broken(Tooth::KeepStageOfFailedTurn) {
            drop(self.shared.stage.lock().take());
        }
        if !matches!(failure.flow, Flow::GoOn) || broken(Tooth::KeepValueOfFailedTurn) {
            // The value goes with the activation.
            return failure;
        }
        // Comparing the encoded state would not do: what is kept in memory only counts as well.
        let again = match self.undo() {
            Ok(()) if self.callbacks().activated => Box::pin(self.begin()).await,
            Ok(()) => Ok(()),
            Err(error) => Err((error, Flow::End)),
        };
        if let Err((error, flow)) = again {
            tracing::error!(object = %self.object(), %error, "the object could not be activated again after a failed turn");
            failure.flow = flow;
        }
        failure
    }

    /// Hands what a sealed turn lets out to the gate.
    pub(super) fn depart(
        &mut self,
        ticket: Option<Ticket>,
        mut departure: Departure,
        answer: Addressee,
    ) {
        departure.answer = answer;
        self.gate.hold(ticket, departure);
        self.shared.set_held(self.gate.depth());
    }

    /// An answer that carries no effect of its turn; it may still reveal what earlier turns wrote.
    pub(super) fn answer(&mut self, answer: Addressee) {
        let departure = self.departure();
        self.depart(None, departure, answer);
    }

    pub(super) fn departure(&self) -> Departure {
        Departure::new(&self.shared, Addressee::Nobody)
    }

    pub(super) fn own_deadline(&self) -> Deadline {
        Deadline::after(self.shared.node.limits.turn_timeout)
    }

    pub(super) fn callbacks(&self) -> Callbacks {
        self.shared.slot.entry.kind.description().callbacks
    }

    pub(super) fn object(&self) -> &Object {
        self.shared.slot.object()
    }
}

/// Does something when the activation is torn down in the middle of a message: actor code has
/// panicked where nobody catches it, as in the `Drop` of its value.
pub(super) struct OnUnwind<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> OnUnwind<F> {
    pub(super) fn new(then: F) -> Self {
        Self(Some(then))
    }
}

impl<F: FnOnce()> Drop for OnUnwind<F> {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(then) = self.0.take()
        {
            then();
        }
    }
}
