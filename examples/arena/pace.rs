//! How punctual ticks are: what the call `stats` answers with.

use std::collections::VecDeque;

use abide::prelude::*;

/// Ticks that are looked at: the last minute.
const TICKS: usize = 1_200;

/// Figures of a room.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Stats {
    pub(crate) players: usize,
    pub(crate) ships: usize,
    pub(crate) rows: usize,
    pub(crate) pace: Figures,
}

/// How long after its due time a tick began, in milliseconds, over the last minute.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Figures {
    /// Ticks that the others are of.
    pub(crate) ticks: usize,
    /// Ticks that never ran, because those before took too long; since the room woke up.
    pub(crate) missed: u64,
    /// Half of the ticks were no later.
    pub(crate) late_ms_p50: f64,
    /// 99 in 100 were no later.
    pub(crate) late_ms_p99: f64,
    /// The latest.
    pub(crate) late_ms_max: f64,
}

/// How late each of the last ticks was.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    late: VecDeque<Duration>,
    missed: u64,
}

impl Pace {
    pub(crate) fn note(&mut self, ticked: &Ticked) {
        if self.late.len() == TICKS {
            self.late.pop_front();
        }
        self.late.push_back(ticked.late);
        self.missed += ticked.missed;
    }

    pub(crate) fn figures(&self) -> Figures {
        let mut sorted: Vec<Duration> = self.late.iter().copied().collect();
        sorted.sort_unstable();
        let ms = |part: usize| {
            let late = sorted.get(sorted.len() * part / 100).or(sorted.last());
            late.map_or(0.0, |late| late.as_secs_f64() * 1_000.0)
        };
        Figures {
            ticks: sorted.len(),
            missed: self.missed,
            late_ms_p50: ms(50),
            late_ms_p99: ms(99),
            late_ms_max: ms(100),
        }
    }
}
