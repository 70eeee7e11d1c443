//! One session's task: frames out of the queue into the socket, frames off the socket to the object.
//!
//! Everything happens in one task and one poll function, with no split of the socket and no
//! channel. What is ready to be sent is written into the socket's buffer frame by frame and
//! flushed once. A frame from the client is read only when the object has handled the one before
//! (pacing): until then it waits in the kernel's buffer, and the client's sends slow down.
//!
//! A client that speaks `abide.v1` gets and sends control messages besides (`protocol/session.rs`); to a
//! plain one nothing of that is ever written, and what it sends is all the application's.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use abide_actors::{Close, Connection, Frame, Incoming, Outgoing, Text};
use bytes::Bytes;
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::CapacityError;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::Frame as WireFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{self, Error, Message};

use super::super::app::App;
use super::super::linger::linger;
use super::Dialect;
use super::heartbeat::{Beat, Heartbeat};
use super::stream::SessionStream;
use crate::problem::Problem;
use crate::protocol::session::{Control, Inbound, InvalidMessage, Said, control, escaped};
use crate::telemetry::Metrics;

/// How long the client may take to answer our close frame.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// Close codes that are never on the wire (RFC 6455, section 7.4.1) or that we alone choose here.
const NO_STATUS: u16 = 1005;
const PROTOCOL_ERROR: u16 = 1002;
const TOO_LARGE: u16 = 1009;

/// A socket with its session.
pub(super) struct Pump {
    socket: WebSocketStream<SessionStream>,
    connection: Connection,
    dialect: Dialect,
    /// What is written before anything else.
    greeting: Option<Bytes>,
    heartbeat: Heartbeat,
    metrics: Arc<Metrics>,
    /// No frame of the client's is with the object, so the next one may be read.
    reading: bool,
    /// The socket takes no more, because the client does not read.
    blocked: bool,
    /// Something has been written to the socket's buffer since the last flush.
    unflushed: bool,
    received: u64,
    sent: u64,
    sent_bytes: u64,
}

/// How a session ends.
enum End {
    /// The object or the drain closes it.
    Ours(Close),
    /// The client closes it; the echo is queued.
    Theirs(Close),
    /// The client broke the protocol or a limit.
    Violation(Close),
    /// The connection is gone, or as good as gone.
    Lost,
}

impl Pump {
    /// Greets a client of a session that can be resumed.
    pub(super) fn new(
        socket: WebSocketStream<SessionStream>,
        connection: Connection,
        app: &App,
    ) -> Self {
        let config = &app.config;
        let greeting = connection.welcome().map(|welcome| {
            let protocol = connection.protocol();
            Said::welcome(&welcome, protocol.as_deref()).into_bytes()
        });
        let wire = socket.get_ref().wire().clone();
        let dialect = wire.dialect();
        connection.set_wire(wire);
        Self {
            socket,
            connection,
            dialect,
            greeting,
            heartbeat: Heartbeat::new(
                config.ping_interval.duration(),
                config.ping_timeout.duration(),
            ),
            metrics: app.metrics.clone(),
            reading: true,
            blocked: false,
            unflushed: false,
            received: 0,
            sent: 0,
            sent_bytes: 0,
        }
    }

    /// Pumps until the session ends, and ends it properly.
    pub(super) async fn run(mut self) {
        let end = std::future::poll_fn(|cx| self.poll(cx)).await;
        let Self {
            mut socket,
            connection,
            ..
        } = self;
        match end {
            End::Ours(close) => {
                connection.closed(close.clone());
                say_goodbye(&mut socket, close).await;
            }
            End::Theirs(close) => {
                connection.left(close);
                // Reading on sends the echo, then ends.
                drop(
                    timeout(CLOSE_TIMEOUT, async {
                        while socket.next().await.is_some() {}
                    })
                    .await,
                );
            }
            End::Violation(close) => {
                connection.closed(close.clone());
                drop(timeout(CLOSE_TIMEOUT, socket.send(message_of(close))).await);
                linger(socket.get_mut()).await;
            }
            End::Lost => drop(connection),
        }
    }

