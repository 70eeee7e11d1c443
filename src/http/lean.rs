//! Reading without a buffer of one's own.
//!
//! A WebSocket's decoder reads into a buffer that it keeps, and most sessions are silent most of the time:
//! what an idle one costs is that buffer. So the decoder has a small one and asks for little at a time, and what a
//! read of the socket brings beyond that waits here, until it is asked for a moment later. Where the socket
//! is read into belongs to the thread.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

/// What one read of the socket takes at most. A read costs about as much as copying this.
const READ_SIZE_BYTES: usize = 4 << 10;

thread_local! {
    static LANDING: RefCell<[u8; READ_SIZE_BYTES]> = const { RefCell::new([0; READ_SIZE_BYTES]) };
}

/// What was read and not asked for yet.
#[derive(Debug, Default)]
pub(super) struct Leftover {
    /// Without an allocation when there is none.
    bytes: Vec<u8>,
    taken: usize,
}

impl Leftover {
    /// Reads as `socket` does; whoever asks for much gets it without a copy.
    pub(super) fn poll_read<S: AsyncRead + Unpin>(
        &mut self,
        socket: &mut S,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.bytes.is_empty() {
            self.hand_out(buffer);
            return Poll::Ready(Ok(()));
        }
        if buffer.remaining() >= READ_SIZE_BYTES {
            return Pin::new(socket).poll_read(cx, buffer);
        }
        LANDING.with_borrow_mut(|landing| {
            let mut read = ReadBuf::new(landing);
            ready!(Pin::new(socket).poll_read(cx, &mut read))?;
            let read = read.filled();
            let (now, later) = read.split_at(read.len().min(buffer.remaining()));
            buffer.put_slice(now);
            self.bytes.extend_from_slice(later);
            Poll::Ready(Ok(()))
        })
    }

    fn hand_out(&mut self, buffer: &mut ReadBuf<'_>) {
        let rest = &self.bytes[self.taken..];
        let count = rest.len().min(buffer.remaining());
        buffer.put_slice(&rest[..count]);
        self.taken += count;
        if self.taken == self.bytes.len() {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use tokio::io::ReadBuf;

    use super::{Leftover, READ_SIZE_BYTES};

    /// Reads with buffers of these sizes until nothing comes; what came, and how much each read brought.
    fn read(mut source: &[u8], sizes: &[usize]) -> (Vec<u8>, Vec<usize>) {
        let (mut leftover, mut all, mut counts) = (Leftover::default(), vec![], vec![]);
        let mut cx = Context::from_waker(Waker::noop());
        for size in sizes.iter().cycle() {
            let mut space = vec![0; *size];
            let mut buffer = ReadBuf::new(&mut space);
            let read = leftover.poll_read(&mut source, &mut cx, &mut buffer);
            assert!(matches!(read, Poll::Ready(Ok(()))));
            if buffer.filled().is_empty() {
                break;
            }
            counts.push(buffer.filled().len());
            all.extend_from_slice(buffer.filled());
        }
        assert_eq!(
            leftover.bytes.capacity(),
            0,
            "an idle session keeps nothing"
        );
        (all, counts)
    }

    #[test]
    fn what_is_read_is_what_there_is_whatever_is_asked_for() {
        let sent: Vec<u8> = (0..=u8::MAX).cycle().take(20_000).collect();
        for sizes in [
            &[512][..],
            &[1],
            &[7, 4_095],
            &[READ_SIZE_BYTES],
            &[100_000],
            &[3, 100_000],
        ] {
            assert_eq!(read(&sent, sizes).0, sent, "{sizes:?}");
        }
    }

    #[test]
    fn who_asks_for_much_gets_it_at_once() {
        assert_eq!(read(&[1; 50_000], &[64 << 10]).1, [50_000]);
        let (_, counts) = read(&[1; 5_000], &[4_000]);
        assert_eq!(counts, [4_000, 96, 904]);
    }
}
