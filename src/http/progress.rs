//! How far the bytes written to a socket have come.
//!
//! What is written goes into the system's queue, and megabytes fit in there: a slow client is long
//! behind what it was sent, and no answer from it can be expected before it has taken that.

use tokio::net::TcpStream;

/// Positions in the stream towards the other side, in bytes since the connection was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// Handed over to our system.
    pub(super) written: u64,
    /// Acknowledged by the other side's system.
    pub(super) acknowledged: u64,
}

impl Progress {
    /// Of a socket to which so many bytes were written; `None` where the system does not tell.
    pub(super) fn of(socket: &TcpStream, written: u64) -> Option<Self> {
        let acknowledged = written.saturating_sub(unacknowledged_bytes(socket)?);
        Some(Self {
            written,
            acknowledged,
        })
    }
}

/// Bytes in the system's queue that the other side has not acknowledged, sent or not.
#[cfg(target_os = "linux")]
fn unacknowledged_bytes(socket: &TcpStream) -> Option<u64> {
    use rustix::ioctl::{Getter, ioctl};

    /// On a TCP socket this is SIOCOUTQ (tcp(7)). The mask leaves it as it is, whatever C libraries take for its type.
    const OUT_QUEUE: rustix::ioctl::Opcode =
        (libc::TIOCOUTQ & 0x7fff_ffff) as rustix::ioctl::Opcode;

    #[expect(unsafe_code, reason = "no crate in use has a safe form of this ioctl")]
    // SAFETY: the kernel writes one C int through the pointer, which is what a getter of a C int gives it, and
    // reads nothing; on a descriptor of another kind it fails. The socket is open for as long as it is borrowed.
    let bytes = unsafe { ioctl(socket, Getter::<OUT_QUEUE, libc::c_int>::new()) };
    bytes.ok().and_then(|bytes| u64::try_from(bytes).ok())
}

#[cfg(not(target_os = "linux"))]
fn unacknowledged_bytes(_socket: &TcpStream) -> Option<u64> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, TcpStream};

    use super::Progress;

    #[tokio::test]
    async fn what_the_other_side_has_no_room_for_is_not_acknowledged() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (client, mut server) = (client.unwrap(), accepted.unwrap().0);
        server.write_all(b"0123456789").await.unwrap();
        let all = Progress {
            written: 10,
            acknowledged: 10,
        };
        // The acknowledgement comes by itself, though nobody reads.
        while Progress::of(&server, 10) != Some(all) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let mut written = 10;
        while let Ok(more) = server.try_write(&[0; 64 << 10]) {
            written += more as u64;
        }
        let stuck = Progress::of(&server, written).unwrap();
        assert!(
            stuck.acknowledged >= 10 && stuck.acknowledged < written,
            "{stuck:?}"
        );
        drop(client);
    }
}
