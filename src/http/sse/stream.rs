//! A session as the body of a response.
//!
//! The HTTP layer asks for the next piece when the client has taken enough of what came before; what
//! it does not ask for waits in the session's queue, whose bound ends the session. When the client
//! goes, the body is dropped, and with it the connection: the object hears that.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use abide_actors::{Connection, Outgoing};
use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::time::{Instant, Sleep, sleep};

use super::super::app::App;
use super::event;
use super::event_id::EventId;
use crate::telemetry::Metrics;

/// What is gathered into one piece: fewer pieces mean fewer writes, larger ones more waiting.
const PIECE_SIZE_BYTES: usize = 16 << 10;

/// The events of one session.
pub(super) struct Events {
    /// None once the last event is written.
    connection: Option<Connection>,
    /// How far the client is when it has got what is written.
    position: EventId,
    /// Made, not yet asked for.
    written: String,
    metrics: Arc<Metrics>,
    silence: Pin<Box<Sleep>>,
    silence_max: Duration,
}

impl Events {
    /// `received` is how many frames the client of a resumed session has.
    pub(super) fn new(connection: Connection, received: u64, app: &App) -> Self {
        let silence_max = app.config.ping_interval.duration();
        let mut written = event::RETRY.to_owned();
        let welcome = connection.welcome();
        let welcome = welcome.expect("every session of events can be resumed");
        let sent = if welcome.resumed { received } else { 0 };
        let position = EventId {
            token: welcome.token.clone(),
            count: sent,
        };
        event::id(&mut written, &position);
        event::welcome(&mut written, &welcome);
        Self {
            connection: Some(connection),
            position,
            written,
            metrics: app.metrics.clone(),
            silence: Box::pin(sleep(silence_max)),
            silence_max,
        }
    }

    /// Writes what the session has to say, up to one piece.
    fn gather(&mut self, cx: &Context<'_>) {
        let mut sent = 0;
        while self.written.len() < PIECE_SIZE_BYTES {
            let Some(connection) = &mut self.connection else {
                break;
            };
            match connection.poll_outgoing(cx) {
                Poll::Ready(Outgoing::Frame(frame)) => {
                    sent += 1;
                    self.position.count += 1;
                    event::id(&mut self.written, &self.position);
                    event::frame(&mut self.written, &frame);
                }
                Poll::Ready(Outgoing::Close(close)) => {
                    event::close(&mut self.written, &close);
                    if let Some(connection) = self.connection.take() {
                        connection.closed(close);
                    }
                }
                Poll::Ready(Outgoing::Control(text)) => event::control(&mut self.written, &text),
                // The next event's id tells.
                Poll::Ready(Outgoing::Skip(count)) => self.position.count += count,
                // Both are brought about by frames from the client, and there are none.
                Poll::Ready(Outgoing::Readable | Outgoing::Ack(_)) => {}
                Poll::Pending => break,
            }
        }
        self.metrics.frames(0, sent);
    }
}

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.gather(cx);
        if self.written.is_empty() {
            if self.connection.is_none() {
                return Poll::Ready(None);
            }
            ready!(self.silence.as_mut().poll(cx));
            self.written.push_str(event::HEARTBEAT);
        }
        let silence_ends = Instant::now() + self.silence_max;
        self.silence.as_mut().reset(silence_ends);
        let piece = Bytes::from(std::mem::take(&mut self.written));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.connection.is_none() && self.written.is_empty()
    }
}
