//! What a client shows to take its session up again.
//!
//! ```text
//!   0            8                        24      28
//! +------------+------------------------+-------+
//! | session id | secret (16 random)     | check |   as base 64 for URLs, without padding
//! +------------+------------------------+-------+
//! ```
//! The secret is what counts: who has it is the client. The check makes a token that was cut, mistyped or
//! meant for another object known as such without a look at any session; it keeps nobody out.

use std::fmt;
use std::str::FromStr;

use abide_storage::Object;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::SessionId;

const ID_SIZE_BYTES: usize = 8;
pub(crate) const SECRET_SIZE_BYTES: usize = 16;
const CHECK_SIZE_BYTES: usize = 4;
const TOKEN_SIZE_BYTES: usize = ID_SIZE_BYTES + SECRET_SIZE_BYTES + CHECK_SIZE_BYTES;

/// Names a session to its object, and proves that the client is its own. Keep it out of logs and URLs.
#[derive(Clone, PartialEq, Eq)]
pub struct Token([u8; TOKEN_SIZE_BYTES]);

/// The text is no token, or the token is not one of this object's session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the token is malformed, forged, or of another object")]
pub struct InvalidToken;

/// What the client of a session knows and nobody else.
#[derive(Clone, Copy)]
pub(crate) struct Secret(pub(crate) [u8; SECRET_SIZE_BYTES]);

impl Token {
    pub(crate) fn new(object: &Object, session: SessionId, secret: Secret) -> Self {
        let mut bytes = [0; TOKEN_SIZE_BYTES];
        bytes[..ID_SIZE_BYTES].copy_from_slice(&session.0.to_be_bytes());
        bytes[ID_SIZE_BYTES..][..SECRET_SIZE_BYTES].copy_from_slice(&secret.0);
        let mut token = Self(bytes);
        let check = token.check_for(object);
        token.0[ID_SIZE_BYTES + SECRET_SIZE_BYTES..].copy_from_slice(&check);
        token
    }

    /// The session it is of.
    #[must_use]
    pub fn session(&self) -> SessionId {
        let (id, _) = self.0.split_at(ID_SIZE_BYTES);
        SessionId(u64::from_be_bytes(id.try_into().expect("eight bytes")))
    }

    pub(crate) fn secret(&self) -> Secret {
        let secret = &self.0[ID_SIZE_BYTES..][..SECRET_SIZE_BYTES];
        Secret(secret.try_into().expect("sixteen bytes"))
    }

    /// Whether it was made for a session of this object.
    pub(crate) fn belongs_to(&self, object: &Object) -> bool {
        self.0.ends_with(&self.check_for(object))
    }

    fn check_for(&self, object: &Object) -> [u8; CHECK_SIZE_BYTES] {
        let mut hash = blake3::Hasher::new_derive_key("abide 2026 check of resume token v1");
        hash.update(object.id.as_bytes());
        hash.update(&self.0[..ID_SIZE_BYTES + SECRET_SIZE_BYTES]);
        let mut check = [0; CHECK_SIZE_BYTES];
        hash.finalize_xof().fill(&mut check);
        check
    }
}

impl Secret {
    /// Compares in a time that tells nothing about where they differ.
    pub(crate) fn is(&self, other: Self) -> bool {
        // The equality of hashes is made for that.
        blake3::hash(&self.0) == blake3::hash(&other.0)
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl FromStr for Token {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; TOKEN_SIZE_BYTES];
        // Decoded into the very size, so that a long text costs nothing.
        match URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) {
            Ok(TOKEN_SIZE_BYTES) => Ok(Self(bytes)),
            Ok(_) | Err(_) => Err(InvalidToken),
        }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token(of session {})", self.session())
    }
}

#[cfg(test)]
mod tests {
    use abide_storage::{Namespace, ObjectId};

    use super::*;

    fn object(name: &str) -> Object {
        let namespace = Namespace::new("chat").unwrap();
        let id = ObjectId::from_name(&namespace, name);
        Object { namespace, id }
    }

    fn token() -> Token {
        Token::new(
            &object("lobby"),
            SessionId(0x0102_0304_0506_0708),
            Secret([7; 16]),
        )
    }

    #[test]
    fn a_token_reads_back_and_belongs_to_its_object_alone() {
        let text = token().to_string();
        // Clients keep it over restarts and releases.
        assert_eq!(&text[..32], "AQIDBAUGBwgHBwcHBwcHBwcHBwcHBwcH");
        assert_eq!(text.len(), 38);
        let again: Token = text.parse().unwrap();
        assert_eq!(again, token());
        assert_eq!(again.session(), SessionId(0x0102_0304_0506_0708));
        assert!(again.secret().is(Secret([7; 16])) && !again.secret().is(Secret([8; 16])));
        assert!(again.belongs_to(&object("lobby")) && !again.belongs_to(&object("garden")));
    }

    #[test]
    fn a_token_with_any_bit_changed_is_none_of_the_object() {
        for bit in 0..8 * TOKEN_SIZE_BYTES {
            let mut changed = token();
            changed.0[bit / 8] ^= 1 << (bit % 8);
            assert!(!changed.belongs_to(&object("lobby")), "bit {bit}");
        }
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let text = token().to_string();
        let long = format!("{text}A");
        let padded = format!("{text}==");
        for wrong in ["", "x", &text[1..], &long, &padded, &"A".repeat(5_000), "ü"] {
            assert_eq!(wrong.parse::<Token>(), Err(InvalidToken), "{wrong:.50}");
        }
    }
}
