//! The dialect of `@hocuspocus/provider`, spoken by hand; `tests/clients/hocuspocus.mjs` has the
//! real one.

use abide_actors::testing::{TestSession, World};
use abide_actors::{Close, ConnectError, Frame};
use proptest::prelude::*;
use yrs::sync::{Message, SyncMessage};
use yrs::updates::decoder::Decode;
use yrs::updates::encoder::Encode;
use yrs::{Doc, GetString, ReadTxn, StateVector, Text, Transact, Update};

use super::peer::Peer;
use super::{in_world, text};
use crate::document::wire::{Reader, write_bytes};

const SAVED: &[u8] = b"\x05notes\x08\x01";

fn named(message: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    write_bytes(&mut frame, b"notes");
    frame.extend_from_slice(message);
    frame
}

async fn open(world: &World) -> TestSession {
    let session = world
        .connect("document", "notes", "protocol=hocuspocus")
        .await;
    session.unwrap()
}

/// The messages that have come, without the name.
async fn heard(session: &mut TestSession) -> Vec<Vec<u8>> {
    let frames = session.arrived().await.into_iter();
    let messages = frames.map(|frame| {
        let Frame::Binary(bytes) = frame else {
            panic!("a text frame")
        };
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.text(), Ok("notes"));
        bytes[6..].to_vec()
    });
    messages.collect()
}

fn update_of(doc: &Doc, addition: &str) -> Vec<u8> {
    let field = doc.get_or_insert_text("codemirror");
    let mut transaction = doc.transact_mut();
    field.push(&mut transaction, addition);
    let update = transaction.encode_update_v1();
    named(&Message::Sync(SyncMessage::Update(update)).encode_v1())
}

#[test]
fn both_dialects_meet_in_one_document() {
    in_world(async |world| {
        let mut ada = Peer::open(world, 1).await;
        ada.insert(0, "from Ada").await;
        let mut bob = open(world).await;
        assert_eq!(
            heard(&mut bob).await,
            Vec::<Vec<u8>>::new(),
            "clients speak first"
        );
        bob.send(named(b"\x02\x00\x05token\x054.8.0")).await;
        assert_eq!(heard(&mut bob).await, [b"\x02\x02\x0aread-write".to_vec()]);

        let nothing = Message::Sync(SyncMessage::SyncStep1(StateVector::default()));
        bob.send(named(&nothing.encode_v1())).await;
        let doc = Doc::with_client_id(2_u64);
        let answers = heard(&mut bob).await;
        let [step_2, step_1] = &answers[..] else {
            panic!("{answers:?}")
        };
        let Message::Sync(SyncMessage::SyncStep2(update)) = Message::decode_v1(step_2).unwrap()
        else {
            panic!("{step_2:?}")
        };
        doc.transact_mut()
            .apply_update(Update::decode_v1(&update).unwrap())
            .unwrap();
        assert!(matches!(
            Message::decode_v1(step_1),
            Ok(Message::Sync(SyncMessage::SyncStep1(_)))
        ));

        bob.send(update_of(&doc, ", from Bob")).await;
        ada.listen().await;
        assert_eq!(ada.text(), "from Ada, from Bob");
        drop(heard(&mut bob).await);
        ada.insert(0, "> ").await;
        let [update] = &heard(&mut bob).await[..] else {
            panic!("Bob heard something else than one update")
        };
        let Message::Sync(SyncMessage::Update(update)) = Message::decode_v1(update).unwrap() else {
            panic!("{update:?}")
        };
        doc.transact_mut()
            .apply_update(Update::decode_v1(&update).unwrap())
            .unwrap();
        let field = doc.get_or_insert_text("codemirror");
        assert_eq!(field.get_string(&doc.transact()), "> from Ada, from Bob");
    });
}

