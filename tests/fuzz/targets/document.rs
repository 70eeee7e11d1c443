//! Frames of a shared document: whatever one client sends, it costs at most that client's
//! session; the document stays readable, durable and the same for everybody.

use std::time::Duration;

use abide_actors::testing::{TestSession, World};
use abide_actors::{Close, Frame};
use yrs::sync::{Message, SyncMessage};
use yrs::updates::decoder::Decode;
use yrs::updates::encoder::Encode;
use yrs::{Doc, GetString, StateVector, Transact, Update};

use super::crdt;
use super::objects::document::Document;
use super::objects::in_world;
use super::replica::assert_same;

pub(super) const FIELD: &str = "codemirror";
/// Close code of a change that would make the document too large.
pub(super) const TOO_LARGE: u16 = 4413;

/// One client says all of `frames`, and comes back each time it is thrown out; the document
/// begins as `update`.
pub(super) fn run(update: Vec<u8>, frames: Vec<Frame>) {
    crdt::count_panics();
    in_world(async |world| {
        let mut witness = open(world).await;
        let mut client = open(world).await;
        let first = Message::Sync(SyncMessage::Update(update)).encode_v1();
        client.send(first).await;
        for frame in frames {
            let panics_before = crdt::panics();
            client.send(frame).await;
            drop(client.arrived().await);
            if let Some(close) = ended(&mut client).await {
                let expected = [Close::UNSUPPORTED, Close::INVALID_PAYLOAD, TOO_LARGE];
                let panicked = crdt::panics() > panics_before;
                assert!(panicked || expected.contains(&close.code), "{close:?}");
                client = open(world).await;
            }
        }
        let text = text_of(world).await;
        assert_same(&told_to_a_newcomer(world).await, &text, "told otherwise");
        drop(witness.arrived().await);
        if crdt::panics() == 0 {
            assert_eq!(
                ended(&mut witness).await,
                None,
                "a bystander lost its session"
            );
        }
        world.crash().await;
        assert_same(&text_of(world).await, &text, "changed by a crash");
    });
}

async fn open(world: &World) -> TestSession {
    let session = world.connect("document", "fuzzed", "").await;
    session.expect("a document takes every session")
}

/// How the session ended, if it did.
pub(super) async fn ended(session: &mut TestSession) -> Option<Close> {
    let closed = tokio::time::timeout(Duration::from_millis(1), session.closed());
    closed.await.ok().flatten()
}

async fn text_of(world: &World) -> String {
    let text = world.actor::<Document>("fuzzed").text(None).await;
    text.expect("a document can be read, whatever was sent to it")
}

/// The text as somebody reads it who comes with nothing.
pub(super) async fn told_to_a_newcomer(world: &World) -> String {
    let mut newcomer = open(world).await;
    let nothing = Message::Sync(SyncMessage::SyncStep1(StateVector::default()));
    newcomer.send(nothing.encode_v1()).await;
    let doc = Doc::new();
    let field = doc.get_or_insert_text(FIELD);
    for frame in newcomer.arrived().await {
        let Frame::Binary(bytes) = frame else {
            panic!("a document says everything in binary frames: {frame:?}");
        };
        let message = Message::decode_v1(&bytes).expect("what a document says can be read");
        if let Message::Sync(SyncMessage::SyncStep2(update)) = message {
            let update = Update::decode_v1(&update).expect("what a document tells is an update");
            let applied = doc.transact_mut().apply_update(update);
            applied.expect("what a document tells fits");
        }
    }
    let transaction = doc.transact();
    field.get_string(&transaction)
}
