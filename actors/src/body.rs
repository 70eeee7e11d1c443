//! A streamed HTTP body without an HTTP library: a stream of byte chunks.

use std::fmt;
use std::pin::Pin;

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt};

/// Why a body broke off.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct BodyError(Box<dyn std::error::Error + Send + Sync>);

impl BodyError {
    /// Wraps the transport's own error, or a sentence.
    pub fn new(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(error.into())
    }
}

type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes, BodyError>> + Send>>;

/// The body of a raw HTTP request or response.
pub struct Body(Inner);

enum Inner {
    Whole(Bytes),
    Stream(Chunks),
}

impl Body {
    /// No bytes.
    #[must_use]
    pub fn empty() -> Self {
        Self::from(Bytes::new())
    }

    /// A body that arrives in pieces.
    pub fn from_stream<S>(chunks: S) -> Self
    where
        S: Stream<Item = Result<Bytes, BodyError>> + Send + 'static,
    {
        Self(Inner::Stream(Box::pin(chunks)))
    }

    /// All of it, when it is at most `limit_bytes`.
    ///
    /// # Errors
    /// When the body breaks off or is larger. What was read so far is gone.
    ///
    /// # Cancel safety
    /// No: bytes read so far are lost.
    pub async fn bytes(self, limit_bytes: usize) -> Result<Bytes, BodyError> {
        let mut chunks = match self.0 {
            Inner::Whole(bytes) if bytes.len() <= limit_bytes => return Ok(bytes),
            Inner::Whole(_) => return Err(too_large(limit_bytes)),
            Inner::Stream(chunks) => chunks,
        };
        let mut all = Vec::new();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk?;
            if all.len() + chunk.len() > limit_bytes {
                return Err(too_large(limit_bytes));
            }
            all.extend_from_slice(&chunk);
        }
        Ok(all.into())
    }

    /// The bytes when they are all here already, or the stream of chunks.
    ///
    /// # Errors
    /// The stream, when the body arrives in pieces.
    pub fn into_whole(self) -> Result<Bytes, Chunks> {
        match self.0 {
            Inner::Whole(bytes) => Ok(bytes),
            Inner::Stream(chunks) => Err(chunks),
        }
    }

    /// The chunks.
    #[must_use]
    pub fn into_stream(self) -> Chunks {
        match self.0 {
            Inner::Whole(bytes) => Box::pin(stream::iter([Ok(bytes)])),
            Inner::Stream(chunks) => chunks,
        }
    }
}

fn too_large(limit_bytes: usize) -> BodyError {
    BodyError::new(format!("the body is larger than {limit_bytes} bytes"))
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self(Inner::Whole(bytes))
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Inner::Whole(bytes) => write!(f, "Body({} bytes)", bytes.len()),
            Inner::Stream(_) => f.write_str("Body(stream)"),
        }
    }
}
