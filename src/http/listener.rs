//! The accept loop of a listener.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use abide_actors::{TaskKind, Tasks};
use axum::Router;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::app::App;
use super::connection;
use super::linger::linger;
use crate::problem::{Problem, TOO_MANY_CONNECTIONS};
use crate::protocol::RequestId;

/// Pause after an error that accepting again at once would only repeat: out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Connections being told at one time that there are too many; beyond, they are just closed.
const REFUSALS_MAX: usize = 64;

/// One address with what is served there.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) socket: TcpListener,
    pub(crate) router: Router,
    pub(crate) app: Arc<App>,
    /// Connections at one time.
    pub(crate) connections_max: usize,
    /// Who waits for the connections to end.
    pub(crate) tasks: Tasks,
    /// Cancelled when no connection is to be taken any more.
    pub(crate) stop: CancellationToken,
}

impl Listener {
    /// Accepts connections until it is stopped. Dropping the socket then is what makes the
    /// operating system refuse further ones.
    pub(crate) async fn run(self) {
        let places = Arc::new(Semaphore::new(self.connections_max));
        let refusals = Arc::new(Semaphore::new(REFUSALS_MAX));
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                accepted = self.socket.accept() => accepted,
            };
            let socket = match accepted {
                Ok((socket, _)) => socket,
                Err(error) => {
                    if !is_of_one_connection(&error) {
                        tracing::error!(%error, "no connection could be accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                    continue;
                }
            };
            match places.clone().try_acquire_owned() {
                Ok(place) => self.serve(socket, place),
                Err(_) => self.refuse(socket, &refusals),
            }
        }
    }

    fn serve(&self, socket: TcpStream, place: OwnedSemaphorePermit) {
        // Replies are written whole, so waiting for more to fill a segment only costs time. A
        // socket that cannot be set so works all the same.
        drop(socket.set_nodelay(true));
        self.app.metrics.connection_opened();
        let (router, app) = (self.router.clone(), self.app.clone());
        // A token of its own: waiting on the shared one would meet all others at its lock.
        let stop = self.stop.child_token();
        let serving = connection::serve(socket, place, router, app, stop);
        self.tasks.spawn(TaskKind::Object, "connection", serving);
    }

    fn refuse(&self, mut socket: TcpStream, refusals: &Arc<Semaphore>) {
        self.app.metrics.connection_refused();
        let Ok(place) = refusals.clone().try_acquire_owned() else {
            return;
        };
        let id = RequestId::fresh(self.app.clock.now(), fastrand::u128(..));
        let response = refusal(self.connections_max, &id);
        self.tasks.spawn(TaskKind::Object, "refusal", async move {
            if socket.write_all(&response).await.is_ok() {
                linger(&mut socket).await;
            }
            drop(place);
        });
    }
}

/// The whole response to a connection too many, written without reading its request.
fn refusal(connections_max: usize, id: &RequestId) -> Vec<u8> {
    let said = format!("the server has {connections_max} connections, which is the most it takes");
    let body = Problem::new(&TOO_MANY_CONNECTIONS, said)
        .retry_after(Duration::from_secs(1))
        .body(id);
    let mut response = format!(
        "HTTP/1.1 503 Service Unavailable\r\n\
         content-type: application/problem+json\r\n\
         content-length: {}\r\n\
         retry-after: 1\r\n\
         x-request-id: {id}\r\n\
         connection: close\r\n\r\n",
        body.len()
    )
    .into_bytes();
    response.extend_from_slice(&body);
    response
}

/// Whether the error is about the connection that would have come, not about us.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}
