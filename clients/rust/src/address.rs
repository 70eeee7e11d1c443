//! Where a server is, and the paths of its objects.

use http::Uri;
use http::uri::{Authority, Scheme};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::error::InvalidAddress;

/// What may stand in one segment of a path as it is: the unreserved of RFC 3986, section 2.3.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A server, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) encrypted: bool,
    pub(crate) authority: Authority,
    /// What stands before `/v1/`, without a slash at its end.
    prefix: String,
}

impl Address {
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidAddress> {
        let wrong = || InvalidAddress::NotHttp(text.to_owned());
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let encrypted = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTP => false,
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            _ => return Err(wrong()),
        };
        if encrypted && !cfg!(feature = "tls") {
            return Err(InvalidAddress::NoTls(text.to_owned()));
        }
        let authority = uri.authority().cloned().ok_or_else(wrong)?;
        if authority.host().is_empty() || uri.query().is_some() {
            return Err(wrong());
        }
        Ok(Self {
            encrypted,
            authority,
            prefix: uri.path().trim_end_matches('/').to_owned(),
        })
    }

    /// `/v1/{namespace}/{name}`, behind what stands before it.
    pub(crate) fn object(&self, namespace: &str, name: &str) -> String {
        format!(
            "{}/v1/{}/{}",
            self.prefix,
            segment(namespace),
            segment(name)
        )
    }

    /// The URL of a call.
    pub(crate) fn http(&self, path_and_query: &str) -> String {
        let scheme = if self.encrypted { "https" } else { "http" };
        format!("{scheme}://{}{path_and_query}", self.authority)
    }

    /// The URL of a session.
    pub(crate) fn socket(&self, path_and_query: &str) -> String {
        let scheme = if self.encrypted { "wss" } else { "ws" };
        format!("{scheme}://{}{path_and_query}", self.authority)
    }
}

/// One segment of a path, whatever it holds.
pub(crate) fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_objects_may_hold_anything() {
        let address = Address::parse("http://127.0.0.1:7878").unwrap();
        let path = address.object("chat", "a/b é?#..");
        assert_eq!(path, "/v1/chat/a%2Fb%20%C3%A9%3F%23..");
        assert_eq!(address.socket(&path), format!("ws://127.0.0.1:7878{path}"));
    }

    #[test]
    fn a_path_before_the_servers_is_kept() {
        let address = Address::parse("http://example.org/games/").unwrap();
        assert_eq!(
            address.http(&address.object("room", "1")),
            "http://example.org/games/v1/room/1"
        );
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "127.0.0.1:7878",
            "ftp://x",
            "http://",
            "http://x?y=1",
            "ws://x",
        ] {
            let refused = Address::parse(text);
            assert!(
                matches!(refused, Err(InvalidAddress::NotHttp(_))),
                "{text}: {refused:?}"
            );
        }
        assert_eq!(Address::parse("https://x").is_ok(), cfg!(feature = "tls"));
    }
}