#[test]
fn a_change_is_said_to_be_saved_when_it_is() {
    in_world(async |world| {
        let mut bob = open(world).await;
        let doc = Doc::with_client_id(2_u64);
        world.store().hold_commits();
        bob.send(update_of(&doc, "words")).await;
        assert!(bob.arrived().await.is_empty());
        world.store().release_commits();
        assert_eq!(bob.arrived().await, [Frame::from(SAVED.to_vec())]);
        // Known changes are saved, too; nothing is stored for them.
        let all = doc
            .transact()
            .encode_state_as_update_v1(&StateVector::default());
        bob.send(named(
            &Message::Sync(SyncMessage::SyncStep2(all)).encode_v1(),
        ))
        .await;
        assert_eq!(bob.arrived().await, [Frame::from(SAVED.to_vec())]);
        world.crash().await;
        assert_eq!(text(world).await, "words");
    });
}

#[test]
fn awareness_goes_from_one_dialect_to_the_other() {
    in_world(async |world| {
        let mut ada = Peer::open(world, 1).await;
        ada.point(r#"{"name":"Ada"}"#).await;
        let mut bob = open(world).await;
        bob.send(named(b"\x02\x00\x00")).await;
        let told = heard(&mut bob).await;
        assert!(
            told.len() == 2 && matches!(Message::decode_v1(&told[1]), Ok(Message::Awareness(_)))
        );
        bob.send(named(b"\x01\x07\x01\x09\x01\x03{ }")).await;
        ada.listen().await;
        assert!(ada.sees(9).is_some());
        bob.send(named(b"\x07")).await;
        assert_eq!(bob.closed().await.unwrap().code, Close::NORMAL);
        ada.listen().await;
        assert_eq!(ada.sees(9), None);
    });
}

#[test]
fn a_socket_is_for_the_document_in_its_address() {
    in_world(async |world| {
        let mut bob = open(world).await;
        let mut frame = b"\x05other\x00\x00\x01\x00".to_vec();
        bob.send(frame.clone()).await;
        let [Frame::Binary(refusal)] = &bob.arrived().await[..] else {
            panic!("no refusal")
        };
        assert!(refusal.starts_with(b"\x05other\x02\x01"), "{refusal:?}");
        frame[..6].copy_from_slice(b"\x05notes");
        bob.send(frame).await;
        assert_eq!(heard(&mut bob).await.len(), 2);
        for query in ["protocol=other", "protocol=a&protocol=b"] {
            let refusal = world.connect("document", "notes", query).await;
            assert!(matches!(refusal, Err(ConnectError::Refused(_))), "{query}");
        }
    });
}

#[test]
fn what_it_does_not_have_ends_the_session() {
    let (content, kind) = (Close::INVALID_PAYLOAD, Close::UNSUPPORTED);
    let frames: Vec<(&str, Frame, u16)> = vec![
        ("text", "hello".into(), kind),
        ("nothing", Vec::new().into(), content),
        ("a name alone", named(b"").into(), content),
        ("a name cut off", b"\x05no".to_vec().into(), content),
        ("no UTF-8", b"\x02\xff\xfe\x00".to_vec().into(), content),
        ("an unknown message", named(b"\x0b").into(), kind),
        ("a grant", named(b"\x02\x02\x00").into(), kind),
        ("a token cut off", named(b"\x02\x00\x09t").into(), content),
        (
            "bytes after a token",
            named(b"\x02\x00\x01t\x01v!").into(),
            content,
        ),
        (
            "a stateless one cut off",
            named(b"\x05\x09").into(),
            content,
        ),
        ("two messages", named(b"\x03\x03").into(), content),
        ("no update", named(b"\x00\x02\x01\xff").into(), content),
    ];
    in_world(async |world| {
        let mut ada = Peer::open(world, 1).await;
        ada.insert(0, "unharmed").await;
        for (what, frame, code) in frames {
            let mut stranger = open(world).await;
            stranger.send(frame).await;
            assert_eq!(stranger.closed().await.unwrap().code, code, "{what}");
        }
        let mut bob = open(world).await;
        bob.send(named(b"\x05\x02hi")).await;
        assert!(
            bob.arrived().await.is_empty(),
            "nobody hears stateless messages"
        );
        assert_eq!(text(world).await, "unharmed");
    });
}

proptest! {
    #[test]
    fn any_frame_is_read_or_refused(frame in prop::collection::vec(any::<u8>(), 0..100)) {
        drop(crate::document::hocuspocus::Message::read(&frame));
        drop(crate::document::hocuspocus::Message::read(&named(&frame)));
    }
}
