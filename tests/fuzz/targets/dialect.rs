//! A document with sessions of both dialects, and calls in between: whatever is said, a frame costs
//! at most its session, a version says what the document said, and to restore one brings that back.

use abide_actors::testing::{TestSession, World};
use abide_actors::{CallError, Close};
use serde_json::{Value, json};

use super::crdt;
use super::document::{TOO_LARGE, ended, told_to_a_newcomer};
use super::objects::document::hocuspocus::Message;
use super::objects::in_world;
use super::parts::{Part, join, parts};
use super::replica::assert_same;
use super::yjs::text as some_text;

const HOCUSPOCUS: &str = "protocol=hocuspocus";
const Y_WEBSOCKET: &str = "";

const NAMED: u8 = 0;
const RAW: u8 = 1;
const PLAIN: u8 = 2;
const WRITE: u8 = 3;
const SAVE: u8 = 4;
const RESTORE: u8 = 5;

/// First bytes below this are followed by a conversation with the actor; it is slow, so few are.
const WITH_THE_ACTOR: u8 = 32;

/// One conversation, or one frame of Hocuspocus.
pub(super) fn run(data: &[u8]) {
    match data.split_first() {
        Some((&way, data)) if way < WITH_THE_ACTOR => converse(data),
        Some((_, frame)) => {
            // A frame that is read names its document in front.
            if let Ok((name, _)) = Message::read(frame) {
                assert!(frame[1..].starts_with(name.as_bytes()) || name.len() > 127);
            }
        }
        None => {}
    }
}

fn converse(data: &[u8]) {
    crdt::count_panics();
    in_world(async |world| {
        let mut hocuspocus = open(world, HOCUSPOCUS).await;
        let mut y_websocket = open(world, Y_WEBSOCKET).await;
        for Part { kind, bytes } in parts(data) {
            match kind % 6 {
                NAMED => say(world, &mut hocuspocus, HOCUSPOCUS, named(bytes)).await,
                RAW => say(world, &mut hocuspocus, HOCUSPOCUS, bytes.to_vec()).await,
                PLAIN => say(world, &mut y_websocket, Y_WEBSOCKET, bytes.to_vec()).await,
                WRITE => {
                    let text = String::from_utf8_lossy(bytes);
                    if call(world, "write", json!({ "text": text }))
                        .await
                        .is_some()
                    {
                        assert_same(&text_of(world).await, &text, "written otherwise");
                    }
                }
                SAVE => save(world).await,
                _ => restore(world, bytes.first().copied().unwrap_or(1)).await,
            }
        }
        let text = text_of(world).await;
        assert_same(&told_to_a_newcomer(world).await, &text, "told otherwise");
        world.crash().await;
        assert_same(&text_of(world).await, &text, "changed by a crash");
    });
}

async fn open(world: &World, query: &str) -> TestSession {
    let session = world.connect("document", "fuzzed", query).await;
    session.expect("a document takes every session")
}

async fn say(world: &World, session: &mut TestSession, query: &str, frame: Vec<u8>) {
    let panics_before = crdt::panics();
    session.send(frame).await;
    drop(session.arrived().await);
    if let Some(close) = ended(session).await {
        let expected = [
            Close::NORMAL,
            Close::UNSUPPORTED,
            Close::INVALID_PAYLOAD,
            TOO_LARGE,
        ];
        let panicked = crdt::panics() > panics_before;
        assert!(panicked || expected.contains(&close.code), "{close:?}");
        *session = open(world, query).await;
    }
}

async fn save(world: &World) {
    let now = text_of(world).await;
    if let Some(number) = call(world, "save_version", json!({"name": "v"})).await {
        let past = call(world, "version", json!({ "number": number })).await;
        let past = past.expect("what was saved can be read");
        assert_same(
            past["text"].as_str().expect("a text"),
            &now,
            "saved otherwise",
        );
    }
}

async fn restore(world: &World, number: u8) {
    let arguments = json!({ "number": number });
    let Some(past) = call(world, "version", arguments.clone()).await else {
        return;
    };
    if call(world, "restore", arguments).await.is_some() {
        let past = past["text"].as_str().expect("a text");
        assert_same(&text_of(world).await, past, "restored otherwise");
    }
}

/// `None` when the object refused, or the CRDT panicked.
async fn call(world: &World, method: &str, arguments: Value) -> Option<Value> {
    let panics_before = crdt::panics();
    match world.call("document", "fuzzed", method, arguments).await {
        Ok(value) => Some(value),
        Err(CallError::Actor(refusal)) if refusal.status < 500 => None,
        Err(_) if crdt::panics() > panics_before => None,
        Err(error) => panic!("{method}: {error}"),
    }
}

async fn text_of(world: &World) -> String {
    let text = call(world, "text", json!({})).await;
    let text = text.expect("a document can be read, whatever was sent to it");
    text.as_str().expect("a text").to_owned()
}

fn named(message: &[u8]) -> Vec<u8> {
    [b"\x06fuzzed", message].concat()
}

/// Messages of each kind, and versions of what they leave.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    let update = some_text();
    let size = u8::try_from(update.len()).expect("a short update");
    let change = [&[0, 2, size], &update[..]].concat();
    let conversations = vec![
        join(&[
            (NAMED, b"\x02\x00\x05token\x054.8.0"),
            (NAMED, b"\x00\x00\x01\x00"),
        ]),
        join(&[
            (NAMED, &change),
            (SAVE, b""),
            (WRITE, b"other\ntext"),
            (RESTORE, b"\x01"),
        ]),
        join(&[
            (NAMED, b"\x01\x0b\x01\x07\x01\x07{\"a\":1}"),
            (PLAIN, b"\x03"),
            (NAMED, b"\x03"),
            (NAMED, b"\x05\x02hi"),
            (NAMED, b"\x07"),
        ]),
        join(&[(PLAIN, &change), (PLAIN, b"\x64\x07"), (NAMED, b"\x64\x07")]),
        join(&[
            (RAW, b"\x05other\x00\x00\x01\x00"),
            (RAW, b"\x06fuzzed\x08\x01"),
            (RAW, b"\x0a"),
        ]),
        join(&[
            (WRITE, "one\ntwo 😀\nthree\n".as_bytes()),
            (SAVE, b""),
            (PLAIN, &change),
            (WRITE, "one\nthree\nfour".as_bytes()),
            (RESTORE, b"\x01"),
            (RESTORE, b"\x02"),
        ]),
    ];
    let frames = [
        named(b"\x02\x00\x05token\x054.8.0"),
        named(&change),
        named(b"\x05\x02hi"),
    ];
    let with = |way: u8| move |seed: Vec<u8>| [&[way], &seed[..]].concat();
    let conversations = conversations.into_iter().map(with(0));
    conversations
        .chain(frames.into_iter().map(with(0xff)))
        .collect()
}
