//! Payloads as they lie in rows: the encoding as a number, then the bytes.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{Encoding, Payload};

/// A payload in a row. Part of stored values: never change its fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredPayload {
    /// See [`number`].
    encoding: u8,
    bytes: Blob,
}

impl StoredPayload {
    pub(crate) fn of(payload: &Payload) -> Self {
        Self {
            encoding: number(payload.encoding),
            bytes: Blob(payload.bytes.clone()),
        }
    }

    /// The payload; or what is wrong with it, as the end of a sentence.
    pub(crate) fn into_payload(self) -> Result<Payload, String> {
        let encoding = [Encoding::Json, Encoding::MessagePack, Encoding::Query]
            .into_iter()
            .find(|encoding| number(*encoding) == self.encoding);
        Ok(Payload {
            encoding: encoding.ok_or_else(|| format!("encoding {}", self.encoding))?,
            bytes: self.bytes.0,
        })
    }
}

/// An encoding as it is stored and hashed: never renumber.
pub(crate) fn number(encoding: Encoding) -> u8 {
    match encoding {
        Encoding::Json => 0,
        Encoding::MessagePack => 1,
        Encoding::Query => 2,
    }
}

/// Bytes that are encoded as such, not one by one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Blob(pub(crate) Bytes);

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Blob;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Blob, E> {
                Ok(Blob(Bytes::copy_from_slice(bytes)))
            }
            fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Blob, E> {
                Ok(Blob(bytes.into()))
            }
        }
        deserializer.deserialize_byte_buf(Visitor)
    }
}
