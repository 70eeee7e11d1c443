//! What is said on a chat socket: one JSON object per text frame.

use abide::prelude::*;

use super::line::Line;

/// From the room to a client.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum Event<'a> {
    /// The first frame of a session: who you are, who is here, what was said lately.
    Welcome {
        you: &'a str,
        members: &'a [String],
        history: &'a [Line],
    },
    /// Somebody, perhaps you, said something. It is durable by the time you read it.
    Line(&'a Line),
    /// A name that was not here before came.
    Joined {
        name: &'a str,
        members: &'a [String],
    },
    /// The last session of a name left.
    Left {
        name: &'a str,
        members: &'a [String],
    },
    /// A frame of yours was not understood or not allowed; nothing was said.
    Error { code: &'a str, detail: &'a str },
}

/// From a client to the room.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Request {
    Say { text: String },
}

/// What a text frame says. One that is no JSON object is said as it stands, so that a chat can be
/// had by hand.
///
/// # Errors
/// `not-understood`, for a JSON object that is no request.
pub(crate) fn said(frame: &str) -> Result<String, ActorError> {
    match serde_json::from_str(frame) {
        Ok(object @ serde_json::Value::Object(_)) => serde_json::from_value(object)
            .map(|Request::Say { text }| text)
            .map_err(|error| ActorError::new("not-understood", error.to_string())),
        Ok(_) | Err(_) => Ok(frame.to_owned()),
    }
}
