//! One actor's life in memory: load, turns, passivation.
//!
//! `run` is the whole of it; each step is one file: `load.rs`, `wait.rs` (for the next message),
//! `handle.rs` with `sessions.rs` and `alarms.rs` (what each message becomes), `turn.rs` (a
//! message that may write), `repeats.rs` (a call that may have been answered before), `reads.rs`
//! (calls that only read), `sends.rs` (messages between objects), `seal.rs` (staged things become a
//! commit), `image.rs` (the object as a whole is exported or replaced), `keep.rs` (sessions through a
//! restart), `durable.rs` (sessions through a crash).

mod alarms;
mod durable;
mod handle;
mod hold;
mod image;
mod keep;
mod load;
mod reads;
mod repeats;
mod seal;
mod sends;
mod sessions;
mod ticks;
mod turn;
mod wait;

use std::sync::Arc;

use abide_storage::{CommitError, Epoch};
use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::alarm::{TRY_AGAIN, TRY_AGAIN_LATER};
use crate::call::CallError;
use crate::catalog::Slot;
use crate::connect::ConnectError;
use crate::departure::Departure;
use crate::gate::OutputGate;
use crate::image::Work;
use crate::kind::Incarnation;
use crate::mailbox::{Attempt, Envelope};
use crate::memory::Charge;
use crate::message::Message;
use crate::node::Node;
use crate::send::outbox::Outbox;
use crate::send::receipts::Receipts;
use crate::session::{AutoResponse, Close, Journal};
use crate::teeth::{Tooth, broken};
use crate::turn::Shared;

pub(crate) use keep::Keeping;

use image::Taken;
use keep::Rows;
use ticks::Ticks;
use wait::{Idleness, Next};

/// The in-memory incarnation of an actor.
struct Activation {
    shared: Arc<Shared>,
    epoch: Epoch,
    incarnation: Box<dyn Incarnation>,
    /// The encoded state of the last sealed turn: what the next one is compared with, and what a
    /// failed one is undone to.
    state: Bytes,
    /// Whether `state` is in the store; a fresh object that was never changed is not.
    stored: bool,
    gate: OutputGate<Departure>,
    ticks: Ticks,
    /// The last turn was a tick.
    has_ticked: bool,
    idleness: Idleness,
    /// What the activation takes of the node's memory.
    charge: Charge,
    /// Set when the activation is to end once nothing is left to do.
    ending: bool,
    /// Encoding buffer, kept from turn to turn.
    scratch: Vec<u8>,
    /// Replies kept for idempotency keys, expired ones included; `None` until the first call with one.
    kept_replies: Option<u64>,
    /// Messages to other objects; `None` when there are none.
    outbox: Option<Box<Outbox>>,
    /// What is known of the senders whose messages came.
    receipts: Receipts,
    /// Sessions that were stored, until their rows are deleted.
    rows: Option<Box<Rows>>,
    /// The object's durable sessions; `None` when there are none.
    journal: Option<Box<Journal>>,
    /// The automatic answer, as the last turn has left it.
    auto_response: Option<Box<AutoResponse>>,
}

/// Whether the activation goes on.
enum Flow {
    GoOn,
    /// What is held may still leave; then it ends, and the next message activates afresh.
    End,
    /// A commit failed: nothing held may leave.
    Broken(CommitError),
}

/// Activates the object for the first message in its mailbox, and handles messages until it is
/// idle, evicted or broken.
pub(crate) async fn run(node: &Arc<Node>, slot: &Arc<Slot>) {
    let first = std::future::poll_fn(|cx| slot.mailbox.poll_next(cx)).await;
    let first = match first {
        Envelope::Evict => return,
        // It needs no value, and runs no actor code.
        Envelope::Image(work) => return image::alone(node, slot, *work).await,
        Envelope::Keep(reply) => return keep::alone(node, slot, reply).await,
        message => message,
    };
    if slot.sessions.is_sealed() {
        // A turn now could reach sessions whose rows would not know of it.
        return reject(node, slot, first, &CallError::Draining);
    }
    let mut activation = match Activation::load(node, slot).await {
        Ok(activation) => activation,
        Err(error) => return reject(node, slot, first, &error),
    };
    let mut flow = match activation.begin().await {
        Ok(()) => activation.handle(first).await,
        Err((error, flow)) => {
            reject(node, slot, first, &error);
            flow
        }
    };
    let mut then = Then::Nothing;
    while matches!(flow, Flow::GoOn) {
        // A mailbox that is never empty must not keep the thread from its other tasks.
        tokio::task::coop::consume_budget().await;
        flow = match activation.next().await {
            Next::Message(Envelope::Image(work)) => match activation.image(*work).await {
                Taken::Done(flow) => flow,
                Taken::EndFirst(work) => {
                    then = Then::Image(work);
                    break;
                }
            },
            Next::Message(Envelope::Keep(reply)) if broken(Tooth::StoreSessionsEarly) => {
                keep::alone(node, slot, reply).await;
                Flow::GoOn
            }
            Next::Message(Envelope::Keep(reply)) => {
                then = Then::Keep(reply);
                break;
            }
            Next::Message(envelope) => activation.handle(envelope).await,
            Next::Tick(ticked) => activation.tick(ticked).await,
            Next::Settle => activation.settle().await,
            Next::Nothing => break,
            Next::Broken(error) => Flow::Broken(error),
        };
    }
    activation.end(flow).await;
    match then {
        Then::Nothing => {}
        Then::Image(work) => image::alone(node, slot, work).await,
        Then::Keep(reply) => keep::alone(node, slot, reply).await,
    }
}

