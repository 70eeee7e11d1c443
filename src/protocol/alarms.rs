//! What the admin API says of alarms.

use abide_actors::{AlarmStatus, Parked};
use abide_storage::{Namespace, Object, ObjectId, ScheduledAlarm, Timestamp};
use serde::{Deserialize, Serialize};

/// One alarm of a listing. Times are Unix milliseconds.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ListedAlarm {
    /// `namespace/id:…`, as every command takes it.
    pub(crate) object: String,
    /// Its name; empty for the unnamed one.
    pub(crate) alarm: String,
    /// When it was set for.
    pub(crate) scheduled_ms: u64,
    /// When it fires; absent when it is parked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) due_ms: Option<u64>,
    /// Expression and time zone, when it recurs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cron: Option<String>,
    /// Failures in a row.
    pub(crate) retries: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) failed_at_ms: Option<u64>,
    /// "failures", "loop" or "schedule", when it is parked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) parked: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) parked_at_ms: Option<u64>,
}

/// One page of alarms.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ListedAlarms {
    pub(crate) alarms: Vec<ListedAlarm>,
    /// `after` of the next page; absent on the last. A page may be empty and not be the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}

/// Which alarm is to run now.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunAlarm {
    /// `namespace/name`, or `namespace/id:…`.
    pub(crate) object: String,
    /// Its name; absent for the unnamed one.
    #[serde(default)]
    pub(crate) alarm: String,
}

/// The alarm will run.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RunningAlarm {
    /// When it is due: now.
    pub(crate) due_ms: u64,
}

impl ListedAlarm {
    pub(crate) fn of(object: &Object, status: AlarmStatus) -> Self {
        let (failed_at_ms, last_error) = match status.last_error {
            Some(error) => (Some(error.at.0), Some(error.message.to_string())),
            None => (None, None),
        };
        let reason = |(_since, why): (Timestamp, Parked)| why.as_str().to_owned();
        Self {
            object: format!("{}/id:{}", object.namespace, object.id),
            alarm: status.name.to_string(),
            scheduled_ms: status.scheduled.0,
            due_ms: status.due.map(|due| due.0),
            cron: status.cron.map(|cron| cron.to_string()),
            retries: status.retries,
            last_error,
            failed_at_ms,
            parked: status.parked.map(reason),
            parked_at_ms: status.parked.map(|(since, _why)| since.0),
        }
    }
}

/// A place in a listing as text: `time:namespace:id:name`.
pub(crate) fn encode_place(place: &ScheduledAlarm) -> String {
    let Object { namespace, id } = &place.object;
    let name = String::from_utf8_lossy(&place.name);
    format!("{}:{namespace}:{id}:{name}", place.due.0)
}

/// The place that [`encode_place`] made a text of; `None` when it did not.
pub(crate) fn decode_place(text: &str) -> Option<ScheduledAlarm> {
    let mut parts = text.splitn(4, ':');
    let due = parts.next()?.parse().ok()?;
    let namespace = Namespace::new(parts.next()?).ok()?;
    let id = parts.next()?.parse::<ObjectId>().ok()?;
    let name = parts.next()?.to_owned().into();
    Some(ScheduledAlarm {
        due: Timestamp(due),
        object: Object { namespace, id },
        name,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_text_and_back() {
        let namespace = Namespace::new("chat").unwrap();
        for name in ["", "tea", "größer: später"] {
            let id = ObjectId::from_name(&namespace, "lobby");
            let namespace = namespace.clone();
            let place = ScheduledAlarm {
                due: Timestamp(1 << 63),
                object: Object { namespace, id },
                name: name.to_owned().into(),
            };
            assert_eq!(decode_place(&encode_place(&place)), Some(place));
        }
        for wrong in ["", "1", "x:chat:00:", "1:Chat:00:", "1:chat:00:"] {
            assert_eq!(decode_place(wrong), None, "{wrong}");
        }
    }
}
