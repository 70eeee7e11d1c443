//! Lines of a room: what may be said, by whom, and how storage keeps it.

use abide::prelude::*;

const PREFIX: &str = "line/";
/// Longest line.
const TEXT_SIZE_MAX_CHARS: usize = 4_000;
/// Longest name.
const NAME_SIZE_MAX_CHARS: usize = 40;

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
        Self {
            from: line.from.clone(),
            text: line.text.clone(),
            at: line.at,
        }
    }
}

impl Stored {
    /// The line, with the number from its key.
    pub(crate) fn numbered(self, key: &str) -> Option<Line> {
        let seq = key.strip_prefix(PREFIX)?.parse().ok()?;
        Some(Line {
            seq,
            from: self.from,
            text: self.text,
            at: self.at,
        })
    }
}

/// The key of a line, padded to the width of the largest number: keys sort as numbers do.
pub(crate) fn key(seq: u64) -> String {
    format!("{PREFIX}{seq:020}")
}

/// The name, if somebody may be called that.
pub(crate) fn checked_name(name: &str) -> Result<String, ActorError> {
    let name = name.trim();
    let chars = name.chars().count();
    if chars == 0 || chars > NAME_SIZE_MAX_CHARS || name.chars().any(char::is_control) {
        let message = format!("a name has 1 to {NAME_SIZE_MAX_CHARS} printable characters");
        return Err(ActorError::new("invalid-name", message).status(400));
    }
    Ok(name.to_owned())
}

/// The text, if it may be said.
pub(crate) fn checked_text(text: &str) -> Result<&str, ActorError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(ActorError::new("empty-text", "there is nothing to say"));
    }
    if text.chars().count() > TEXT_SIZE_MAX_CHARS {
        let message = format!("a line has {TEXT_SIZE_MAX_CHARS} characters at most");
        return Err(ActorError::new("text-too-long", message));
    }
    Ok(text)
}
