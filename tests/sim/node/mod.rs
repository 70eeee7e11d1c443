//! A whole node under one seeded schedule: clients, faults, crashes, and checkers over what the
//! clients saw.
//!
//! `machine.rs` is the node with its real store on a simulated disk (`disk.rs`); `subject.rs` the
//! actor it runs; `workload.rs`, `line.rs`, `lasting.rs` and `counts.rs` what its clients do; `faults.rs` what is done to it;
//! `history.rs` and `probe.rs` what is written down; `checks.rs` and `linear.rs` what must be true of that.

mod checks;
mod counts;
mod disk;
mod faults;
mod history;
mod lasting;
mod line;
mod linear;
mod machine;
mod probe;
mod subject;
#[cfg(feature = "teeth")]
mod teeth;
mod tests;
mod workload;

use std::cell::{Cell, RefCell};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::sleep;

use self::history::{Action, History, Violation};
use self::machine::{Crash, Machine, Node};
use self::subject::Audit;
use self::workload::{Client, OBJECTS, audit};

const CLIENTS: usize = 4;
/// Things each client does.
const DEEDS: u32 = 22;
/// Time after the last fault in which every alarm must have rung, after two failures with their
/// waits, and every message must have been heard.
const CALM: Duration = Duration::from_secs(30);
/// The disk's pace in that time: nobody is in a hurry.
const CALM_PACE: Duration = Duration::from_millis(60);

/// What all parts of a run share.
struct Sim {
    machine: RefCell<Machine>,
    history: RefCell<History>,
    is_over: Cell<bool>,
}

/// What came of a run.
struct Run {
    violations: Vec<Violation>,
    history: History,
}

/// Runs one node through one schedule.
fn simulate(seed: u64) -> Run {
    probe::begin();
    // Segments of the log are salted by the thread's own generator.
    fastrand::seed(seed);
    let (history, audits) = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O needs nothing of the system")
        .block_on(run(seed));
    let notes = probe::end();
    let violations = checks::check(&history, &notes, &audits);
    Run {
        violations,
        history,
    }
}

async fn run(seed: u64) -> (History, Vec<(String, Audit)>) {
    let mut random = fastrand::Rng::with_seed(seed);
    let sim = Sim::new(random.u64(..));
    sim.start();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|name| {
            Client {
                sim: &sim,
                name,
                random: random.fork(),
            }
            .run(DEEDS)
        })
        .collect();
    tokio::select! {
        biased;
        _ = join_all(clients) => {}
        () = faults::make_trouble(&sim, random.fork()) => {}
    }
    let audits = sim.end().await;
    (sim.history.into_inner(), audits)
}

impl Sim {
    fn new(seed: u64) -> Self {
        Self {
            machine: RefCell::new(Machine::new(seed)),
            history: RefCell::default(),
            is_over: Cell::new(false),
        }
    }

    /// All faults are over: every object is asked what it knows, and again after a last power cut.
    async fn end(&self) -> Vec<(String, Audit)> {
        if self.is_over() {
            return Vec::new();
        }
        self.event(format_args!("all faults are over"));
        let is_broken = self.machine.borrow().is_broken();
        self.machine.borrow().mend();
        *self.machine.borrow().pace.lock() = CALM_PACE;
        if is_broken {
            self.machine.borrow_mut().crash(Crash::Power);
        } else {
            self.drain().await;
        }
        self.start();
        sleep(CALM).await;
        let now = self.event(format_args!("what was to happen has happened"));
        self.history.borrow_mut().end_what_is_done(now);
        let before = self.audits().await;
        if self.is_over() {
            return before;
        }
        self.machine.borrow_mut().crash(Crash::Power);
        self.start();
        let after = self.audits().await;
        if before != after {
            let what = format!("before the last power cut {before:?}, after it {after:?}");
            self.violated("durable-before-visible", what);
        }
        after
    }

    async fn audits(&self) -> Vec<(String, Audit)> {
        let mut audits = Vec::new();
        let Some(node) = self.node().await else {
            return audits;
        };
        for object in OBJECTS {
            let (number, begun) = (
                self.next_number(),
                self.event(format_args!("audit of {object}")),
            );
            match audit(&node, object).await {
                Ok(audit) => {
                    let ended = self.event(format_args!("{audit:?}"));
                    let mut history = self.history.borrow_mut();
                    history.sighted(object, audit.seen, ended);
                    history.operations.push(history::Operation {
                        number,
                        object: object.to_owned(),
                        action: Action::Get,
                        begun,
                        ended,
                        outcome: history::Outcome::Ok(audit.seen),
                    });
                    drop(history);
                    audits.push((object.to_owned(), audit));
                }
                Err(problem) => {
                    self.violated("liveness", problem);
                    self.is_over.set(true);
                }
            }
        }
        audits
    }

    /// Starts the node; when it does not start, the run is over.
    fn start(&self) {
        let started = self.machine.borrow_mut().start();
        self.event(format_args!("the node starts: {started:?}"));
        if let Err(problem) = started {
            self.violated("opening", problem);
            self.is_over.set(true);
        }
    }

    /// Ends the process as it is asked to.
    async fn drain(&self) {
        let node = self.machine.borrow().node.clone();
        let Some(node) = node else { return };
        if !node.drain().await {
            self.violated("liveness", "a drain did not end in a minute");
        }
        self.machine.borrow_mut().ended();
    }

    /// The node, when it runs; `None` when the run is over.
    async fn node(&self) -> Option<Node> {
        loop {
            if self.is_over() {
                return None;
            }
            if let Some(node) = &self.machine.borrow().node {
                return Some(node.clone());
            }
            sleep(Duration::from_millis(1)).await;
        }
    }

    fn is_over(&self) -> bool {
        self.is_over.get()
    }

    fn next_number(&self) -> u64 {
        self.history.borrow_mut().next_number()
    }

    fn event(&self, what: std::fmt::Arguments<'_>) -> u64 {
        let at_ms = self.machine.borrow().now_ms();
        self.history.borrow_mut().event(at_ms, what)
    }

    fn violated(&self, of: &'static str, what: impl Into<String>) {
        self.judged(Err(Violation::new(of, what)));
    }

    /// Writes down what a checker of one answer says.
    fn judged(&self, verdict: Result<(), Violation>) {
        self.history.borrow_mut().violations.extend(verdict.err());
    }
}
