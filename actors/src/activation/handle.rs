//! One message, whatever it is: what it becomes a turn of, and who gets the answer.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::reads::Read;
use super::repeats::Promised;
use super::seal::{Joining, Sealed};
use super::turn::Failure;
use super::{Activation, Flow};
use crate::call::{Access, Call, CallError, Deadline, Origin, Reply};
use crate::clock::monotonic;
use crate::departure::Answer as Addressee;
use crate::mailbox::{Envelope, Fetch};
use crate::message::{Answer, Message};
use crate::tick::Ticked;
use crate::waits::Wait;

impl Activation {
    /// Handles one message, whatever it is.
    pub(super) async fn handle(&mut self, envelope: Envelope) -> Flow {
        self.shared.slot.usage.begin();
        let flow = match envelope {
            Envelope::Call {
                reply,
                wait: None,
                begin_by,
                ..
            } if self.comes_too_late(begin_by) => {
                let overloaded = CallError::Overloaded {
                    object: self.object().clone(),
                    waiting: self.shared.slot.mailbox.len(),
                };
                // It reveals nothing, so it need not wait for the gate.
                drop(reply.send(Err(overloaded)));
                Flow::GoOn
            }
            Envelope::Call {
                call, reply, wait, ..
            } if call.access == Access::Read => self.reads(Read { call, reply, wait }).await,
            Envelope::Call {
                call, reply, wait, ..
            } => self.call(call, reply, wait).await,
            Envelope::Frame { session, frame } => self.frame(session, frame).await,
            Envelope::Connect(connect) => self.connect(*connect).await,
            Envelope::Disconnected {
                session,
                close,
                attempt,
            } => self.disconnected(session, close, attempt).await,
            Envelope::Fetch(fetch) => self.fetch(*fetch).await,
            Envelope::Alarm(fired) => self.alarm(fired).await,
            Envelope::RunAlarm { name, reply } => self.run_alarm(name, reply).await,
            Envelope::Sent(sent) => self.sent(*sent).await,
            Envelope::Forget { sender, last } => self.forget(sender, last).await,
            // The object is active now, which is all that was asked for.
            Envelope::Wake { .. } => Flow::GoOn,
            Envelope::Restore { reply } => {
                drop(reply.send(Ok(())));
                Flow::GoOn
            }
            Envelope::Evict => {
                self.ending = true;
                Flow::GoOn
            }
            Envelope::Image(_) | Envelope::Keep(_) => {
                unreachable!("`run` handles it: it may end the activation")
            }
        };
        self.handled();
        flow
    }

    /// A message was handled.
    fn handled(&mut self) {
        let now = monotonic();
        self.idleness.interrupt(now);
        self.weigh(now);
    }

    /// Whether a call has waited for half of its time and others wait behind it.
    ///
    /// When messages come faster than the object handles them, a queue that is served in order makes
    /// everybody wait until just before they give up, and then does their work for nobody. Refusing
    /// those who have waited long leaves the others enough time to be answered. A call that nobody
    /// waits behind runs, and so does one of another object's turn, which has work to lose.
    /// (The idea is that of CoDel, RFC 8289, as used on queues of requests: B. Maurer, Fail at Scale,
    /// ACM Queue 13(8), 2015; here the caller's own deadline is the measure.)
    fn comes_too_late(&self, begin_by: Deadline) -> bool {
        begin_by.has_passed() && self.shared.slot.mailbox.len() > 0
    }

    async fn call(
        &mut self,
        call: Arc<Call>,
        reply: oneshot::Sender<Result<Reply, CallError>>,
        wait: Option<Wait>,
    ) -> Flow {
        if reply.is_closed() {
            // Whoever called has stopped waiting and been told so; a turn now could only surprise.
            return Flow::GoOn;
        }
        let joining = match &call.idempotency_key {
            None => None,
            // Boxed: the task of every activation would be larger for what few calls need.
            Some(key) => match Box::pin(self.promise(&call, key)).await {
                Ok(Promised::New(promise)) => Some(Joining::Reply(promise)),
                Ok(Promised::Kept(kept)) => {
                    // Its commit may still be on its way; like any answer, it waits for that.
                    let result = Ok(kept);
                    self.answer(Addressee::Call { reply, result });
                    return Flow::GoOn;
                }
                Err(Failure { error, flow }) => {
                    let result = Err(error);
                    self.answer(Addressee::Call { reply, result });
                    return flow;
                }
            },
        };
        let (deadline, origin) = (call.deadline, call.origin.clone());
        let result = self
            .turn(Message::Call(call), deadline, origin, joining)
            .await;
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
                    replayed: false,
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

    /// Runs the interval's turn.
    pub(super) async fn tick(&mut self, ticked: Ticked) -> Flow {
        if !self.callbacks().tick {
            self.ticks.set(None);
            return Flow::GoOn;
        }
        self.has_ticked = true;
        self.shared.slot.usage.begin();
        let flow = self.logged(Message::Tick(ticked)).await;
        self.handled();
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
}

fn mismatched(answer: &Answer, callback: &'static str) -> CallError {
    CallError::Unencodable {
        what: "reply",
        detail: format!("{callback} answered with {answer:?}"),
    }
}
