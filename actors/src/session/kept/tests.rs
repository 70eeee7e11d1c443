use abide_storage::Section;

use super::row::tests::{object_row, session_row};
use super::row::{StoredFrame, TurnMessage};
use super::*;
use crate::session::Frame;

fn value(stored: &Stored) -> Bytes {
    row::encoded(stored)
}

fn restored(rows: Vec<(Key, Stored)>, set: &SessionSet, memory: &Memory) -> Restored {
    let rows = rows.into_iter();
    let rows = rows.map(|(key, stored)| (key.encode(), value(&stored)));
    restore(rows.collect(), set, &Limits::default(), memory)
}

#[test]
fn rows_come_back_as_sessions_that_are_away_and_all_are_deleted() {
    let session = |change: &dyn Fn(&mut SessionRow)| {
        let mut row = session_row();
        change(&mut row);
        value(&Stored::SessionV1(row))
    };
    let key = |id| Key::Session(SessionId(id)).encode();
    let rows = vec![
        (Bytes::new(), value(&Stored::ObjectV1(object_row()))),
        (key(5), session(&|_| {})),
        (key(6), session(&|row| row.place = 1)),
        // A message beyond what was sent, an object's row in the place of a session's, no row.
        (key(7), session(&|row| row.sent = 8)),
        (key(8), value(&Stored::ObjectV1(object_row()))),
        (Bytes::from_static(b"short"), Bytes::from_static(b"\x01")),
    ];
    let memory = Memory::new(1 << 20);
    let restored = restore(rows, &SessionSet::default(), &Limits::default(), &memory);
    let sessions = &restored.sessions;
    let ids: Vec<_> = sessions.iter().map(|session| session.core.id).collect();
    assert_eq!(ids, [SessionId(6), SessionId(5)]);
    assert!(sessions.iter().all(|session| !session.core.is_connected()));
    assert_eq!(sessions[1].core.tags()[..], ["red".into()]);
    assert_eq!(sessions[1].core.outbound.sent(), 9);
    assert_eq!(restored.auto_response.unwrap().response, "pong".into());
    assert_eq!(restored.unreadable.len(), 3);
    assert!(restored.journal.is_none());
    let name = Bytes::from_static(SESSIONS_WAKE);
    let due = Timestamp(9);
    let writes = restored.deletes.writes;
    assert!(writes.contains(&Write::UnscheduleAlarm { due, name }));
    assert_eq!(writes.len(), 7);
}

#[test]
fn what_is_stored_is_restored_as_it_was() {
    let memory = Memory::new(1 << 20);
    let limits = Limits::default();
    let before = session_row().into_core(SessionId(5), &limits, &memory);
    let set = SessionSet::default();
    let batches = store(&set, &[before.unwrap()], Timestamp(3));
    let [batch] = &batches[..] else {
        panic!("one commit is enough")
    };
    let name = Bytes::from_static(SESSIONS_WAKE);
    let due = Timestamp(3);
    assert!(batch.writes.contains(&Write::ScheduleAlarm { due, name }));
    let row = SessionRow {
        place: 0,
        ..session_row()
    };
    let expected = Key::Session(SessionId(5)).put(&Stored::SessionV1(row));
    assert!(batch.writes.contains(&expected));
    assert!(store(&set, &[], Timestamp(3)).is_empty());
}

fn durable_row() -> SessionRow {
    SessionRow {
        sent: 0,
        written: 0,
        forgotten: 0,
        received: 0,
        kept: Vec::new(),
        ..session_row()
    }
}

fn counts(received: u64, base: u64) -> Stored {
    Stored::CountsV1(CountsRow {
        received,
        base,
        over: None,
    })
}

fn turn(messages: Vec<TurnMessage>, to: &[(u64, u64, u64, &[u32])]) -> Stored {
    let to = to
        .iter()
        .map(|(session, first, base, messages)| row::Addressee {
            session: *session,
            first: *first,
            base: *base,
            messages: messages.to_vec(),
        });
    let to = to.collect();
    Stored::TurnV1(TurnRow { messages, to })
}

fn text(text: &str) -> StoredFrame {
    Frame::from(text).into()
}

fn numbers(core: &SessionCore) -> Vec<u64> {
    let image = core.outbound.image().unwrap();
    image.kept.iter().map(|kept| kept.number).collect()
}

