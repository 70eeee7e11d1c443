//! A message that may write: one turn, one transaction.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::Poll;

use abide_storage::{Effect as Effects, Object, ScheduledAlarm, Timestamp};
use bytes::Bytes;
use futures_util::FutureExt;

use super::reads::Read;
use super::seal::{AlarmTurn, Sealed};
use super::{Activation, Flow};
use crate::alarm::{TRY_AGAIN, retry_wait};
use crate::call::{Call, CallError, Deadline, Origin, Reply};
use crate::clock::monotonic;
use crate::connect::ConnectError;
use crate::departure::{Answer as Addressee, Departure};
use crate::kind::Callbacks;
use crate::mailbox::{Attempt, Connect, Envelope, Fetch};
use crate::message::{Alarm, Answer, Message};
use crate::session::{Close, Frame, SessionCore};
use crate::stage::Effect;
use crate::turn::TurnContext;
use crate::waits::Wait;

/// Why a turn did not succeed, and what it means for the activation.
pub(super) struct Failure {
    pub(super) error: CallError,
    pub(super) flow: Flow,
}

impl Failure {
    fn of(error: CallError) -> Self {
        Self {
            error,
            flow: Flow::GoOn,
        }
    }
}

impl Activation {
    /// Handles one message, whatever it is.
    pub(super) async fn handle(&mut self, envelope: Envelope) -> Flow {
        let flow = match envelope {
            Envelope::Call { call, reply, wait } if self.only_reads(&call) => {
                self.reads(Read { call, reply, wait }).await
            }
            Envelope::Call { call, reply, wait } => self.call(call, reply, wait).await,
            Envelope::Frame { session, frame } => self.frame(session, frame).await,
            Envelope::Connect(connect) => self.connect(*connect).await,
            Envelope::Disconnected {
                session,
                close,
                attempt,
            } => self.disconnected(session, close, attempt).await,
            Envelope::Fetch(fetch) => self.fetch(*fetch).await,
            Envelope::Alarm { name, due } => self.alarm(name, due).await,
            Envelope::Evict => {
                self.ending = true;
                Flow::GoOn
            }
        };
        self.last_turn = monotonic();
        flow
    }

    async fn call(
        &mut self,
        call: Arc<Call>,
        reply: tokio::sync::oneshot::Sender<Result<Reply, CallError>>,
        wait: Option<Wait>,
    ) -> Flow {
        if reply.is_closed() {
            // Whoever called has stopped waiting and been told so; a turn now could only surprise.
            return Flow::GoOn;
        }
        let (deadline, origin) = (call.deadline, call.origin.clone());
        let result = self.turn(Message::Call(call), deadline, origin, None).await;
        drop(wait);
        match result {
            Ok(Sealed {
                answer: Answer::Value(payload),
                departure,
                ticket,
            }) => {
                let result = Ok(Reply {
                    payload,
                    version: self.shared.version(),
                });
                self.depart(ticket, departure, Addressee::Call { reply, result });
                Flow::GoOn
            }
            Ok(sealed) => {
                let result = Err(mismatched(&sealed.answer, "call"));
                self.depart(
                    sealed.ticket,
                    sealed.departure,
                    Addressee::Call { reply, result },
                );
                Flow::GoOn
            }
            Err(Failure { error, flow }) => {
                self.answer(Addressee::Call {
                    reply,
                    result: Err(error),
                });
                flow
            }
        }
    }

    async fn fetch(&mut self, fetch: Fetch) -> Flow {
        let Fetch {
            request,
            deadline,
            origin,
            reply,
        } = fetch;
        match self
            .turn(Message::Fetch(Box::new(request)), deadline, origin, None)
            .await
        {
            Ok(Sealed {
                answer,
                departure,
                ticket,
            }) => {
                let result = match answer {
                    Answer::Response(response) => Ok(*response),
                    other => Err(mismatched(&other, "fetch")),
                };
                self.depart(ticket, departure, Addressee::Fetch { reply, result });
                Flow::GoOn
            }
            Err(Failure { error, flow }) => {
                self.answer(Addressee::Fetch {
                    reply,
                    result: Err(error),
                });
                flow
            }
        }
    }

