//! `World`: actors under test, with virtual time, a store that fails on command, and no ports.
//!
//! ```
//! # extern crate abide_actors as abide;
//! use std::time::Duration;
//!
//! use abide::testing::World;
//! use abide::{Alarm, Context, actor};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Default, Serialize, Deserialize)]
//! struct Egg { done: bool }
//!
//! #[actor]
//! impl Egg {
//!     #[call]
//!     async fn boil(&mut self, ctx: &mut Context<Self>) -> Result<(), abide::CallError> {
//!         ctx.set_alarm("done", Duration::from_secs(300))
//!     }
//!     #[call]
//!     async fn is_done(&self) -> bool { self.done }
//!     async fn alarm(&mut self, _alarm: Alarm) { self.done = true; }
//! }
//!
//! World::builder().actor::<Egg>("egg").run(async |world| {
//!     world.actor::<Egg>("breakfast").boil().await.unwrap();
//!     world.advance(Duration::from_secs(299)).await;
//!     assert!(!world.actor::<Egg>("breakfast").is_done().await.unwrap());
//!     world.crash().await; // the alarm was committed, so it outlives the crash
//!     world.advance(Duration::from_secs(2)).await;
//!     assert!(world.actor::<Egg>("breakfast").is_done().await.unwrap());
//! });
//! ```

mod session;

use std::any::TypeId;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use abide_storage::{BoxFuture, MemoryStore, Namespace, Timestamp};

pub use session::TestSession;

use crate::actor::{Actor, ActorKind};
use crate::call::{Call, CallError, Deadline, Reply};
use crate::clock::Clock;
use crate::connect::ConnectError;
use crate::handle::{Callee, Caller};
use crate::kind::Kind;
use crate::payload::Payload;
use crate::registry::Limits;
use crate::runtime::Runtime;
use crate::session::ConnectRequest;

/// Wall time at which every world begins: 2026-01-01 00:00 UTC.
pub const BEGINNING: Timestamp = Timestamp(1_767_225_600_000);

/// How long a call made by the test itself may take, in virtual time.
const CALL_DEADLINE: Duration = Duration::from_secs(60);

/// What a world is made of.
#[derive(Default)]
pub struct Builder {
    kinds: Vec<(String, Arc<dyn Kind>)>,
    limits: Limits,
    seed: u64,
}

impl Builder {
    /// Registers an actor under a namespace.
    #[must_use]
    pub fn actor<A: Actor>(self, namespace: &str) -> Self {
        self.kind(namespace, ActorKind::<A>::new())
    }

    /// Registers any kind under a namespace.
    #[must_use]
    pub fn kind(mut self, namespace: &str, kind: Arc<dyn Kind>) -> Self {
        self.kinds.push((namespace.to_owned(), kind));
        self
    }

    /// Bounds other than the defaults.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Randomness other than that of seed 0.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Runs a test in a world of its own, on this thread, with time that only moves when all
    /// actors and the test itself wait for it.
    ///
    /// # Panics
    /// When the test does, or when a namespace is not well formed or registered twice.
    pub fn run<T>(self, test: impl AsyncFnOnce(&mut World) -> T) -> T {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime without I/O needs nothing of the system")
            .block_on(async {
                let mut world = World::new(self);
                test(&mut world).await
            })
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let namespaces: Vec<_> = self.kinds.iter().map(|(namespace, _)| namespace).collect();
        f.debug_struct("Builder")
            .field("namespaces", &namespaces)
            .finish_non_exhaustive()
    }
}

/// One node in a test. See the [module's documentation](self).
#[derive(Debug)]
pub struct World {
    plan: Builder,
    clock: Clock,
    store: Arc<MemoryStore>,
    runtime: Runtime,
}

impl World {
    /// Begins to put a world together.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    fn new(plan: Builder) -> Self {
        let clock = Clock::starting_at(BEGINNING);
        let store = Arc::new(MemoryStore::new());
        let runtime = start(&plan, &clock, store.clone());
        Self {
            plan,
            clock,
            store,
            runtime,
        }
    }

    /// A typed handle on an object.
    #[must_use]
    pub fn actor<A: Actor>(&self, name: &str) -> A::Handle<'_> {
        Callee::of::<A>(self, name).into()
    }

    /// Calls a method with JSON arguments, as a client would.
    ///
    /// # Errors
    /// Every [`CallError`].
    ///
    /// # Panics
    /// When the reply is not JSON.
    pub async fn call(
        &self,
        namespace: &str,
        name: &str,
        method: &str,
        arguments: serde_json::Value,
    ) -> Result<serde_json::Value, CallError> {
        let arguments = Payload::json(arguments.to_string());
        let reply = Caller::call(self, namespace, name, method, arguments).await?;
        Ok(serde_json::from_slice(&reply.payload.bytes).expect("a reply is JSON when asked for"))
    }

    /// Opens a session on an object; `query` is the URL's query string.
    ///
    /// # Errors
    /// Every [`ConnectError`].
    pub async fn connect(
        &self,
        namespace: &str,
        name: &str,
        query: &str,
    ) -> Result<TestSession, ConnectError> {
        let target = self.runtime.target(namespace, name)?;
        let request = ConnectRequest {
            query: query.to_owned(),
            ..ConnectRequest::default()
        };
        let deadline = Deadline::after(CALL_DEADLINE);
        let connection = self.runtime.connect(&target, request, deadline).await?;
        Ok(TestSession::new(connection))
    }

    /// Lets this much time pass; whatever falls due meanwhile happens, in order.
    pub async fn advance(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    /// Wall time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The store, to make it refuse, fail or hold commits.
    #[must_use]
    pub fn store(&self) -> &MemoryStore {
        &self.store
    }

    /// The runtime, for what has no shorter form here.
    #[must_use]
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Pulls the plug: everything in memory is gone, what was durable is there again. Sessions
    /// end without a close.
    pub async fn crash(&mut self) {
        let survivor = Arc::new(self.store.crash());
        self.runtime.abandon();
        self.begin_again(survivor).await;
    }

    /// Drains the node and starts it again.
    pub async fn restart(&mut self) {
        self.runtime.drain().await;
        // Everything is durable, so nothing is lost. The old node keeps a dead store: a client that
        // reads its goodbye later must not activate the object there.
        let survivor = Arc::new(self.store.crash());
        self.begin_again(survivor).await;
    }

    async fn begin_again(&mut self, store: Arc<MemoryStore>) {
        self.store = store;
        self.runtime = start(&self.plan, &self.clock, self.store.clone());
        tokio::task::yield_now().await;
    }
}

impl Caller for World {
    fn namespace_of(&self, actor: TypeId) -> Result<Namespace, CallError> {
        self.runtime.namespace_of(actor)
    }

    fn call<'a>(
        &'a self,
        namespace: &'a str,
        name: &'a str,
        method: &'a str,
        arguments: Payload,
    ) -> BoxFuture<'a, Result<Reply, CallError>> {
        Box::pin(async move {
            let target = self.runtime.target(namespace, name)?;
            let call = Call::new(method, arguments, Deadline::after(CALL_DEADLINE));
            self.runtime.call(&target, call).await
        })
    }
}

fn start(plan: &Builder, clock: &Clock, store: Arc<MemoryStore>) -> Runtime {
    let builder = Runtime::builder(store)
        .clock(clock.clone())
        .seed(plan.seed)
        .limits(plan.limits.clone());
    let registered = plan
        .kinds
        .iter()
        .try_fold(builder, |builder, (namespace, kind)| {
            builder.register(namespace, kind.clone())
        });
    registered
        .expect("the test registers well-formed namespaces, each once")
        .start()
}
