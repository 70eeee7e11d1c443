//! A node's runtime: what the server, and the tests, talk to.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use abide_storage::{Effect, Namespace, ObjectImage, ReadError, Store, Timestamp, Version};
use tokio::sync::oneshot;

use crate::alarm::{self, AlarmPage, AlarmQuery, AlarmStats};
use crate::body::Body;
use crate::call::{Call, CallError, Deadline, Origin, Reply};
use crate::clock::Clock;
use crate::connect::ConnectError;
use crate::drain;
use crate::image::{self, ImageError, ImageView, Precondition, Replace, Task, Work};
use crate::kind::{Description, Kind};
use crate::mailbox::{Connect, Envelope, Fetch};
use crate::memory::Memory;
use crate::node::{DEADLINE_GRACE, Node, Target, answered};
use crate::registry::{Entry, Limits, RegisterError, Registry};
use crate::rng::Rng;
use crate::session::{
    self, Close, ConnectRequest, Connection, Link, Resumption, Secret, SessionCore,
};
use crate::tasks::TaskKind;

/// Runs actors over a store. Cheap to clone; all clones are the same node.
#[derive(Clone)]
pub struct Runtime(Arc<Node>);

/// Puts a [`Runtime`] together.
pub struct Builder {
    store: Arc<dyn Store>,
    clock: Clock,
    rng: Rng,
    limits: Limits,
    registry: Registry,
}

impl Builder {
    /// Bounds other than the defaults.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// A clock other than the system's.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Randomness that can be had again.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.rng = Rng::from_seed(seed);
        self
    }

    /// Registers a kind of actor under a namespace.
    ///
    /// # Errors
    /// [`RegisterError`] when the namespace is not well formed or taken.
    pub fn register(mut self, namespace: &str, kind: Arc<dyn Kind>) -> Result<Self, RegisterError> {
        self.registry.register(namespace, kind)?;
        Ok(self)
    }

    /// Starts the node: from now on it takes calls, and alarms fire. Must run inside a tokio
    /// runtime.
    #[must_use]
    pub fn start(self) -> Runtime {
        let Self {
            store,
            clock,
            rng,
            limits,
            registry,
        } = self;
        let node = Node::new(store, clock, rng, limits, registry);
        let clockwork = node.clone();
        node.tasks
            .spawn(TaskKind::Background, "alarms", async move {
                tokio::select! {
                    biased;
                    () = clockwork.alarms.run(&clockwork) => {}
                    () = clockwork.drain_began() => {}
                }
            });
        let landlord = node.clone();
        node.tasks
            .spawn(TaskKind::Background, "eviction", async move {
                tokio::select! {
                    () = landlord.evictor.run(&landlord) => {}
                    () = landlord.drain_began() => {}
                }
            });
        let crier = node.clone();
        node.tasks
            .spawn(TaskKind::Background, "presence", async move {
                tokio::select! {
                    () = crier.presence.run(&crier) => {}
                    () = crier.drain_began() => {}
                }
            });
        Runtime(node)
    }
}

/// One registered namespace.
#[derive(Debug, Clone)]
pub struct NamespaceInfo {
    /// Its name.
    pub name: Namespace,
    /// What its objects can be asked.
    pub description: Description,
    /// Objects in memory.
    pub activations: usize,
    /// Sessions on its objects.
    pub sessions: usize,
}

/// Figures of a node, for metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Activations there are now.
    pub activations: usize,
    /// Objects that are active or have sessions.
    pub objects: usize,
    /// Sessions there are now.
    pub sessions: usize,
    /// Messages between objects that were handled.
    pub sends_handled: u64,
    /// Messages between objects that were answered with an error.
    pub sends_refused: u64,
    /// Attempts to deliver a message that have to be repeated.
    pub sends_retried: u64,
    /// Messages between objects that were given up.
    pub sends_dropped: u64,
    /// Frames to sessions that were dropped as their class allows.
    pub frames_dropped: u64,
    /// Frames to sessions in whose place a newer one of their key was sent.
    pub frames_replaced: u64,
    /// Sessions closed with 1013 because their clients did not read fast enough.
    pub sessions_too_slow: u64,
    /// Members of the presence of all objects.
    pub presence_members: usize,
    /// Messages about who is here, to those who watch.
    pub presence_messages: u64,
    /// Activations asked to end because the node wanted their memory.
    pub evictions: u64,
}

impl Runtime {
    /// Begins a runtime over `store` with the system's clock and randomness.
    #[must_use]
    pub fn builder(store: Arc<dyn Store>) -> Builder {
        Builder {
            store,
            clock: Clock::system(),
            rng: Rng::from_system(),
            limits: Limits::default(),
            registry: Registry::default(),
        }
    }

