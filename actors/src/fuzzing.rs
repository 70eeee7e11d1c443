//! What the fuzzers in `tests/fuzz/` drive. Not part of the API.

use abide_storage::{Timestamp, codec};
use bytes::Bytes;

use crate::alarm::{AlarmRow, AlarmTable};

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
        assert_eq!(
            codec::decode::<AlarmRow>(&encoded(loaded)).as_ref(),
            Ok(loaded)
        );
    }
}

/// An alarm that is set, and one that is parked.
#[must_use]
pub fn alarm_rows_seeds() -> Vec<Vec<u8>> {
    let row = |due, retries| AlarmRow {
        scheduled: Timestamp(1_767_225_600_000),
        due,
        retries,
    };
    let rows = [
        row(Some(Timestamp(1_767_225_602_000)), 1),
        row(None, 70_000),
    ];
    rows.map(|row| [b"expiry", &encoded(&row)[..]].concat())
        .to_vec()
}

fn encoded(row: &AlarmRow) -> Vec<u8> {
    let mut bytes = Vec::new();
    codec::encode(row, &mut bytes).expect("three plain fields always encode");
    bytes
}