/// What an activation ends for.
enum Then {
    Nothing,
    Image(Work),
    Keep(oneshot::Sender<Keeping>),
}

/// What an activation costs beside its state: its task, its slot, its place in the store (measured,
/// see `benches/memory`).
const ACTIVATION_BYTES: usize = 4 * 1024;

impl Activation {
    /// The turn before the first.
    async fn begin(&mut self) -> Result<(), (CallError, Flow)> {
        self.forget_rows().await?;
        if !self.callbacks().activated {
            return Ok(());
        }
        self.callback(Message::Activated).await
    }

    /// Charges what the activation takes now that a message is handled, and notes the time, `now`.
    fn weigh(&mut self, now: Instant) {
        let bytes = self.size_bytes();
        self.charge.set(bytes);
        self.shared.slot.usage.end(&self.shared.node, bytes, now);
    }

    /// What the activation takes of the node's memory.
    ///
    /// The state counts twice: its bytes are kept to compare the next turn's with, and the value they
    /// were made from is at least as large.
    fn size_bytes(&self) -> usize {
        let outgoing = self.outbox.as_ref().map_or(0, |outbox| outbox.taken().1);
        let durable = self.journal.as_ref().map_or(0, |known| known.size_bytes());
        ACTIVATION_BYTES + 2 * self.state.len() + self.scratch.capacity() + outgoing + durable
    }

    /// Has the object activated again after an end that is not of its own choice, if it ticks for sessions:
    /// they wait, and no message need come.
    fn keep_ticking(&self) {
        if self.ticks.hold(&self.shared.slot.sessions) {
            self.shared.node.activate_again(&self.shared.slot);
        }
    }

    /// **lossless-passivation**: leaves nothing staged and nothing held behind.
    async fn end(mut self, mut flow: Flow) {
        if !matches!(flow, Flow::GoOn) {
            self.keep_ticking();
        }
        if matches!(flow, Flow::GoOn) && self.callbacks().deactivating {
            flow = match self.callback(Message::Deactivating).await {
                Ok(()) => Flow::End,
                Err((error, flow)) => {
                    tracing::warn!(object = %self.object(), %error, "deactivating failed");
                    flow
                }
            };
        }
        let broken = match flow {
            Flow::Broken(error) => Err(error),
            Flow::GoOn | Flow::End => std::future::poll_fn(|cx| self.gate.poll(cx)).await,
        };
        if let Err(error) = broken {
            tracing::error!(object = %self.object(), %error, "a commit failed, the activation ends");
            self.gate.refuse_all(&error).await;
        }
        self.shared.set_held(0);
        assert_eq!(
            self.gate.depth(),
            0,
            "an activation leaves with nothing held"
        );
    }
}

impl Drop for Activation {
    fn drop(&mut self) {
        let Shared { node, slot, .. } = &*self.shared;
        node.store.close(slot.object(), self.epoch);
        if let Some(outbox) = &self.outbox
            && let Some(wake) = outbox.wake_entry(slot.object())
        {
            let wait = if outbox.rests() {
                TRY_AGAIN_LATER
            } else {
                TRY_AGAIN
            };
            node.alarms.put_off(node, wake, wait);
        }
    }
}

/// Answers a message that could not be handled because the object could not be activated.
pub(crate) fn reject(node: &Arc<Node>, slot: &Arc<Slot>, envelope: Envelope, error: &CallError) {
    match envelope {
        Envelope::Call { reply, .. } => drop(reply.send(Err(error.clone()))),
        Envelope::Fetch(fetch) => drop(fetch.reply.send(Err(error.clone()))),
        Envelope::Connect(connect) => {
            drop(connect.reply.send(Err(ConnectError::Call(error.clone()))));
        }
        Envelope::Frame { session, .. } => {
            session
                .outbound
                .close(Close::new(Close::INTERNAL_ERROR, error.to_string()));
            session.outbound.end_turn();
            session.has_settled();
        }
        Envelope::Disconnected {
            session,
            close,
            attempt,
        } => {
            if slot.sessions.remove(&session) || attempt == Attempt::Again {
                node.disconnected_again(slot, session, close);
            }
        }
        Envelope::Alarm(fired) => {
            tracing::error!(object = %slot.object(), %error, "an alarm is due, but the object cannot be activated");
            node.alarms.put_off(node, fired.alarm, TRY_AGAIN_LATER);
        }
        Envelope::Sent(sent) => drop(sent.reply.send(Err(error.clone()))),
        Envelope::Wake { due, name } => {
            tracing::error!(object = %slot.object(), %error, "messages are to be delivered, or sessions are away, but their object cannot be activated");
            let alarm = abide_storage::ScheduledAlarm {
                due,
                object: slot.object().clone(),
                name,
            };
            node.alarms.put_off(node, alarm, TRY_AGAIN_LATER);
        }
        Envelope::Image(work) => work.refuse(error.clone().into()),
        Envelope::RunAlarm { reply, .. } => drop(reply.send(Err(error.clone()))),
        Envelope::Restore { reply } => drop(reply.send(Err(error.clone()))),
        Envelope::Keep(reply) => drop(reply.send(Keeping::Again)),
        Envelope::Forget { .. } | Envelope::Evict => {}
    }
}
