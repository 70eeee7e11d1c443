//! The messages of `abide.v1` that neither side's application sees, and how they are told from
//! those it does: a text that begins with U+0010.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::frame::Frame;
use crate::problem::Problem;
use crate::session::event::Presence;

/// The subprotocol of sessions that resume.
pub(crate) const PROTOCOL: &str = "abide.v1";

/// Begins a text that is not plain data; JSON never begins with it, so data rarely does.
const MARK: char = '\u{10}';

/// What goes over the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wire {
    Text(String),
    Binary(Bytes),
    /// A ping of the WebSocket protocol, for sessions that have none of their own.
    Ping,
}

/// What came over the connection.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Received {
    Data(Frame),
    Control(FromServer),
    /// Nothing that the protocol knows: the sentence says why.
    Malformed(String),
}

/// A control message of the server. Unknown members are for later versions.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum FromServer {
    Welcome(Welcome),
    /// So many of our data messages are durable.
    Ack {
        n: u64,
    },
    /// So many of its data messages will not come.
    Skip {
        n: u64,
    },
    Pong,
    /// Why it closes the connection next.
    Error(Box<Problem>),
    Presence(Presence),
    /// Of a later version.
    #[serde(other)]
    Unknown,
}

/// The first message of every connection.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Welcome {
    #[serde(deserialize_with = "text_or_number")]
    pub(crate) session: String,
    pub(crate) token: String,
    pub(crate) resumed: bool,
    /// So many of our data messages have taken effect.
    #[serde(default)]
    pub(crate) received: u64,
    #[serde(default)]
    pub(crate) reset: Option<String>,
    /// Of the application's subprotocols, the one the object has chosen.
    #[serde(default)]
    pub(crate) protocol: Option<String>,
}

/// The session's id is opaque: some write it as a number.
fn text_or_number<'de, D: serde::Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Ok(match Value::deserialize(from)? {
        Value::String(text) => text,
        other => other.to_string(),
    })
}

/// What the subprotocol says to resume.
pub(crate) fn resume(token: &str, received: u64) -> String {
    format!("abide.resume.{token}.{received}")
}

/// Data as it goes over a resumable session.
pub(crate) fn escape(frame: &Frame) -> Wire {
    match frame {
        Frame::Text(text) if text.starts_with(MARK) => Wire::Text(format!("{MARK}{text}")),
        frame => plain(frame),
    }
}

/// Data as it goes over a plain one.
pub(crate) fn plain(frame: &Frame) -> Wire {
    match frame {
        Frame::Text(text) => Wire::Text(text.clone()),
        Frame::Binary(bytes) => Wire::Binary(bytes.clone()),
    }
}

/// Tells data from control on a resumable session.
pub(crate) fn read(frame: Frame) -> Received {
    let Frame::Text(text) = frame else {
        return Received::Data(frame);
    };
    let Some(rest) = text.strip_prefix(MARK) else {
        return Received::Data(Frame::Text(text));
    };
    if rest.starts_with(MARK) {
        return Received::Data(Frame::Text(rest.to_owned()));
    }
    if !rest.starts_with('{') {
        return Received::Malformed(
            "a text begins with U+0010 and is no control message".to_owned(),
        );
    }
    match serde_json::from_str(rest) {
        Ok(control) => Received::Control(control),
        Err(error) => Received::Malformed(format!("a control message cannot be read: {error}")),
    }
}

/// So many data messages have been taken.
pub(crate) fn ack(taken: u64) -> Wire {
    control(&json!({ "type": "ack", "n": taken }))
}

pub(crate) fn ping() -> Wire {
    control(&json!({ "type": "ping" }))
}

/// Largest state in JSON that fits a control message, which has 8,192 bytes at most.
pub(crate) const STATE_SIZE_MAX_BYTES: usize = 8_000;

/// The state this client shows to others; `None` for no more.
pub(crate) fn presence(state: Option<&Value>) -> Wire {
    control(&json!({ "type": "presence", "state": state }))
}

fn control(message: &Value) -> Wire {
    Wire::Text(format!("{MARK}{message}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Frame {
        Frame::Text(text.to_owned())
    }

    fn over_the_wire(frame: &Frame) -> Received {
        match escape(frame) {
            Wire::Text(text) => read(Frame::Text(text)),
            Wire::Binary(bytes) => read(Frame::Binary(bytes)),
            Wire::Ping => unreachable!("data is no ping"),
        }
    }

    #[test]
    fn whatever_an_application_sends_arrives_as_it_was() {
        for sent in [
            "",
            "{}",
            "\u{10}",
            "\u{10}{\"type\":\"ack\",\"n\":1}",
            "\u{10}\u{10}\u{10}x",
        ] {
            assert_eq!(
                over_the_wire(&text(sent)),
                Received::Data(text(sent)),
                "{sent:?}"
            );
        }
        let binary = Frame::from(vec![0x10, b'{']);
        assert_eq!(over_the_wire(&binary), Received::Data(binary));
    }

    #[test]
    fn a_control_message_is_never_data() {
        assert_eq!(
            ack(7),
            Wire::Text("\u{10}{\"n\":7,\"type\":\"ack\"}".to_owned())
        );
        let ack = FromServer::Ack { n: 7 };
        assert_eq!(
            read(text("\u{10}{\"type\":\"ack\",\"n\":7}")),
            Received::Control(ack)
        );
    }

    #[test]
    fn later_versions_may_say_more() {
        let later = "\u{10}{\"type\":\"weather\",\"sky\":[\"blue\"]}";
        assert_eq!(read(text(later)), Received::Control(FromServer::Unknown));
        let welcome = "\u{10}{\"type\":\"welcome\",\"session\":7,\"token\":\"t\",\"resumed\":true,\"received\":2,\
                       \"window_ms\":60000,\"new\":{}}";
        let Received::Control(FromServer::Welcome(welcome)) = read(text(welcome)) else {
            panic!("no welcome");
        };
        assert_eq!(
            (&*welcome.session, welcome.received, welcome.reset),
            ("7", 2, None)
        );
    }

    #[test]
    fn what_cannot_be_read_is_malformed() {
        for wrong in [
            "\u{10}",
            "\u{10}x",
            "\u{10}{",
            "\u{10}{\"type\":\"ack\"}",
            "\u{10}{\"type\":\"ack\",\"n\":-1}",
        ] {
            assert!(
                matches!(read(text(wrong)), Received::Malformed(_)),
                "{wrong:?}"
            );
        }
    }
}
