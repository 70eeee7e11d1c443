//! A node without a port, for the tests of the examples: memory for a disk, time that only passes
//! when everybody waits.

use std::sync::Arc;
use std::time::Duration;

use abide_actors::{Actor, ActorKind, Call, CallError, Clock, Deadline, Kind, Payload, Runtime};
use abide_storage::{MemoryStore, Timestamp};
use serde::de::DeserializeOwned;

/// When every test begins: an instant in 2024.
const START: Timestamp = Timestamp(1_720_000_000_000);

/// Longer than any test waits for a single thing.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A runtime with one kind of actor.
pub(crate) struct Node {
    pub(crate) runtime: Runtime,
    pub(crate) store: Arc<MemoryStore>,
    clock: Clock,
    namespace: &'static str,
    kind: Arc<dyn Kind>,
}

impl Node {
    /// A new node with an empty store. The test's tokio clock must be paused.
    pub(crate) fn start<A: Actor>(namespace: &'static str) -> Self {
        let clock = Clock::starting_at(START);
        Self::over(Arc::default(), clock, namespace, ActorKind::<A>::new())
    }

    /// The process is killed, and a new one starts with what was durable.
    pub(crate) fn crash(self) -> Self {
        Self::over(Arc::new(self.store.crash()), self.clock, self.namespace, self.kind)
    }

    fn over(
        store: Arc<MemoryStore>,
        clock: Clock,
        namespace: &'static str,
        kind: Arc<dyn Kind>,
    ) -> Self {
        let builder = Runtime::builder(store.clone()).clock(clock.clone()).seed(1);
        let builder = builder.register(namespace, kind.clone()).expect("the only namespace");
        Self { runtime: builder.start(), store, clock, namespace, kind }
    }

    /// Calls a method of an object with JSON arguments.
    pub(crate) async fn call<T: DeserializeOwned>(
        &self,
        name: &str,
        method: &str,
        arguments: serde_json::Value,
    ) -> Result<T, CallError> {
        let target = self.runtime.target(self.namespace, name)?;
        let arguments = Payload::json(arguments.to_string());
        let call = Call::new(method, arguments, Deadline::after(PATIENCE));
        let reply = self.runtime.call(&target, call).await?;
        Ok(reply.payload.decode().expect("the reply is what the test expects"))
    }
}

/// The code of a refusal by the actor.
pub(crate) fn code<T: std::fmt::Debug>(answer: Result<T, CallError>) -> String {
    match answer {
        Err(CallError::Actor(refusal)) => refusal.code.into_owned(),
        other => panic!("not a refusal: {other:?}"),
    }
}
