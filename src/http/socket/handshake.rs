//! The opening handshake, server's side (RFC 6455, section 4.2.1).

use http::{HeaderMap, HeaderName, header};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::problem::{INVALID_HANDSHAKE, Problem, UPGRADE_REQUIRED};
use crate::protocol::session::Offer;

/// Subprotocols looked at; a client that offers more is not helped by more.
const PROTOCOLS_MAX: usize = 32;

/// A handshake that can be accepted.
#[derive(Debug)]
pub(super) struct Handshake {
    /// The value for `Sec-WebSocket-Accept`.
    pub(super) accept: String,
    /// What of ours the client offers.
    pub(super) offer: Offer,
    /// The other subprotocols offered, in the client's order.
    pub(super) protocols: Vec<String>,
}

impl Handshake {
    /// Reads the headers; `None` when they ask for no WebSocket at all.
    pub(super) fn read(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        if !has_token(headers, &header::UPGRADE, "websocket") {
            return Ok(None);
        }
        if !has_token(headers, &header::CONNECTION, "upgrade") {
            let said = "the header connection must say 'upgrade': does a proxy on the way drop it?";
            return Err(Problem::new(&INVALID_HANDSHAKE, said));
        }
        if headers
            .get(header::SEC_WEBSOCKET_VERSION)
            .is_none_or(|version| version != "13")
        {
            let said = "the version of the WebSocket protocol spoken here is 13";
            return Err(
                Problem::new(&UPGRADE_REQUIRED, said).header(header::SEC_WEBSOCKET_VERSION, "13")
            );
        }
        let key = headers
            .get(header::SEC_WEBSOCKET_KEY)
            .map_or(&b""[..], |key| key.as_bytes());
        if !is_key(key) {
            let said = "the header sec-websocket-key must be 16 bytes in base 64";
            return Err(Problem::new(&INVALID_HANDSHAKE, said));
        }
        let mut protocols = tokens(headers, &header::SEC_WEBSOCKET_PROTOCOL)
            .take(PROTOCOLS_MAX)
            .map(str::to_owned)
            .collect();
        let offer = Offer::take(&mut protocols);
        if offer == Offer::Incomplete {
            let said =
                "what is to be resumed is said to a server that speaks abide.v1: offer that, too";
            return Err(Problem::new(&INVALID_HANDSHAKE, said));
        }
        Ok(Some(Self {
            accept: derive_accept_key(key),
            offer,
            protocols,
        }))
    }
}

/// 16 bytes in base 64: 22 digits and two of padding.
fn is_key(key: &[u8]) -> bool {
    let digit = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
    key.len() == 24 && key.ends_with(b"==") && key[..22].iter().all(digit)
}

fn has_token(headers: &HeaderMap, name: &HeaderName, wanted: &str) -> bool {
    tokens(headers, name).any(|token| token.eq_ignore_ascii_case(wanted))
}

fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::Handshake;
    use crate::protocol::session::Offer;

    fn headers(changed: &[(&'static str, &'static str)]) -> HeaderMap {
        let usual = [
            ("upgrade", "websocket"),
            ("connection", "keep-alive, Upgrade"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        let mut headers = HeaderMap::new();
        for (name, value) in usual.iter().chain(changed) {
            headers.insert(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        headers
    }

    #[test]
    fn the_example_of_the_rfc_is_accepted() {
        let offered = headers(&[("sec-websocket-protocol", "chat, superchat")]);
        let handshake = Handshake::read(&offered).unwrap().unwrap();
        assert_eq!(handshake.accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(handshake.protocols, ["chat", "superchat"]);
        assert_eq!(handshake.offer, Offer::Plain);
    }

    #[test]
    fn ours_are_kept_from_the_application() {
        let offered = headers(&[("sec-websocket-protocol", "abide.v1, chat")]);
        let handshake = Handshake::read(&offered).unwrap().unwrap();
        assert_eq!(handshake.protocols, ["chat"]);
        assert_eq!(handshake.offer, Offer::New);
    }

    #[test]
    fn what_is_no_handshake_is_refused() {
        assert!(
            Handshake::read(&headers(&[("upgrade", "h2c")]))
                .unwrap()
                .is_none()
        );
        for broken in [
            ("connection", "keep-alive"),
            ("sec-websocket-version", "8"),
            ("sec-websocket-protocol", "chat, abide.resume.x.1"),
            ("sec-websocket-key", "short"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZ!=="),
        ] {
            assert!(Handshake::read(&headers(&[broken])).is_err(), "{broken:?}");
        }
    }
}
