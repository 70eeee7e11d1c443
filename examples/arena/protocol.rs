//! What is said beside the rows of the tables: JSON in text frames, and inputs of five bytes.

use abide::prelude::*;

use crate::best::Line;
use crate::world::body::Keys;

/// Longest name of a player.
const NAME_SIZE_MAX_CHARS: usize = 16;

/// From the room to a client.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum Event<'a> {
    /// You have this ship; what else there is comes in frames of the tables.
    Joined {
        ship: u32,
        tick: u32,
        best: &'a [Line],
    },
    /// A ship is down.
    Down {
        ship: u32,
        who: &'a str,
        by: Option<u32>,
        whose: Option<&'a str>,
        streak: u32,
    },
    /// The all-time table of the room. It is durable by the time you read it.
    Best { best: &'a [Line] },
    /// What you sent was not understood or not allowed.
    Error { code: &'a str, detail: &'a str },
}

/// From a client to the room.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum Request {
    /// The first frame. The token is the player's own secret: whoever comes back with it gets the
    /// ship that is still there. It is no part of the address, because addresses are logged.
    Join { name: String, token: String },
}

impl Request {
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn read(text: &str) -> Result<Self, ActorError> {
        let read = serde_json::from_str(text);
        read.map_err(|error| ActorError::new("not-understood", error.to_string()))
    }
}

/// The keys held down in one tick, and the number of the input: the first byte, and four more, the
/// lowest first.
pub(crate) fn input(bytes: &[u8]) -> Option<(u32, Keys)> {
    let [keys, number @ ..] = <[u8; 5]>::try_from(bytes).ok()?;
    Some((u32::from_le_bytes(number), Keys(keys)))
}

/// A name fit to be shown.
///
/// # Errors
/// `invalid-name`.
pub(crate) fn checked_name(name: &str) -> Result<String, ActorError> {
    let name = name.trim();
    let length = name.chars().count();
    if (1..=NAME_SIZE_MAX_CHARS).contains(&length) && !name.chars().any(char::is_control) {
        Ok(name.to_owned())
    } else {
        let said = format!("a name has 1 to {NAME_SIZE_MAX_CHARS} characters");
        Err(ActorError::new("invalid-name", said))
    }
}

/// # Errors
/// `invalid-token`.
pub(crate) fn checked_token(token: String) -> Result<String, ActorError> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if (16..=64).contains(&token.len()) && token.bytes().all(is_plain) {
        Ok(token)
    } else {
        let said = "a token is 16 to 64 letters, digits, '-' and '_'";
        Err(ActorError::new("invalid-token", said))
    }
}
