//! Calls that only read: they commit nothing, and those that wait run together.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use abide_storage::{CommitError, Effect, Version};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, Stream};
use tokio::sync::oneshot;

use super::{Activation, Flow};
use crate::call::{Access, Call, CallError, Deadline, Reply};
use crate::clock::monotonic;
use crate::departure::{Answer, Departure};
use crate::gate::{Held, OutputGate};
use crate::kind::Incarnation;
use crate::mailbox::Envelope;
use crate::payload::Payload;
use crate::send::outbox::{Outbox, Starts};
use crate::teeth::{Tooth, broken};
use crate::turn::{Shared, TurnContext};
use crate::waits::Wait;

/// Reads of one object that are open at the same time; further ones wait in the mailbox.
const OPEN_READS_MAX: usize = 64;
/// Reads answered before the thread's other tasks get their turn.
const READS_PER_POLL: usize = 64;

/// A call of a method that only reads.
pub(super) struct Read {
    pub(super) call: Arc<Call>,
    pub(super) reply: Sender,
    pub(super) wait: Option<Wait>,
}

/// The reads that are open, and where their answers go.
struct Reads<'a, F> {
    shared: &'a Arc<Shared>,
    gate: &'a mut OutputGate<Departure>,
    outbox: Option<&'a mut Outbox>,
    version: Version,
    open: FuturesUnordered<F>,
    panicked: bool,
}

impl Activation {
    /// Runs a read, and with it, while it waits for something, the reads that follow it in the
    /// mailbox. A message that may write waits for all of them (**one-turn**).
    pub(super) async fn reads(&mut self, first: Read) -> Flow {
        let Self {
            incarnation,
            gate,
            shared,
            outbox,
            ..
        } = self;
        let incarnation: &dyn Incarnation = &**incarnation;
        let version = shared.version();
        let broken = OnceLock::new();
        let mut reads = Reads {
            shared,
            gate,
            outbox: outbox.as_deref_mut(),
            version,
            open: FuturesUnordered::new(),
            panicked: false,
        };
        let open = |read| Box::pin(run(incarnation, shared, read, &broken));
        let mut first = Some(open(first));
        let ended = std::future::poll_fn(|cx| {
            // The common read never waits: it is answered without the set.
            if let Some(mut read) = first.take() {
                match read.as_mut().poll(cx) {
                    Poll::Ready(answered) => {
                        reads.depart(answered);
                        return Poll::Ready(Ok(()));
                    }
                    Poll::Pending => reads.open.push(read),
                }
            }
            reads.poll(cx, open)
        })
        .await;
        let panicked = reads.panicked;
        if let Err(error) = &ended {
            // What the open reads saw may never have been durable.
            broken.get_or_init(|| error.clone());
        }
        drop(reads);
        // A read stages nothing by its types, except frames to sessions it has got hold of; kinds
        // that are not typed may try more.
        let staged = shared.stage.lock().take();
        if !staged.effects.is_empty() || !staged.sends.is_empty() {
            tracing::warn!(object = %shared.slot.object(), "a read sent frames or messages: they were dropped");
        }
        match ended {
            Err(error) => Flow::Broken(error),
            Ok(()) if panicked => Flow::End,
            Ok(()) => Flow::GoOn,
        }
    }
}

type Sender = oneshot::Sender<Result<Reply, CallError>>;
type Answered = (Sender, Result<Payload, CallError>);

/// The caller of an open read: told when the read is dropped because an earlier commit has failed.
struct Caller<'a> {
    reply: Option<Sender>,
    broken: &'a OnceLock<CommitError>,
}

impl Caller<'_> {
    fn answered(mut self, result: Result<Payload, CallError>) -> Answered {
        (self.reply.take().expect("a read is answered once"), result)
    }
}

impl Drop for Caller<'_> {
    fn drop(&mut self) {
        if let Some(reply) = self.reply.take()
            && let Some(error) = self.broken.get()
        {
            // A receiver that is gone has stopped waiting.
            drop(reply.send(Err(CallError::EarlierCommit(error.clone()))));
        }
    }
}

impl<F: Future<Output = Answered> + Unpin> Reads<'_, F> {
    /// Lets out what is durable, messages to other objects among it, takes further reads in, answers
    /// those that are done.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        run: impl Fn(Read) -> F,
    ) -> Poll<Result<(), CommitError>> {
        if self.gate.depth() > 0 {
            let polled = self.gate.poll(cx);
            self.shared.set_held(self.gate.depth());
            if let Poll::Ready(Err(error)) = polled {
                return Poll::Ready(Err(error));
            }
        }
        if let Some(outbox) = &mut self.outbox {
            outbox.poll(cx, self.shared, Starts::Yes);
        }
        for _ in 0..READS_PER_POLL {
            while let Some(read) = self.next(cx) {
                self.open.push(run(read));
            }
            match Pin::new(&mut self.open).poll_next(cx) {
                Poll::Ready(Some(answered)) => self.depart(answered),
                Poll::Ready(None) => return Poll::Ready(Ok(())),
                Poll::Pending => return Poll::Pending,
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// The next message, when it is a read and may join those that are open.
    fn next(&self, cx: &Context<'_>) -> Option<Read> {
        let held_max = self.shared.node.limits.pipelined_commits_max;
        let full = self.open.len() >= OPEN_READS_MAX || self.gate.depth() >= held_max;
        if self.panicked || full {
            return None;
        }
        match self.shared.slot.mailbox.poll_next_if(cx, is_read) {
            Poll::Ready(Envelope::Call {
                call, reply, wait, ..
            }) => Some(Read { call, reply, wait }),
            Poll::Ready(_) => unreachable!("only reads are taken here"),
            Poll::Pending => None,
        }
    }

    fn depart(&mut self, (reply, result): Answered) {
        self.panicked |= matches!(result, Err(CallError::Panicked));
        let result = result.map(|payload| Reply {
            payload,
            version: self.version,
            replayed: false,
        });
        let answer = Answer::Call { reply, result };
        let departure = Departure::new(self.shared, answer);
        if broken(Tooth::ReadsSkipTheGate) {
            return departure.release();
        }
        self.gate.hold(None, departure);
        self.shared.set_held(self.gate.depth());
    }
}

fn is_read(envelope: &Envelope) -> bool {
    matches!(envelope, Envelope::Call { call, .. } if call.access == Access::Read)
}

/// One read, with its deadline and its panics contained.
async fn run(
    incarnation: &dyn Incarnation,
    shared: &Arc<Shared>,
    read: Read,
    broken: &OnceLock<CommitError>,
) -> Answered {
    let Read { call, reply, wait } = read;
    let caller = Caller {
        reply: Some(reply),
        broken,
    };
    let now = monotonic();
    let exceeded = CallError::DeadlineExceeded {
        effect: Effect::None,
    };
    if now >= call.deadline.0 {
        return caller.answered(Err(exceeded));
    }
    let deadline = call
        .deadline
        .min(Deadline(now + shared.node.limits.turn_timeout));
    let origin = call.origin.clone();
    let cx = TurnContext {
        shared: shared.clone(),
        deadline,
        origin,
    };
    let read = AssertUnwindSafe(async move { incarnation.read(cx, call).await });
    let result = match tokio::time::timeout_at(deadline.0, read.catch_unwind()).await {
        Ok(Ok(result)) => result,
        Ok(Err(_panic)) => Err(CallError::Panicked),
        Err(_elapsed) => Err(exceeded),
    };
    drop(wait);
    caller.answered(result)
}
