//! How long a connection may keep us waiting.
//!
//! One timer watches the whole connection, instead of one per request: hyper's own header timeout
//! makes and drops a timer for each. A client that dribbles its headers (slowloris) is cut off
//! after `header_read_timeout`, an idle one after `keep_alive_timeout`, and so is one that takes
//! nothing of a response for so long; a request being handled has its own deadline and is left alone.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until};

use super::lean::Leftover;
use crate::config::Config;

/// Shared by the three parts of one connection: its socket, its service, and its watchdog. All
/// three run in one task, so relaxed ordering is enough.
#[derive(Debug)]
pub(crate) struct Patience {
    born: Instant,
    /// Milliseconds from `born` to when the phase began, times four, plus the phase.
    state: AtomicU64,
    /// Milliseconds from `born` to when the socket first took no more of a response, plus one; zero
    /// when it takes what it is given.
    stuck: AtomicU64,
    /// Milliseconds within which the other side's system has to acknowledge what we sent; zero when
    /// nobody has asked for that since the socket was last told.
    acknowledged_within: AtomicU32,
    head_timeout: Duration,
    idle_timeout: Duration,
}

/// In a response's extensions: give the connection up when the other side's system acknowledges nothing
/// for so long. For streams whose clients say nothing, so that their silence tells nothing.
#[derive(Debug, Clone, Copy)]
pub(super) struct AcknowledgedWithin(pub(super) Duration);

/// What the connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Between requests.
    Idle = 0,
    /// Some bytes of a request's head have come.
    Head = 1,
    /// A request is being handled, or its response streamed.
    Busy = 2,
}

impl Patience {
    pub(crate) fn new(config: &Config) -> Arc<Self> {
        Arc::new(Self {
            born: Instant::now(),
            // A client that connects and says nothing is no better than one that dribbles.
            state: AtomicU64::new(Phase::Head as u64),
            stuck: AtomicU64::new(0),
            acknowledged_within: AtomicU32::new(0),
            head_timeout: config.header_read_timeout.duration(),
            idle_timeout: config.keep_alive_timeout.duration(),
        })
    }

    /// A request's head is complete. The connection is busy until the guard is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> Busy {
        self.enter(Phase::Busy);
        Busy(self.clone())
    }

    /// Returns when the connection has kept us waiting for too long.
    ///
    /// # Cancel safety
    /// Yes.
    pub(crate) async fn exhausted(&self) {
        loop {
            let now = Instant::now();
            // Looking again at least this often finds a phase that began after the timer was set.
            let look_again = now + self.head_timeout;
            match self.expiry() {
                Some(expiry) if expiry <= now => return,
                Some(expiry) => sleep_until(expiry.min(look_again)).await,
                None => sleep_until(look_again).await,
            }
        }
    }

    fn phase(&self) -> Phase {
        match self.state.load(Ordering::Relaxed) & 3 {
            0 => Phase::Idle,
            1 => Phase::Head,
            _ => Phase::Busy,
        }
    }

    fn enter(&self, phase: Phase) {
        self.state
            .store(self.millis() << 2 | phase as u64, Ordering::Relaxed);
    }

    /// Since the connection was made.
    fn millis(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX >> 2)
    }

    /// What a write of a response came to.
    fn wrote(&self, written: &Poll<io::Result<usize>>) {
        let stuck = self.stuck.load(Ordering::Relaxed);
        match written {
            Poll::Pending if stuck == 0 => {
                self.stuck.store(self.millis() + 1, Ordering::Relaxed);
            }
            Poll::Ready(_) if stuck != 0 => self.stuck.store(0, Ordering::Relaxed),
            Poll::Pending | Poll::Ready(_) => {}
        }
        // Bytes written are a sign of life only while nothing else is going on.
        if matches!(written, Poll::Ready(Ok(1..))) && self.phase() == Phase::Idle {
            self.enter(Phase::Idle);
        }
    }

    fn expiry(&self) -> Option<Instant> {
        let since = self.born + Duration::from_millis(self.state.load(Ordering::Relaxed) >> 2);
        match self.phase() {
            Phase::Idle => Some(since + self.idle_timeout),
            Phase::Head => Some(since + self.head_timeout),
            // Streaming may go on for hours, but not to a client that takes nothing.
            Phase::Busy => match self.stuck.load(Ordering::Relaxed) {
                0 => None,
                stuck => Some(self.born + Duration::from_millis(stuck) + self.idle_timeout),
            },
        }
    }
}

/// Keeps a connection busy.
#[derive(Debug)]
pub(crate) struct Busy(Arc<Patience>);

