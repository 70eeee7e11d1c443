//! Calls that only read: they commit nothing, and those that wait run together.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::Poll;

use abide_storage::Effect;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, Stream};
use tokio::sync::oneshot;

use super::{Activation, Flow};
use crate::call::{Access, Call, CallError, Deadline, Reply};
use crate::clock::monotonic;
use crate::departure::{Answer, Departure};
use crate::kind::Incarnation;
use crate::mailbox::Envelope;
use crate::payload::Payload;
use crate::turn::{Shared, TurnContext};

type Sender = oneshot::Sender<Result<Reply, CallError>>;

/// Reads of one object that are open at the same time; further ones wait in the mailbox.
const OPEN_READS_MAX: usize = 64;

impl Activation {
    /// Runs a read, and with it, while it waits for something, the reads that follow it in the
    /// mailbox. A message that may write waits for all of them (**one-turn**).
    pub(super) async fn reads(&mut self, first: (Arc<Call>, Sender)) -> Flow {
        let Self { incarnation, gate, shared, .. } = self;
        let incarnation: &dyn Incarnation = &**incarnation;
        let version = shared.version();
        let mut flow = Flow::GoOn;
        let mut open = FuturesUnordered::new();
        let depart = |gate: &mut crate::gate::OutputGate<Departure>, reply: Sender, result| {
            let result = match result {
                Ok(payload) => Ok(Reply { payload, version }),
                Err(error) => Err(error),
            };
            gate.hold(None, departure(shared, Answer::Call { reply, result }));
            shared.set_held(gate.depth());
        };
        let first = Box::pin(read(incarnation, shared, first));
        let mut first = Some(first);
        std::future::poll_fn(|cx| {
            // The common read never waits: it is answered here, without a set to keep it in.
            if let Some(mut read) = first.take() {
                match read.as_mut().poll(cx) {
                    Poll::Ready((reply, result)) => {
                        if matches!(result, Err(CallError::Panicked)) {
                            flow = Flow::End;
                        }
                        depart(gate, reply, result);
                        return Poll::Ready(());
                    }
                    Poll::Pending => open.push(read),
                }
            }
            if gate.depth() > 0 {
                let polled = gate.poll(cx);
                shared.set_held(gate.depth());
                if let Poll::Ready(Err(error)) = polled {
                    // The open reads are dropped, and with them their callers' channels: what
                    // they saw may never have been durable.
                    flow = Flow::Broken(error);
                    return Poll::Ready(());
                }
            }
            loop {
                while open.len() < OPEN_READS_MAX
                    && let Poll::Ready(envelope) =
                        shared.slot.mailbox.poll_next_if(cx, |envelope| is_read(shared, envelope))
                {
                    let Envelope::Call { call, reply } = envelope else {
                        unreachable!("only reads are taken here");
                    };
                    open.push(Box::pin(read(incarnation, shared, (call, reply))));
                }
                match std::pin::Pin::new(&mut open).poll_next(cx) {
                    Poll::Ready(Some((reply, result))) => {
                        if matches!(result, Err(CallError::Panicked)) {
                            flow = Flow::End;
                        }
                        depart(gate, reply, result);
                    }
                    Poll::Ready(None) => return Poll::Ready(()),
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await;
        drop(open);
        // A read stages nothing by its types, except frames to sessions it has got hold of.
        let staged = std::mem::take(&mut *shared.stage.lock());
        if !staged.effects.is_empty() {
            tracing::warn!(object = %shared.slot.object(), "a read sent frames: they were dropped");
        }
        flow
    }
}

fn is_read(shared: &Shared, envelope: &Envelope) -> bool {
    let Envelope::Call { call, .. } = envelope else { return false };
    let method = shared.slot.entry.kind.description().method(&call.method);
    method.is_some_and(|method| method.access == Access::Read)
}

/// One read, with its deadline and its panics contained.
async fn read(
    incarnation: &dyn Incarnation,
    shared: &Arc<Shared>,
    (call, reply): (Arc<Call>, Sender),
) -> (Sender, Result<Payload, CallError>) {
    let now = monotonic();
    let exceeded = CallError::DeadlineExceeded { effect: Effect::None };
    if now >= call.deadline.0 {
        return (reply, Err(exceeded));
    }
    let deadline = call.deadline.min(Deadline(now + shared.node.limits.turn_timeout));
    let origin = call.origin.clone();
    let cx = TurnContext { shared: shared.clone(), deadline, origin };
    let read = AssertUnwindSafe(async move { incarnation.read(cx, call).await });
    let result = match tokio::time::timeout_at(deadline.0, read.catch_unwind()).await {
        Ok(Ok(result)) => result,
        Ok(Err(_panic)) => Err(CallError::Panicked),
        Err(_elapsed) => Err(exceeded),
    };
    (reply, result)
}

fn departure(shared: &Shared, answer: Answer) -> Departure {
    Departure {
        node: shared.node.clone(),
        slot: shared.slot.clone(),
        effects: Vec::new(),
        alarms: Vec::new(),
        answer,
    }
}
