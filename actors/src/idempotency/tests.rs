use super::*;
use crate::call::Deadline;
use crate::payload::Encoding;

fn key(text: &str) -> IdempotencyKey {
    IdempotencyKey::new(text).unwrap()
}

fn call(method: &'static str, arguments: Payload) -> Call {
    Call::new(method, arguments, Deadline::after(Duration::from_secs(1)))
}

#[test]
fn a_key_is_1_to_255_visible_ascii_characters() {
    let longest = "x".repeat(255);
    for good in [
        "a",
        "8e03978e-40d5-43dd-bc93-6894a57f9324",
        "!\"~",
        &longest,
    ] {
        assert_eq!(key(good).as_str(), good);
    }
    let too_long = "x".repeat(256);
    for bad in ["", " ", "a b", "a\tb", "a\n", "ä", "a\u{7f}", &too_long] {
        assert!(IdempotencyKey::new(bad).is_err(), "{bad:?}");
    }
}

#[tokio::test]
async fn everything_that_decides_the_reply_is_in_the_fingerprint() {
    let message_pack = Payload {
        encoding: Encoding::MessagePack,
        ..Payload::json("[1]")
    };
    let calls = [
        call("add", Payload::json("[1]")),
        call("add", Payload::json("[2]")),
        call("add", Payload::json("")),
        call("ad", Payload::json("[1]")),
        call("add[", Payload::json("1]")),
        call("add", message_pack),
        Call {
            reply_encoding: Encoding::MessagePack,
            ..call("add", Payload::json("[1]"))
        },
    ];
    for (at, one) in calls.iter().enumerate() {
        assert_eq!(fingerprint(one), fingerprint(&one.clone()));
        for other in &calls[at + 1..] {
            assert_ne!(fingerprint(one), fingerprint(other), "{one:?} {other:?}");
        }
    }
}

/// These bytes are on disks: a change here is a new `Stored`, never a new expectation.
#[tokio::test]
async fn golden_rows() {
    let promise = Promise {
        key: key("ab"),
        fingerprint: [7; 16],
        expires: Timestamp(0x0102_0304_0506_0708),
        room: Room {
            count: 4,
            expired: vec![expiry_key(Timestamp(9), &key("old"))],
            ..Room::default()
        },
    };
    let mut batch = WriteBatch::default();
    let count = promise.keep(&Payload::json("12"), Version(3), &mut batch);
    assert_eq!(count, 4);
    let stored = [
        // Format, V1, fingerprint.
        &[0x01, 0x00][..],
        &[7; 16],
        // Expiry as a nine-byte varint, version, JSON, and two bytes of it.
        b"\xfd\x08\x07\x06\x05\x04\x03\x02\x01\x03\x00\x02\x312",
    ]
    .concat();
    let section = Section::Idempotency;
    let delete = |key: &'static [u8]| Write::Delete {
        section,
        key: key.into(),
    };
    let put = |key: &'static [u8], value: Vec<u8>| Write::Put {
        section,
        key: key.into(),
        value: value.into(),
    };
    let expected = [
        delete(b"kold"),
        delete(b"e\0\0\0\0\0\0\0\x09old"),
        put(b"kab", stored.clone()),
        put(b"e\x01\x02\x03\x04\x05\x06\x07\x08ab", vec![]),
        put(b"n", vec![0x01, 4]),
    ];
    assert_eq!(batch.writes, expected);
    let Stored::V1(kept) = codec::decode(&stored).unwrap();
    let reply = kept.into_reply().unwrap();
    assert_eq!(reply.payload, Payload::json("12"));
    assert_eq!((reply.version, reply.replayed), (Version(3), true));
    // The fingerprint, too: a repeat after an upgrade must be known again.
    let fingerprint = fingerprint(&call("add", Payload::json(r#"{"by":2}"#)));
    assert_eq!(hex(&fingerprint), "443a0a9efb24adad67199ccac8b0afd5");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn there_is_room_while_more_goes_than_comes() {
    let now = Timestamp(1_000);
    let room = |count, expired: usize, expired_more| Room {
        count,
        expired: vec![Bytes::new(); expired],
        expired_more,
        next: Some(Timestamp(1_500)),
    };
    let half_a_second = Some(Duration::from_millis(500));
    assert_eq!(room(9, 0, false).full(10, now), None);
    assert_eq!(room(10, 0, false).full(10, now), half_a_second);
    assert_eq!(room(10, 1, false).full(10, now), None);
    assert_eq!(room(20, 7, false).full(10, now), half_a_second);
    assert_eq!(
        room(20, 8, true).full(10, now),
        None,
        "the bound was lowered"
    );
}
