//! Values on their way in and out: bytes with their encoding.

mod stored;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) use stored::{Blob, StoredPayload, number};

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// JSON, UTF-8.
    Json,
    /// MessagePack, structs as maps.
    MessagePack,
    /// A URL's query string, percent-encoded; arguments only.
    Query,
}

impl Encoding {
    /// The encoding of the reply when the caller names none.
    #[must_use]
    pub fn for_reply(self) -> Self {
        match self {
            Self::MessagePack => Self::MessagePack,
            Self::Json | Self::Query => Self::Json,
        }
    }
}

/// An encoded value. No bytes at all stand for "no arguments".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// How it is written.
    pub encoding: Encoding,
    /// The bytes.
    pub bytes: Bytes,
}

impl Payload {
    /// No arguments.
    #[must_use]
    pub fn none() -> Self {
        Self {
            encoding: Encoding::Json,
            bytes: Bytes::new(),
        }
    }

    /// JSON text, not checked here.
    #[must_use]
    pub fn json(bytes: impl Into<Bytes>) -> Self {
        Self {
            encoding: Encoding::Json,
            bytes: bytes.into(),
        }
    }

    /// Encodes a value.
    ///
    /// # Errors
    /// [`InvalidPayload`] when the value has no form in the encoding (a map with keys that are no
    /// strings, in JSON).
    pub fn encode<T: Serialize + ?Sized>(
        value: &T,
        encoding: Encoding,
    ) -> Result<Self, InvalidPayload> {
        let bytes = match encoding {
            Encoding::Json | Encoding::Query => {
                serde_json::to_vec(value).map_err(InvalidPayload::new)?
            }
            Encoding::MessagePack => rmp_serde::to_vec_named(value).map_err(InvalidPayload::new)?,
        };
        Ok(Self {
            encoding: encoding.for_reply(),
            bytes: bytes.into(),
        })
    }

    /// Reads a value. Structs come from maps by name and from arrays by position; no bytes read
    /// as an empty map.
    ///
    /// # Errors
    /// [`InvalidPayload`], with the path to what does not fit.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, InvalidPayload> {
        if self.bytes.is_empty() {
            // All absent, the same as `{}`: optional arguments have their defaults.
            return decode_json(b"{}");
        }
        match self.encoding {
            Encoding::Json => decode_json(&self.bytes),
            Encoding::MessagePack => {
                let mut decoder =
                    rmp_serde::Deserializer::new(std::io::Cursor::new(&self.bytes[..]));
                decoder.set_max_depth(DEPTH_MAX);
                let value = serde_path_to_error::deserialize(&mut decoder)
                    .map_err(InvalidPayload::at_path)?;
                let rest = self.bytes.len() as u64 - decoder.position();
                if rest > 0 {
                    return Err(InvalidPayload::new(format!(
                        "{rest} bytes follow the value"
                    )));
                }
                Ok(value)
            }
            Encoding::Query => {
                let decoder = serde_html_form::Deserializer::from_bytes(&self.bytes);
                serde_path_to_error::deserialize(decoder).map_err(InvalidPayload::at_path)
            }
        }
    }
}

/// Deepest nesting of a value: the limit `serde_json` has of its own. Decoding recurses, and a thread's
/// stack is small.
const DEPTH_MAX: usize = 128;

fn decode_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, InvalidPayload> {
    let mut decoder = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut decoder).map_err(InvalidPayload::at_path)?;
    decoder
        .end()
        .map_err(|error| match bytes.trim_ascii_start().first() {
            Some(b'[') => InvalidPayload::new(format!("more elements than expected: {error}")),
            _ => InvalidPayload::new(error),
        })?;
    Ok(value)
}

/// Bytes that do not decode as the value asked for, or a value that does not encode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{detail}", .path.as_ref().map(|path| format!("`{path}`: ")).unwrap_or_default())]
pub struct InvalidPayload {
    /// Where in the value, `by` or `lines[3].text`; `None`: the whole of it.
    pub path: Option<String>,
    /// What was found and what was expected.
    pub detail: String,
}

impl InvalidPayload {
    /// One that concerns the whole value.
    #[must_use]
    pub fn new(detail: impl ToString) -> Self {
        Self {
            path: None,
            detail: detail.to_string(),
        }
    }

    fn at_path<E: std::error::Error>(error: serde_path_to_error::Error<E>) -> Self {
        let path = error.path().to_string();
        let path = (path != "." && !path.is_empty()).then_some(path);
        Self {
            path,
            detail: error.inner().to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_that_would_take_the_stack_is_refused_in_both_encodings() {
        let nested = [vec![0x91; 5_000], vec![0xc0]].concat();
        let payload = Payload {
            encoding: Encoding::MessagePack,
            bytes: nested.into(),
        };
        let refused = payload.decode::<serde_json::Value>().unwrap_err();
        assert!(refused.to_string().contains("depth"), "{refused}");
        let payload = Payload::json("[".repeat(5_000));
        let refused = payload.decode::<serde_json::Value>().unwrap_err();
        assert!(refused.to_string().contains("recursion"), "{refused}");
    }

    #[test]
    fn what_follows_the_value_is_refused() {
        assert!(Payload::json("1 2").decode::<u64>().is_err());
        let two = Payload {
            encoding: Encoding::MessagePack,
            bytes: vec![1, 2].into(),
        };
        assert!(two.decode::<u64>().is_err());
    }

    #[test]
    fn no_bytes_are_no_arguments() {
        #[derive(serde::Deserialize, PartialEq, Debug)]
        struct Arguments {
            by: Option<u64>,
        }
        for encoding in [Encoding::Json, Encoding::MessagePack, Encoding::Query] {
            let none = Payload {
                encoding,
                bytes: Bytes::new(),
            };
            assert_eq!(none.decode(), Ok(Arguments { by: None }));
        }
    }

    #[test]
    fn the_path_to_what_does_not_fit_is_named() {
        let refused = Payload::json(r#"{"a":[1,"x"]}"#)
            .decode::<std::collections::BTreeMap<String, Vec<u64>>>()
            .unwrap_err();
        assert_eq!(refused.path.as_deref(), Some("a[1]"));
    }
}
