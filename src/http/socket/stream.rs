//! The socket of a session, as the WebSocket's implementation reads and writes it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::OwnedSemaphorePermit;

use super::super::lean::Leftover;
use super::super::patience::Watched;
use super::super::progress::Progress;
use super::Dialect;
use super::wire::SessionWire;
use crate::telemetry::Metrics;

/// A socket of whose writing end others may have a part. Holds the connection's place among
/// `connections_max` for as long as it is open.
pub(super) struct SessionStream {
    reader: OwnedReadHalf,
    leftover: Leftover,
    wire: Arc<SessionWire>,
    /// The last write took less than it was given, and who gave it still has what is left.
    is_behind: bool,
    _place: OwnedSemaphorePermit,
}

impl SessionStream {
    /// Of a connection that has ended its HTTP.
    pub(super) fn new(watched: Watched, dialect: Dialect, metrics: Arc<Metrics>) -> Self {
        let (socket, leftover, written_bytes, place) = watched.into_parts();
        let (reader, writer) = socket.into_split();
        let wire = SessionWire::new(writer, written_bytes, dialect, metrics);
        Self {
            reader,
            leftover,
            wire: Arc::new(wire),
            is_behind: false,
            _place: place,
        }
    }

    pub(super) fn wire(&self) -> &Arc<SessionWire> {
        &self.wire
    }

    /// How far what was written has come.
    pub(super) fn progress(&self) -> Option<Progress> {
        Progress::of(self.reader.as_ref(), self.wire.written_bytes())
    }

    /// Whether the socket has taken all that it was given to write.
    pub(super) fn has_caught_up(&self) -> bool {
        !self.is_behind && !self.wire.has_rest()
    }
}

impl AsyncRead for SessionStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self {
            reader, leftover, ..
        } = &mut *self;
        leftover.poll_read(reader, cx, buffer)
    }
}

impl AsyncWrite for SessionStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = self.wire.poll_write(cx, bytes);
        self.is_behind = !matches!(written, Poll::Ready(Ok(count)) if count == bytes.len());
        written
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire.poll_rest(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.wire.poll_rest(cx))?;
        Poll::Ready(self.wire.shutdown())
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::pin::Pin;
    use std::sync::Arc;
    use std::task::{Context, Waker};

    use abide_actors::{Frame, Wire, Written};
    use bytes::Bytes;
    use futures_util::{Sink as _, SinkExt, StreamExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::Semaphore;
    use tokio_tungstenite::WebSocketStream;
    use tokio_tungstenite::tungstenite::Message;
    use tokio_tungstenite::tungstenite::protocol::Role;

    use super::super::super::patience::{Patience, Watched};
    use super::{Dialect, SessionStream, SessionWire};
    use crate::config::Config;

    type Client = WebSocketStream<TcpStream>;
    type Server = WebSocketStream<SessionStream>;

    /// Both ends of a connection of which the system holds as little as it lets us ask for.
    async fn connection() -> (Client, Server, Arc<SessionWire>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (client, accepted) = (client.unwrap(), accepted.unwrap().0);
        socket2::SockRef::from(&accepted)
            .set_send_buffer_size(1)
            .unwrap();
        let place = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        let watched = Watched::new(accepted, Patience::new(&Config::default()), place);
        let stream = SessionStream::new(watched, Dialect::Plain, Arc::default());
        let wire = stream.wire().clone();
        let client = WebSocketStream::from_raw_socket(client, Role::Client, None).await;
        let server = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
        (client, server, wire)
    }

    /// Of any size, and told apart from every other.
    fn payload(number: u32, random: &mut fastrand::Rng) -> Bytes {
        let size = match random.u8(..4) {
            0 => random.usize(..140),
            1 => random.usize(..1_100),
            _ => random.usize(..70_000),
        };
        let mut payload = number.to_be_bytes().to_vec();
        payload.resize(4 + size, number.to_be_bytes()[3]);
        payload.into()
    }

    /// The pump is played by whoever sends: it writes past the stream whenever that has caught up, and through it
    /// whenever not, with pings in between.
    #[tokio::test]
    async fn frames_are_whole_and_in_order_whichever_way_they_are_written() {
        const FRAMES: u32 = 3_000;
        let (mut client, mut server, wire) = connection().await;
        let sending = async {
            let mut random = fastrand::Rng::with_seed(7);
            let (mut past, mut held) = (0, 0);
            for number in 0..FRAMES {
                let payload = payload(number, &mut random);
                if server.get_ref().has_caught_up() && random.u8(..4) > 0 {
                    past += 1;
                    if wire.write_now(&Frame::Binary(payload)) == Written::Held {
                        held += 1;
                    }
                    continue;
                }
                let message = match random.bool() {
                    true => server.feed(Message::Ping(Bytes::from_static(b"?"))).await,
                    false => Ok(()),
                };
                message.unwrap();
                server.send(Message::Binary(payload)).await.unwrap();
            }
            server.flush().await.unwrap();
            // Else this test would be about nothing.
            assert!(past > FRAMES / 4, "{past}");
            assert!(held > FRAMES / 10, "{held}");
        };
        let reading = async {
            let mut random = fastrand::Rng::with_seed(7);
            let mut number = 0;
            while number < FRAMES {
                match client.next().await.unwrap().unwrap() {
                    Message::Ping(_) => {}
                    Message::Binary(got) => {
                        assert!(got.starts_with(&number.to_be_bytes()), "{number}");
                        let fill = number.to_be_bytes()[3];
                        assert!(got[4..].iter().all(|byte| *byte == fill), "{number}");
                        number += 1;
                    }
                    other => panic!("{other:?}"),
                }
                // It lags behind now and then.
                for _ in 0..random.u8(..8) {
                    tokio::task::yield_now().await;
                }
            }
        };
        tokio::join!(sending, reading);
        let progress = server.get_ref().progress().unwrap();
        assert_eq!(progress.written, progress.acknowledged);
    }

    #[tokio::test]
    async fn a_close_is_said_after_the_rest_of_a_frame() {
        let (mut client, mut server, wire) = connection().await;
        let large = Bytes::from(vec![7; 8 << 20]);
        let written = wire.write_now(&Frame::Binary(large.clone()));
        assert_eq!(written, Written::Held);
        let closing = async {
            server.send(Message::Close(None)).await.unwrap();
        };
        let reading = async {
            assert_eq!(
                client.next().await.unwrap().unwrap(),
                Message::Binary(large)
            );
            assert!(client.next().await.unwrap().unwrap().is_close());
        };
        tokio::join!(closing, reading);
    }

    #[tokio::test]
    async fn a_frame_of_which_not_a_byte_goes_waits_whole() {
        let (_client, mut server, wire) = connection().await;
        let socket = server.get_ref().reader.as_ref();
        while socket.try_write(&[0; 4_096]).is_ok() {}
        assert_eq!(wire.write_now(&Frame::from("late")), Written::Held);
        assert_eq!(server.get_ref().progress().unwrap().written, 0);
        assert!(!server.get_ref().has_caught_up());
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut server).poll_flush(cx).is_pending());
    }

    #[tokio::test]
    async fn what_a_client_that_is_gone_was_sent_is_the_pumps_to_find_out() {
        let (client, mut server, wire) = connection().await;
        drop(client);
        // The first write after the end is taken, and answered by a reset.
        while wire.write_now(&Frame::from("to nobody")) == Written::Whole {
            tokio::task::yield_now().await;
        }
        assert!(!server.get_ref().has_caught_up());
        server.flush().await.unwrap_err();
    }
}