impl Busy {
    /// From the next write on; see [`AcknowledgedWithin`].
    pub(super) fn require_acknowledgements(&self, within: AcknowledgedWithin) {
        let millis = u32::try_from(within.0.as_millis()).unwrap_or(u32::MAX);
        self.0.acknowledged_within.store(millis, Ordering::Relaxed);
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.enter(Phase::Idle);
    }
}

/// A socket that tells the connection's [`Patience`] when bytes move, and that holds the
/// connection's place among `connections_max` for as long as it is open, whatever it becomes.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) socket: TcpStream,
    patience: Arc<Patience>,
    leftover: Leftover,
    written_bytes: u64,
    place: OwnedSemaphorePermit,
}

impl Watched {
    pub(crate) fn new(
        socket: TcpStream,
        patience: Arc<Patience>,
        place: OwnedSemaphorePermit,
    ) -> Self {
        Self {
            socket,
            patience,
            leftover: Leftover::default(),
            written_bytes: 0,
            place,
        }
    }

    /// The bare socket, what was read of it and not asked for, the bytes written to it, and its place: for a
    /// connection that goes on without HTTP.
    pub(super) fn into_parts(self) -> (TcpStream, Leftover, u64, OwnedSemaphorePermit) {
        (self.socket, self.leftover, self.written_bytes, self.place)
    }

    fn wrote(&mut self, written: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(count)) = written {
            self.written_bytes += *count as u64;
        }
        self.patience.wrote(written);
    }

    /// Tells the system what was asked for since the last write. What it gives up, the next read finds.
    fn obey(&self) {
        if self.patience.acknowledged_within.load(Ordering::Relaxed) == 0 {
            return;
        }
        let millis = self.patience.acknowledged_within.swap(0, Ordering::Relaxed);
        // Elsewhere a client that has vanished is found when the system tires of sending again.
        #[cfg(target_os = "linux")]
        if let Err(error) = rustix::net::sockopt::set_tcp_user_timeout(&self.socket, millis) {
            tracing::debug!(%error, "the socket does not take TCP_USER_TIMEOUT");
        }
        #[cfg(not(target_os = "linux"))]
        let _ = millis;
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let Self {
            socket, leftover, ..
        } = &mut *self;
        ready!(leftover.poll_read(socket, cx, buffer))?;
        if buffer.filled().len() > before && self.patience.phase() == Phase::Idle {
            self.patience.enter(Phase::Head);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.obey();
        let written = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.wrote(&written);
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.obey();
        let written = Pin::new(&mut self.socket).poll_write_vectored(cx, pieces);
        self.wrote(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;
    use std::time::Duration;

    use tokio::time::{Instant, advance, timeout};

    use super::{Patience, Phase};
    use crate::config::{Config, Span};

    fn config() -> Config {
        Config {
            header_read_timeout: Span::secs(10),
            keep_alive_timeout: Span::secs(75),
            ..Config::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_says_nothing_is_cut_off_after_the_header_timeout() {
        let patience = Patience::new(&config());
        let began = Instant::now();
        patience.exhausted().await;
        assert_eq!(began.elapsed().as_secs(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_being_handled_is_left_alone() {
        let patience = Patience::new(&config());
        let busy = patience.begin();
        timeout(Duration::from_secs(600), patience.exhausted())
            .await
            .unwrap_err();
        let handled = Instant::now();
        drop(busy);
        patience.exhausted().await;
        assert_eq!(handled.elapsed().as_secs(), 75);
    }

    #[tokio::test(start_paused = true)]
    async fn a_response_that_nobody_takes_is_given_up() {
        let patience = Patience::new(&config());
        let _busy = patience.begin();
        let began = Instant::now();
        patience.wrote(&Poll::Pending);
        timeout(Duration::from_secs(70), patience.exhausted())
            .await
            .unwrap_err();
        // Some of it was taken, then no more.
        patience.wrote(&Poll::Ready(Ok(1)));
        patience.wrote(&Poll::Pending);
        patience.exhausted().await;
        assert!((145..=155).contains(&began.elapsed().as_secs()));
    }

    #[tokio::test(start_paused = true)]
    async fn dribbled_headers_are_cut_off_though_the_timer_was_set_for_idleness() {
        let patience = Patience::new(&config());
        drop(patience.begin());
        let watchdog = async {
            patience.exhausted().await;
            Instant::now()
        };
        let client = async {
            advance(Duration::from_secs(1)).await;
            patience.enter(Phase::Head);
            Instant::now()
        };
        let (cut_off, first_byte) = tokio::join!(watchdog, client);
        assert!((10..=20).contains(&(cut_off - first_byte).as_secs()));
    }
}
