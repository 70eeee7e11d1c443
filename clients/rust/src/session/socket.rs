//! One WebSocket connection.

use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::HeaderValue;
use http::header::SEC_WEBSOCKET_PROTOCOL;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::control::Wire;
use super::machine::Failure;
use crate::address::Address;
use crate::frame::Frame;
use crate::problem::Problem;

/// A process may hold thousands of sessions: the buffers begin small, and grow with large messages.
const BUFFER_SIZE_BYTES: usize = 4 << 10;

/// Largest message taken; the largest setting of a server's `frame_size_max`.
const MESSAGE_SIZE_MAX_BYTES: usize = 64 << 20;

/// How long a close waits for the other end's close, once it is written.
const CLOSE_WAIT: Duration = Duration::from_secs(2);

pub(super) struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// Something was written and not flushed.
    dirty: bool,
}

/// What a connection has to tell.
pub(super) enum Happened {
    Message(Frame),
    /// A ping or a pong.
    Sign,
    Lost(Failure),
}

/// Whether a message may be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    On,
    /// What is read already has to be told first.
    Held,
}

impl Socket {
    /// Connects, and agrees on one of the subprotocols.
    pub(super) async fn open(
        address: &Address,
        url: &str,
        protocols: &[String],
    ) -> Result<(Self, Option<String>), Failure> {
        let host = address.authority.host().trim_matches(['[', ']']);
        let port = address
            .authority
            .port_u16()
            .unwrap_or(if address.encrypted { 443 } else { 80 });
        let socket = TcpStream::connect((host, port)).await.map_err(io)?;
        socket.set_nodelay(true).map_err(io)?;
        let mut request = url.into_client_request().map_err(failure)?;
        if !protocols.is_empty() {
            let offered = HeaderValue::from_str(&protocols.join(", "))
                .map_err(|error| Failure::NotSupported(error.to_string()))?;
            request
                .headers_mut()
                .insert(SEC_WEBSOCKET_PROTOCOL, offered);
        }
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER_SIZE_BYTES)
            .write_buffer_size(BUFFER_SIZE_BYTES)
            .max_frame_size(Some(MESSAGE_SIZE_MAX_BYTES))
            .max_message_size(Some(MESSAGE_SIZE_MAX_BYTES));
        #[cfg(feature = "tls")]
        let opened =
            tokio_tungstenite::client_async_tls_with_config(request, socket, Some(config), None)
                .await;
        #[cfg(not(feature = "tls"))]
        let opened = {
            let socket = MaybeTlsStream::Plain(socket);
            tokio_tungstenite::client_async_with_config(request, socket, Some(config)).await
        };
        let (stream, response) = opened.map_err(failure)?;
        let agreed = response.headers().get(SEC_WEBSOCKET_PROTOCOL);
        let agreed = agreed.and_then(|value| Some(value.to_str().ok()?.to_owned()));
        let socket = Self {
            stream,
            dirty: false,
        };
        Ok((socket, agreed))
    }

    /// Writes what `next` gives as fast as the connection takes it, and reads one message, if
    /// reading is not held up.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        mut next: impl FnMut() -> Option<Wire>,
        reading: Reading,
    ) -> Poll<Happened> {
        match self.poll_write(cx, &mut next) {
            Poll::Ready(Err(error)) => return Poll::Ready(Happened::Lost(failure(error))),
            Poll::Ready(Ok(())) | Poll::Pending => {}
        }
        if reading == Reading::Held {
            return Poll::Pending;
        }
        Poll::Ready(match ready!(self.stream.poll_next_unpin(cx)) {
            Some(Ok(message)) => happened(message),
            Some(Err(error)) => Happened::Lost(failure(error)),
            None => Happened::Lost(Failure::Io("the connection ended".to_owned())),
        })
    }

    /// Ready when nothing is left to be written.
    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        next: &mut impl FnMut() -> Option<Wire>,
    ) -> Poll<Result<(), Error>> {
        loop {
            ready!(self.stream.poll_ready_unpin(cx))?;
            let Some(wire) = next() else { break };
            self.stream.start_send_unpin(message(wire))?;
            self.dirty = true;
        }
        if self.dirty {
            ready!(self.stream.poll_flush_unpin(cx))?;
            self.dirty = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Says goodbye, and waits a little for the other end to do the same.
    pub(super) async fn close(mut self, code: u16) {
        let close = CloseFrame {
            code: CloseCode::from(code),
            reason: Default::default(),
        };
        let closing = async {
            if self.stream.close(Some(close)).await.is_ok() {
                while let Some(Ok(_)) = self.stream.next().await {}
            }
        };
        // A peer that does not answer keeps nobody.
        let _late = timeout(CLOSE_WAIT, closing).await;
    }
}

fn message(wire: Wire) -> Message {
    match wire {
        Wire::Text(text) => Message::Text(text.into()),
        Wire::Binary(bytes) => Message::Binary(bytes),
        Wire::Ping => Message::Ping(Bytes::new()),
    }
}

fn happened(message: Message) -> Happened {
    match message {
        Message::Text(text) => Happened::Message(Frame::Text(text.as_str().to_owned())),
        Message::Binary(bytes) => Happened::Message(Frame::Binary(bytes)),
        Message::Close(Some(close)) => Happened::Lost(Failure::Closed {
            code: close.code.into(),
            reason: close.reason.as_str().to_owned(),
        }),
        Message::Close(None) => Happened::Lost(Failure::Io("closed without a code".to_owned())),
        Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => Happened::Sign,
    }
}

fn io(error: std::io::Error) -> Failure {
    Failure::Io(error.to_string())
}

fn failure(error: Error) -> Failure {
    match error {
        Error::Http(response) => {
            let status = response.status().as_u16();
            let body = response.into_body().unwrap_or_default();
            Failure::Refused {
                status,
                problem: Problem::read(status, &body).map(Box::new),
            }
        }
        Error::Protocol(ProtocolError::SecWebSocketSubProtocolError(error)) => {
            Failure::NotSupported(error.to_string())
        }
        Error::Url(error) => Failure::NotSupported(error.to_string()),
        error => Failure::Io(error.to_string()),
    }
}