#[test]
fn durable_sessions_are_put_together_from_their_rows() {
    let (five, six) = (SessionId(5), SessionId(6));
    let rows = vec![
        (Key::Object, Stored::ObjectV1(object_row())),
        (Key::Session(five), Stored::SessionV1(durable_row())),
        (Key::Session(six), Stored::SessionV1(durable_row())),
        (Key::Counts(five), counts(4, 3)),
        (Key::Counts(six), counts(0, 9)),
        // A session that is no more.
        (Key::Counts(SessionId(7)), counts(1, 1)),
        (
            Key::Turn(Version(2)),
            turn(
                vec![TurnMessage::Reliable(text("a")), TurnMessage::Lossy],
                &[(5, 3, 2, &[0, 1, 0]), (7, 1, 0, &[0])],
            ),
        ),
        (
            Key::Turn(Version(3)),
            turn(vec![TurnMessage::Reliable(text("b"))], &[(7, 2, 0, &[0])]),
        ),
        (
            Key::Turn(Version(4)),
            turn(
                vec![
                    TurnMessage::Latest("k".into(), text("old")),
                    TurnMessage::Latest("k".into(), text("new")),
                ],
                &[(5, 6, 3, &[0, 1])],
            ),
        ),
    ];
    let memory = Memory::new(1 << 20);
    let restored = restored(rows, &SessionSet::default(), &memory);
    assert_eq!(restored.unreadable, Vec::<String>::new());
    let [first, second] = &restored.sessions[..] else {
        panic!("two sessions")
    };
    let image = first.core.outbound.image().unwrap();
    assert_eq!((image.sent, image.forgotten, image.received), (7, 3, 4));
    // 3 is acknowledged, 4 a hole, 6 was replaced by 7.
    assert_eq!(numbers(&first.core), [5, 7]);
    assert!(first.is_durable && first.core.is_durable());
    assert_eq!(second.core.outbound.sent(), 9, "known by its base alone");
    assert!(restored.journal.is_some());
    let deletes = [
        Key::Session(SessionId(7)).delete(),
        Key::Counts(SessionId(7)).delete(),
        Key::Turn(Version(3)).delete(),
    ];
    assert_eq!(restored.deletes.writes.len(), deletes.len());
    assert!(
        deletes
            .iter()
            .all(|delete| restored.deletes.writes.contains(delete)),
        "what tells of nobody goes, and nothing else"
    );
}

#[test]
fn a_durable_session_with_a_gap_is_over() {
    let five = SessionId(5);
    let rows = |second: (Bytes, Bytes)| {
        let row = |key: Key, stored| (key.encode(), value(&stored));
        vec![
            row(Key::Object, Stored::ObjectV1(object_row())),
            row(Key::Session(five), Stored::SessionV1(durable_row())),
            row(Key::Counts(five), counts(0, 0)),
            second,
        ]
    };
    let memory = Memory::new(1 << 20);
    let is_over = |second| {
        let (set, limits) = (SessionSet::default(), Limits::default());
        let restored = restore(rows(second), &set, &limits, &memory);
        restored.sessions[0].core.outbound.image().is_none()
    };
    let key = Key::Turn(Version(2)).encode();
    let message = || vec![TurnMessage::Reliable(text("a"))];
    let whole = turn(message(), &[(5, 1, 0, &[0])]);
    assert!(!is_over((key.clone(), value(&whole))));
    let no_message = turn(message(), &[(5, 1, 0, &[0, 1])]);
    assert!(is_over((key.clone(), value(&no_message))));
    assert!(is_over((key, Bytes::from_static(b"\x01\x77"))));
}

#[test]
fn all_rows_of_an_object_that_is_replaced_go() {
    let rows = vec![
        (Key::Object.encode(), value(&Stored::ObjectV1(object_row()))),
        (Key::Counts(SessionId(5)).encode(), value(&counts(0, 0))),
        (Bytes::from_static(b"what"), Bytes::from_static(b"ever")),
    ];
    let keys: Vec<Bytes> = rows.iter().map(|(key, _)| key.clone()).collect();
    let deletes = deletes(rows).writes;
    for key in keys {
        let section = Section::Session;
        assert!(deletes.contains(&Write::Delete { section, key }));
    }
    let name = Bytes::from_static(SESSIONS_WAKE);
    let due = Timestamp(9);
    assert!(deletes.contains(&Write::UnscheduleAlarm { due, name }));
}