    /// Does all that can be done now; ready when the session is to end.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        // From here on nobody else writes, so that whatever is written next is not in the midst of a frame.
        self.connection.take_wire_back();
        if self.socket.get_ref().wire().has_rest() {
            self.unflushed = true;
        }
        let ended = self.poll_both_ways(cx);
        if ended.is_pending() && self.has_written_all() {
            self.connection.lend_wire();
        }
        self.metrics.frames(
            std::mem::take(&mut self.received),
            std::mem::take(&mut self.sent),
        );
        self.metrics
            .frame_bytes_sent(std::mem::take(&mut self.sent_bytes));
        ended
    }

    fn poll_both_ways(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            let blocked = match self.poll_outgoing(cx) {
                Ok(blocked) => blocked,
                Err(end) => return Poll::Ready(end),
            };
            if std::mem::replace(&mut self.blocked, blocked) && !blocked {
                // It has read, which is as good as something said.
                self.heartbeat.heard();
            }
            // A client that does not read is not read from either: what its frames bring about
            // could not be delivered.
            if blocked || !self.reading {
                break;
            }
            match self.poll_incoming(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(end)) => return Poll::Ready(end),
                Poll::Pending => break,
            }
        }
        self.poll_heartbeat(cx)
    }

    /// Whether not a byte is left to write that was taken out of the session's queue, or is the protocol's own. A
    /// pong that the protocol has in mind and has not begun to write may stay behind frames.
    fn has_written_all(&self) -> bool {
        !self.blocked && !self.unflushed && self.socket.get_ref().has_caught_up()
    }

    /// Writes what is queued, then flushes once. `true`: the socket takes no more for now.
    fn poll_outgoing(&mut self, cx: &mut Context<'_>) -> Result<bool, End> {
        loop {
            match Pin::new(&mut self.socket).poll_ready(cx) {
                Poll::Ready(ready) => ready.map_err(|_| End::Lost)?,
                Poll::Pending => return Ok(true),
            }
            if let Some(greeting) = self.greeting.take() {
                self.say(greeting)?;
                continue;
            }
            match self.connection.poll_outgoing(cx) {
                Poll::Ready(Outgoing::Frame(frame)) => self.write(frame)?,
                Poll::Ready(Outgoing::Skip(n)) => self.say(Said::Skip { n }.into_bytes())?,
                Poll::Ready(Outgoing::Ack(n)) => self.say(Said::Ack { n }.into_bytes())?,
                Poll::Ready(Outgoing::Control(text)) => self.say(text.into_bytes())?,
                Poll::Ready(Outgoing::Close(close)) => return Err(End::Ours(close)),
                Poll::Ready(Outgoing::Readable) => self.reading = true,
                Poll::Pending => break,
            }
        }
        if self.unflushed {
            match Pin::new(&mut self.socket).poll_flush(cx) {
                Poll::Ready(flushed) => flushed.map_err(|_| End::Lost)?,
                Poll::Pending => return Ok(true),
            }
            self.unflushed = false;
        }
        Ok(false)
    }

    /// Reads one message and hands it on.
    fn poll_incoming(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        let Poll::Ready(message) = Pin::new(&mut self.socket).poll_next(cx) else {
            return Poll::Pending;
        };
        self.heartbeat.heard();
        Poll::Ready(match message {
            Some(Ok(Message::Text(text))) => match Text::try_from(Bytes::from(text)) {
                Ok(text) => self.take_text(text),
                Err(_) => Err(End::Violation(Close::new(
                    Close::INVALID_PAYLOAD,
                    "not UTF-8",
                ))),
            },
            Some(Ok(Message::Binary(bytes))) => self.deliver(Frame::Binary(bytes)),
            // The pong is queued already; it leaves with the next read or flush.
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Ok(()),
            Some(Ok(Message::Close(frame))) => Err(End::Theirs(close_of(frame))),
            Some(Err(error)) => Err(end_of(&error)),
            None => Err(End::Lost),
        })
    }

    fn take_text(&mut self, text: Text) -> Result<(), End> {
        if self.dialect == Dialect::Plain {
            return self.deliver(Frame::Text(text));
        }
        match Inbound::read(text) {
            Ok(Inbound::Data(text)) => self.deliver(Frame::Text(text)),
            Ok(Inbound::Control(control)) => self.obey(&control),
            Err(invalid) => {
                let code = match invalid {
                    InvalidMessage::TooLarge { .. } => TOO_LARGE,
                    InvalidMessage::NoEscape | InvalidMessage::Malformed(_) => PROTOCOL_ERROR,
                };
                Err(End::Violation(Close::new(code, invalid.to_string())))
            }
        }
    }

    fn obey(&mut self, message: &Control) -> Result<(), End> {
        match message {
            Control::Ack { n } => self.connection.acknowledge(*n).map_err(|error| {
                let reason = format!("ack {n}: {error}");
                End::Violation(Close::new(PROTOCOL_ERROR, reason))
            }),
            Control::Ping => self.say(Said::Pong.into_bytes()),
            Control::Presence { state } => match self.connection.presence(state.as_ref()) {
                Ok(()) => Ok(()),
                Err(refused) => self.say(control(&Problem::from(refused).members())),
            },
            Control::Unknown => Ok(()),
        }
    }

    fn deliver(&mut self, frame: Frame) -> Result<(), End> {
        self.received += 1;
        match self.connection.deliver(frame) {
            Incoming::Accepted => self.reading = false,
            Incoming::Answered(frame) => self.write(frame)?,
            Incoming::Ignored => {}
        }
        Ok(())
    }

    /// Writes a message of the application's.
    fn write(&mut self, frame: Frame) -> Result<(), End> {
        self.sent += 1;
        self.sent_bytes += frame.size_bytes() as u64;
        let message = match (frame, self.dialect) {
            (Frame::Binary(bytes), _) => wire_frame(bytes, Data::Binary),
            (Frame::Text(text), Dialect::Plain) => wire_frame(text.into_bytes(), Data::Text),
            (Frame::Text(text), Dialect::Abide) => wire_frame(escaped(text), Data::Text),
        };
        self.put(message)
    }

    /// Writes a control message.
    fn say(&mut self, text: Bytes) -> Result<(), End> {
        self.put(wire_frame(text, Data::Text))
    }

    fn put(&mut self, message: Message) -> Result<(), End> {
        self.unflushed = true;
        Pin::new(&mut self.socket)
            .start_send(message)
            .map_err(|_| End::Lost)
    }

    fn poll_heartbeat(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        if !self.reading && !self.blocked {
            // We are the ones who do not listen, and not because the client does not.
            self.heartbeat.heard();
        }
        while let Poll::Ready(beat) = {
            let socket = self.socket.get_ref();
            self.heartbeat.poll(cx, || socket.progress())
        } {
            if beat == Beat::Dead {
                return Poll::Ready(End::Lost);
            }
            // A blocked socket has something of ours to answer to already.
            if let Poll::Ready(Ok(())) = Pin::new(&mut self.socket).poll_ready(cx) {
                let ping = Pin::new(&mut self.socket).start_send(Message::Ping(Bytes::new()));
                if ping.is_err() || matches!(self.flush(cx), Poll::Ready(Err(_))) {
                    return Poll::Ready(End::Lost);
                }
            }
            self.heartbeat.pinged(self.socket.get_ref().progress());
        }
        Poll::Pending
    }

    fn flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), tungstenite::Error>> {
        self.unflushed = true;
        let flushed = Pin::new(&mut self.socket).poll_flush(cx);
        if flushed.is_ready() {
            self.unflushed = false;
        }
        flushed
    }
}

