//! A node over a store that takes its time: to hand over a page of alarms, and to make a commit
//! durable.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use abide::{Actor, CallError};
use abide_actors::testing::BEGINNING;
use abide_actors::{ActorKind, Call, Clock, Deadline, Payload, Runtime, TaskKind, Tasks};
use abide_storage::{
    BoxFuture, Commit, CommitError, Epoch, Health, MemoryStore, Namespace, Object, ObjectId,
    ObjectSummary, Opened, ReadError, Scan, ScheduledAlarm, Section, Store, Ticket,
};
use bytes::Bytes;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::sleep;

/// Namespace of a [`Node`]'s only actor.
const NAMESPACE: &str = "slow";

/// How long a store takes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Takes {
    /// Every commit is accepted at once and durable this much later, whatever came before it.
    pub(crate) commits: Duration,
    /// A page of alarms is handed over this much after it was read: what is committed meanwhile is
    /// not in it.
    pub(crate) pages: Duration,
}

/// A [`MemoryStore`] with the delays of a disk. Only these two operations differ from it.
#[derive(Debug)]
pub(crate) struct SlowStore {
    inner: MemoryStore,
    takes: Takes,
    pages_held: watch::Sender<bool>,
    next_page_fails: AtomicBool,
    tasks: Tasks,
}

impl SlowStore {
    fn new(takes: Takes) -> Arc<Self> {
        Arc::new(Self {
            inner: MemoryStore::new(),
            takes,
            pages_held: watch::Sender::new(false),
            next_page_fails: AtomicBool::new(false),
            tasks: Tasks::default(),
        })
    }

    /// From now on a page of alarms is read, but not handed over: what is committed meanwhile is
    /// not in it.
    pub(crate) fn hold_pages(&self) {
        self.pages_held.send_replace(true);
    }

    /// Hands the held pages over, and holds no more.
    pub(crate) fn release_pages(&self) {
        self.pages_held.send_replace(false);
    }

    /// The page that is handed over next is an error instead.
    pub(crate) fn fail_next_page(&self) {
        self.next_page_fails.store(true, Ordering::Relaxed);
    }

    /// Whether a page is being read just now; a reader may give up.
    pub(crate) fn is_reading(&self) -> bool {
        self.pages_held.receiver_count() > 0
    }

    /// Waits until somebody waits for a page.
    pub(crate) async fn page_is_awaited(&self) {
        while !self.is_reading() {
            sleep(Duration::from_millis(1)).await;
        }
    }
}

impl Store for SlowStore {
    fn alarms<'a>(
        &'a self,
        after: Option<ScheduledAlarm>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<ScheduledAlarm>, ReadError>> {
        Box::pin(async move {
            let page = self.inner.alarms(after, limit).await;
            let mut held = self.pages_held.subscribe();
            sleep(self.takes.pages).await;
            let released = held.wait_for(|held| !held).await;
            released.expect("the store holds the sending end");
            if self.next_page_fails.swap(false, Ordering::Relaxed) {
                return Err(ReadError::Engine("the page could not be read".into()));
            }
            page
        })
    }

    fn commit(&self, commit: Commit) -> Result<Ticket, CommitError> {
        let outcome = self.inner.commit(commit)?;
        let (answer, ticket) = Ticket::new();
        let takes = self.takes.commits;
        self.tasks.spawn(TaskKind::Object, "sync", async move {
            sleep(takes).await;
            // An activation that was torn down has dropped its ticket.
            _ = answer.send(outcome.await);
        });
        Ok(ticket)
    }

    fn open<'a>(&'a self, object: &'a Object) -> BoxFuture<'a, Result<Opened, ReadError>> {
        self.inner.open(object)
    }

    fn close(&self, object: &Object, epoch: Epoch) {
        self.inner.close(object, epoch);
    }

    fn has_room(&self) -> bool {
        self.inner.has_room()
    }

    fn room(&self) -> BoxFuture<'_, ()> {
        self.inner.room()
    }

    fn get<'a>(
        &'a self,
        object: &'a Object,
        section: Section,
        key: &'a [u8],
    ) -> BoxFuture<'a, Result<Option<Bytes>, ReadError>> {
        self.inner.get(object, section, key)
    }

    fn scan<'a>(
        &'a self,
        object: &'a Object,
        scan: Scan,
    ) -> BoxFuture<'a, Result<Vec<(Bytes, Bytes)>, ReadError>> {
        self.inner.scan(object, scan)
    }

    fn objects<'a>(
        &'a self,
        namespace: &'a Namespace,
        after: Option<ObjectId>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<ObjectSummary>, ReadError>> {
        self.inner.objects(namespace, after, limit)
    }

    fn health(&self) -> Health {
        self.inner.health()
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        self.inner.shutdown()
    }
}

/// One node with one kind of actor over a [`SlowStore`].
pub(crate) struct Node {
    pub(crate) runtime: Runtime,
    pub(crate) store: Arc<SlowStore>,
    clock: Clock,
}

impl Node {
    /// Starts it over an empty store. Needs a runtime with paused time.
    pub(crate) fn start<A: Actor>(takes: Takes) -> Self {
        let (store, clock) = (SlowStore::new(takes), Clock::starting_at(BEGINNING));
        let runtime = start::<A>(&store, &clock);
        Self {
            runtime,
            store,
            clock,
        }
    }

    /// Drains it and starts it again over what was committed.
    pub(crate) async fn restart<A: Actor>(&mut self) {
        self.runtime.drain().await;
        self.runtime = start::<A>(&self.store, &self.clock);
    }

    /// Calls a method with JSON arguments.
    pub(crate) async fn call(
        &self,
        name: &str,
        method: &str,
        arguments: Value,
    ) -> Result<Value, CallError> {
        let target = self.runtime.target(NAMESPACE, name)?;
        let deadline = Deadline::after(Duration::from_secs(60));
        let call = Call::new(method, Payload::json(arguments.to_string()), deadline);
        let reply = self.runtime.call(&target, call).await?;
        Ok(serde_json::from_slice(&reply.payload.bytes).expect("a reply is JSON when asked for"))
    }
}

fn start<A: Actor>(store: &Arc<SlowStore>, clock: &Clock) -> Runtime {
    let builder = Runtime::builder(store.clone()).clock(clock.clone()).seed(1);
    let registered = builder.register(NAMESPACE, ActorKind::<A>::new());
    registered.expect("the one namespace there is").start()
}
