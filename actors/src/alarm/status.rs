//! What can be seen of an alarm: by its own actor, and by operators.

use std::sync::Arc;

use abide_storage::{Object, Timestamp};

use super::cron::Cron;
use super::row::{AlarmRow, Parked, Standing};

/// One alarm of an object, as its actor or an operator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AlarmStatus {
    /// Its name; empty for the unnamed one.
    pub name: Arc<str>,
    /// When it was set for, or the time by its cron expression that it stands for.
    pub scheduled: Timestamp,
    /// When it fires next; `None` when it is parked.
    pub due: Option<Timestamp>,
    /// When it recurs.
    pub cron: Option<Cron>,
    /// Failures in a row.
    pub retries: u32,
    /// The last of them.
    pub last_error: Option<AlarmError>,
    /// Since when and why it fires no more.
    pub parked: Option<(Timestamp, Parked)>,
}

/// What a failed turn of an alarm said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlarmError {
    /// When it failed.
    pub at: Timestamp,
    /// The beginning of its error, 512 bytes at most.
    pub message: Arc<str>,
}

/// Which alarms of a node are listed.
#[derive(Debug, Clone)]
pub struct AlarmQuery {
    /// Those that will fire, or those that are parked.
    pub state: AlarmState,
    /// Those of one namespace only.
    pub namespace: Option<abide_storage::Namespace>,
    /// Those after this place, which an earlier page ended with.
    pub after: Option<abide_storage::ScheduledAlarm>,
    /// At most this many.
    pub limit: usize,
}

/// Whether an alarm will fire by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlarmState {
    /// In order of the time they are due.
    Pending,
    /// In order of the time they were parked.
    Parked,
}

/// One page of a listing of alarms.
#[derive(Debug, Clone, Default)]
pub struct AlarmPage {
    /// Object and alarm, in order.
    pub alarms: Vec<(Object, AlarmStatus)>,
    /// Where the next page begins; `None`: there is none. A page may be short, even empty, and not
    /// be the last: a page looks at a bounded number of alarms to find those asked for.
    pub next: Option<abide_storage::ScheduledAlarm>,
}

impl AlarmStatus {
    pub(crate) fn of(name: Arc<str>, row: &AlarmRow) -> Self {
        let parked = match row.standing {
            Standing::Parked { since, why } => Some((since, why)),
            Standing::Due(_) => None,
        };
        let last_error = row.failure.as_ref().map(|failure| AlarmError {
            at: failure.at,
            message: failure.error.clone(),
        });
        Self {
            name,
            scheduled: row.scheduled,
            due: row.due(),
            cron: row.cron.clone().map(Cron::stored),
            retries: row.retries,
            last_error,
            parked,
        }
    }
}
