use super::*;

fn outgoing() -> Outgoing {
    let namespace = Namespace::new("shop").unwrap();
    Outgoing {
        to: Target {
            object: Object {
                namespace,
                id: ObjectId::from_bytes([7; 32]),
            },
            name: Some("b".into()),
        },
        method: "pay".into(),
        arguments: Payload::json("[5]"),
        expires: Timestamp(300),
        request_id: None,
        traceparent: Some("t".into()),
    }
}

/// These bytes are on disks: a change here is a new `Stored`, never a new expectation.
#[test]
fn golden_row() {
    let bytes = [
        // Format, V1, namespace.
        &b"\x01\x00\x04shop"[..],
        &[7; 32],
        // Name, method, JSON and its bytes, expiry, wake, no request id, a trace.
        b"\x01\x01b\x03pay\x00\x03[5]\xfb\x2c\x01\x09\x00\x01\x01t",
    ]
    .concat();
    assert_eq!(outgoing().encode(Timestamp(9))[..], bytes);
    let (decoded, wake) = Outgoing::decode(&bytes).unwrap();
    assert_eq!((decoded, wake), (outgoing(), Timestamp(9)));
    let sequence = Sequence {
        version: Version(0x0102),
        index: 3,
    };
    assert_eq!(sequence.key()[..], [0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 3]);
    assert_eq!(Sequence::decode(&sequence.key()), Some(sequence));
}

#[test]
fn what_is_no_row_is_refused() {
    for key in [&[][..], &[0; 8], &[0; 11], &[0; 13]] {
        assert_eq!(Sequence::decode(key), None);
    }
    let mut row = outgoing().encode(Timestamp(9)).to_vec();
    assert!(Outgoing::decode(&row[..row.len() - 1]).is_err());
    row[3] = b'/';
    assert!(Outgoing::decode(&row).is_err(), "no namespace");
}

#[test]
fn keys_are_in_the_order_of_sending() {
    let sequence = |version, index| Sequence {
        version: Version(version),
        index,
    };
    let ordered = [
        sequence(1, 9),
        sequence(2, 0),
        sequence(2, 1),
        sequence(2, 256),
        sequence(256, 0),
    ];
    assert!(ordered.is_sorted());
    assert!(ordered.iter().map(|sequence| sequence.key()).is_sorted());
}

#[test]
fn retries_double_from_100_ms_to_102_s_and_jitter_by_a_quarter() {
    let rng = Rng::from_seed(7);
    for (failures, ms) in [(1, 100), (2, 200), (11, 102_400), (40, 102_400)] {
        let wait = retry_wait(failures, &rng);
        let least = Duration::from_millis(ms);
        assert!(wait >= least && wait <= least + least / 4, "{wait:?}");
    }
}
