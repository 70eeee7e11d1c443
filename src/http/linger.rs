//! Closing a socket so that the other side reads our last words.
//!
//! Closing while unread bytes wait makes TCP answer with a reset, and a reset makes the other
//! side throw away what it had received but not read: the error response, or the close frame.
//! So the sending half is shut first, and what still comes is read and dropped for a while.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// How long we listen to nobody: a few round trips of a slow network.
const TIME_MAX: Duration = Duration::from_secs(2);
/// How much we take: more is no oversight but an attack.
const SIZE_MAX_BYTES: usize = 16 << 20;

/// Shuts the sending half and drops what comes until the other side closes too, within bounds.
pub(crate) async fn linger<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut S) {
    let goodbye = async {
        socket.shutdown().await?;
        let mut buffer = vec![0; 16 << 10];
        let mut dropped = 0;
        while dropped < SIZE_MAX_BYTES {
            match socket.read(&mut buffer).await? {
                0 => break,
                count => dropped += count,
            }
        }
        std::io::Result::Ok(())
    };
    // An error or the timeout means that the other side does not care; then neither do we.
    drop(timeout(TIME_MAX, goodbye).await);
}
