//! One machine with one node on it, which crashes, is drained, and starts again.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use abide_actors::testing::BEGINNING;
use abide_actors::{
    ActorKind, Clock, Description, Incarnation, Kind, Limits, Runtime, TaskKind, Tasks,
};
use abide_storage::fault::{FaultEngine, PowerSwitch};
use abide_storage::{LogStore, MemoryEngine, Options, Stepped, Stepper};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::disk::SimDisk;
use super::probe;
use super::subject::Subject;

/// The only namespace.
pub(super) const NAMESPACE: &str = "subject";
/// Where the log lies on the simulated disk.
const FOLDER: &str = "/log";
/// Messages one mailbox holds: few, so that it is full at times.
pub(super) const MAILBOX_MESSAGES_MAX: usize = 6;
/// Bytes that wait to be read by one session: few, too.
const OUTBOUND_MAX_BYTES: usize = 1_000;
/// How long a session waits for its client: longer than most are away, and not so long that nobody's
/// window passes.
const RESUME_WINDOW: Duration = Duration::from_secs(2);
/// Bytes kept of what a session's client has not acknowledged.
const RESUME_BUFFER_MAX_BYTES: usize = 1_000;

/// How a process ends that was not asked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Crash {
    /// The machine goes on: what was written is there, synced or not.
    Process,
    /// What was not synced is there in part.
    Power,
}

/// A node that runs.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) runtime: Runtime,
    pub(super) store: Arc<LogStore>,
    /// Cancelled when the process ends: nobody hears of it any more.
    pub(super) is_gone: CancellationToken,
    steps: Arc<Mutex<Option<Stepper>>>,
}

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) disk: SimDisk,
    engine: Arc<FaultEngine>,
    clock: Clock,
    /// Longest time a group takes to become durable, and a pause between steps.
    pub(super) pace: Arc<Mutex<Duration>>,
    random: fastrand::Rng,
    tasks: Tasks,
    /// Processes that were started.
    lives: u64,
    /// `None` while it is down.
    pub(super) node: Option<Node>,
}

impl Machine {
    pub(super) fn new(seed: u64) -> Self {
        let engine = FaultEngine::new(Arc::new(MemoryEngine::new()), PowerSwitch::never());
        Self {
            disk: SimDisk::default(),
            engine: Arc::new(engine),
            clock: Clock::starting_at(BEGINNING),
            pace: Arc::new(Mutex::new(Duration::from_millis(3))),
            random: fastrand::Rng::with_seed(seed),
            tasks: Tasks::default(),
            lives: 0,
            node: None,
        }
    }

    /// The wall clock, milliseconds since the world began.
    pub(super) fn now_ms(&self) -> u64 {
        self.clock.now().0 - BEGINNING.0
    }

    /// Starts the node over what is on the disk.
    pub(super) fn start(&mut self) -> Result<(), String> {
        Stepper::set_time(tokio::time::Instant::now().into_std());
        let (store, stepper) = LogStore::open_stepped(
            Path::new(FOLDER),
            options(),
            self.engine.clone(),
            Arc::new(self.disk.clone()),
        )
        .map_err(|error| error.to_string())?;
        self.lives += 1;
        let builder = Runtime::builder(store.clone())
            .clock(self.clock.clone())
            .seed(self.random.u64(..))
            .limits(limits());
        let kind = OfOneLife {
            kind: ActorKind::<Subject>::new(),
            life: self.lives,
        };
        let registered = builder.register(NAMESPACE, Arc::new(kind));
        let runtime = registered.expect("the one namespace there is").start();
        let node = Node {
            runtime,
            store,
            is_gone: CancellationToken::new(),
            steps: Arc::new(Mutex::new(Some(stepper))),
        };
        self.drive(&node);
        self.node = Some(node);
        Ok(())
    }

