//! Frames as they come off a socket, into the chat and into a document.

use abide_actors::Frame;

use super::parts::{Part, join, parts};
use super::{chat, document, yjs};

/// The first part chooses the object, and is the name in a chat.
pub(super) fn run(data: &[u8]) {
    let parts = parts(data);
    let Some((first, frames)) = parts.split_first() else {
        return;
    };
    if first.kind.is_multiple_of(2) {
        chat::run(first.bytes, frames);
    } else {
        document::run(yjs::text(), frames.iter().map(frame).collect());
    }
}

fn frame(part: &Part<'_>) -> Frame {
    match part.kind {
        0xff => String::from_utf8_lossy(part.bytes).as_ref().into(),
        _ => part.bytes.to_vec().into(),
    }
}

/// Conversations with both.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    let [chat, document]: [(u8, &[u8]); 2] = [(0, b"name=ada"), (1, b"")];
    vec![
        join(&[
            chat,
            (2, br#"{"type":"say","text":"hello"}"#),
            (2, b"by hand"),
        ]),
        join(&[
            chat,
            (2, br#"{"type":"shout"}"#),
            (1, b""),
            (0, b"\x01"),
            (2, b"[1]"),
        ]),
        join(&[
            (0, b"name=a%20%C3%A9&x=1"),
            (2, b" \t\n "),
            (3, b"\xff\xfe"),
        ]),
        join(&[(0, b"nobody"), (2, b"hello")]),
        // Step 1, an update, awareness, a question for it, and text.
        join(&[document, (0, b"\0\0\x01\0"), (0, b"\0\x02\x02\0\0")]),
        join(&[document, (0, b"\x01\x08\x01\x07\x01\x04null"), (0, b"\x03")]),
        join(&[
            document,
            (0, b"\x01\x0b\x01\x07\x01\x07{\"a\":1}"),
            (0, b"\x03"),
        ]),
        join(&[
            document,
            (0xff, b"hello"),
            (0, b"\0\x02\xff\xff\xff\xff\x0f"),
        ]),
    ]
}
