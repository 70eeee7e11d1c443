//! The writing end of a session's socket, for the pump and for those who write frames past it.
//!
//! Two write here, never both at one time: the pump, and while it has nothing to write and has
//! [lent](abide_actors::Connection::lend_wire) the wire, whoever sends a frame. What then does not fit into the system's
//! buffer is kept as the **rest**, and its bytes are before all others: the pump writes nothing until they are written,
//! and does not lend the wire before. So no frame is ever torn.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use abide_actors::{Frame, Wire, Written};
use bytes::buf::Chain;
use bytes::{Buf, Bytes};
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use super::Dialect;
use crate::protocol::session::escaped;
use crate::telemetry::Metrics;

/// The longest header of a frame that is not masked (RFC 6455, section 5.2).
const HEADER_MAX_BYTES: usize = 10;
/// Frames up to this size, header included, are copied together: for few bytes that costs less than having the
/// system gather them.
const TOGETHER_MAX_BYTES: usize = 512;

/// One allocation and all that a frame passes on its way, because a broadcast passes thousands of them.
pub(super) struct SessionWire {
    socket: OwnedWriteHalf,
    state: Mutex<State>,
    dialect: Dialect,
    metrics: Arc<Metrics>,
}

struct State {
    /// Of the last frame that was written past the pump.
    rest: Option<Box<Chain<Bytes, Bytes>>>,
    /// Since the connection was made.
    written_bytes: u64,
}

impl Wire for SessionWire {
    fn write_now(&self, frame: &Frame) -> Written {
        self.metrics.frames(0, 1);
        self.metrics.frame_bytes_sent(frame.size_bytes() as u64);
        let escape;
        let (kind, payload) = match frame {
            Frame::Binary(bytes) => (Data::Binary, bytes),
            Frame::Text(text) if self.dialect == Dialect::Plain => (Data::Text, text.as_bytes()),
            Frame::Text(text) => {
                escape = escaped(text.clone());
                (Data::Text, &escape)
            }
        };
        let mut space = [0; HEADER_MAX_BYTES];
        let header = header(kind, payload.len(), &mut space);
        self.write_or_keep(header, payload)
    }
}

impl SessionWire {
    /// `written_bytes` have been written so far.
    pub(super) fn new(
        socket: OwnedWriteHalf,
        written_bytes: u64,
        dialect: Dialect,
        metrics: Arc<Metrics>,
    ) -> Self {
        let rest = None;
        Self {
            socket,
            state: Mutex::new(State {
                rest,
                written_bytes,
            }),
            dialect,
            metrics,
        }
    }

    pub(super) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Bytes handed over to the system since the connection was made.
    pub(super) fn written_bytes(&self) -> u64 {
        self.state.lock().written_bytes
    }

    pub(super) fn has_rest(&self) -> bool {
        self.state.lock().rest.is_some()
    }

    /// Writes without waiting, and keeps what does not go.
    fn write_or_keep(&self, header: &[u8], payload: &Bytes) -> Written {
        let mut state = self.state.lock();
        assert!(
            state.rest.is_none(),
            "nobody writes past the pump while a rest waits"
        );
        // Whatever the error, nothing was written, and the pump will meet it when it writes the rest.
        let written = self.try_write(header, payload).unwrap_or(0);
        state.written_bytes += written as u64;
        if written == header.len() + payload.len() {
            return Written::Whole;
        }
        let mut rest = Bytes::copy_from_slice(header).chain(payload.clone());
        rest.advance(written);
        state.rest = Some(Box::new(rest));
        Written::Held
    }

    fn try_write(&self, header: &[u8], payload: &[u8]) -> io::Result<usize> {
        let length = header.len() + payload.len();
        if length <= TOGETHER_MAX_BYTES {
            let mut together = [0; TOGETHER_MAX_BYTES];
            together[..header.len()].copy_from_slice(header);
            together[header.len()..length].copy_from_slice(payload);
            send(self.stream(), &together[..length])
        } else {
            let pieces = [IoSlice::new(header), IoSlice::new(payload)];
            self.stream().try_write_vectored(&pieces)
        }
    }

    /// Writes the rest; ready when there is none any more. Before that nothing else may be written.
    pub(super) fn poll_rest(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.state.lock();
        let State {
            rest: slot,
            written_bytes,
        } = &mut *state;
        let Some(rest) = slot else {
            return Poll::Ready(Ok(()));
        };
        while rest.has_remaining() {
            let written = ready!(poll_write(self.stream(), cx, |stream| {
                let mut pieces = [IoSlice::new(&[]); 2];
                let count = rest.chunks_vectored(&mut pieces);
                stream.try_write_vectored(&pieces[..count])
            }))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            *written_bytes += written as u64;
            rest.advance(written);
        }
        *slot = None;
        Poll::Ready(Ok(()))
    }

    /// Writes for the pump, after the rest.
    pub(super) fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_rest(cx))?;
        let written = ready!(poll_write(self.stream(), cx, |stream| stream.try_write(bytes)))?;
        self.state.lock().written_bytes += written as u64;
        Poll::Ready(Ok(written))
    }

    /// Ends the stream towards the client.
    pub(super) fn shutdown(&self) -> io::Result<()> {
        let shut = rustix::net::shutdown(self.stream(), rustix::net::Shutdown::Write);
        // The client was faster, and nobody is left to tell.
        match shut {
            Err(rustix::io::Errno::NOTCONN) => Ok(()),
            shut => Ok(shut?),
        }
    }

    fn stream(&self) -> &TcpStream {
        self.socket.as_ref()
    }
}

/// Writes without a look at what tokio knows of the socket: one place in memory less to fetch, and a socket without
/// room says so by itself. That tokio then takes it for writable costs the pump one try.
#[cfg(target_os = "linux")]
fn send(stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    use rustix::net::{SendFlags, send};
    Ok(send(
        stream,
        bytes,
        SendFlags::DONTWAIT | SendFlags::NOSIGNAL,
    )?)
}

#[cfg(not(target_os = "linux"))]
fn send(stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    stream.try_write(bytes)
}

/// Writes as soon as the socket takes something.
fn poll_write(
    stream: &TcpStream,
    cx: &mut Context<'_>,
    write: impl Fn(&TcpStream) -> io::Result<usize>,
) -> Poll<io::Result<usize>> {
    loop {
        match write(stream) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                ready!(stream.poll_write_ready(cx))?;
            }
            written => return Poll::Ready(written),
        }
    }
}

/// The header of a frame that is a message of its own.
fn header(kind: Data, length: usize, space: &mut [u8; HEADER_MAX_BYTES]) -> &[u8] {
    let header = FrameHeader {
        opcode: OpCode::Data(kind),
        ..FrameHeader::default()
    };
    let length = length as u64;
    let mut rest = &mut space[..];
    header
        .format(length, &mut rest)
        .expect("there is room for the longest");
    &space[..header.len(length)]
}
