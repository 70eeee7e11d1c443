//! The name of a request, in its response, its problem and the log.

use std::fmt;
use std::sync::Arc;

use abide_storage::Timestamp;
use http::{HeaderMap, HeaderValue};

use super::REQUEST_ID;

/// A client's own id is taken when it is visible ASCII of at most this many characters.
const SIZE_MAX: usize = 128;
/// Characters of a fresh id.
const FRESH_SIZE: usize = 26;
/// Crockford's base 32: no I, L, O, U, so that an id survives being read out.
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// 1 to 128 visible ASCII characters.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct RequestId(Arc<str>);

impl RequestId {
    /// The client's id when it may be one, else a fresh one.
    pub(crate) fn of(headers: &HeaderMap, now: impl FnOnce() -> Timestamp) -> Self {
        let sent = headers
            .get(REQUEST_ID)
            .filter(|id| may_be_one(id))
            .and_then(|id| id.to_str().ok());
        match sent {
            Some(id) => Self(id.into()),
            None => Self::fresh(now(), fastrand::u128(..)),
        }
    }

    /// The form of a ULID (github.com/ulid/spec): 48 bits of time, 80 random bits, in base 32, so
    /// that ids sort by time. Random enough to find a request in a log, not to guard a secret.
    pub(crate) fn fresh(now: Timestamp, random: u128) -> Self {
        let mut bits = u128::from(now.0) << 80 | random & ((1 << 80) - 1);
        let mut text = [0_u8; FRESH_SIZE];
        for digit in text.iter_mut().rev() {
            *digit = DIGITS[usize::try_from(bits & 31).expect("five bits fit")];
            bits >>= 5;
        }
        Self(
            std::str::from_utf8(&text)
                .expect("every digit is ASCII")
                .into(),
        )
    }

    /// For the origin of a call.
    pub(crate) fn shared(&self) -> Arc<str> {
        self.0.clone()
    }

    /// For the response.
    pub(crate) fn header(&self) -> HeaderValue {
        HeaderValue::from_str(&self.0).expect("visible ASCII is a header value")
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn may_be_one(id: &HeaderValue) -> bool {
    let bytes = id.as_bytes();
    (1..=SIZE_MAX).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
}

#[cfg(test)]
mod tests {
    use abide_storage::Timestamp;
    use http::{HeaderMap, HeaderValue};

    use super::super::REQUEST_ID;
    use super::RequestId;

    fn of(sent: &[u8]) -> String {
        let value = HeaderValue::from_bytes(sent).unwrap();
        RequestId::of(&HeaderMap::from_iter([(REQUEST_ID, value)]), || {
            Timestamp(0)
        })
        .to_string()
    }

    #[test]
    fn a_fresh_id_is_a_ulid() {
        // The time of the example in the ULID specification, and all random bits set.
        let id = RequestId::fresh(Timestamp(1_469_918_176_385), u128::MAX);
        assert_eq!(id.to_string(), "01ARYZ6S41ZZZZZZZZZZZZZZZZ");
    }

    #[test]
    fn a_clients_id_is_kept_when_it_is_visible_ascii() {
        assert_eq!(of(b"my-request/7"), "my-request/7");
        for refused in [&b""[..], b"with space", b"\xc3\xa9", &[b'x'; 129]] {
            assert_eq!(of(refused).len(), super::FRESH_SIZE);
        }
    }
}
