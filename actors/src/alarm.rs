//! Alarms: durable wake-ups by name. This file holds one object's alarms and the table of retries.
//!
//! `row.rs` is an alarm as it is stored, `cron.rs` says when one recurs, `scheduler.rs` is the node's
//! clockwork, `pace.rs` the budget that each object has of it, `places.rs` how many may be under way; `status.rs` is what can be seen of
//! alarms, and `listing.rs` finds it for operators.

mod cron;
mod listing;
mod pace;
mod places;
mod row;
mod scheduler;
mod status;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use abide_storage::{Object, ScheduledAlarm, Section, Timestamp, Write, WriteBatch};
use bytes::Bytes;

pub use cron::{Cron, InvalidCron};
pub(crate) use listing::list;
pub use row::Parked;
pub(crate) use row::{AlarmRow, Failure, NEVER, Standing};
pub use scheduler::AlarmStats;
pub(crate) use scheduler::{Change, Fired, Scheduler, TRY_AGAIN, TRY_AGAIN_LATER};
pub use status::{AlarmError, AlarmPage, AlarmQuery, AlarmState, AlarmStatus};

use crate::rng::Rng;
use crate::teeth::{Tooth, broken};

/// First retry of a failed alarm comes after this, doubling with each failure. The figures are
/// those of Cloudflare's Durable Objects (`workerd` `server/alarm-scheduler.h`).
const RETRY_FIRST_MS: u64 = 2_000;
/// Doublings before the wait stays the same: 2 s · 2⁹ = 1,024 s.
const RETRY_DOUBLINGS_MAX: u32 = 9;
/// Jitter on top of each wait, as a part of it.
const RETRY_JITTER_DIVISOR: u64 = 4;

/// How long to wait after the `failures`-th failure in a row (1 is the first).
pub(crate) fn retry_wait(failures: u32, rng: &Rng) -> Duration {
    let doublings = failures.saturating_sub(1).min(RETRY_DOUBLINGS_MAX);
    let wait_ms = RETRY_FIRST_MS << doublings;
    Duration::from_millis(wait_ms + rng.jitter_ms(wait_ms / RETRY_JITTER_DIVISOR))
}

/// An alarm that its predecessor set for a moment no later than this has been set for at once: a
/// link of a chain, which the loop guard counts. Below what a timer can tell, above what a turn takes.
const AT_ONCE: Duration = Duration::from_millis(10);

/// What a turn has staged of an alarm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) at: Timestamp,
    pub(crate) cron: Option<Cron>,
}

impl Setting {
    /// The row of an alarm that was set by the handler of `predecessor`, if by any.
    ///
    /// A chain of alarms that set each other for at once, under whatever names, is a loop that only
    /// its budget slows down. Above `chain_max` links the next one is parked.
    pub(crate) fn row(
        self,
        predecessor: Option<&AlarmRow>,
        now: Timestamp,
        chain_max: Option<u32>,
    ) -> AlarmRow {
        let is_link = self.at <= now + AT_ONCE;
        let chain = match predecessor {
            Some(predecessor) if is_link => predecessor.chain.saturating_add(1),
            _ => 0,
        };
        let row = AlarmRow {
            chain,
            cron: self.cron.map(|cron| cron.text().clone()),
            ..AlarmRow::new(self.at)
        };
        if chain_max.is_some_and(|max| chain > max) {
            return row.parked(now, Parked::Loop);
        }
        row
    }
}

/// The alarms of one object, as last committed or on their way.
#[derive(Debug, Default)]
pub(crate) struct AlarmTable {
    rows: BTreeMap<Arc<str>, AlarmRow>,
    /// The alarm whose handler runs: actor code sees it as gone.
    hidden: Option<Arc<str>>,
}

impl AlarmTable {
    /// Reads the rows that came with the object.
    pub(crate) fn load(rows: Vec<(Bytes, Bytes)>) -> Result<Self, String> {
        let mut alarms = BTreeMap::new();
        for (name, row) in rows {
            let name = std::str::from_utf8(&name).map_err(|error| error.to_string())?;
            let mut row =
                AlarmRow::decode(&row).map_err(|error| format!("alarm '{name}': {error}"))?;
            if broken(Tooth::LoseRetryCount) {
                row.retries = 0;
            }
            alarms.insert(name.into(), row);
        }
        Ok(Self {
            rows: alarms,
            hidden: None,
        })
    }

    /// How many alarms actor code has set; the one whose handler runs is none of them.
    pub(crate) fn set_count(&self) -> usize {
        self.rows.len() - usize::from(self.hidden.is_some())
    }

    /// Whether actor code has set the alarm, and it is not the one whose handler runs.
    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.rows.contains_key(name) && self.hidden.as_deref() != Some(name)
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.rows.contains_key(name)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&AlarmRow> {
        self.rows.get(name)
    }

