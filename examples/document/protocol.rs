//! The messages of y-protocols, as y-websocket frames them.
//!
//! ```text
//! 0 0 bytes    sync, step 1: "this is what I have" (a state vector)
//! 0 1 bytes    sync, step 2: "this is what you lack" (an update)
//! 0 2 bytes    sync: an update
//! 1 bytes      awareness: count, then client, clock, JSON for each
//! 3            "tell me the awareness you know"
//! 100 n        "is all that I have said so far on disk?"
//! 100 n bytes  "it is", with the state vector of what is
//! ```
//! 2 is authentication, which is settled before a session is opened here. 100 is this server's own
//! and told only to those who ask: other providers never see it. The answer is one like all others,
//! so it waits until every change handled before it is durable.

use super::wire::{Malformed, Reader, write_bytes, write_number};

const SYNC: u64 = 0;
const AWARENESS: u64 = 1;
const QUERY_AWARENESS: u64 = 3;
const SAVED: u64 = 100;

const STEP_1: u64 = 0;
const STEP_2: u64 = 1;
const UPDATE: u64 = 2;

/// One message of a client.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Message<'a> {
    /// It has this state and wants what it lacks.
    Step1(&'a [u8]),
    /// Changes of the document: an answer to our step 1, or fresh ones.
    Changes(&'a [u8]),
    /// What clients tell about themselves.
    Awareness(Vec<Presence<'a>>),
    /// It wants to know the awareness of all.
    QueryAwareness,
    /// It wants to know when all it has said is durable; the number is its own.
    AskSaved(u64),
}

/// What one client tells about itself: name, colour, cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Presence<'a> {
    /// The client's number in the Yjs document.
    pub(crate) client: u64,
    /// Grows whenever the client says something new.
    pub(crate) clock: u64,
    /// A JSON text; `None`: the client has left.
    pub(crate) state: Option<&'a str>,
}

impl<'a> Message<'a> {
    /// The next message of a frame. Clients send one per frame, but several are understood.
    pub(crate) fn read(frame: &mut Reader<'a>) -> Result<Self, Malformed> {
        match frame.number()? {
            SYNC => match frame.number()? {
                STEP_1 => Ok(Self::Step1(frame.bytes()?)),
                STEP_2 | UPDATE => Ok(Self::Changes(frame.bytes()?)),
                _ => Err(Malformed::Unsupported("not a sync message of y-protocols")),
            },
            AWARENESS => read_awareness(frame.bytes()?).map(Self::Awareness),
            QUERY_AWARENESS => Ok(Self::QueryAwareness),
            SAVED => Ok(Self::AskSaved(frame.number()?)),
            _ => Err(Malformed::Unsupported("not a message of y-protocols")),
        }
    }
}

fn read_awareness(bytes: &[u8]) -> Result<Vec<Presence<'_>>, Malformed> {
    let mut reader = Reader::new(bytes);
    let mut all = Vec::new();
    for _ in 0..reader.count()? {
        let client = reader.number()?;
        let clock = reader.number()?;
        let json = reader.text()?;
        // Every client parses what it is told, so what is no JSON would break all of them.
        let parsed = serde_json::from_str::<serde::de::IgnoredAny>(json);
        parsed.map_err(|_| Malformed::Content("awareness is not JSON"))?;
        all.push(Presence {
            client,
            clock,
            state: (json != "null").then_some(json),
        });
    }
    if reader.is_empty() {
        Ok(all)
    } else {
        Err(Malformed::Content("awareness is too long"))
    }
}

/// Our state, which makes the client send what we lack.
pub(crate) fn step_1(state_vector: &[u8]) -> Vec<u8> {
    sync(STEP_1, state_vector)
}

/// What the client lacks; it is in sync afterwards.
pub(crate) fn step_2(update: &[u8]) -> Vec<u8> {
    sync(STEP_2, update)
}

/// Somebody's change.
pub(crate) fn update(update: &[u8]) -> Vec<u8> {
    sync(UPDATE, update)
}

fn sync(step: u64, bytes: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(bytes.len() + 8);
    write_number(&mut frame, SYNC);
    write_number(&mut frame, step);
    write_bytes(&mut frame, bytes);
    frame
}

/// What clients tell about themselves.
pub(crate) fn awareness(all: &[Presence<'_>]) -> Vec<u8> {
    let mut update = Vec::new();
    write_number(&mut update, all.len() as u64);
    for presence in all {
        write_number(&mut update, presence.client);
        write_number(&mut update, presence.clock);
        write_bytes(&mut update, presence.state.unwrap_or("null").as_bytes());
    }
    let mut frame = Vec::with_capacity(update.len() + 4);
    write_number(&mut frame, AWARENESS);
    write_bytes(&mut frame, &update);
    frame
}

/// Asks a client for its awareness, and for all it knows.
pub(crate) fn query_awareness() -> Vec<u8> {
    let mut frame = Vec::new();
    write_number(&mut frame, QUERY_AWARENESS);
    frame
}

/// Answers that everything up to the question with this number is durable.
pub(crate) fn saved(number: u64, state_vector: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(state_vector.len() + 12);
    write_number(&mut frame, SAVED);
    write_number(&mut frame, number);
    write_bytes(&mut frame, state_vector);
    frame
}
