//! Which namespaces there are, and what bounds their objects.

use std::any::TypeId;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use abide_storage::{InvalidNamespace, Namespace};

use crate::call::CallError;
use crate::kind::Kind;
use crate::session::MessageRate;

/// Bounds of a node and its objects. Every one has an answer when it is hit.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Idle time before an activation is passivated.
    pub idle_timeout: Duration,
    /// Longest a turn may run, whatever its caller's deadline.
    pub turn_timeout: Duration,
    /// Messages one mailbox holds before callers get [`CallError::Overloaded`].
    pub mailbox_messages_max: usize,
    /// Commits of one object under way to the disk before its next turn waits. More than the
    /// disk syncs in the time of one turn brings nothing.
    pub pipelined_commits_max: usize,
    /// Bytes of writes and frames one turn may stage.
    pub stage_max_bytes: usize,
    /// Bytes waiting in one session's outbound queue before it is closed with 1013.
    pub outbound_max_bytes: usize,
    /// Messages one session may send before it is closed with 1008, unless its actor says another rate.
    pub message_rate: MessageRate,
    /// How long a session is kept without a connection, for a client that can take it up again.
    pub resume_window: Duration,
    /// Bytes of what was written to such a client, kept until it acknowledges; beyond it the oldest is
    /// forgotten, and who comes back from before it gets a new session.
    pub resume_buffer_max_bytes: usize,
    /// Sessions on one object.
    pub sessions_per_object_max: usize,
    /// Members an object's watchers are shown, those here for the longest; all are counted.
    pub presence_listed_max: usize,
    /// Alarms of one object.
    pub alarms_per_object_max: usize,
    /// Retries of an alarm in a row before it is parked; `None` never gives up.
    pub alarm_retries_max: Option<u32>,
    /// Alarms of one object that fire in a second, in the long run; more are slowed down to that.
    pub alarm_rate_max: u32,
    /// Alarms of one object that fire at once before `alarm_rate_max` slows them down.
    pub alarm_burst_max: u32,
    /// Alarms in a row, each set by the one before for at once, after which the next is parked;
    /// `None` lets them go on.
    pub alarm_chain_max: Option<u32>,
    /// Objects of the node with alarms whose turns are not over; alarms of others wait for a place.
    pub alarms_in_flight_max: usize,
    /// How long an object keeps the reply of a call with an idempotency key for whoever repeats it.
    pub idempotency_retention: Duration,
    /// Replies one object keeps for idempotency keys before a call with a new key gets
    /// [`CallError::TooManyIdempotencyKeys`].
    pub idempotency_keys_max: usize,
    /// How long a message to another object is tried before it is dropped.
    pub send_retention: Duration,
    /// Messages one object has outgoing before its turns get [`CallError::OutboxFull`].
    pub outbox_messages_max: usize,
    /// Bytes of them, which an activation holds in memory.
    pub outbox_max_bytes: usize,
    /// Senders whose messages one object tells from repeated ones; those of more wait.
    pub senders_per_object_max: usize,
    /// Activations on the node before idle ones are evicted early.
    pub activations_max: usize,
    /// Memory the node's objects may take, bytes: near it idle activations are evicted, at it what
    /// needs more gets [`CallError::MemoryExhausted`]. What is counted says [`Memory`](crate::Memory).
    pub memory_max_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            idle_timeout: Duration::from_secs(10),
            turn_timeout: Duration::from_secs(30),
            mailbox_messages_max: 1_024,
            pipelined_commits_max: 256,
            stage_max_bytes: 16 * 1024 * 1024,
            outbound_max_bytes: 1024 * 1024,
            message_rate: MessageRate {
                per_second: 1_000,
                burst: 10_000,
            },
            resume_window: Duration::from_secs(60),
            resume_buffer_max_bytes: 256 * 1024,
            sessions_per_object_max: 100_000,
            presence_listed_max: 256,
            alarms_per_object_max: 1_024,
            alarm_retries_max: None,
            alarm_rate_max: 100,
            alarm_burst_max: 2_048,
            alarm_chain_max: Some(10_000),
            alarms_in_flight_max: 4_096,
            idempotency_retention: Duration::from_secs(24 * 60 * 60),
            idempotency_keys_max: 10_000,
            send_retention: Duration::from_secs(7 * 24 * 60 * 60),
            outbox_messages_max: 4_096,
            outbox_max_bytes: 4 * 1024 * 1024,
            senders_per_object_max: 100_000,
            activations_max: 1_000_000,
            memory_max_bytes: 1 << 30,
        }
    }
}

/// A namespace with the kind of its actors.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) namespace: Namespace,
    pub(crate) kind: Arc<dyn Kind>,
}

/// The registered namespaces; fixed once the node has started.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    by_name: BTreeMap<String, Arc<Entry>>,
    by_type: HashMap<TypeId, Vec<Namespace>>,
}

/// Why a kind could not be registered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    /// The namespace's name is not well formed.
    #[error(transparent)]
    Invalid(#[from] InvalidNamespace),
    /// The name is taken.
    #[error("namespace '{0}' is registered twice")]
    Taken(String),
}

impl Registry {
    pub(crate) fn register(
        &mut self,
        name: &str,
        kind: Arc<dyn Kind>,
    ) -> Result<(), RegisterError> {
        let namespace = Namespace::new(name)?;
        if self.by_name.contains_key(name) {
            return Err(RegisterError::Taken(name.to_owned()));
        }
        if let Some(type_id) = kind.description().type_id {
            self.by_type
                .entry(type_id)
                .or_default()
                .push(namespace.clone());
        }
        self.by_name
            .insert(name.to_owned(), Arc::new(Entry { namespace, kind }));
        Ok(())
    }

    pub(crate) fn get(&self, name: &str) -> Result<&Arc<Entry>, CallError> {
        let unknown = || CallError::UnknownNamespace {
            namespace: name.chars().take(80).collect(),
        };
        self.by_name.get(name).ok_or_else(unknown)
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.by_name.values()
    }

    /// The one namespace a Rust type is registered under.
    pub(crate) fn namespace_of(&self, type_id: TypeId) -> Result<Namespace, CallError> {
        match self.by_type.get(&type_id).map(Vec::as_slice) {
            Some([namespace]) => Ok(namespace.clone()),
            Some(several) => Err(CallError::InvalidObject {
                detail: format!("the actor is registered as {several:?}: say which one is meant"),
            }),
            None => Err(CallError::UnknownNamespace {
                namespace: "of an unregistered actor".into(),
            }),
        }
    }
}