    /// When actor code set the alarm for, if it did and the alarm has not fired.
    pub(crate) fn scheduled(&self, name: &str) -> Option<Timestamp> {
        let hidden = self.hidden.as_deref() == Some(name);
        self.rows
            .get(name)
            .filter(|_| !hidden)
            .map(|row| row.scheduled)
    }

    /// What actor code sees, or an operator: all but the one whose handler runs.
    pub(crate) fn visible(&self) -> impl Iterator<Item = (&Arc<str>, &AlarmRow)> {
        let is_visible = |name: &Arc<str>| self.hidden.as_ref() != Some(name);
        self.rows.iter().filter(move |(name, _)| is_visible(name))
    }

    pub(crate) fn hide(&mut self, name: Option<Arc<str>>) {
        self.hidden = name;
    }

    /// Puts rows back as they were before a commit that was refused.
    pub(crate) fn restore(&mut self, rows: impl IntoIterator<Item = (Arc<str>, Option<AlarmRow>)>) {
        for (name, row) in rows {
            match row {
                Some(row) => self.rows.insert(name, row),
                None => self.rows.remove(&name),
            };
        }
    }

    /// Makes these alarms those of `others`: in the batch, and as changes for the scheduler.
    pub(crate) fn become_those_of(
        mut self,
        others: Self,
        object: &Object,
        batch: &mut WriteBatch,
        changes: &mut Vec<Change>,
    ) {
        let gone = self.rows.keys().filter(|name| !others.contains(name));
        for name in gone.cloned().collect::<Vec<_>>() {
            self.set(object, &name, None, batch, changes);
        }
        for (name, row) in others.rows {
            self.set(object, &name, Some(row), batch, changes);
        }
    }

    /// Sets (`Some`) or clears (`None`) an alarm: here, in the batch, and as changes for the
    /// scheduler once the batch is durable.
    pub(crate) fn set(
        &mut self,
        object: &Object,
        name: &Arc<str>,
        row: Option<AlarmRow>,
        batch: &mut WriteBatch,
        changes: &mut Vec<Change>,
    ) {
        let before = self.rows.get(name);
        let key = Bytes::copy_from_slice(name.as_bytes());
        let entry = |due| ScheduledAlarm {
            due,
            object: object.clone(),
            name: key.clone(),
        };
        if before == row.as_ref() {
            // Nothing to store, but the scheduler lets go of an alarm when it fires it: one that
            // its own handler set again, for the same moment, must be given back.
            changes.extend(
                row.and_then(|row| row.due())
                    .map(|due| Change::Insert(entry(due))),
            );
            return;
        }
        if let Some(before) = before {
            batch.writes.push(Write::UnscheduleAlarm {
                due: before.indexed_at(),
                name: key.clone(),
            });
            changes.extend(before.due().map(|due| Change::Remove(entry(due))));
        }
        let section = Section::Alarm;
        if let Some(row) = row {
            batch.writes.push(Write::ScheduleAlarm {
                due: row.indexed_at(),
                name: key.clone(),
            });
            changes.extend(row.due().map(|due| Change::Insert(entry(due))));
            batch.writes.push(Write::Put {
                section,
                key,
                value: row.encode().into(),
            });
            self.rows.insert(name.clone(), row);
        } else {
            batch.writes.push(Write::Delete { section, key });
            self.rows.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_double_from_two_seconds_to_1024_and_jitter_by_a_quarter() {
        let rng = Rng::from_seed(7);
        for (failures, seconds) in [(1, 2), (2, 4), (3, 8), (9, 512), (10, 1_024), (50, 1_024)] {
            let wait = retry_wait(failures, &rng);
            let least = Duration::from_secs(seconds);
            assert!(
                wait >= least && wait <= least + least / 4,
                "{failures}: {wait:?}"
            );
        }
    }

    #[test]
    fn a_chain_counts_what_is_set_for_at_once_by_an_alarm() {
        let now = Timestamp(1_000_000);
        let set = |at: u64, predecessor: Option<&AlarmRow>| {
            let setting = Setting {
                at: Timestamp(at),
                cron: None,
            };
            setting.row(predecessor, now, Some(2))
        };
        let mut last = set(now.0, None);
        for link in 1..=2 {
            last = set(now.0 + 10, Some(&last));
            assert_eq!(
                (last.chain, last.due()),
                (link, Some(Timestamp(now.0 + 10)))
            );
        }
        assert_eq!(set(now.0 + 11, Some(&last)).chain, 0, "later is no loop");
        assert_eq!(set(0, None).chain, 0, "set by a call");
        let parked = set(0, Some(&last));
        let why = Parked::Loop;
        assert_eq!(parked.standing, Standing::Parked { since: now, why });
    }
}
