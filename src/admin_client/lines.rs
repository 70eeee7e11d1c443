//! Answers that come line by line.

use std::marker::PhantomData;

use bytes::{Bytes, BytesMut};
use http::Response;
use http::uri::Authority;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::{AdminError, SILENCE_MAX};
use crate::protocol::Line;

/// Longest line of an answer, so that a stranger on the port cannot fill the memory.
const LINE_SIZE_MAX_BYTES: usize = 16 << 20;

/// An answer that comes line by line.
#[derive(Debug)]
pub(crate) struct Lines<I, E> {
    authority: Authority,
    body: Incoming,
    received: BytesMut,
    end: Option<E>,
    of: PhantomData<fn() -> I>,
}

impl<I: DeserializeOwned, E: DeserializeOwned> Lines<I, E> {
    pub(super) fn of(authority: &Authority, response: Response<Incoming>) -> Self {
        Self {
            authority: authority.clone(),
            body: response.into_body(),
            received: BytesMut::new(),
            end: None,
            of: PhantomData,
        }
    }

    /// The next item; `None` after the last, when [`end`](Self::end) is there.
    ///
    /// # Errors
    /// What the server says, or that it said no more.
    pub(crate) async fn next(&mut self) -> Result<Option<I>, AdminError> {
        loop {
            if let Some(at) = self.received.iter().position(|byte| *byte == b'\n') {
                let line = self.received.split_to(at + 1);
                let line = serde_json::from_slice(&line)
                    .map_err(|error| AdminError::not_ours(&self.authority, error.to_string()))?;
                return match line {
                    Line::Item(item) => Ok(Some(item)),
                    Line::End(end) => {
                        self.end = Some(end);
                        Ok(None)
                    }
                    Line::Problem(refused) => Err(refused.into()),
                };
            }
            if self.received.len() > LINE_SIZE_MAX_BYTES {
                let found = format!("a line is longer than {LINE_SIZE_MAX_BYTES} bytes");
                return Err(AdminError::not_ours(&self.authority, found));
            }
            match next_chunk(&mut self.body, &self.authority).await? {
                Some(chunk) => self.received.extend_from_slice(&chunk),
                None => {
                    return Err(AdminError::lost(
                        &self.authority,
                        "it ended without its last line",
                    ));
                }
            }
        }
    }

    /// What the last line said, once [`next`](Self::next) has answered `None`.
    pub(crate) fn end(self) -> Option<E> {
        self.end
    }
}

/// The next piece of an answer; trailers say nothing here.
pub(super) async fn next_chunk(
    body: &mut Incoming,
    authority: &Authority,
) -> Result<Option<Bytes>, AdminError> {
    loop {
        let frame = timeout(SILENCE_MAX, body.frame())
            .await
            .map_err(|elapsed| AdminError::lost(authority, elapsed))?;
        match frame {
            None => return Ok(None),
            Some(Err(error)) => return Err(AdminError::lost(authority, error)),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}
