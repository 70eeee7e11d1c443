//! The CRDT without the actor around it, which is many times faster: updates go in as the actor
//! would let them in, and what it would store makes the same document again.

use super::crdt;
use super::document::FIELD;
use super::objects::document::replica::{News, Replica, decode};

/// One message of a client.
pub(super) enum Message<'a> {
    StateVector(&'a [u8]),
    Update(&'a [u8]),
}

/// Feeds the messages to a document that begins as `update`.
pub(super) fn run(update: Vec<u8>, messages: &[Message<'_>]) {
    crdt::count_panics();
    let mut stored = vec![update];
    let mut replica = load(&stored);
    for message in messages {
        let taken = crdt::contained(|| match message {
            Message::StateVector(bytes) => replica.changes_since(bytes).map(|_| News::None),
            Message::Update(bytes) => decode(bytes).and_then(|update| replica.apply(update)),
        });
        match (taken, message) {
            (Some(Ok(News::Changes(news))), _) => stored.push(news),
            (Some(Ok(News::Waits)), Message::Update(bytes)) => stored.push(bytes.to_vec()),
            (Some(Ok(_)), _) => {}
            // The actor makes its replica anew after a refusal and after a panic.
            (Some(Err(_)) | None, _) => replica = load(&stored),
        }
    }
    let text = replica.text(FIELD);
    assert_eq!(
        load(&stored).text(FIELD),
        text,
        "stored otherwise than told"
    );
    assert_eq!(
        load(&[replica.snapshot()]).text(FIELD),
        text,
        "lost by the snapshot"
    );
}

/// Panics that no actor would contain: a document that cannot be read again is lost.
fn load(stored: &[Vec<u8>]) -> Replica {
    let mut replica = Replica::new(9);
    for update in stored {
        let applied = crdt::contained(|| decode(update).and_then(|update| replica.apply(update)));
        applied
            .expect("what was stored is read without a panic")
            .expect("what was stored can be read");
    }
    replica
}