    async fn connect(&mut self, connect: Connect) -> Flow {
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

    async fn frame(&mut self, session: Arc<SessionCore>, frame: Frame) -> Flow {
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
                self.depart(ticket, departure, Addressee::Frame(session));
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
                self.depart(None, departure, Addressee::Frame(session));
                flow
            }
        }
    }

    async fn disconnected(
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

    /// Runs the interval's turn.
    pub(super) async fn tick(&mut self) -> Flow {
        if !self.callbacks().tick {
            self.ticks.set(None);
            return Flow::GoOn;
        }
        let flow = self.logged(Message::Tick).await;
        self.last_turn = monotonic();
        flow
    }

    /// A turn nobody waits for: its failure goes to the log.
    async fn logged(&mut self, message: Message) -> Flow {
        let callback = message.callback();
        match self.callback(message).await {
            Ok(()) => Flow::GoOn,
            Err((error, flow)) => {
                tracing::warn!(object = %self.object(), callback, %error, "a callback failed");
                flow
            }
        }
    }

    /// A turn nobody waits for.
    pub(super) async fn callback(&mut self, message: Message) -> Result<(), (CallError, Flow)> {
        let deadline = self.own_deadline();
        match self.turn(message, deadline, Origin::default(), None).await {
            Ok(Sealed {
                departure, ticket, ..
            }) => {
                self.depart(ticket, departure, Addressee::Nobody);
                Ok(())
            }
            Err(Failure { error, flow }) => Err((error, flow)),
        }
    }

    async fn alarm(&mut self, name: Arc<str>, due: Timestamp) -> Flow {
        let row = self.shared.alarms.lock().get(&name).cloned();
        let entry = ScheduledAlarm {
            due,
            object: self.object().clone(),
            name: Bytes::copy_from_slice(name.as_bytes()),
        };
        let Some(row) = row.filter(|row| row.due == Some(due)) else {
            // It was set anew, cancelled or handled since the scheduler fired it, by a turn whose
            // commit may still fail; then the store has the alarm as it was, and it must fire.
            self.answer(Addressee::Alarm(entry));
            return Flow::GoOn;
        };
        if !self.callbacks().alarm {
            tracing::warn!(object = %self.object(), alarm = %name, "cleared: the actor has no alarm callback");
            return self.rewrite_alarm(&name, None, entry);
        }
        let alarm = Alarm {
            name: name.clone(),
            scheduled: row.scheduled,
            retries: row.retries,
        };
        let handled = AlarmTurn {
            name: name.clone(),
            row: row.clone(),
        };
        let deadline = self.own_deadline();
        let result = self
            .turn(
                Message::Alarm(alarm),
                deadline,
                Origin::default(),
                Some(handled),
            )
            .await;
        match result {
            Ok(Sealed {
                departure, ticket, ..
            }) => {
                self.depart(ticket, departure, Addressee::Alarm(entry));
                Flow::GoOn
            }
            Err(Failure {
                error,
                flow: Flow::Broken(broken),
            }) => {
                tracing::warn!(object = %self.object(), alarm = %name, %error, "an alarm's turn was lost");
                self.shared
                    .node
                    .alarms
                    .put_off(&self.shared.node, entry, TRY_AGAIN);
                Flow::Broken(broken)
            }
            Err(Failure { error, flow }) => {
                let retries = row.retries.saturating_add(1);
                let node = &self.shared.node;
                let parked = node
                    .limits
                    .alarm_retries_max
                    .is_some_and(|max| retries > max);
                let next = node.clock.now() + retry_wait(retries, &node.rng);
                if parked {
                    tracing::error!(object = %self.object(), alarm = %name, %error, retries, "alarm parked");
                } else {
                    tracing::warn!(object = %self.object(), alarm = %name, %error, retries, "alarm failed, will be retried");
                }
                let due = (!parked).then_some(next);
                if self.shared.alarms.lock().get(&name) != Some(&row) {
                    // Undoing the turn ran `activated` again, and that has set or cancelled it.
                    return flow;
                }
                let row = crate::alarm::AlarmRow {
                    scheduled: row.scheduled,
                    due,
                    retries,
                };
                match self.rewrite_alarm(&name, Some(row), entry) {
                    Flow::GoOn => flow,
                    ended => ended,
                }
            }
        }
    }

    /// Runs one turn to its seal, or undoes it.
    pub(super) async fn turn(
        &mut self,
        message: Message,
        deadline: Deadline,
        origin: Origin,
        alarm: Option<AlarmTurn>,
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
                let effect = Effects::None;
                return Err(Failure::of(CallError::DeadlineExceeded { effect }));
            }
        }
        let now = monotonic();
        if now >= deadline.0 {
            return Err(Failure::of(CallError::DeadlineExceeded {
                effect: Effects::None,
            }));
        }
        let deadline = deadline.min(Deadline(now + self.shared.node.limits.turn_timeout));
        // Without its first turn, or after its last, the activation has no use for a value made anew.
        let is_edge = matches!(message, Message::Activated | Message::Deactivating);
        // The alarm is already gone for its own handler, as it will be in its commit.
        let hidden = alarm.as_ref().map(|alarm| alarm.name.clone());
        self.shared.alarms.lock().hide(hidden);
        let outcome = self.run(message, deadline, origin).await;
        self.shared.alarms.lock().hide(None);
        let sealed = outcome.and_then(|answer| self.seal(answer, alarm));
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
            turn.as_mut().poll(cx).map(|outcome| match outcome {
                Ok(Ok(Ok(answer))) => Ok(answer),
                Ok(Ok(Err(error))) => Err(Failure::of(error)),
                Ok(Err(_panic)) => Err(Failure {
                    error: CallError::Panicked,
                    flow: Flow::End,
                }),
                Err(_elapsed) => {
                    let error = CallError::DeadlineExceeded {
                        effect: Effects::None,
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
        *self.shared.stage.lock() = crate::stage::Stage::default();
        if !matches!(failure.flow, Flow::GoOn) {
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
        ticket: Option<abide_storage::Ticket>,
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

    fn only_reads(&self, call: &Call) -> bool {
        let method = self
            .shared
            .slot
            .entry
            .kind
            .description()
            .method(&call.method);
        method.is_some_and(|method| method.access == crate::call::Access::Read)
    }

    fn own_deadline(&self) -> Deadline {
        Deadline::after(self.shared.node.limits.turn_timeout)
    }

    pub(super) fn callbacks(&self) -> Callbacks {
        self.shared.slot.entry.kind.description().callbacks
    }

    pub(super) fn object(&self) -> &Object {
        self.shared.slot.object()
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
    }
}

/// Whether the actor's code is not to blame, so that the same message may succeed later.
fn is_of_the_store(error: &CallError) -> bool {
    matches!(
        error,
        CallError::Commit(_) | CallError::EarlierCommit(_) | CallError::Read(_)
    )
}

fn mismatched(answer: &Answer, callback: &'static str) -> CallError {
    CallError::Unencodable {
        what: "reply",
        detail: format!("{callback} answered with {answer:?}"),
    }
}
