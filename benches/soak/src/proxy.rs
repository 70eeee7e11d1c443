//! Connections that can be cut: bytes go through until a cut loses what is on its way.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// How a connection is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Both ends see a reset.
    Both,
    /// The client sees a reset; to the server the connection looks alive and silent.
    HalfOpen,
}

/// How long the server's end of a half open connection stays: the client has come back by then.
const HALF_OPEN: Duration = Duration::from_secs(5);

/// The connections that can be cut.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scissors(Arc<Mutex<Vec<oneshot::Sender<Cut>>>>);

impl Scissors {
    /// Cuts one of the connections; false when there is none.
    pub(crate) fn cut(&self, random: &mut fastrand::Rng, how: Cut) -> bool {
        let mut connections = self.0.lock();
        while !connections.is_empty() {
            let chosen = random.usize(..connections.len());
            if connections.swap_remove(chosen).send(how).is_ok() {
                return true;
            }
        }
        false
    }
}

/// Listens on any port, and carries what comes to `server` until it is cut.
pub(crate) async fn carry(listener: TcpListener, server: SocketAddr, scissors: Scissors) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let (cut, is_cut) = oneshot::channel();
        scissors.0.lock().push(cut);
        connections.spawn(connection(client, server, is_cut));
    }
}

async fn connection(mut client: TcpStream, server: SocketAddr, cut: oneshot::Receiver<Cut>) {
    let Ok(mut server) = TcpStream::connect(server).await else {
        return;
    };
    let smooth = [client.set_nodelay(true), server.set_nodelay(true)];
    if smooth.iter().any(Result::is_err) {
        return;
    }
    let how = tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => return,
        how = cut => how,
    };
    // Zero linger: what is in the kernel's buffers is lost too.
    let (_client, _server) = (client.set_zero_linger(), server.set_zero_linger());
    if how == Ok(Cut::HalfOpen) {
        drop(client);
        sleep(HALF_OPEN).await;
    }
}
