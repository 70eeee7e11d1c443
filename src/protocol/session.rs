//! The messages of `abide.v1` on a WebSocket; `docs/protocol.md` is the specification.
//!
//! A text that begins with DLE is one of ours, or an escaped one of the application's; everything else is
//! the application's as it is.

use abide_actors::{Reset, Text, Token, Welcome};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Begins what is not the application's. JSON never begins with it.
const DLE: u8 = 0x10;
/// Largest control message of a client, DLE included.
pub(crate) const CONTROL_SIZE_MAX_BYTES: usize = 8 * 1024;
/// Largest count: the largest integer that JavaScript counts to.
const COUNT_MAX: u64 = (1 << 53) - 1;

/// The subprotocol.
pub(crate) const SUBPROTOCOL: &str = "abide.v1";
/// Subprotocols that begin with this are never the application's.
const OURS: &str = "abide.";
/// With a token and a count behind it, a second subprotocol that says what to resume.
const RESUME: &str = "abide.resume.";

/// What a client offers of ours in its handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Offer {
    /// A plain client: nothing, or nothing we know.
    Plain,
    /// A session that can be resumed.
    New,
    /// A session to be resumed.
    Resume { token: Token, received: u64 },
    /// What is to be resumed does not read.
    Malformed,
    /// Something is to be resumed, and the protocol for that is not offered.
    Incomplete,
}

impl Offer {
    /// Takes what is ours out of the subprotocols offered.
    pub(crate) fn take(protocols: &mut Vec<String>) -> Self {
        let mut is_offered = false;
        let mut resume = None;
        protocols.retain(|protocol| {
            is_offered |= protocol == SUBPROTOCOL;
            if let Some(what) = protocol.strip_prefix(RESUME) {
                resume = Some(resumption(what));
            }
            !protocol.starts_with(OURS)
        });
        match resume {
            None if is_offered => Self::New,
            None => Self::Plain,
            Some(_) if !is_offered => Self::Incomplete,
            Some(None) => Self::Malformed,
            Some(Some((token, received))) => Self::Resume { token, received },
        }
    }
}

fn resumption(text: &str) -> Option<(Token, u64)> {
    let (token, received) = text.rsplit_once('.')?;
    let is_plain = received.bytes().all(|byte| byte.is_ascii_digit());
    let received: u64 = received.parse().ok().filter(|_| is_plain)?;
    (received <= COUNT_MAX).then_some((token.parse().ok()?, received))
}

/// A text message of a client.
#[derive(Debug, PartialEq)]
pub(crate) enum Inbound {
    Data(Text),
    Control(Control),
}

/// A control message of a client.
#[derive(Debug, PartialEq)]
pub(crate) enum Control {
    /// It has got so many of our data messages.
    Ack {
        n: u64,
    },
    Ping,
    /// What it shows of itself; `None` takes it back.
    Presence {
        state: Option<serde_json::Value>,
    },
    /// Of a later version.
    Unknown,
}

/// A text of a client that is neither data nor a control message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidMessage {
    #[error("a control message has {size_bytes} bytes, {CONTROL_SIZE_MAX_BYTES} are the most")]
    TooLarge { size_bytes: usize },
    #[error("after U+0010 comes a JSON object, or a second U+0010 when it is an escape")]
    NoEscape,
    #[error("a control message does not read: {0}")]
    Malformed(String),
}

impl Inbound {
    /// Reads a text message.
    pub(crate) fn read(text: Text) -> Result<Self, InvalidMessage> {
        let bytes = text.as_str().as_bytes();
        match bytes {
            [DLE, DLE, ..] => {
                let unescaped = text.into_bytes().slice(1..);
                let text =
                    Text::try_from(unescaped).expect("what follows a whole character is text");
                Ok(Self::Data(text))
            }
            [DLE, b'{', ..] if bytes.len() > CONTROL_SIZE_MAX_BYTES => {
                let size_bytes = bytes.len();
                Err(InvalidMessage::TooLarge { size_bytes })
            }
            [DLE, json @ ..] if json.first() == Some(&b'{') => {
                Ok(Self::Control(Control::read(json)?))
            }
            [DLE, ..] => Err(InvalidMessage::NoEscape),
            _ => Ok(Self::Data(text)),
        }
    }
}

#[derive(Deserialize)]
struct Typed<'a> {
    #[serde(rename = "type", borrow)]
    kind: std::borrow::Cow<'a, str>,
}

#[derive(Deserialize)]
struct Ack {
    n: u64,
}

