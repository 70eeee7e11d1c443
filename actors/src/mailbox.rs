//! An object's bounded queue of messages, and the one decision that must not race: whether an
//! activation runs.
//!
//! The queue outlives the activation, so a message cannot fall between a passivation and the
//! next activation: whether there is one more message and whether the activation ends is decided
//! under one lock (**lossless-passivation**), and so is who starts the next one
//! (**single-activation**).

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use abide_storage::{ObjectId, Timestamp};
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::activation::Keeping;
use crate::alarm::Fired;
use crate::body::Body;
use crate::call::{Access, Call, CallError, Deadline, Origin, Reply};
use crate::connect::ConnectError;
use crate::image::Work;
use crate::memory::{Charge, Memory};
use crate::send::{Sent, Sequence};
use crate::session::{Close, ConnectRequest, Frame, SessionCore, SessionId};
use crate::teeth::{Tooth, broken};
use crate::waits::Wait;

/// A message with the way back to whoever sent it.
pub(crate) enum Envelope {
    Call {
        call: Arc<Call>,
        reply: oneshot::Sender<Result<Reply, CallError>>,
        /// The caller's edge in the wait-for graph, when it is another object's turn. It goes when
        /// *this* object's turn is over: what the reply waits for then, the disk, waits for nobody.
        wait: Option<Wait>,
        /// When the call has waited for half of its time: see `Activation::comes_too_late`.
        begin_by: Deadline,
    },
    Fetch(Box<Fetch>),
    Connect(Box<Connect>),
    Frame {
        session: Arc<SessionCore>,
        frame: Frame,
    },
    Disconnected {
        session: Arc<SessionCore>,
        close: Close,
        attempt: Attempt,
    },
    Alarm(Fired),
    /// An operator has an alarm run now, parked or not. The answer is the time it is due.
    RunAlarm {
        name: Arc<str>,
        reply: oneshot::Sender<Result<Timestamp, CallError>>,
    },
    /// A message from another object, or from this one.
    Sent(Box<Sent>),
    /// A sender will not repeat what it sent up to here.
    Forget {
        sender: ObjectId,
        last: Sequence,
    },
    /// The object has messages to deliver, or sessions to take care of: this entry in the index of
    /// alarms says so.
    Wake {
        due: Timestamp,
        name: Bytes,
    },
    /// Somebody looks for a session that may have been stored: the object is to be active.
    Restore {
        reply: oneshot::Sender<Result<(), CallError>>,
    },
    /// The node drains, and the object's sessions are to be stored.
    Keep(oneshot::Sender<Keeping>),
    /// The object as a whole is exported or replaced.
    Image(Box<Work>),
    /// The node wants the memory back, or drains: end as soon as nothing is left to do.
    Evict,
}

/// Whether a message has been handled before, in a turn that could not be committed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attempt {
    First,
    Again,
}

pub(crate) struct Fetch {
    pub(crate) request: http::Request<Body>,
    pub(crate) deadline: Deadline,
    pub(crate) origin: Origin,
    pub(crate) reply: oneshot::Sender<Result<http::Response<Body>, CallError>>,
}

pub(crate) struct Connect {
    pub(crate) session: Arc<SessionCore>,
    pub(crate) request: Arc<ConnectRequest>,
    pub(crate) deadline: Deadline,
    pub(crate) reply: oneshot::Sender<Result<(), ConnectError>>,
}

/// What a message costs in memory beside what it carries: its place in the queue, its way back, the
/// allocations around it.
const MESSAGE_OVERHEAD_BYTES: usize = 512;

