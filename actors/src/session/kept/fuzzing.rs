//! What the fuzzers drive of the rows of sessions.

use super::row::{Addressee, TurnMessage};
use super::*;
use crate::session::Frame;
use crate::session::token::SECRET_SIZE_BYTES;

/// Any bytes are a row or are refused, and what is restored is stored as it was.
pub(crate) fn any_row(row: &[u8]) {
    let limits = Limits::default();
    let memory = Memory::new(1 << 30);
    let id = SessionId(7);
    let of = |value: Bytes| vec![(Key::Session(id).encode(), value)];
    let restored = restore(
        of(Bytes::copy_from_slice(row)),
        &SessionSet::default(),
        &limits,
        &memory,
    );
    assert_eq!(restored.sessions.len() + restored.unreadable.len(), 1);
    let stored = |sessions: &[Arc<SessionCore>]| {
        let batches = store(&SessionSet::default(), sessions, Timestamp(3));
        let writes = batches.into_iter().flat_map(|batch| batch.writes);
        writes
            .filter_map(|write| match write {
                Write::Put { key, value, .. } if !key.is_empty() => Some(value),
                _ => None,
            })
            .next()
    };
    let cores = |restored: Restored| {
        let sessions = restored.sessions.into_iter().map(|session| session.core);
        sessions.collect::<Vec<_>>()
    };
    if let Some(first) = stored(&cores(restored)) {
        let again = restore(of(first.clone()), &SessionSet::default(), &limits, &memory);
        assert_eq!(stored(&cores(again)), Some(first));
    }
}

/// Any bytes in the place of a durable session's rows are a session, one that is over, or
/// are refused; and what is restored has counts that fit each other.
pub(crate) fn any_durable_row(bytes: &[u8]) {
    let limits = Limits::default();
    let memory = Memory::new(1 << 30);
    let id = SessionId(7);
    let seed = seeds();
    let row = |key: Key, value: &[u8]| (key.encode(), Bytes::copy_from_slice(value));
    let rows = |counts: &[u8], turn: &[u8]| {
        vec![
            row(Key::Object, &seed[1]),
            row(Key::Session(id), &seed[0]),
            row(Key::Counts(id), counts),
            row(Key::Turn(Version(3)), &seed[3]),
            row(Key::Turn(Version(4)), turn),
        ]
    };
    for rows in [rows(bytes, &seed[3]), rows(&seed[2], bytes)] {
        let restored = restore(rows, &SessionSet::default(), &limits, &memory);
        for session in &restored.sessions {
            let Some(image) = session.core.outbound.image() else {
                continue;
            };
            let numbers = image.kept.iter().map(|kept| kept.number);
            assert!(numbers.is_sorted() && image.forgotten <= image.sent);
            assert!(image.kept.iter().all(|kept| kept.number <= image.sent));
        }
    }
}

/// Rows to begin with: a session's, an object's, a durable session's counts and messages.
pub(crate) fn seeds() -> [Vec<u8>; 4] {
    let wake = Timestamp(9);
    let object = ObjectRow {
        wake,
        auto_response: None,
    };
    let counts = CountsRow {
        received: 4,
        base: 1,
        over: None,
    };
    let turn = TurnRow {
        messages: vec![
            TurnMessage::Reliable(Frame::from("hello").into()),
            TurnMessage::Latest("cursor".into(), Frame::from(vec![0xff]).into()),
            TurnMessage::Lossy,
        ],
        to: vec![Addressee {
            session: 7,
            first: 2,
            base: 1,
            messages: vec![0, 1, 2],
        }],
    };
    [
        session_seed(),
        row::encoded(&Stored::ObjectV1(object)).to_vec(),
        row::encoded(&Stored::CountsV1(counts)).to_vec(),
        row::encoded(&Stored::TurnV1(turn)).to_vec(),
    ]
}

fn session_seed() -> Vec<u8> {
    let message = |number, key: Option<&str>, frame: Frame| StoredMessage {
        number,
        key: key.map(Into::into),
        frame: frame.into(),
    };
    row::encoded(&Stored::SessionV1(SessionRow {
        secret: [7; SECRET_SIZE_BYTES],
        place: 2,
        tags: vec!["red".into(), "guest".into()],
        attachment: Some(Blob(Bytes::from_static(b"\x01\x03ada"))),
        protocol: Some("chat".into()),
        rate: Some((5, 6)),
        sent: 9,
        written: 8,
        forgotten: 6,
        received: 4,
        kept: vec![
            message(7, None, "hello".into()),
            message(9, Some("cursor"), vec![0xff].into()),
        ],
        presence: PresenceImage::default(),
    }))
    .to_vec()
}
