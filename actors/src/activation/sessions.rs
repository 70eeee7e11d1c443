//! Turns on a session: it opens, its frames, its end.

use std::sync::Arc;

use super::seal::{Joining, Sealed};
use super::turn::{Failure, OnUnwind};
use super::{Activation, Flow};
use crate::call::{CallError, Origin};
use crate::connect::ConnectError;
use crate::departure::Answer as Addressee;
use crate::mailbox::{Attempt, Connect};
use crate::message::{Answer, Message};
use crate::session::{Close, Frame, SessionCore};
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
        self.shared.stage.lock().connecting = Some(session.id);
        let turn = self.turn(message, deadline, origin, None).await;
        self.shared.stage.lock().connecting = None;
        match turn {
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
        if session.has_failed() {
            // The client handed it over before it could know, and its session ends: this one would take
            // effect without the one before it.
            return Flow::GoOn;
        }
        let is_durable = self.has_durable(session.id);
        if is_durable && let Some(response) = self.answered_below(&frame) {
            return self.answer_below(session, response).await;
        }
        let message = Message::Frame {
            session: self.shared.session(session.clone()),
            frame,
        };
        let deadline = self.own_deadline();
        let joining = is_durable.then_some(Joining::Received(session.id));
        let result = self
            .turn(message, deadline, Origin::default(), joining)
            .await;
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
            Err(failure) => self.failed_frame(session, failure),
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
        let is_durable = self.has_durable(session.id);
        if !known || !self.callbacks().disconnected {
            return match is_durable {
                true => self.forget_session(session.id).await,
                false => Flow::GoOn,
            };
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
        let joining = is_durable.then_some(Joining::Ended(session.id));
        match self
            .turn(message, deadline, Origin::default(), joining)
            .await
        {
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
                } else if is_durable && !matches!(flow, Flow::Broken(_)) {
                    // It was told, and is not told again.
                    return match self.forget_session(session.id).await {
                        Flow::GoOn => flow,
                        ended => ended,
                    };
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
