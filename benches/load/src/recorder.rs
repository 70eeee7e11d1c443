//! What a run has seen so far, shared by its lanes on the one thread.

use std::cell::{Cell, Ref, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use crate::histogram::Histogram;
use crate::schedule::Due;

/// Counts and latencies of the measured part of a run; of the warm-up only what went wrong.
#[derive(Debug)]
pub(crate) struct Recorder {
    started: Cell<u64>,
    expected: Cell<u64>,
    latency: RefCell<Histogram>,
    lateness: RefCell<Histogram>,
    errors: RefCell<BTreeMap<String, u64>>,
}

impl Recorder {
    pub(crate) fn new() -> Self {
        Self {
            started: Cell::new(0),
            expected: Cell::new(0),
            latency: RefCell::new(Histogram::new()),
            lateness: RefCell::new(Histogram::new()),
            errors: RefCell::default(),
        }
    }

    /// An operation starts, this much too late, and should complete `completions` times.
    pub(crate) fn started(&self, due: Due, late: Duration, completions: u64) {
        if due.measured {
            self.started.set(self.started.get() + 1);
            self.expected.set(self.expected.get() + completions);
            self.lateness.borrow_mut().add(late);
        }
    }

    /// A measured operation completed, this long after it should have started.
    pub(crate) fn completed(&self, latency: Duration) {
        self.latency.borrow_mut().add(latency);
    }

    /// Something went wrong; the same words are counted together.
    pub(crate) fn failed(&self, what: impl Into<String>) {
        *self.errors.borrow_mut().entry(what.into()).or_default() += 1;
    }

    /// Measured operations that were started.
    pub(crate) fn started_count(&self) -> u64 {
        self.started.get()
    }

    /// Measured completions.
    pub(crate) fn completed_count(&self) -> u64 {
        self.latency.borrow().count()
    }

    /// Completions that should have come and did not.
    pub(crate) fn missing_count(&self) -> u64 {
        self.expected.get().saturating_sub(self.completed_count())
    }

    /// From the moment an operation should have started to its completion.
    pub(crate) fn latency(&self) -> Ref<'_, Histogram> {
        self.latency.borrow()
    }

    /// From the moment an operation should have started to the moment it did.
    pub(crate) fn lateness(&self) -> Ref<'_, Histogram> {
        self.lateness.borrow()
    }

    /// What went wrong, and how often.
    pub(crate) fn errors(&self) -> BTreeMap<String, u64> {
        self.errors.borrow().clone()
    }
}