#[derive(Deserialize)]
struct Shown {
    state: serde_json::Value,
}

impl Control {
    fn read(json: &[u8]) -> Result<Self, InvalidMessage> {
        let malformed = |error: serde_json::Error| InvalidMessage::Malformed(error.to_string());
        let typed: Typed<'_> = serde_json::from_slice(json).map_err(malformed)?;
        match &*typed.kind {
            "ack" => {
                let Ack { n } = serde_json::from_slice(json).map_err(malformed)?;
                Ok(Self::Ack { n })
            }
            "ping" => Ok(Self::Ping),
            "presence" => {
                let Shown { state } = serde_json::from_slice(json).map_err(malformed)?;
                let state = Some(state).filter(|state| !state.is_null());
                Ok(Self::Presence { state })
            }
            _ => Ok(Self::Unknown),
        }
    }
}

/// A text of the application as it goes to a client that knows the escape.
pub(crate) fn escaped(text: Text) -> Bytes {
    if text.as_bytes().first() != Some(&DLE) {
        return text.into_bytes();
    }
    [&[DLE], &text.as_bytes()[..]].concat().into()
}

/// A control message of ours.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum Said<'a> {
    Welcome {
        session: String,
        token: String,
        resumed: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        reset: Option<&'static str>,
        received: u64,
        window_ms: u128,
        #[serde(skip_serializing_if = "Option::is_none")]
        protocol: Option<&'a str>,
    },
    Ack {
        n: u64,
    },
    Skip {
        n: u64,
    },
    Pong,
}

impl<'a> Said<'a> {
    /// The first message of a connection; `protocol` is the one of the application's that the object chose.
    pub(crate) fn welcome(welcome: &Welcome, protocol: Option<&'a str>) -> Self {
        Self::Welcome {
            session: welcome.session.to_string(),
            token: welcome.token.to_string(),
            resumed: welcome.resumed,
            reset: welcome.reset.map(|reset| match reset {
                Reset::Expired => "expired",
                Reset::Behind => "behind",
            }),
            received: welcome.received,
            window_ms: welcome.window.as_millis(),
            protocol,
        }
    }

    /// As it goes on the wire.
    pub(crate) fn into_bytes(self) -> Bytes {
        control(&self)
    }
}

/// The value as a control message; it must be an object with a `type`.
pub(crate) fn control(value: &impl Serialize) -> Bytes {
    let mut bytes = vec![DLE];
    serde_json::to_writer(&mut bytes, value).expect("numbers and texts have a JSON form");
    bytes.into()
}

/// Why a client's session did not come to be, with the members of the problem that a call would get.
#[derive(Debug, Serialize)]
pub(crate) struct Refusal<'a> {
    #[serde(rename = "type")]
    pub(crate) kind: ErrorType,
    pub(crate) code: &'a str,
    pub(crate) status: u16,
    pub(crate) title: &'a str,
    pub(crate) detail: &'a str,
    pub(crate) effect: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retry_after_ms: Option<u128>,
}

