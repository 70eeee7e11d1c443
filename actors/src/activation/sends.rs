//! Sends: a message from another object becomes a turn, and the object's own go their way.

use std::sync::Arc;
use std::task::Context;

use abide_storage::{CommitError, ObjectId, WriteBatch};
use tokio::sync::oneshot;

use super::seal::{Joining, Sealed, failed_commit};
use super::turn::Failure;
use super::{Activation, Flow};
use crate::alarm::TRY_AGAIN;
use crate::call::{Call, CallError, Deadline, Origin};
use crate::departure::{Answer as Addressee, Departure};
use crate::message::Message;
use crate::send::outbox::{Outbox, Posting, Starts, is_fault};
use crate::send::receipts::{Receipt, find, known};
use crate::send::{Counters, Heard, Outgoing, Sent, Sequence};

/// Longest a message waits for room in the store. Not the turn's own timeout: a slow disk is no fault
/// of the receiver's code.
const ROOM_WAIT: std::time::Duration = std::time::Duration::from_secs(3_600);

impl Activation {
    /// Handles a message that another object, or this one, has sent: once.
    pub(super) async fn sent(&mut self, sent: Sent) -> Flow {
        let Sent {
            from,
            sequence,
            outgoing,
            reply,
        } = sent;
        let receipt = match Box::pin(self.receipt(from.id, sequence, &outgoing)).await {
            Ok(Ok(receipt)) => receipt,
            Ok(Err(heard)) => {
                // The commit that heard it may still be on its way; the gate waits for that.
                let result = Ok(heard);
                self.answer(Addressee::Sent { reply, result });
                return Flow::GoOn;
            }
            Err(Failure { error, flow }) => {
                let result = Err(error);
                self.answer(Addressee::Sent { reply, result });
                return flow;
            }
        };
        let deadline = Deadline::after(ROOM_WAIT);
        let origin = Origin {
            request_id: outgoing.request_id.clone(),
            traceparent: outgoing.traceparent.clone(),
            ..Origin::default()
        };
        let call = Call {
            origin: origin.clone(),
            ..Call::new(
                outgoing.method.clone(),
                outgoing.arguments.clone(),
                deadline,
            )
        };
        let message = Message::Call(Arc::new(call));
        let joining = Some(Joining::Receipt(receipt.clone()));
        match self.turn(message, deadline, origin, joining).await {
            Ok(Sealed {
                departure, ticket, ..
            }) => {
                Counters::add(&self.shared.node.sends.handled);
                let result = Ok(Heard::Yes);
                self.depart(ticket, departure, Addressee::Sent { reply, result });
                Flow::GoOn
            }
            // Of its own faults the object cannot count more than one: it ends the activation that
            // counts.
            Err(Failure { error, flow })
                if is_final(&error) || (is_fault(&error) && from == *self.object()) =>
            {
                tracing::warn!(object = %self.object(), %from, method = %outgoing.method, %error, "a sent message was refused");
                Counters::add(&self.shared.node.sends.refused);
                match self.refused(&receipt, reply) {
                    Flow::GoOn => flow,
                    ended => ended,
                }
            }
            Err(Failure { error, flow }) => {
                let result = Err(error);
                self.answer(Addressee::Sent { reply, result });
                flow
            }
        }
    }

    /// Looks whether the message was heard before. Between this and the turn no other turn of the
    /// object runs, here or elsewhere.
    async fn receipt(
        &mut self,
        sender: ObjectId,
        sequence: Sequence,
        outgoing: &Outgoing,
    ) -> Result<Result<Box<Receipt>, Heard>, Failure> {
        let node = self.shared.node.clone();
        let object = self.object().clone();
        let (now, count) = (node.clock.now(), self.receipts.count());
        let looking = find(&*node.store, &object, &sender, now, count);
        let found = match self.meanwhile(looking).await {
            Ok(found) => found.map_err(Failure::of)?,
            Err(error) => return Err(broken(error)),
        };
        if found.known.is_some_and(|known| known.last >= sequence) {
            return Ok(Err(Heard::Yes));
        }
        if outgoing.expires <= now {
            return Ok(Err(Heard::TooLate));
        }
        self.receipts.remember(sender);
        let receipts = &self.receipts;
        let receipt = receipts.receipt(sender, sequence, outgoing.expires, found);
        if receipt.has_no_room(node.limits.senders_per_object_max) {
            return Ok(Err(Heard::NoRoom));
        }
        Ok(Ok(Box::new(receipt)))
    }