    /// What objects of a namespace can be asked, when there is one of this name.
    #[must_use]
    pub fn description(&self, namespace: &str) -> Option<&Description> {
        let entry = self.0.registry.get(namespace).ok()?;
        Some(entry.kind.description())
    }

    /// The registered namespaces, by name. Counts what is in memory, so the cost grows with it.
    #[must_use]
    pub fn namespaces(&self) -> Vec<NamespaceInfo> {
        let slots = self.0.catalog.slots();
        let info = |entry: &Arc<Entry>| {
            let own = || slots.iter().filter(|slot| Arc::ptr_eq(&slot.entry, entry));
            NamespaceInfo {
                name: entry.namespace.clone(),
                description: entry.kind.description().clone(),
                activations: own().filter(|slot| slot.is_live()).count(),
                sessions: own().map(|slot| slot.sessions.len()).sum(),
            }
        };
        self.0.registry.entries().map(info).collect()
    }

    /// Figures for metrics. The cost grows with the objects in memory.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let slots = self.0.catalog.slots();
        let sends = &self.0.sends;
        Stats {
            activations: self.0.catalog.activations.load(Ordering::Relaxed),
            objects: slots.len(),
            sessions: slots.iter().map(|slot| slot.sessions.len()).sum(),
            sends_handled: sends.handled.load(Ordering::Relaxed),
            sends_refused: sends.refused.load(Ordering::Relaxed),
            sends_retried: sends.retried.load(Ordering::Relaxed),
            sends_dropped: sends.dropped.load(Ordering::Relaxed),
            frames_dropped: self.0.sessions.dropped(),
            frames_replaced: self.0.sessions.replaced(),
            sessions_too_slow: self.0.sessions.too_slow(),
            presence_members: slots
                .iter()
                .map(|slot| slot.sessions.presence().len())
                .sum(),
            presence_messages: self.0.presence.messages(),
            evictions: self.0.evictor.asked_count(),
        }
    }

    /// A registered namespace by its name.
    ///
    /// # Errors
    /// [`CallError::UnknownNamespace`]. No effect.
    pub fn namespace(&self, name: &str) -> Result<Namespace, CallError> {
        Ok(self.0.registry.get(name)?.namespace.clone())
    }

    /// The memory budget, for what the server holds on the objects' behalf.
    #[must_use]
    pub fn memory(&self) -> &Memory {
        &self.0.memory
    }

    /// Messages that wait for the object just now.
    #[must_use]
    pub fn waiting(&self, target: &Target) -> usize {
        let slot = self.0.catalog.get(target.object.id);
        slot.map_or(0, |slot| slot.mailbox.len())
    }

    /// The object that `address` names in a namespace: a name, or `id:` and 64 hex digits.
    ///
    /// # Errors
    /// [`CallError::UnknownNamespace`] or [`CallError::InvalidObject`]. No effect.
    pub fn target(&self, namespace: &str, address: &str) -> Result<Target, CallError> {
        self.0.target(namespace, address)
    }

    /// Calls a method and waits for the reply, which comes when all it may reveal is durable.
    ///
    /// # Errors
    /// Every [`CallError`]; [`CallError::effect`] says whether the object may have changed.
    ///
    /// # Cancel safety
    /// The call may be carried out all the same.
    pub async fn call(&self, target: &Target, call: Call) -> Result<Reply, CallError> {
        self.0.refuse_when_draining()?;
        self.0.call(target, call, None).await
    }

    /// Hands a raw HTTP request to the object's `fetch` callback.
    ///
    /// # Errors
    /// Every [`CallError`]; [`CallError::effect`] says whether the object may have changed.
    ///
    /// # Cancel safety
    /// The request may be handled all the same.
    pub async fn fetch(
        &self,
        target: &Target,
        request: http::Request<Body>,
        deadline: Deadline,
        origin: Origin,
    ) -> Result<http::Response<Body>, CallError> {
        self.0.refuse_when_draining()?;
        if !self.0.description(target)?.callbacks.fetch {
            return Err(no_callback(target, "fetch"));
        }
        let (reply, answer) = oneshot::channel();
        self.0.push(
            target,
            Envelope::Fetch(Box::new(Fetch {
                request,
                deadline,
                origin,
                reply,
            })),
        )?;
        answered(answer, deadline).await
    }

    /// Asks the object for a session, or takes one up that has lost its connection, or is about to
    /// ([`ConnectRequest::resumption`]). Of one that is over the client gets a new one instead, and its
    /// [`Welcome`](crate::Welcome) says so.
    ///
    /// # Errors
    /// [`ConnectError`]: refused by the actor, too many sessions, or the turn failed.
    ///
    /// # Cancel safety
    /// The object may have accepted; it then hears of a lost connection. A session that was to be taken up
    /// is away.
    pub async fn connect(
        &self,
        target: &Target,
        request: ConnectRequest,
        deadline: Deadline,
    ) -> Result<Connection, ConnectError> {
        self.0.refuse_when_draining()?;
        let node = &self.0;
        if !node.description(target)?.callbacks.takes_sessions() {
            return Err(no_callback(target, "connected").into());
        }
        let mut reset = None;
        if let Resumption::Resume { token, received } = &request.resumption {
            match session::resume(node, target, token, *received, deadline).await? {
                Ok(connection) => return Ok(connection),
                Err(why) => reset = Some(why),
            }
        }
        let limit = node.limits.sessions_per_object_max;
        if node.catalog.slot(node, target).sessions.len() >= limit {
            return Err(ConnectError::TooManySessions { limit });
        }
        let id = node.next_session();
        let core = match request.resumption {
            Resumption::Plain => SessionCore::new(id, node.limits.outbound_max_bytes, &node.memory),
            Resumption::New | Resumption::Resume { .. } => {
                let secret = Secret(node.rng.secret());
                let link = match request.receives_only {
                    true => Link::receiving(secret),
                    false => Link::new(secret),
                };
                SessionCore::resumable(id, link, &node.limits, &node.memory)
            }
        };
        let (reply, answer) = oneshot::channel();
        let connect = Connect {
            session: core.clone(),
            request: request.into(),
            deadline,
            reply,
        };
        let slot = node.push(target, Envelope::Connect(Box::new(connect)))?;
        // Made before the answer: when this future is dropped meanwhile, the object hears that the
        // client vanished.
        let mut connection = Connection::new(node.clone(), slot, core, reset);
        match tokio::time::timeout_at(deadline.0 + DEADLINE_GRACE, answer).await {
            Ok(Ok(Ok(()))) => {
                connection.accepted();
                Ok(connection)
            }
            Ok(Ok(Err(error))) => {
                connection.never_was();
                Err(error)
            }
            Ok(Err(_dropped)) => Err(CallError::Dropped.into()),
            Err(_elapsed) => Err(CallError::DeadlineExceeded {
                effect: Effect::Unknown,
            }
            .into()),
        }
    }

    /// The object as a value, at one version and durable. Runs no actor code, and lets an activation
    /// that there is go on.
    ///
    /// # Errors
    /// [`ImageError`]. No effect.
    ///
    /// # Cancel safety
    /// Yes.
    pub async fn export(
        &self,
        target: &Target,
        deadline: Deadline,
    ) -> Result<ObjectImage, ImageError> {
        self.0.refuse_when_draining()?;
        let (answer, answered) = oneshot::channel();
        self.image_work(target, deadline, Task::Export(answer))?;
        awaited(answered, deadline).await
    }

    /// Puts an image in the place of an object: one commit, after which the next message activates
    /// the object afresh. Its activation ends before (`deactivating` runs), its sessions are closed
    /// with 1012 after. What it has sent and heard stays ([`ObjectImage`]'s module says why), and
    /// its version goes on. Gives the new version; that of before when nothing differed.
    ///
    /// An image of another object of the same kind makes this one a fork of it.
    ///
    /// # Errors
    /// [`ImageError`]; all but those of the commit have no effect.
    ///
    /// # Cancel safety
    /// The object may be replaced all the same.
    pub async fn replace(
        &self,
        target: &Target,
        image: ObjectImage,
        precondition: Precondition,
        deadline: Deadline,
    ) -> Result<Version, ImageError> {
        self.0.refuse_when_draining()?;
        self.same_kind(&image, target)?;
        let entry = self.0.registry.get(target.object.namespace.as_str())?;
        image::check(&image, &*entry.kind, &self.0.limits)?;
        let (answer, answered) = oneshot::channel();
        let replace = Replace {
            image,
            precondition,
            answer,
        };
        self.image_work(target, deadline, Task::Replace(Box::new(replace)))?;
        awaited(answered, deadline).await
    }

    /// What people read of an image.
    ///
    /// # Errors
    /// [`CallError::UnknownNamespace`]. No effect.
    pub fn view(&self, image: &ObjectImage) -> Result<ImageView, CallError> {
        let entry = self.0.registry.get(image.namespace.as_str())?;
        Ok(image::view(image, &*entry.kind))
    }

    fn image_work(&self, target: &Target, deadline: Deadline, task: Task) -> Result<(), CallError> {
        let work = Box::new(Work { deadline, task });
        self.0.push(target, Envelope::Image(work)).map(drop)
    }

    /// Objects of two namespaces are of one kind when the same Rust type, or the same kind, is
    /// registered under both.
    fn same_kind(&self, image: &ObjectImage, target: &Target) -> Result<(), ImageError> {
        let (from, to) = (&image.namespace, &target.object.namespace);
        if from == to {
            return Ok(());
        }
        let to_entry = self.0.registry.get(to.as_str())?;
        let same = self.0.registry.get(from.as_str()).is_ok_and(|from_entry| {
            let type_id = from_entry.kind.description().type_id;
            Arc::ptr_eq(&from_entry.kind, &to_entry.kind)
                || type_id.is_some() && type_id == to_entry.kind.description().type_id
        });
        if same {
            Ok(())
        } else {
            Err(ImageError::OtherKind {
                from: from.to_string(),
                to: to.to_string(),
            })
        }
    }

    /// What the clockwork of alarms has done.
    #[must_use]
    pub fn alarm_stats(&self) -> AlarmStats {
        self.0.alarms.stats()
    }

    /// One page of the alarms of all objects.
    ///
    /// # Errors
    /// [`ReadError`]. No effect.
    ///
    /// # Cancel safety
    /// Yes.
    pub async fn alarms(&self, query: AlarmQuery) -> Result<AlarmPage, ReadError> {
        alarm::list(&self.0, query).await
    }

    /// Has an alarm run now, whether it is pending or parked, with its failures counted anew; gives
    /// the time it is now due, which is durable when this returns. What its turn then does, the
    /// listing and the log tell.
    ///
    /// # Errors
    /// [`CallError::UnknownAlarm`] when the object has none of this name; those of a message that
    /// could not be handed over or committed.
    ///
    /// # Cancel safety
    /// The alarm may be run all the same.
    pub async fn run_alarm(
        &self,
        target: &Target,
        name: &str,
        deadline: Deadline,
    ) -> Result<Timestamp, CallError> {
        self.0.refuse_when_draining()?;
        self.0.description(target)?;
        let (reply, answer) = oneshot::channel();
        let name = name.into();
        self.0.push(target, Envelope::RunAlarm { name, reply })?;
        answered(answer, deadline).await
    }

    /// Refuses what is new, lets every turn under way finish and become durable, ends every
    /// activation, stores the sessions that can be taken up again, then closes all with 1012. Returns when
    /// no activation is left; the caller bounds it with its own deadline.
    ///
    /// # Cancel safety
    /// Yes: call it again to go on.
    pub async fn drain(&self) {
        let node = &self.0;
        node.begin_drain();
        drain::no_activations(node).await;
        drain::keep_sessions(node).await;
        for slot in node.catalog.slots() {
            slot.sessions
                .close_all(&Close::new(Close::RESTART, "the server restarts"));
        }
    }

    /// Stops taking calls and firing alarms without waiting for anything: the end of a node that a
    /// test has crashed.
    #[cfg(feature = "test-util")]
    #[doc(hidden)]
    pub fn abandon(&self) {
        self.0.begin_drain();
        self.0.catalog.evict_all();
    }

    /// The one namespace a Rust actor is registered under.
    ///
    /// # Errors
    /// [`CallError::UnknownNamespace`] when there is none, [`CallError::InvalidObject`] when there
    /// are several.
    pub fn namespace_of(&self, actor: std::any::TypeId) -> Result<Namespace, CallError> {
        self.0.registry.namespace_of(actor)
    }

    /// Whether [`drain`](Self::drain) has begun.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.0.is_draining()
    }
}

/// Waits for the answer about an image, a little past the deadline.
async fn awaited<T>(
    answer: oneshot::Receiver<Result<T, ImageError>>,
    deadline: Deadline,
) -> Result<T, ImageError> {
    match tokio::time::timeout_at(deadline.0 + DEADLINE_GRACE, answer).await {
        Ok(answer) => answer.unwrap_or(Err(CallError::Dropped.into())),
        Err(_elapsed) => Err(CallError::DeadlineExceeded {
            effect: Effect::Unknown,
        }
        .into()),
    }
}

fn no_callback(target: &Target, callback: &'static str) -> CallError {
    CallError::NoCallback {
        namespace: target.object.namespace.as_str().to_owned(),
        callback,
    }
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime")
            .field("stats", &self.stats())
            .finish()
    }
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder")
            .field("registry", &self.registry)
            .finish_non_exhaustive()
    }
}
