//! Who an object is: namespace, object id, and the numbers that order its life.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Longest object name, in bytes of UTF-8.
pub const NAME_SIZE_MAX_BYTES: usize = 1_024;
/// Longest namespace, in bytes.
pub const NAMESPACE_SIZE_MAX_BYTES: usize = 64;

/// A set of actors of one kind with one configuration: `[a-z0-9][a-z0-9_-]*`, 1 to 64 bytes.
///
/// Cheap to clone. Carries the key that its object ids are signed with, so that making and
/// checking an id needs no look-up.
#[derive(Clone)]
pub struct Namespace(Arc<Inner>);

struct Inner {
    name: Box<str>,
    key: [u8; 32],
}

impl Namespace {
    /// Checks the name and derives the key its object ids are signed with.
    ///
    /// # Errors
    /// [`InvalidNamespace`] when the name is empty, too long, or has a character outside
    /// `[a-z0-9_-]`, or starts with `_` or `-`. No effect.
    pub fn new(name: &str) -> Result<Self, InvalidNamespace> {
        let well_formed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let valid = name.len() <= NAMESPACE_SIZE_MAX_BYTES
            && name.bytes().next().is_some_and(well_formed)
            && name
                .bytes()
                .all(|b| well_formed(b) || b == b'_' || b == b'-');
        if !valid {
            return Err(InvalidNamespace {
                name: name.chars().take(80).collect(),
            });
        }
        // BLAKE3's own key derivation (its paper, section 2.1): the context separates this use
        // of the namespace's name from any other that may come.
        let key = blake3::derive_key("abide 2026 object id of namespace v1", name.as_bytes());
        Ok(Self(Arc::new(Inner {
            name: name.into(),
            key,
        })))
    }

    /// The name as it stands in URLs, logs and keys.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0.name
    }
}

impl PartialEq for Namespace {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.name == other.0.name
    }
}

impl Eq for Namespace {}

impl PartialOrd for Namespace {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Namespace {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.name.cmp(&other.0.name)
    }
}

impl std::hash::Hash for Namespace {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.name.hash(state);
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0.name, f)
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.name)
    }
}

/// The text is no namespace.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{name}' is no namespace: 1 to 64 of a-z, 0-9, '_' and '-', starting with a letter or digit"
)]
pub struct InvalidNamespace {
    /// The offending text, at most 80 characters of it.
    pub name: String,
}

/// Identity of an actor inside a namespace: 16 bytes base (a hash of the name, or random), then a
/// 16-byte MAC of the base under the namespace's key. Shown as 64 hex digits.
///
/// The MAC makes an id self-validating: an id of another namespace, or a mistyped one, is
/// refused without a look-up. It is a checksum against mistakes, not a secret: anyone who knows
/// the namespace's name can make ids for it. (The scheme is Cloudflare's, `workerd`
/// `server/actor-id-impl.c++`; the hash here is BLAKE3.)
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ObjectId([u8; 32]);

impl ObjectId {
    /// The id of the object called `name`. The same name gives the same id, on every machine.
    #[must_use]
    pub fn from_name(namespace: &Namespace, name: &str) -> Self {
        let digest = blake3::keyed_hash(&namespace.0.key, name.as_bytes());
        let mut base = [0; 16];
        base.copy_from_slice(&digest.as_bytes()[..16]);
        Self::sign(namespace, base)
    }

    /// The id with these 16 random bytes as its base, for objects without a name.
    #[must_use]
    pub fn from_random(namespace: &Namespace, base: [u8; 16]) -> Self {
        Self::sign(namespace, base)
    }

    /// Reads 64 hex digits and checks that they name an object of `namespace`.
    ///
    /// # Errors
    /// [`InvalidObjectId`] when the text is not 64 hex digits or the MAC does not match. No effect.
    pub fn parse(namespace: &Namespace, text: &str) -> Result<Self, InvalidObjectId> {
        let id: Self = text.parse()?;
        if id.belongs_to(namespace) {
            Ok(id)
        } else {
            Err(InvalidObjectId::Foreign)
        }
    }

    /// Whether the MAC is that of `namespace`.
    #[must_use]
    pub fn belongs_to(&self, namespace: &Namespace) -> bool {
        let mut base = [0; 16];
        base.copy_from_slice(&self.0[..16]);
        *self == Self::sign(namespace, base)
    }

    /// The 32 bytes, base first.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The id with exactly these bytes, as read back from storage; the MAC is not checked.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    fn sign(namespace: &Namespace, base: [u8; 16]) -> Self {
        // The leading byte keeps this input apart from every name: 0xff is not valid UTF-8.
        let mut message = [0xff; 17];
        message[1..].copy_from_slice(&base);
        let mac = blake3::keyed_hash(&namespace.0.key, &message);
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(&base);
        bytes[16..].copy_from_slice(&mac.as_bytes()[..16]);
        Self(bytes)
    }
}

impl FromStr for ObjectId {
    type Err = InvalidObjectId;

    /// Reads 64 hex digits of either case, without checking the MAC.
    fn from_str(text: &str) -> Result<Self, InvalidObjectId> {
        let malformed = || InvalidObjectId::Malformed {
            size_chars: text.chars().count(),
        };
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return Err(malformed());
        }
        let nibble = |digit: u8| {
            (digit as char)
                .to_digit(16)
                .and_then(|n| u8::try_from(n).ok())
        };
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let (high, low) = (nibble(pair[0]), nibble(pair[1]));
            *byte = high.ok_or_else(malformed)? << 4 | low.ok_or_else(malformed)?;
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is no object id of the namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidObjectId {
    /// Not 64 hex digits.
    #[error("an object id is 64 hex digits, this is {size_chars} characters")]
    Malformed {
        /// Length of the text.
        size_chars: usize,
    },
    /// The MAC is not this namespace's: mistyped, or an id of another namespace.
    #[error("the object id does not belong to this namespace, or was mistyped")]
    Foreign,
}

/// Namespace and id: all that is needed to find an object's bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Object {
    /// The namespace the id was signed for.
    pub namespace: Namespace,
    /// The identity inside it.
    pub id: ObjectId,
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/id:{}", self.namespace, self.id)
    }
}

/// Number of an activation, growing with each: the fencing token sent with every commit.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
pub struct Epoch(pub u64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// How many commits an object has had. 0: never written.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
pub struct Version(pub u64);

impl Version {
    /// The version after one more commit.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Milliseconds since the Unix epoch.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
pub struct Timestamp(pub u64);

/// As RFC 3339 writes it, in UTC.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = i64::try_from(self.0).map(jiff::Timestamp::from_millisecond);
        match time {
            Ok(Ok(time)) => fmt::Display::fmt(&time, f),
            // After the year 9999.
            _ => write!(f, "{} ms after 1970", self.0),
        }
    }
}

/// The text is no time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is no time of RFC 3339 after 1970, such as 2026-11-23T13:40:00Z")]
pub struct InvalidTimestamp {
    /// The offending text.
    pub text: String,
}

/// Reads RFC 3339, with any offset; parts of a millisecond are dropped.
impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || InvalidTimestamp { text: text.into() };
        let time: jiff::Timestamp = text.parse().map_err(|_| error())?;
        let ms = u64::try_from(time.as_millisecond()).map_err(|_| error())?;
        Ok(Self(ms))
    }
}

impl std::ops::Add<std::time::Duration> for Timestamp {
    type Output = Self;

    /// Later by `wait`, rounded down to milliseconds; stays at the end of time.
    fn add(self, wait: std::time::Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
        )
    }
}
