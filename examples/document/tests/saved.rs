//! "Is it saved?": the answer is true when it arrives.

use abide_actors::Frame;
use abide_actors::testing::TestSession;
use yrs::StateVector;
use yrs::sync::{Message, SyncMessage};
use yrs::updates::decoder::Decode;
use yrs::updates::encoder::Encode;

use super::peer::Peer;
use super::{in_world, text};
use crate::document::wire::Reader;

const SAVED: u8 = 100;

/// The answers that have come: number and state vector.
async fn answers(session: &mut TestSession) -> Vec<(u64, StateVector)> {
    let frames = session.arrived().await.into_iter();
    let answers = frames.filter_map(|frame| {
        let Frame::Binary(bytes) = frame else {
            panic!("a text frame")
        };
        let mut reader = Reader::new(&bytes);
        (reader.number().unwrap() == u64::from(SAVED)).then(|| {
            let number = reader.number().unwrap();
            let state = reader.bytes().unwrap();
            (number, StateVector::decode_v1(state).unwrap())
        })
    });
    answers.collect()
}

#[test]
fn the_answer_comes_when_the_change_is_durable_and_not_before() {
    in_world(async |world| {
        let mut ada = Peer::open(world, 1).await;
        world.store().hold_commits();
        let change = ada.insert_silently(0, "words");
        let update = Message::Sync(SyncMessage::Update(change)).encode_v1();
        ada.session.send(update).await;
        ada.session.send(vec![SAVED, 7]).await;
        assert_eq!(answers(&mut ada.session).await, []);
        world.store().release_commits();
        let answers = answers(&mut ada.session).await;
        let [(7, state)] = &answers[..] else {
            panic!("{answers:?}")
        };
        assert_eq!(state.get(&yrs::ClientID::new(1)), 5);
        world.crash().await;
        assert_eq!(text(world).await, "words");
    });
}

/// To delete moves no clock: the state vector alone could not tell that it is saved.
#[test]
fn it_covers_deletions() {
    in_world(async |world| {
        let mut ada = Peer::open(world, 1).await;
        ada.insert(0, "words").await;
        world.store().hold_commits();
        ada.clear().await;
        ada.session.send(vec![SAVED, 1]).await;
        assert_eq!(answers(&mut ada.session).await, []);
        world.store().release_commits();
        assert_eq!(answers(&mut ada.session).await.len(), 1);
        world.crash().await;
        assert_eq!(text(world).await, "");
    });
}

#[test]
fn there_is_no_answer_when_the_change_could_not_be_stored() {
    in_world(async |world| {
        let mut ada = Peer::open(world, 1).await;
        world.store().refuse_writes(Some("the disk is full"));
        let change = ada.insert_silently(0, "words");
        let update = Message::Sync(SyncMessage::Update(change)).encode_v1();
        ada.session.send(update).await;
        ada.session.send(vec![SAVED, 1]).await;
        assert_eq!(answers(&mut ada.session).await, []);
        assert_eq!(ada.closed().await.code, abide_actors::Close::INTERNAL_ERROR);
    });
}

#[test]
fn who_does_not_ask_is_told_nothing() {
    in_world(async |world| {
        let mut ada = Peer::open(world, 1).await;
        let mut bob = Peer::open(world, 2).await;
        ada.session.send(vec![SAVED, 1]).await;
        ada.insert(0, "words").await;
        // It panics at a message that is none of y-protocols.
        bob.listen().await;
        assert_eq!(bob.text(), "words");
    });
}
