//! Lines of a room, and how its storage keeps them.

use abide::prelude::*;

const PREFIX: &str = "line/";

/// Something said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Line {
    /// Number of the line in the room, from 1, without gaps.
    pub(crate) seq: u64,
    /// Who.
    pub(crate) from: String,
    /// What.
    pub(crate) text: String,
    /// When, Unix milliseconds.
    pub(crate) at: u64,
}

/// A line as it is stored; its number is in the key.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Stored {
    from: String,
    text: String,
    at: u64,
}

impl From<&Line> for Stored {
    fn from(line: &Line) -> Self {
        Self { from: line.from.clone(), text: line.text.clone(), at: line.at }
    }
}

impl Stored {
    /// The line, with the number from its key.
    pub(crate) fn numbered(self, key: &str) -> Option<Line> {
        let seq = key.strip_prefix(PREFIX)?.parse().ok()?;
        Some(Line { seq, from: self.from, text: self.text, at: self.at })
    }
}

/// The key of a line, padded to the width of the largest number: keys sort as numbers do.
pub(crate) fn key(seq: u64) -> String {
    format!("{PREFIX}{seq:020}")
}
