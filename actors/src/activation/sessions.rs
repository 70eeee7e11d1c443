//! Turns on a session: it opens, its frames, its end.

use std::sync::Arc;

use super::seal::Sealed;
use super::turn::{Failure, OnUnwind};
use super::{Activation, Flow};
use crate::call::{CallError, Origin};
use crate::connect::ConnectError;
use crate::departure::Answer as Addressee;
use crate::mailbox::{Attempt, Connect};
use crate::message::{Answer, Message};
use crate::session::{Close, Frame, SessionCore};
use crate::stage::Effect;
use crate::teeth::{Tooth, broken};

impl Activation {
    pub(super) async fn connect(&mut self, connect: Connect) -> Flow {
        let Connect {
            session,
            request,
            deadline,
            reply,
        } = connect;
        // From here on the turn's own broadcasts reach it, too; a refusal takes it out again.
        let max = self.shared.node.limits.sessions_per_object_max;
        if !self.shared.slot.sessions.insert(session.clone(), max) {
            let result = Err(ConnectError::TooManySessions { limit: max });
            self.answer(Addressee::Connect {
                session,
                reply,
                result,
            });
            return Flow::GoOn;
        }
        if session.outbound.has_ended() {
            // The client gave up before its turn came. Its transport may have looked for the
            // session before the line above put it in, so it is taken out here.
            self.shared.slot.sessions.remove(&session);
            return Flow::GoOn;
        }
        if !self.callbacks().connected {
            self.answer(Addressee::Connect {
                session,
                reply,
                result: Ok(()),
            });
            return Flow::GoOn;
        }
        let origin = request.origin.clone();
        let (slot, failed) = (self.shared.slot.clone(), session.clone());
        let _unwinding = OnUnwind::new(move || {
            slot.sessions.remove(&failed);
        });
        let message = Message::Connected {
            session: self.shared.session(session.clone()),
            request,
        };
        match self.turn(message, deadline, origin, None).await {
            Ok(Sealed {
                answer,
                departure,
                ticket,
            }) => {
                let result = match answer {
                    Answer::Refused(refusal) => Err(ConnectError::Refused(refusal)),
                    _ => Ok(()),
                };
                if result.is_err() {
                    self.shared.slot.sessions.remove(&session);
                }
                self.depart(
                    ticket,
                    departure,
                    Addressee::Connect {
                        session,
                        reply,
                        result,
                    },
                );
                Flow::GoOn
            }
            Err(Failure { error, flow }) => {
                self.shared.slot.sessions.remove(&session);
                let result = Err(error.into());
                self.answer(Addressee::Connect {
                    session,
                    reply,
                    result,
                });
                flow
            }
        }
    }

    pub(super) async fn frame(&mut self, session: Arc<SessionCore>, frame: Frame) -> Flow {
        let _pacing = Pacing(session.clone());
        let message = Message::Frame {
            session: self.shared.session(session.clone()),
            frame,
        };
        let deadline = self.own_deadline();
        let result = self.turn(message, deadline, Origin::default(), None).await;
        match result {
            Ok(Sealed {
                departure, ticket, ..
            }) => {
                let addressee = if broken(Tooth::AckBeforeDurable) {
                    session.settle();
                    Addressee::Nobody
                } else {
                    Addressee::Frame(session)
                };
                self.depart(ticket, departure, addressee);
                Flow::GoOn
            }
            Err(Failure { error, flow }) => {
                // A frame has no reply, so the failure is the session's end, with the reason. It
                // goes through the gate like any answer: behind what earlier turns have sent.
                let mut departure = self.departure();
                let close = Close::new(Close::INTERNAL_ERROR, error.to_string());
                departure.effects = vec![Effect::Close {
                    session: session.clone(),
                    close,
                }];
                self.depart(None, departure, Addressee::FailedFrame(session));
                flow
            }
        }
    }

    pub(super) async fn disconnected(
        &mut self,
        session: Arc<SessionCore>,
        close: Close,
        attempt: Attempt,
    ) -> Flow {
        let was_member = self.shared.slot.sessions.remove(&session);
        // One that was refused, or gave up before its turn came, never was on the object.
        let known = was_member || attempt == Attempt::Again;
        if !known || !self.callbacks().disconnected {
            return Flow::GoOn;
        }
        let (node, slot) = (self.shared.node.clone(), self.shared.slot.clone());
        let again = (session.clone(), close.clone());
        let _unwinding = OnUnwind::new(move || node.disconnected_again(&slot, again.0, again.1));
        let gone = self.shared.session(session.clone());
        let message = Message::Disconnected {
            session: gone,
            close: close.clone(),
        };
        let deadline = self.own_deadline();
        match self.turn(message, deadline, Origin::default(), None).await {
            Ok(Sealed {
                departure, ticket, ..
            }) => {
                self.depart(
                    ticket,
                    departure,
                    Addressee::Disconnected { session, close },
                );
                Flow::GoOn
            }
            Err(Failure { error, flow }) => {
                tracing::warn!(object = %self.object(), %error, "disconnected failed");
                if is_of_the_store(&error) {
                    let (node, slot) = (&self.shared.node, &self.shared.slot);
                    node.disconnected_again(slot, session, close);
                }
                flow
            }
        }
    }
}

/// Lets the transport read its next frame when the turn on this one is over, however it ended.
struct Pacing(Arc<SessionCore>);

impl Drop for Pacing {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let reason = "the actor's code panicked";
            self.0
                .outbound
                .close(Close::new(Close::INTERNAL_ERROR, reason));
        }
        self.0.outbound.end_turn();
        self.0.has_settled();
    }
}

/// Whether the actor's code is not to blame, so that the same message may succeed later.
fn is_of_the_store(error: &CallError) -> bool {
    matches!(
        error,
        CallError::Commit(_) | CallError::EarlierCommit(_) | CallError::Read(_)
    )
}
