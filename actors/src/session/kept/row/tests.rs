//! These bytes are on disks: a change here is a new variant of `Stored`, never a new expectation.

use super::*;

pub(crate) fn session_row() -> SessionRow {
    SessionRow {
        secret: [7; 16],
        place: 2,
        tags: vec!["red".into()],
        attachment: Some(Blob(Bytes::from_static(b"\x01\x02"))),
        protocol: None,
        rate: Some((5, 6)),
        sent: 9,
        written: 8,
        forgotten: 6,
        received: 4,
        kept: vec![
            StoredMessage {
                number: 7,
                key: None,
                frame: Frame::from("hi").into(),
            },
            StoredMessage {
                number: 9,
                key: Some("k".into()),
                frame: Frame::from(vec![0xff]).into(),
            },
        ],
        presence: PresenceImage::default(),
    }
}

pub(crate) fn object_row() -> ObjectRow {
    ObjectRow {
        wake: Timestamp(9),
        auto_response: Some((Frame::from("ping").into(), Frame::from("pong").into())),
    }
}

#[test]
fn golden_rows_of_a_drain() {
    let session = [
        // Format, SessionV1.
        &b"\x01\x01"[..],
        // Secret, place, tags, attachment, no protocol, rate.
        &[7; 16],
        b"\x02\x01\x03red\x01\x02\x01\x02\x00\x01\x05\x06",
        // Sent, written, forgotten, received; two messages: number, no key, text; number, key, binary.
        b"\x09\x08\x06\x04\x02\x07\x00\x00\x02hi\x09\x01\x01k\x01\x01\xff",
        // Presence: no member, watches nothing, clients may not.
        b"\x00\x00\x00",
    ]
    .concat();
    assert_eq!(encoded(&Stored::SessionV1(session_row()))[..], session);
    let object = b"\x01\x00\x09\x01\x00\x04ping\x00\x04pong";
    assert_eq!(encoded(&Stored::ObjectV1(object_row()))[..], object[..]);
    let decoded = codec::decode(&session).unwrap();
    assert!(matches!(decoded, Stored::SessionV1(row) if row == session_row()));
    let decoded = codec::decode(object).unwrap();
    assert!(matches!(decoded, Stored::ObjectV1(row) if row == object_row()));
}

#[test]
fn golden_rows_of_durable_sessions() {
    let counts = CountsRow {
        received: 4,
        base: 300,
        over: Some(StoredClose {
            code: 1013,
            reason: "slow".into(),
        }),
    };
    // Format, CountsV1; received; base; code and reason.
    let bytes = b"\x01\x02\x04\xfb\x2c\x01\x01\xfb\xf5\x03\x04slow";
    assert_eq!(encoded(&Stored::CountsV1(counts.clone()))[..], bytes[..]);
    let decoded = codec::decode(bytes).unwrap();
    assert!(matches!(decoded, Stored::CountsV1(row) if row == counts));

    let turn = || TurnRow {
        messages: vec![
            TurnMessage::Reliable(Frame::from("hi").into()),
            TurnMessage::Latest("k".into(), Frame::from(vec![0xff]).into()),
            TurnMessage::Lossy,
        ],
        to: vec![Addressee {
            session: 5,
            first: 8,
            base: 6,
            messages: vec![0, 2],
        }],
    };
    // Format, TurnV1; three messages: reliable text, latest by key, lossy; one addressee.
    let bytes = b"\x01\x03\x03\x00\x00\x02hi\x01\x01k\x01\x01\xff\x02\x01\x05\x08\x06\x02\x00\x02";
    assert_eq!(encoded(&Stored::TurnV1(turn()))[..], bytes[..]);
    let decoded = codec::decode(bytes).unwrap();
    assert!(matches!(decoded, Stored::TurnV1(row) if row == turn()));
}

#[test]
fn golden_keys() {
    let id = SessionId(0x0102);
    let keys = [
        (Key::Object, &b""[..]),
        (Key::Session(id), b"\0\0\0\0\0\0\x01\x02"),
        (Key::Counts(id), b"c\0\0\0\0\0\0\x01\x02"),
        (Key::Turn(Version(0x0102)), b"t\0\0\0\0\0\0\x01\x02"),
    ];
    for (key, bytes) in keys {
        assert_eq!(key.encode()[..], *bytes);
        assert_eq!(Key::decode(bytes), Some(key));
    }
    assert_eq!(Key::decode(b"short"), None);
}
