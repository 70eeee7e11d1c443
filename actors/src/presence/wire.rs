//! What watchers read (`docs/presence.md`): a control message, or of a client that has none of those
//! the same JSON as a text frame.
//!
//! ```json
//! {"type":"presence","count":2,"sync":[["ada",{"colour":"red"}],["17",null]]}
//! {"type":"presence","count":2,"joined":[["bob",{}]],"updated":[["ada",{"colour":"blue"}]],"left":["17"]}
//! ```

use std::fmt::Write as _;

use bytes::Bytes;

use super::listing::{Diff, Listing};
use super::roster::Member;
use crate::session::{Enqueued, Frame, SessionCore, Text};

/// What a control message begins with (`docs/protocol.md`).
const CONTROL: char = '\u{10}';

/// One message, made once for all who get it: the frame is the end of the control message.
pub(super) struct Message {
    control: Text,
    frame: Frame,
}

impl Message {
    /// All that is shown.
    pub(super) fn sync(listing: &Listing) -> Self {
        let mut text = begun(listing.count);
        members(
            &mut text,
            "sync",
            listing.entries.iter().map(|entry| &entry.member),
        );
        Self::ended(text)
    }

    /// What has changed since the message before.
    pub(super) fn changes(diff: &Diff<'_>) -> Self {
        let mut text = begun(diff.count);
        for (name, list) in [("joined", &diff.joined), ("updated", &diff.updated)] {
            if !list.is_empty() {
                members(&mut text, name, list.iter().copied());
            }
        }
        if !diff.left.is_empty() {
            text.push_str(",\"left\":");
            let left = serde_json::to_string(&diff.left);
            text.push_str(&left.expect("strings have a JSON form"));
        }
        Self::ended(text)
    }

    fn ended(mut text: String) -> Self {
        text.push('}');
        let control = Bytes::from(text);
        let frame = control.slice(CONTROL.len_utf8()..);
        let text = |bytes| Text::try_from(bytes).expect("it was made of text");
        Self {
            frame: Frame::Text(text(frame)),
            control: text(control),
        }
    }

    pub(super) fn size_bytes(&self) -> usize {
        self.frame.size_bytes()
    }

    /// Queues it for a watcher.
    pub(super) fn tell(&self, session: &SessionCore) -> Enqueued {
        let outbound = &session.outbound;
        if outbound.is_resumable() {
            outbound.control(self.control.clone())
        } else {
            outbound.send(self.frame.clone().into())
        }
    }
}

fn begun(count: usize) -> String {
    format!("{CONTROL}{{\"type\":\"presence\",\"count\":{count}")
}

fn members<'a>(text: &mut String, name: &str, members: impl Iterator<Item = &'a Member>) {
    write!(text, ",\"{name}\":[").expect("a string takes all that is written");
    for (number, member) in members.enumerate() {
        let comma = if number > 0 { "," } else { "" };
        let id = serde_json::to_string(&*member.id).expect("a string has a JSON form");
        // The state is JSON already.
        write!(text, "{comma}[{id},{}]", member.state).expect("a string takes all that is written");
    }
    text.push(']');
}