/// The one type a [`Refusal`] has.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ErrorType {
    Error,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const TOKEN: &str = "AQIDBAUGBwgHBwcHBwcHBwcHBwcHBwcHEjRWeA";

    fn text(text: &str) -> Text {
        Bytes::copy_from_slice(text.as_bytes()).try_into().unwrap()
    }

    fn read(said: &str) -> Result<Inbound, InvalidMessage> {
        Inbound::read(text(said))
    }

    fn offer(protocols: &[&str]) -> (Offer, Vec<String>) {
        let mut protocols = protocols.iter().map(|&name| name.to_owned()).collect();
        (Offer::take(&mut protocols), protocols)
    }

    #[test]
    fn what_begins_with_no_dle_is_data_as_it_is() {
        for said in ["", "hi", "{\"type\":\"ack\",\"n\":1}", "x\u{10}", "ü"] {
            assert_eq!(read(said), Ok(Inbound::Data(text(said))));
            assert_eq!(escaped(text(said)), said.as_bytes());
        }
    }

    #[test]
    fn the_escape_is_put_on_and_taken_off() {
        for said in ["\u{10}", "\u{10}{}", "\u{10}\u{10}", "\u{10}hi"] {
            let on_the_wire = escaped(text(said));
            assert_eq!(on_the_wire, format!("\u{10}{said}"));
            let read = Inbound::read(on_the_wire.try_into().unwrap());
            assert_eq!(read, Ok(Inbound::Data(text(said))));
        }
    }

    #[test]
    fn control_messages_are_read_and_unknown_ones_let_be() {
        let control = |said: &str| match read(&format!("\u{10}{said}")) {
            Ok(Inbound::Control(control)) => control,
            other => panic!("{said}: {other:?}"),
        };
        assert_eq!(control(r#"{"type":"ack","n":7}"#), Control::Ack { n: 7 });
        let extra = r#"{ "n" : 0, "later": [1], "type": "\u0061ck" }"#;
        assert_eq!(control(extra), Control::Ack { n: 0 });
        assert_eq!(control(r#"{"type":"ping"}"#), Control::Ping);
        assert_eq!(control(r#"{"type":"dance","n":-1}"#), Control::Unknown);
    }

    #[test]
    fn malformed_ones_are_refused() {
        for said in ["\u{10}", "\u{10}x", "\u{10} {}", "\u{10}[1]"] {
            assert_eq!(read(said), Err(InvalidMessage::NoEscape), "{said}");
        }
        for said in [
            "{",
            "{}",
            r#"{"type":7}"#,
            r#"{"type":"ack"}"#,
            r#"{"type":"ack","n":-1}"#,
            r#"{"type":"ack","n":1.5}"#,
            r#"{"type":"ack","n":"1"}"#,
            r#"{"type":"ping"} x"#,
            r#"{"type":"ping","type":"ping"}"#,
        ] {
            let read = read(&format!("\u{10}{said}"));
            assert!(
                matches!(read, Err(InvalidMessage::Malformed(_))),
                "{said}: {read:?}"
            );
        }
        let fits = format!(
            "\u{10}{{\"type\":\"{}\"}}",
            "x".repeat(CONTROL_SIZE_MAX_BYTES - 12)
        );
        assert_eq!(fits.len(), CONTROL_SIZE_MAX_BYTES);
        assert!(read(&fits).is_ok());
        let size_bytes = fits.len() + 1;
        let too_large = read(&fits.replacen('x', "xx", 1));
        assert_eq!(too_large, Err(InvalidMessage::TooLarge { size_bytes }));
    }

    #[test]
    fn offers_are_read_and_kept_from_the_application() {
        assert_eq!(offer(&[]), (Offer::Plain, vec![]));
        assert_eq!(offer(&["chat"]).0, Offer::Plain);
        let (new, left) = offer(&["chat", "abide.v1", "abide.v9", "superchat"]);
        assert_eq!(new, Offer::New);
        assert_eq!(left, ["chat", "superchat"]);
        let resume = format!("abide.resume.{TOKEN}.17");
        let token = TOKEN.parse().unwrap();
        let received = 17;
        assert_eq!(
            offer(&["abide.v1", &resume]),
            (Offer::Resume { token, received }, vec![])
        );
        assert_eq!(offer(&[&resume]).0, Offer::Incomplete);
        for wrong in [
            "abide.resume.".to_owned(),
            format!("abide.resume.{TOKEN}"),
            format!("abide.resume.{TOKEN}."),
            format!("abide.resume.{TOKEN}.+1"),
            format!("abide.resume.{TOKEN}.1.2"),
            format!("abide.resume.{TOKEN}x.1"),
            format!("abide.resume.{TOKEN}.9007199254740992"),
        ] {
            assert_eq!(offer(&["abide.v1", &wrong]).0, Offer::Malformed, "{wrong}");
        }
    }

    #[test]
    fn what_we_say_is_what_the_specification_shows() {
        let welcome = Welcome {
            session: abide_actors::SessionId(71),
            token: TOKEN.parse().unwrap(),
            resumed: false,
            reset: Some(Reset::Expired),
            received: 0,
            window: Duration::from_secs(60),
        };
        let said = Said::welcome(&welcome, Some("chat")).into_bytes();
        let expected = format!(
            "\u{10}{{\"type\":\"welcome\",\"session\":\"71\",\"token\":\"{TOKEN}\",\"resumed\":false,\
             \"reset\":\"expired\",\"received\":0,\"window_ms\":60000,\"protocol\":\"chat\"}}"
        );
        assert_eq!(said, expected);
        assert_eq!(
            Said::Ack { n: 12 }.into_bytes(),
            "\u{10}{\"type\":\"ack\",\"n\":12}"
        );
        assert_eq!(
            Said::Skip { n: 3 }.into_bytes(),
            "\u{10}{\"type\":\"skip\",\"n\":3}"
        );
        assert_eq!(Said::Pong.into_bytes(), "\u{10}{\"type\":\"pong\"}");
    }
}