impl Envelope {
    /// What it takes of the node's memory while it waits.
    fn size_bytes(&self) -> usize {
        let carried = match self {
            Self::Call { call, .. } => call.arguments.bytes.len(),
            Self::Frame { frame, .. } => frame.size_bytes(),
            // A raw request's body stays in its socket until the turn reads it.
            Self::Fetch(_) | Self::Connect(_) => 0,
            Self::Sent(sent) => sent.outgoing.size_bytes(),
            Self::Image(work) => work.size_bytes(),
            // Small, bounded by the sessions, alarms and senders there are, and never refused for
            // their size.
            Self::Disconnected { .. }
            | Self::Alarm { .. }
            | Self::RunAlarm { .. }
            | Self::Wake { .. }
            | Self::Restore { .. }
            | Self::Keep(_)
            | Self::Forget { .. }
            | Self::Evict => return 0,
        };
        MESSAGE_OVERHEAD_BYTES + carried
    }

    /// Whether its turn could take more memory than the message itself: a read of an object that
    /// is active does not.
    fn may_grow(&self) -> bool {
        !matches!(self, Self::Call { call, .. } if call.access == Access::Read)
    }
}

/// See the module's documentation.
pub(crate) struct Mailbox(Mutex<State>);

struct State {
    queue: VecDeque<Envelope>,
    /// What the queue takes of the node's memory.
    charge: Charge,
    phase: Phase,
    activation: Option<Waker>,
    /// Transports that hold a frame the full mailbox did not take.
    senders: BTreeMap<SessionId, Waker>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
enum Phase {
    /// No activation; the next message starts one.
    #[default]
    Idle,
    /// One activation's task owns the receiving end.
    Active,
    /// The catalog has forgotten this mailbox; senders look up the new one.
    Retired,
}

impl State {
    /// One place is free: one sender is enough, unless this was the last chance to wake them (the
    /// one woken may be gone by now).
    fn senders_to_wake(&mut self) -> Vec<Waker> {
        if self.queue.is_empty() {
            return std::mem::take(&mut self.senders).into_values().collect();
        }
        let next = self.senders.keys().next().copied();
        next.and_then(|session| self.senders.remove(&session))
            .into_iter()
            .collect()
    }
}

/// Whether the bounds, of the mailbox and of the node's memory, apply.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Refused when the mailbox is full, or the node's memory is used up.
    Bounded(usize),
    /// Always taken: what ends a session must not be lost, and is bounded by the sessions there are.
    Always,
}

/// A message was taken.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Pushed {
    /// The running activation will see it.
    Queued,
    /// There was no activation: the caller must start one, now.
    StartActivation,
}

/// A message was not taken; here it is back.
pub(crate) enum NotPushed {
    Full {
        envelope: Envelope,
        waiting: usize,
    },
    /// The node's memory is used up, and the message would need more.
    NoMemory(Envelope),
    Retired(Envelope),
}

/// Queues this long are given back when they empty; shorter ones are kept for the next burst.
const KEPT_CAPACITY: usize = 16;

impl Mailbox {
    pub(crate) fn new(memory: &Memory) -> Self {
        Self(Mutex::new(State {
            queue: VecDeque::new(),
            charge: memory.charge(),
            phase: Phase::Idle,
            activation: None,
            senders: BTreeMap::new(),
        }))
    }

