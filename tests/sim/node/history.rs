//! What the clients did and saw, in the order in which it happened.

use std::fmt::Write as _;

use super::probe;
use super::subject::Seen;

/// What a client asks of an object, as far as the object's value is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Add(i64),
    Put(i64),
    Get,
    /// Fails whatever happens.
    Refuse,
}

/// How an operation ended for its client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    Ok(Seen),
    /// It will have taken effect by the end of the run; nobody is told.
    Done,
    /// It was answered that nothing changed.
    Failed,
    /// It may have taken effect, may do so later, or never.
    Unknown,
}

/// One operation on one object.
#[derive(Debug, Clone)]
pub(super) struct Operation {
    /// No two have the same.
    pub(super) number: u64,
    pub(super) object: String,
    pub(super) action: Action,
    /// When it was begun, counted in events.
    pub(super) begun: u64,
    /// When its outcome was known.
    pub(super) ended: u64,
    pub(super) outcome: Outcome,
}

/// Somebody saw the object, not later than `at`.
#[derive(Debug, Clone)]
pub(super) struct Sighting {
    pub(super) object: String,
    pub(super) at: u64,
    pub(super) seen: Seen,
}

/// An alarm that a client has set.
#[derive(Debug, Clone)]
pub(super) struct SetAlarm {
    pub(super) object: String,
    pub(super) name: String,
    /// When it is due, if the client was told that it is set.
    pub(super) due_ms: Option<u64>,
    /// The client was told that it is not.
    pub(super) is_refused: bool,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct History {
    pub(super) operations: Vec<Operation>,
    pub(super) sightings: Vec<Sighting>,
    pub(super) alarms: Vec<SetAlarm>,
    /// Sessions that went on with another connection.
    pub(super) resumes: Resumes,
    /// What a checker need not look for any more: it was seen while it happened.
    pub(super) violations: Vec<Violation>,
    events: u64,
    numbers: u64,
    log: String,
}

/// See [`History::resumes`].
#[derive(Debug, Default)]
pub(super) struct Resumes {
    /// In the process that had them before.
    pub(super) here: u32,
    /// In a later one.
    pub(super) after_restart: u32,
}

impl Resumes {
    /// One went on in the process `now`, that was in the process `before`.
    pub(super) fn count(&mut self, before: u64, now: u64) {
        if before == now {
            self.here += 1;
        } else {
            self.after_restart += 1;
        }
    }
}

/// A promise that was not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Violation {
    /// The invariant's name, or the checker's.
    pub(super) of: &'static str,
    pub(super) what: String,
}

impl Violation {
    pub(super) fn new(of: &'static str, what: impl Into<String>) -> Self {
        let what = what.into();
        Self { of, what }
    }
}

impl History {
    /// A number that no other operation has.
    pub(super) fn next_number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// Counts an event, and writes it down.
    pub(super) fn event(&mut self, at_ms: u64, what: std::fmt::Arguments<'_>) -> u64 {
        self.events += 1;
        let at = self.events;
        for (object, seen) in probe::take_sightings() {
            self.sighted(&object, seen, at);
        }
        writeln!(self.log, "{at_ms:>7} {what}").expect("a string takes any text");
        at
    }

    pub(super) fn sighted(&mut self, object: &str, seen: Seen, at: u64) {
        self.sightings.push(Sighting {
            object: object.to_owned(),
            at,
            seen,
        });
    }

    /// All that nobody was told of has taken effect by now.
    pub(super) fn end_what_is_done(&mut self, now: u64) {
        let done = |operation: &&mut Operation| operation.outcome == Outcome::Done;
        let done = self.operations.iter_mut().filter(done);
        done.for_each(|operation| operation.ended = now);
    }

    /// The events as text, one a line.
    pub(super) fn log(&self) -> &str {
        &self.log
    }

    /// The same for the same run.
    pub(super) fn fingerprint(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.log.as_bytes());
        hasher.finalize().to_hex().to_string()
    }
}
