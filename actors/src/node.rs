//! What all objects of a node share, and the ways to hand one of them a message.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use abide_storage::{Effect, NAME_SIZE_MAX_BYTES, Object, ObjectId, Store};
use tokio::sync::{Notify, oneshot};

use crate::alarm::{Scheduler, TRY_AGAIN};
use crate::call::{Access, Call, CallError, Deadline, Reply};
use crate::catalog::{Catalog, Full, Slot, What};
use crate::clock::{Clock, monotonic};
use crate::evict::Evictor;
use crate::kind::Description;
use crate::mailbox::{Admission, Attempt, Envelope};
use crate::memory::Memory;
use crate::presence::Flusher;
use crate::registry::{Limits, Registry};
use crate::rng::Rng;
use crate::send::{Counters, Sequence};
use crate::session::{Close, Figures, SessionCore, SessionId};
use crate::tasks::{TaskKind, Tasks};
use crate::waits::{Wait, WaitGraph};

/// An object as a client addresses it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Namespace and id.
    pub object: Object,
    /// The name, when it was addressed by one.
    pub name: Option<Arc<str>>,
}

/// All that the activations of a node share.
pub(crate) struct Node {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Clock,
    pub(crate) rng: Rng,
    pub(crate) tasks: Tasks,
    pub(crate) limits: Limits,
    pub(crate) registry: Registry,
    pub(crate) catalog: Catalog,
    pub(crate) alarms: Scheduler,
    pub(crate) waits: WaitGraph,
    pub(crate) sends: Counters,
    pub(crate) sessions: Figures,
    pub(crate) memory: Memory,
    pub(crate) evictor: Evictor,
    pub(crate) presence: Arc<Flusher>,
    draining: AtomicBool,
    drain_began: Notify,
    last_session: AtomicU64,
}

/// After its deadline a caller waits this much longer for the runtime's own answer, which knows
/// whether the turn was undone; the caller alone can only say "unknown".
pub(crate) const DEADLINE_GRACE: Duration = Duration::from_millis(50);

/// Sessions begin at the time of the start in milliseconds, times two to this.
const SESSIONS_PER_MILLISECOND_BITS: u32 = 20;

