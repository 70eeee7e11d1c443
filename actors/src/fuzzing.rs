//! What the fuzzers in `tests/fuzz/` drive. Not part of the API.

use abide_storage::Timestamp;
use bytes::Bytes;

use crate::alarm::{AlarmRow, AlarmTable, Cron, Failure, Parked, Setting};
use crate::send::outbox::Outbox;

/// The rows of an object's alarms: any bytes load or are refused, and what loads is kept under
/// the name it was stored with.
pub fn alarm_rows(data: &[u8]) {
    let (name, row) = data.split_at(data.len().min(6));
    for name in [name, b"expiry"] {
        let rows = vec![(Bytes::copy_from_slice(name), Bytes::copy_from_slice(row))];
        let Ok(table) = AlarmTable::load(rows) else {
            continue;
        };
        let name = str::from_utf8(name).expect("a name that loaded is text");
        let loaded = table.get(name).expect("the row was loaded");
        assert_eq!(table.scheduled(name), Some(loaded.scheduled));
        assert_eq!(AlarmRow::decode(&loaded.encode()).as_ref(), Ok(loaded));
        // Whatever its cron expression says, its next time is told or refused in good time.
        if let Some(next) = loaded.clone().recurring(loaded.scheduled) {
            assert!(next.indexed_at() >= loaded.scheduled.min(crate::alarm::NEVER));
        }
    }
}

/// Alarms as release 0.1.0 wrote them at first, set and parked; then what is written today: set,
/// recurring, failed, parked.
#[must_use]
pub fn alarm_rows_seeds() -> Vec<Vec<u8>> {
    let first_forms = [
        &b"\x01\xfd\x00\xa8\xda\x76\x9b\x01\0\0\x01\xfd\xd0\xaf\xda\x76\x9b\x01\0\0\x01"[..],
        b"\x01\xfd\x00\xa8\xda\x76\x9b\x01\0\0\0\xfc\x70\x11\x01\0",
    ];
    let at = Timestamp(1_767_225_600_000);
    let set = AlarmRow::new(at);
    let cron = Cron::new("30 2 * * MON-FRI", "Europe/Berlin").ok();
    let recurring = Setting { at, cron }.row(None, at, None);
    let failed = AlarmRow {
        retries: 70_000,
        failure: Some(Failure::new(at, "as it was told to")),
        ..recurring.clone()
    };
    let parked = failed.clone().parked(at, Parked::Failures);
    let todays = [set, recurring, failed, parked].map(|row| row.encode());
    first_forms
        .into_iter()
        .chain(todays.iter().map(Vec::as_slice))
        .map(|row| [b"expiry", row].concat())
        .collect()
}

/// The rows of an object's messages: any bytes load or are refused, and what loads is encoded as
/// it was read.
pub fn send_rows(data: &[u8]) {
    let (key, row) = data.split_at(data.len().min(12));
    crate::send::fuzzing::row(row);
    let rows = vec![(Bytes::copy_from_slice(key), Bytes::copy_from_slice(row))];
    if let Ok(outbox) = Outbox::load(rows) {
        let outbox = outbox.expect("there is a row");
        assert_eq!(outbox.taken().0, 1);
        assert!(!outbox.has_settled());
    }
}

/// A message with a name and a trace, and one without.
#[must_use]
pub fn send_rows_seeds() -> Vec<Vec<u8>> {
    crate::send::fuzzing::seeds()
}

/// The rows of stored sessions: any bytes are a session or are refused.
pub fn session_rows(data: &[u8]) {
    crate::session::fuzzing::any_row(data);
    crate::session::fuzzing::any_durable_row(data);
}

/// A session with all it can carry.
#[must_use]
pub fn session_rows_seeds() -> Vec<Vec<u8>> {
    crate::session::fuzzing::seeds().into()
}
