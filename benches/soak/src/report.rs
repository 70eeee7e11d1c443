//! What a run counted, and what it found.

use std::time::Duration;

use serde_json::{Value, json};

use crate::witness::Fault;

/// Faults that are told in words; more are only counted.
const FAULTS_TOLD: usize = 20;

/// How a run went.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) drains: u32,
    pub(crate) kills: u32,
    pub(crate) cuts: u32,
    pub(crate) sent: u64,
    pub(crate) acknowledged: u64,
    pub(crate) sent_again: u64,
    pub(crate) full: u64,
    pub(crate) lines: u64,
    pub(crate) resets: u64,
    pub(crate) resumes: u64,
    /// For each end of the server, until the next run listened.
    pub(crate) down: Vec<Duration>,
    /// For each drain, from the moment the server listened again until every session was back.
    pub(crate) all_back: Vec<Duration>,
    faults: u64,
    told: Vec<String>,
}

impl Report {
    pub(crate) fn fault(&mut self, of: &str, fault: &Fault) {
        self.faults += 1;
        if self.told.len() < FAULTS_TOLD {
            self.told.push(format!("{of}: {fault}"));
        }
    }

    pub(crate) fn passed(&self) -> bool {
        self.faults == 0
    }

    /// What went wrong, in words.
    pub(crate) fn told(&self) -> &[String] {
        &self.told
    }

    pub(crate) fn json(&self, sessions: usize, objects: usize, elapsed: Duration) -> Value {
        let millis = |times: &[Duration]| times.iter().map(Duration::as_millis).collect::<Vec<_>>();
        json!({
            "verdict": if self.passed() { "PASS" } else { "FAIL" },
            "sessions": sessions,
            "objects": objects,
            "seconds": elapsed.as_secs(),
            "drains": self.drains,
            "kills": self.kills,
            "cuts": self.cuts,
            "messages_sent": self.sent,
            "messages_acknowledged": self.acknowledged,
            "messages_sent_again": self.sent_again,
            "buffer_full": self.full,
            "lines_received": self.lines,
            "resumes": self.resumes,
            "resets": self.resets,
            "down_ms": millis(&self.down),
            "all_resumed_after_drain_ms": millis(&self.all_back),
            "faults": self.faults,
        })
    }
}
