//! Alarms: durable wake-ups by name. This file holds one object's alarms and the table of
//! retries; `scheduler.rs` holds the node's clockwork.

mod scheduler;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use abide_storage::{Object, ScheduledAlarm, Section, Timestamp, Write, WriteBatch, codec};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub(crate) use scheduler::{Change, Scheduler, TRY_AGAIN, TRY_AGAIN_LATER};

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

/// One stored alarm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AlarmRow {
    /// When actor code set it for.
    pub(crate) scheduled: Timestamp,
    /// When it is to fire: `scheduled`, or the time of the next retry. `None`: parked.
    pub(crate) due: Option<Timestamp>,
    /// Failures in a row.
    pub(crate) retries: u32,
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
            let mut row: AlarmRow =
                codec::decode(&row).map_err(|error| format!("alarm '{name}': {error}"))?;
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

    pub(crate) fn hide(&mut self, name: Option<Arc<str>>) {
        self.hidden = name;
    }

    /// Puts rows back as they were before a commit that was refused.
    pub(crate) fn restore(&mut self, rows: Vec<(Arc<str>, Option<AlarmRow>)>) {
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
                row.and_then(|row| row.due)
                    .map(|due| Change::Insert(entry(due))),
            );
            return;
        }
        if let Some(due) = before.and_then(|row| row.due) {
            batch.writes.push(Write::UnscheduleAlarm {
                due,
                name: key.clone(),
            });
            changes.push(Change::Remove(entry(due)));
        }
        let section = Section::Alarm;
        if let Some(row) = row {
            if let Some(due) = row.due {
                batch.writes.push(Write::ScheduleAlarm {
                    due,
                    name: key.clone(),
                });
                changes.push(Change::Insert(entry(due)));
            }
            let mut value = Vec::new();
            codec::encode(&row, &mut value).expect("three plain fields always encode");
            batch.writes.push(Write::Put {
                section,
                key,
                value: value.into(),
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
}
