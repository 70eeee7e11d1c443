//! How punctual ticks are: what the call `stats` answers with.

use std::collections::VecDeque;

use abide::prelude::*;

use crate::world::rules::TICK;

/// Ticks that are looked at: the last minute.
const TICKS: usize = 1_200;

/// Figures of a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Stats {
    pub(crate) players: usize,
    pub(crate) ships: usize,
    pub(crate) rows: usize,
    /// Ticks of the last minute that the figures below are of.
    pub(crate) ticks: usize,
    /// Ticks that never came, because one before took too long.
    pub(crate) missed: u64,
    /// How long after its due time a tick began, in milliseconds: of half of them, of 99 in 100, the worst.
    pub(crate) late_ms_p50: u64,
    pub(crate) late_ms_p99: u64,
    pub(crate) late_ms_max: u64,
}

/// Times of ticks against those at which they were due.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// When the next tick is due, in milliseconds.
    due: Option<u64>,
    late_ms: VecDeque<u64>,
    missed: u64,
}

impl Pace {
    pub(crate) fn note(&mut self, now: Timestamp) {
        let every = u64::try_from(TICK.as_millis()).unwrap_or(1);
        let due = self.due.unwrap_or(now.0);
        let late = now.0.saturating_sub(due);
        if self.late_ms.len() == TICKS {
            self.late_ms.pop_front();
        }
        self.late_ms.push_back(late);
        self.missed += late / every;
        // Times of ticks are a grid; one that came early only looks so, by the clock's milliseconds.
        self.due = Some(due + every * (1 + late / every));
    }

    /// The clock of the ticks stands still.
    pub(crate) fn stop(&mut self) {
        self.due = None;
    }

    pub(crate) fn missed(&self) -> u64 {
        self.missed
    }

    /// Median, 99th percentile and maximum, with the number of ticks they are of.
    pub(crate) fn late_ms(&self) -> (usize, u64, u64, u64) {
        let mut sorted: Vec<u64> = self.late_ms.iter().copied().collect();
        sorted.sort_unstable();
        let at = |part: usize| sorted.get(sorted.len() * part / 100).or(sorted.last());
        let at = |part| at(part).copied().unwrap_or_default();
        (sorted.len(), at(50), at(99), at(100))
    }
}
