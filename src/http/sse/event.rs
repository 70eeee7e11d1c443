//! What a session says, as events (WHATWG HTML, section 9.2).

use abide_actors::{Close, Frame, Reset, Text, Welcome};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::event_id::EventId;

/// How long a browser waits before it connects again, before it makes that longer by itself.
pub(super) const RETRY: &str = "retry: 1000\n\n";
/// A comment, which clients drop: it keeps what is between awake, and its bytes must be taken.
pub(super) const HEARTBEAT: &str = ":\n\n";

/// The first event of every stream.
#[derive(Serialize)]
struct Welcoming {
    session: String,
    /// Whether the session of an earlier stream goes on.
    resumed: bool,
    /// Why it does not, though its client wanted it to.
    #[serde(skip_serializing_if = "Option::is_none")]
    reset: Option<&'static str>,
}

/// The last event, when the session was ended and not merely lost.
#[derive(Serialize)]
struct Closing<'a> {
    code: u16,
    reason: &'a str,
}

/// A frame: text is an event without a name (`onmessage` in browsers), bytes are one named `binary`.
pub(super) fn frame(out: &mut String, frame: &Frame) {
    match frame {
        // A line ends at a carriage return too, and the client would see another character there.
        Frame::Text(text) if text.as_str().contains('\r') => {
            out.push_str("event: text-base64\n");
            data(out, &STANDARD.encode(text.as_str()));
        }
        Frame::Text(text) => data(out, text.as_str()),
        Frame::Binary(bytes) => {
            out.push_str("event: binary\n");
            data(out, &STANDARD.encode(bytes));
        }
    }
}

/// What the server says beside the object's frames, such as who is present: one JSON object.
pub(super) fn control(out: &mut String, text: &Text) {
    out.push_str("event: control\n");
    // On a WebSocket a character marks it, here the name does.
    data(out, text.as_str().trim_start_matches('\u{10}'));
}

pub(super) fn welcome(out: &mut String, welcome: &Welcome) {
    out.push_str("event: welcome\n");
    let welcoming = Welcoming {
        session: welcome.session.to_string(),
        resumed: welcome.resumed,
        reset: welcome.reset.map(|reset| match reset {
            Reset::Expired => "expired",
            Reset::Behind => "behind",
        }),
    };
    json(out, &welcoming);
}

/// How far the client is with the event that follows: it says so when it comes again.
pub(super) fn id(out: &mut String, id: &EventId) {
    out.push_str(&format!("id: {id}\n"));
}

pub(super) fn close(out: &mut String, close: &Close) {
    out.push_str("event: close\n");
    let (code, reason) = (close.code, close.reason.as_str());
    json(out, &Closing { code, reason });
}

fn json(out: &mut String, value: &impl Serialize) {
    // JSON is one line: line ends inside of strings are escaped.
    let json = serde_json::to_string(value).expect("string keys only");
    data(out, &json);
}

/// The value and the end of the event. Not `lines()`: that drops an empty last line.
fn data(out: &mut String, value: &str) {
    for line in value.split('\n') {
        out.push_str("data: ");
        out.push_str(line);
        out.push('\n');
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use abide_actors::{Close, Frame};

    fn written(frame: impl Into<Frame>) -> String {
        let mut out = String::new();
        super::frame(&mut out, &frame.into());
        out
    }

    #[test]
    fn a_text_is_one_event_whatever_its_lines() {
        assert_eq!(written("hi"), "data: hi\n\n");
        assert_eq!(written(""), "data: \n\n");
        assert_eq!(
            written(" a\n\nb\n"),
            "data:  a\ndata: \ndata: b\ndata: \n\n"
        );
    }

    #[test]
    fn what_a_line_cannot_hold_is_base64() {
        assert_eq!(written(vec![0, 255]), "event: binary\ndata: AP8=\n\n");
        assert_eq!(written("a\rb"), "event: text-base64\ndata: YQ1i\n\n");
    }

    /// Otherwise a text could end its event and begin one of its own.
    #[test]
    fn a_text_cannot_forge_a_field() {
        let forged = written("x\n\nevent: close\ndata: {}");
        assert!(
            forged
                .lines()
                .all(|line| line.is_empty() || line.starts_with("data: "))
        );
        assert_eq!(forged.matches("\n\n").count(), 1);
    }

    #[test]
    fn a_close_says_code_and_reason() {
        let mut out = String::new();
        super::close(&mut out, &Close::new(1012, "one\ntwo"));
        assert_eq!(
            out,
            "event: close\ndata: {\"code\":1012,\"reason\":\"one\\ntwo\"}\n\n"
        );
    }
}
