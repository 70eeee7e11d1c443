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
            (Some(Ok(News::Whole)), Message::Update(bytes)) => stored.push(bytes.to_vec()),
            (Some(Ok(_)), _) => {}
            // The actor makes its replica anew after a refusal and after a panic.
            (Some(Err(_)) | None, _) => replica = load(&stored),
        }
    }
    let text = replica.text(FIELD);
    assert_same(&load(&stored).text(FIELD), &text, "stored otherwise");
    let snapshot = load(&[replica.snapshot()]).text(FIELD);
    assert_same(&snapshot, &text, "lost by the snapshot");
}

/// A client can name a place in the middle of a character that takes two UTF-16 units. The CRDT
/// then shows two U+FFFD until it is loaded again, so texts with such a half are not compared.
pub(super) fn assert_same(again: &str, text: &str, otherwise: &str) {
    let has_halves = |text: &str| text.contains(char::REPLACEMENT_CHARACTER);
    if !has_halves(again) && !has_halves(text) {
        assert_eq!(again, text, "{otherwise}");
    }
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