    /// Takes the steps of the node's store for as long as it lives.
    fn drive(&mut self, node: &Node) {
        let (steps, pace) = (node.steps.clone(), self.pace.clone());
        let mut random = self.random.fork();
        self.tasks.spawn(TaskKind::Object, "disk", async move {
            loop {
                let longest = u64::try_from(pace.lock().as_micros()).expect("a short time");
                tokio::time::sleep(Duration::from_micros(random.u64(200..=longest))).await;
                Stepper::set_time(tokio::time::Instant::now().into_std());
                let mut steps = steps.lock();
                let Some(stepper) = steps.as_mut() else {
                    return;
                };
                stepper.commit();
                if random.u8(0..10) == 0 {
                    stepper.checkpoint();
                }
            }
        });
    }

    /// Processes that were started.
    pub(super) fn lives(&self) -> u64 {
        self.lives
    }

    /// Whether the store has failed, or the power, so that the process cannot go on.
    pub(super) fn is_broken(&self) -> bool {
        let steps = self.node.as_ref().map(|node| node.steps.lock());
        let has_failed = steps.is_some_and(|steps| steps.as_ref().is_some_and(Stepper::has_failed));
        has_failed || !self.disk.has_power()
    }

    /// The power goes within this many writing operations of the engine.
    pub(super) fn cut_engine_after(&self, operations: u64) {
        self.engine.set_switch(PowerSwitch::after(operations));
    }

    /// No fault is waiting any more.
    pub(super) fn mend(&self) {
        self.disk.mend();
        self.engine.set_switch(PowerSwitch::never());
    }

    /// Ends the process where it stands.
    pub(super) fn crash(&mut self, crash: Crash) {
        if let Some(node) = self.node.take() {
            node.is_gone.cancel();
            if let Some(stepper) = node.steps.lock().take() {
                stepper.die();
            }
            node.runtime.abandon();
        }
        self.mend();
        if crash == Crash::Power {
            self.disk.lose_power(&mut self.random);
            self.engine = Arc::new(
                self.engine
                    .forget(self.random.u64(..), PowerSwitch::never()),
            );
        }
    }

    /// The process that was asked to end has done so.
    pub(super) fn ended(&mut self) {
        if let Some(node) = self.node.take() {
            node.is_gone.cancel();
            if let Some(stepper) = node.steps.lock().take() {
                stepper.die();
            }
        }
    }
}

impl Node {
    /// Lets the process end as it is asked to; `false` when it did not get there in a minute.
    pub(super) async fn drain(&self) -> bool {
        let drained = tokio::time::timeout(Duration::from_secs(60), self.runtime.drain()).await;
        if let Some(stepper) = self.steps.lock().as_mut() {
            while stepper.commit() == Stepped::Done {}
            // Begun and ended.
            stepper.checkpoint();
            stepper.checkpoint();
        }
        // The clients read the goodbye before the process is gone.
        tokio::time::sleep(Duration::from_millis(5)).await;
        drained.is_ok()
    }
}

/// The values of one process: those of one that has died may be made anew in the next one's time,
/// and nobody hears of what they do.
#[derive(Debug)]
struct OfOneLife {
    kind: Arc<dyn Kind>,
    life: u64,
}

impl Kind for OfOneLife {
    fn description(&self) -> &Description {
        self.kind.description()
    }

    fn load(&self, state: Option<&[u8]>) -> Result<Box<dyn Incarnation>, String> {
        probe::make_for(self.life);
        self.kind.load(state)
    }
}

/// Small segments, so that they roll and are used again.
fn options() -> Options {
    Options {
        segment_size_bytes: 16 << 10,
        first_segment_size_bytes: 8 << 10,
        commit_size_max_bytes: 4 << 10,
        queue_size_max_bytes: 8 << 10,
        disk_reserve_bytes: 1 << 20,
        ..Options::default()
    }
}

fn limits() -> Limits {
    Limits {
        idle_timeout: Duration::from_millis(120),
        mailbox_messages_max: MAILBOX_MESSAGES_MAX,
        pipelined_commits_max: 8,
        outbound_max_bytes: OUTBOUND_MAX_BYTES,
        activations_max: 2,
        resume_window: RESUME_WINDOW,
        resume_buffer_max_bytes: RESUME_BUFFER_MAX_BYTES,
        ..Limits::default()
    }
}
