//! The alarms of all objects, page by page, for operators.
//!
//! The index by time says which there are, the objects' own rows say what is known of them. Nobody
//! stops the node for it: an alarm that moves between the two looks is left out, and is where
//! it moved to.

use abide_storage::{Namespace, Object, ObjectId, ReadError, ScheduledAlarm, Section};
use bytes::Bytes;

use super::row::{AlarmRow, NEVER, PARKED_FROM, PARKED_UNTIL};
use super::status::{AlarmPage, AlarmQuery, AlarmState, AlarmStatus};
use crate::node::Node;

/// Entries of the index read at a time.
const READ_ALARMS: usize = 256;
/// Entries of the index one page looks at, whether or not they are of the namespace asked for.
const LOOKED_AT_MAX: usize = 4_096;

/// One page of the alarms that are pending or parked.
pub(crate) async fn list(node: &Node, query: AlarmQuery) -> Result<AlarmPage, ReadError> {
    let end = match query.state {
        AlarmState::Pending => PARKED_FROM,
        AlarmState::Parked => PARKED_UNTIL,
    };
    let mut page = AlarmPage::default();
    let mut after = query.after.or_else(|| before_first(query.state));
    let mut looked_at = 0;
    loop {
        let entries = node.store.alarms(after.clone(), READ_ALARMS).await?;
        let is_last = entries.len() < READ_ALARMS;
        for entry in entries {
            if entry.due >= end {
                return Ok(page);
            }
            if page.alarms.len() >= query.limit || looked_at >= LOOKED_AT_MAX {
                page.next = after;
                return Ok(page);
            }
            looked_at += 1;
            let wanted = |namespace: &Namespace| *namespace == entry.object.namespace;
            if query.namespace.as_ref().is_none_or(wanted)
                && let Some(status) = status(node, &entry).await?
            {
                page.alarms.push((entry.object.clone(), status));
            }
            after = Some(entry);
        }
        if is_last {
            return Ok(page);
        }
    }
}

/// What is known of an entry of the index; `None` when the alarm is not there any more.
async fn status(node: &Node, entry: &ScheduledAlarm) -> Result<Option<AlarmStatus>, ReadError> {
    let row = node
        .store
        .get(&entry.object, Section::Alarm, &entry.name)
        .await?;
    let (Some(row), Ok(name)) = (row, std::str::from_utf8(&entry.name)) else {
        return Ok(None);
    };
    let row = AlarmRow::decode(&row).map_err(|error| {
        let detail = format!("alarm '{name}' of {}: {error}", entry.object);
        ReadError::Corrupt(detail.into())
    })?;
    Ok((row.indexed_at() == entry.due).then(|| AlarmStatus::of(name.into(), &row)))
}

/// A place in the index before the first alarm of this state.
fn before_first(state: AlarmState) -> Option<ScheduledAlarm> {
    match state {
        AlarmState::Pending => None,
        AlarmState::Parked => Some(ScheduledAlarm {
            due: NEVER,
            object: Object {
                namespace: Namespace::new("last").expect("a word is a namespace"),
                id: ObjectId::from_bytes([u8::MAX; 32]),
            },
            name: Bytes::new(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use abide_storage::Timestamp;

    use super::*;

    #[test]
    fn parked_alarms_begin_where_pending_ones_end() {
        assert_eq!(before_first(AlarmState::Pending), None);
        let before = before_first(AlarmState::Parked).unwrap();
        assert_eq!(Timestamp(before.due.0 + 1), PARKED_FROM);
    }
}