impl Node {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        clock: Clock,
        rng: Rng,
        limits: Limits,
        registry: Registry,
    ) -> Arc<Self> {
        // After a restart ids go on from the time, which is further than sessions can have been counted.
        let last_session = AtomicU64::new(clock.now().0 << SESSIONS_PER_MILLISECOND_BITS);
        Arc::new(Self {
            store,
            clock,
            rng,
            tasks: Tasks::default(),
            alarms: Scheduler::new(&limits),
            memory: Memory::new(limits.memory_max_bytes),
            evictor: Evictor::default(),
            presence: Arc::default(),
            limits,
            registry,
            catalog: Catalog::default(),
            waits: WaitGraph::default(),
            sends: Counters::default(),
            sessions: Figures::default(),
            draining: AtomicBool::new(false),
            drain_began: Notify::new(),
            last_session,
        })
    }

    /// From now on nothing new is taken, and no alarm fires.
    pub(crate) fn begin_drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
        self.drain_began.notify_waiters();
    }

    pub(crate) fn next_session(&self) -> SessionId {
        SessionId(self.last_session.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// A session with this id was restored: new ones count on from behind it.
    pub(crate) fn numbers_are_beyond(&self, session: SessionId) {
        self.last_session.fetch_max(session.0, Ordering::Relaxed);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    pub(crate) fn refuse_when_draining(&self) -> Result<(), CallError> {
        if self.is_draining() {
            Err(CallError::Draining)
        } else {
            Ok(())
        }
    }

    pub(crate) async fn drain_began(&self) {
        let began = self.drain_began.notified();
        if !self.is_draining() {
            began.await;
        }
    }

    pub(crate) fn target(&self, namespace: &str, address: &str) -> Result<Target, CallError> {
        let namespace = self.registry.get(namespace)?.namespace.clone();
        let invalid = |detail: String| CallError::InvalidObject { detail };
        if let Some(digits) = address.strip_prefix("id:") {
            let id = ObjectId::parse(&namespace, digits).map_err(|e| invalid(e.to_string()))?;
            return Ok(Target {
                object: Object { namespace, id },
                name: None,
            });
        }
        if address.is_empty() {
            return Err(invalid(
                "an object's name has at least one character".into(),
            ));
        }
        if address.len() > NAME_SIZE_MAX_BYTES {
            return Err(invalid(format!(
                "an object's name has at most {NAME_SIZE_MAX_BYTES} bytes, this one has {}",
                address.len()
            )));
        }
        let id = ObjectId::from_name(&namespace, address);
        Ok(Target {
            object: Object { namespace, id },
            name: Some(address.into()),
        })
    }

    /// Checks the call against the kind's description, so that what cannot be right wakes no
    /// object, then hands it over and waits.
    pub(crate) async fn call(
        self: &Arc<Self>,
        target: &Target,
        mut call: Call,
        wait: Option<Wait>,
    ) -> Result<Reply, CallError> {
        let description = self.description(target)?;
        let Some(method) = description.method(&call.method) else {
            return Err(CallError::UnknownMethod {
                namespace: target.object.namespace.as_str().to_owned(),
                method: call.method.chars().take(80).collect(),
                known: description
                    .methods
                    .iter()
                    .map(|m| m.name.to_owned())
                    .collect(),
            });
        };
        if call.access == Access::Read && method.access == Access::Write {
            return Err(CallError::NotARead {
                method: call.method.to_string(),
            });
        }
        // A method that only reads is no more than a read, whoever calls it.
        call.access = method.access;
        let deadline = call.deadline;
        let (reply, answer) = oneshot::channel();
        self.push(
            target,
            Envelope::Call {
                call: Arc::new(call),
                reply,
                wait,
                begin_by: half_way(deadline),
            },
        )?;
        answered(answer, deadline).await
    }

    pub(crate) fn push(
        self: &Arc<Self>,
        target: &Target,
        envelope: Envelope,
    ) -> Result<Arc<Slot>, CallError> {
        let admission = Admission::Bounded(self.limits.mailbox_messages_max);
        self.catalog
            .push(self, target, envelope, admission)
            .map_err(|Full { waiting, what, .. }| match what {
                What::Mailbox => CallError::Overloaded {
                    object: target.object.clone(),
                    waiting,
                },
                What::Memory => CallError::MemoryExhausted(self.memory.refuse()),
            })
    }

    /// Lets the object hear again of a session's end, after the turn on it could not be committed.
    /// Until then the client is gone all the same; a crash in between ends every session anyway.
    pub(crate) fn disconnected_again(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        session: Arc<SessionCore>,
        close: Close,
    ) {
        let (node, target) = (self.clone(), slot.target.clone());
        self.tasks
            .spawn(TaskKind::Object, "disconnected again", async move {
                tokio::select! {
                    biased;
                    () = tokio::time::sleep(TRY_AGAIN) => {}
                    // The sessions of a node that drains end with it.
                    () = node.drain_began() => return,
                }
                let envelope = Envelope::Disconnected {
                    session,
                    close,
                    attempt: Attempt::Again,
                };
                let taken = node
                    .catalog
                    .push(&node, &target, envelope, Admission::Always);
                debug_assert!(taken.is_ok(), "an unbounded admission is never refused");
            });
    }

    /// Activates an object again, if it still has sessions: nothing else need do it. After a moment, because
    /// what has ended it may do so again.
    pub(crate) fn activate_again(self: &Arc<Self>, slot: &Arc<Slot>) {
        let (node, slot) = (self.clone(), slot.clone());
        self.tasks
            .spawn(TaskKind::Object, "activate again", async move {
                tokio::select! {
                    biased;
                    () = tokio::time::sleep(TRY_AGAIN) => {}
                    () = node.drain_began() => return,
                }
                if !slot.sessions.is_empty() {
                    let (reply, _nobody_waits) = oneshot::channel();
                    // A full mailbox has messages, and they activate it just as well.
                    drop(node.push(&slot.target, Envelope::Restore { reply }));
                }
            });
    }

    /// Tells a receiver that a sender will not repeat what it sent up to `last`. Only one that is
    /// active anyway: to others it is worth no activation, their rows have an end of their own.
    pub(crate) fn forget_sender(
        self: &Arc<Self>,
        receiver: &Target,
        sender: ObjectId,
        last: Sequence,
    ) {
        if self.catalog.is_active(&receiver.object.id) {
            // A full mailbox may miss it, too.
            drop(self.push(receiver, Envelope::Forget { sender, last }));
        }
    }

    pub(crate) fn description(&self, target: &Target) -> Result<&Description, CallError> {
        Ok(self
            .registry
            .get(target.object.namespace.as_str())?
            .kind
            .description())
    }
}

/// The middle between now and the deadline.
fn half_way(deadline: Deadline) -> Deadline {
    let now = monotonic();
    Deadline(now + deadline.0.saturating_duration_since(now) / 2)
}

/// Waits for the runtime's answer, a little past the deadline.
pub(crate) async fn answered<T>(
    answer: oneshot::Receiver<Result<T, CallError>>,
    deadline: Deadline,
) -> Result<T, CallError> {
    match tokio::time::timeout_at(deadline.0 + DEADLINE_GRACE, answer).await {
        Ok(answer) => answer.unwrap_or(Err(CallError::Dropped)),
        Err(_elapsed) => Err(CallError::DeadlineExceeded {
            effect: Effect::Unknown,
        }),
    }
}
