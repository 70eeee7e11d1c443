//! Values on their way in and out: bytes with their encoding.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

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
    /// as an empty array.
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

fn decode_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, InvalidPayload> {
    let mut decoder = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut decoder).map_err(InvalidPayload::at_path)?;
    decoder.end().map_err(InvalidPayload::new)?;
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
