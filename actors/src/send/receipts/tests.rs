use abide_storage::Version;

use super::*;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn id(fill: u8) -> ObjectId {
    ObjectId::from_bytes([fill; 32])
}

fn sequence(version: u64) -> Sequence {
    Sequence {
        version: Version(version),
        index: 1,
    }
}

fn known(version: u64, keep_until: u64) -> Known {
    Known {
        last: sequence(version),
        keep_until: Timestamp(keep_until),
    }
}

fn receipt(expires: u64, known: Option<Known>, count: u64) -> Receipt {
    let found = Found {
        known,
        count,
        expired: Vec::new(),
    };
    Receipts::default().receipt(id(7), sequence(3), Timestamp(expires), found)
}

fn entered(receipt: &Receipt) -> (u64, Vec<Write>) {
    let mut batch = WriteBatch::default();
    let count = receipt.enter(&mut batch);
    (count, batch.writes)
}

fn put(key: &[u8], value: &[u8]) -> Write {
    Write::Put {
        section: Section::Incoming,
        key: Bytes::copy_from_slice(key),
        value: Bytes::copy_from_slice(value),
    }
}

fn delete(key: &[u8]) -> Write {
    Write::Delete {
        section: Section::Incoming,
        key: Bytes::copy_from_slice(key),
    }
}

/// These bytes are on disks: a change here is a new `Stored`, never a new expectation.
#[test]
fn golden_rows() {
    let keep_until = 5 + 2 * 86_400_000_u64;
    let (count, writes) = entered(&receipt(5, None, 8));
    assert_eq!(count, 9);
    let time = [&b"e"[..], &keep_until.to_be_bytes(), &[7; 32]].concat();
    let sender = [&b"s"[..], &[7; 32]].concat();
    // Format, V1, version, place in the turn, the time as a five-byte varint.
    let varint = u32::try_from(keep_until).unwrap().to_le_bytes();
    let row = [&b"\x01\x00\x03\x01\xfc"[..], &varint].concat();
    let expected = [put(&time, b""), put(&sender, &row), put(b"n", b"\x01\x09")];
    assert_eq!(writes, expected);
}

/// The common message of a busy pair writes one row.
#[test]
fn the_place_in_time_moves_once_a_day() {
    let needed = Timestamp(1_000) + DAY;
    let (count, writes) = entered(&receipt(1_000, Some(known(2, needed.0)), 8));
    assert_eq!((count, writes.len()), (8, 1));

    let (_, writes) = entered(&receipt(1_000, Some(known(2, needed.0 - 1)), 8));
    let keys: Vec<_> = writes
        .iter()
        .map(|write| match write {
            Write::Put { key, .. } | Write::Delete { key, .. } => key.clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    let (old, new) = (Timestamp(needed.0 - 1), needed + DAY);
    let expected = [
        expiry_key(old, &id(7)),
        expiry_key(new, &id(7)),
        sender_key(&id(7)).into(),
    ];
    assert_eq!(keys, expected);
}

#[test]
fn who_is_forgotten_twice_is_counted_once() {
    let mut receipts = Receipts::default();
    receipts.forget(id(1), known(9, 50));
    receipts.forget(id(2), known(9, 60));
    receipts.forget(id(2), known(9, 60));
    let found = Found {
        known: None,
        count: 5,
        expired: vec![expiry_key(Timestamp(50), &id(1))],
    };
    let (count, writes) = entered(&receipts.receipt(id(7), sequence(3), Timestamp(5), found));
    assert_eq!(count, 4);
    let expected = [
        delete(&sender_key(&id(1))),
        delete(&expiry_key(Timestamp(50), &id(1))),
        delete(&sender_key(&id(2))),
        delete(&expiry_key(Timestamp(60), &id(2))),
    ];
    assert_eq!(writes[..4], expected);
}

#[test]
fn who_sends_again_is_remembered() {
    let mut receipts = Receipts::default();
    receipts.forget(id(1), known(9, 50));
    receipts.remember(id(1));
    assert!(receipts.forgotten.is_empty());
    for sender in 0..100 {
        receipts.forget(id(sender), known(9, 50));
    }
    assert_eq!(receipts.forgotten.len(), FORGOTTEN_MAX);
    receipts.entered(3);
    assert_eq!((receipts.count(), receipts.forgotten.len()), (Some(3), 0));
}

#[test]
fn a_receipt_that_prunes_all_it_may_has_room_always() {
    let full = receipt(5, None, 100);
    assert!(full.has_no_room(100) && !full.has_no_room(101));
    assert!(!receipt(5, Some(known(2, 0)), 200).has_no_room(100));
    let entry = |fill| expiry_key(Timestamp(9), &id(fill));
    let mut lowered = receipt(5, None, 100);
    lowered.found.expired = (0..8).map(entry).collect();
    assert!(!lowered.has_no_room(10));
}