/// Sends our close frame and waits for the client's, within bounds.
pub(super) async fn say_goodbye(socket: &mut WebSocketStream<SessionStream>, close: Close) {
    let goodbye = async {
        if socket.send(message_of(close)).await.is_ok() {
            // Frames that were on their way are dropped: nobody is left to take them.
            while let Some(Ok(_)) = socket.next().await {}
        }
    };
    drop(timeout(CLOSE_TIMEOUT, goodbye).await);
}

/// The frame as it goes on the wire: the bytes are shared by all receivers of a broadcast, and
/// not checked again for being UTF-8.
pub(super) fn wire_frame(bytes: Bytes, kind: Data) -> Message {
    Message::Frame(WireFrame::message(bytes, OpCode::Data(kind), true))
}

fn message_of(close: Close) -> Message {
    Message::Close(Some(CloseFrame {
        code: close.code.into(),
        reason: close.reason.into(),
    }))
}

fn close_of(frame: Option<CloseFrame>) -> Close {
    match frame {
        Some(frame) => Close::new(frame.code.into(), frame.reason.as_str()),
        None => Close::new(NO_STATUS, ""),
    }
}

/// What an error of the protocol's implementation means for the session.
fn end_of(error: &Error) -> End {
    match error {
        Error::Capacity(CapacityError::MessageTooLong { size, max_size }) => {
            let reason = format!("a message of {size} bytes came, {max_size} are the most");
            End::Violation(Close::new(TOO_LARGE, reason))
        }
        Error::Utf8(_) => {
            End::Violation(Close::new(Close::INVALID_PAYLOAD, "text that is not UTF-8"))
        }
        // Without a close frame: the client vanished rather than misbehaved.
        Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake) => {
            End::Lost
        }
        Error::Protocol(error) => End::Violation(Close::new(PROTOCOL_ERROR, error.to_string())),
        _ => End::Lost,
    }
}