    #[expect(
        clippy::result_large_err,
        reason = "what comes back is the message; a box would cost an overloaded node an allocation"
    )]
    pub(crate) fn push(
        &self,
        envelope: Envelope,
        admission: Admission,
    ) -> Result<Pushed, NotPushed> {
        let mut state = self.0.lock();
        if state.phase == Phase::Retired {
            return Err(NotPushed::Retired(envelope));
        }
        let waiting = state.queue.len();
        if matches!(admission, Admission::Bounded(max) if waiting >= max) {
            return Err(NotPushed::Full { envelope, waiting });
        }
        // **bounded**: without memory no object is activated, and of those that are only reads go on.
        if matches!(admission, Admission::Bounded(_))
            && !state.charge.has_room()
            && (state.phase == Phase::Idle || envelope.may_grow())
        {
            return Err(NotPushed::NoMemory(envelope));
        }
        state.charge.add(envelope.size_bytes());
        state.queue.push_back(envelope);
        let second = broken(Tooth::StartSecondActivation) || broken(Tooth::InterleaveTurns);
        if state.phase == Phase::Idle || second {
            state.phase = Phase::Active;
            return Ok(Pushed::StartActivation);
        }
        let activation = state.activation.take();
        drop(state);
        if let Some(waker) = activation {
            waker.wake();
        }
        Ok(Pushed::Queued)
    }

    /// Wakes the session's transport when there may be room for its frame.
    pub(crate) fn wake_when_room(&self, session: SessionId, transport: &Waker) {
        self.0.lock().senders.insert(session, transport.clone());
    }

    /// The next message, for the one activation.
    pub(crate) fn poll_next(&self, cx: &Context<'_>) -> Poll<Envelope> {
        self.poll_next_if(cx, |_| true)
    }

    /// The next message when it is one of those; otherwise waits as if there were none.
    pub(crate) fn poll_next_if(
        &self,
        cx: &Context<'_>,
        wanted: impl FnOnce(&Envelope) -> bool,
    ) -> Poll<Envelope> {
        let mut state = self.0.lock();
        assert_eq!(
            state.phase,
            Phase::Active,
            "only a live activation takes messages"
        );
        if let Some(next) = state.queue.front()
            && wanted(next)
        {
            let envelope = state.queue.pop_front().expect("the front was just seen");
            state.charge.sub(envelope.size_bytes());
            if state.queue.is_empty() && state.queue.capacity() > KEPT_CAPACITY {
                state.queue = VecDeque::new();
            }
            let senders = state.senders_to_wake();
            drop(state);
            senders.into_iter().for_each(Waker::wake);
            return Poll::Ready(envelope);
        }
        match &mut state.activation {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            activation => *activation = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// Ends the activation's ownership when there is no message left; with one left it refuses,
    /// and the same task activates the object again.
    pub(crate) fn release_if_empty(&self) -> bool {
        let mut state = self.0.lock();
        assert_eq!(
            state.phase,
            Phase::Active,
            "only a live activation can be released"
        );
        if broken(Tooth::DropLeftovers) {
            state.queue.clear();
        }
        if !state.queue.is_empty() {
            return false;
        }
        state.phase = Phase::Idle;
        state.activation = None;
        true
    }

    /// Marks an idle mailbox as forgotten. `false` when it is in use.
    pub(crate) fn retire(&self) -> bool {
        let mut state = self.0.lock();
        let unused = state.phase == Phase::Idle && state.queue.is_empty();
        if unused {
            state.phase = Phase::Retired;
        }
        unused
    }

    /// Messages in it.
    pub(crate) fn len(&self) -> usize {
        self.0.lock().queue.len()
    }

    /// Asks an activation that has nothing to do to end. `false` when there is none, or it is busy.
    pub(crate) fn evict(&self) -> bool {
        let mut state = self.0.lock();
        let idle = state.phase == Phase::Active && state.queue.is_empty();
        if idle {
            state.queue.push_back(Envelope::Evict);
            let activation = state.activation.take();
            drop(state);
            if let Some(waker) = activation {
                waker.wake();
            }
        }
        idle
    }

    /// For an activation whose task was torn down without releasing the mailbox: gives back what
    /// it holds, and lets the next message start afresh.
    pub(crate) fn abandon(&self) -> VecDeque<Envelope> {
        let mut state = self.0.lock();
        if state.phase != Phase::Active {
            // The task is being unwound because it has found just that: a second panic would abort
            // the process, and every other object with it.
            return VecDeque::new();
        }
        state.phase = Phase::Idle;
        state.activation = None;
        let left = std::mem::take(&mut state.queue);
        state.charge.set(0);
        let senders = state.senders_to_wake();
        drop(state);
        senders.into_iter().for_each(Waker::wake);
        left
    }
}