    /// The runtime's own commit about a message that was refused: the number and nothing else.
    fn refused(
        &mut self,
        receipt: &Receipt,
        reply: oneshot::Sender<Result<Heard, CallError>>,
    ) -> Flow {
        let mut batch = WriteBatch::default();
        let count = receipt.enter(&mut batch);
        match self.commit(batch) {
            Ok(ticket) => {
                self.receipts.entered(count);
                let result = Ok(Heard::Yes);
                self.depart(ticket, self.departure(), Addressee::Sent { reply, result });
                Flow::GoOn
            }
            Err(error) => {
                let Failure { error, flow } = failed_commit(error);
                let result = Err(error);
                self.answer(Addressee::Sent { reply, result });
                flow
            }
        }
    }

    /// The sender will not repeat what it sent up to `last`, so its number may go.
    pub(super) async fn forget(&mut self, sender: ObjectId, last: Sequence) -> Flow {
        let node = self.shared.node.clone();
        let object = self.object().clone();
        match self.meanwhile(known(&*node.store, &object, &sender)).await {
            Ok(Ok(Some(known))) if known.last <= last => self.receipts.forget(sender, known),
            // It has sent more since; or its row went by its time; or cannot be read, and stays.
            Ok(_) => {}
            Err(error) => return Flow::Broken(error),
        }
        Flow::GoOn
    }

    /// Lets messages fly and takes answers in. Turns and reads do so, too, for as long as they
    /// last: each polls the outbox after the gate.
    pub(super) fn poll_outbox(&mut self, cx: &mut Context<'_>) {
        if let Some(outbox) = &mut self.outbox {
            let starts = if self.ending { Starts::No } else { Starts::Yes };
            outbox.poll(cx, &self.shared, starts);
        }
    }

    /// Whether the activation should wait for answers before it ends. One that is evicted does, or
    /// objects that evict each other would never deliver anything; a drain does not, it needs no
    /// answer.
    pub(super) fn awaits_answers(&self) -> bool {
        let flies = self.outbox.as_ref().is_some_and(|outbox| outbox.flies());
        flies && !self.shared.node.is_draining()
    }

    /// Whether there are messages to deliver, or rows of delivered ones to delete.
    pub(super) fn delivers(&self) -> bool {
        self.outbox
            .as_ref()
            .is_some_and(|outbox| !outbox.is_empty())
    }

    /// Whether rows of delivered messages wait to be deleted.
    pub(super) fn has_settled(&self) -> bool {
        self.outbox
            .as_ref()
            .is_some_and(|outbox| outbox.has_settled())
    }

    /// The runtime's own commit that deletes what has been delivered.
    pub(super) async fn settle(&mut self) -> Flow {
        if let Err(error) = self.room().await {
            return Flow::Broken(error);
        }
        let mut batch = WriteBatch::default();
        let Some(posting) = self.post(Vec::new(), &mut batch) else {
            return Flow::GoOn;
        };
        match self.commit(batch) {
            Ok(ticket) => {
                let mut departure = self.departure();
                self.posted(posting, &mut departure);
                self.charge.set(self.size_bytes());
                self.depart(ticket, departure, Addressee::Nobody);
                Flow::GoOn
            }
            Err(error) => {
                if let Some(outbox) = &mut self.outbox {
                    outbox.settle_later(TRY_AGAIN);
                }
                failed_commit(error).flow
            }
        }
    }

    /// Puts what a turn has sent into its batch, and takes out what is delivered.
    pub(super) fn post(&mut self, sends: Vec<Outgoing>, batch: &mut WriteBatch) -> Option<Posting> {
        if sends.is_empty() && !self.has_settled() {
            return None;
        }
        let version = self.shared.version().next();
        let now = self.shared.node.clock.now();
        let outbox = self.outbox.get_or_insert_default();
        Some(outbox.post(sends, version, now, batch))
    }

    /// The batch of a posting was accepted: what happens when it is durable.
    pub(super) fn posted(&mut self, mut posting: Posting, departure: &mut Departure) {
        departure.forget = std::mem::take(&mut posting.forget);
        let departs = || (self.shared.departed.clone(), self.shared.version());
        departure.messages = posting.has_messages().then(departs);
        let outbox: &mut Outbox = self.outbox.get_or_insert_default();
        outbox.posted(posting);
        self.shared.set_outgoing(outbox.taken());
        if outbox.is_empty() {
            self.outbox = None;
        }
    }
}

fn broken(error: CommitError) -> Failure {
    let flow = Flow::Broken(error.clone());
    let error = CallError::EarlierCommit(error);
    Failure { error, flow }
}

/// Whether trying again would only do the same. [`crate::send`] has the table.
fn is_final(error: &CallError) -> bool {
    match error {
        CallError::Actor(refusal) => refusal.code != CallError::OUTBOX_FULL,
        CallError::UnknownMethod { .. }
        | CallError::NotARead { .. }
        | CallError::NoCallback { .. }
        | CallError::InvalidArguments { .. }
        | CallError::Unencodable { .. }
        | CallError::LimitExceeded { .. }
        | CallError::Commit(CommitError::TooLarge { .. }) => true,
        _ => false,
    }
}
