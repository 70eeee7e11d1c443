//! A client of a session, for the tests of the examples: what a socket's pump is to the runtime.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::time::Duration;

use abide_actors::{
    ConnectError, ConnectRequest, Connection, Deadline, Frame, Incoming, Outgoing, Runtime,
};

use super::node::PATIENCE;

/// One open session.
pub(crate) struct Client {
    connection: Connection,
    received: VecDeque<Outgoing>,
}

impl Client {
    pub(crate) async fn connect(
        runtime: &Runtime,
        namespace: &str,
        name: &str,
        query: &str,
    ) -> Result<Self, ConnectError> {
        let target = runtime.target(namespace, name)?;
        let request = ConnectRequest { query: query.to_owned(), ..ConnectRequest::default() };
        let connection = runtime.connect(&target, request, Deadline::after(PATIENCE)).await?;
        Ok(Self { connection, received: VecDeque::new() })
    }

    /// Sends a frame; returns when the object has handled it, or when it takes none.
    pub(crate) async fn send(&mut self, frame: impl Into<Frame>) {
        if self.connection.deliver(frame.into()) == Incoming::Ignored {
            return;
        }
        loop {
            match poll_fn(|cx| self.connection.poll_outgoing(cx, false)).await {
                Outgoing::Readable => return,
                closed @ Outgoing::Close(_) => return self.received.push_back(closed),
                frame @ Outgoing::Frame(_) => self.received.push_back(frame),
            }
        }
    }

    /// What comes next, frame or close; `None`: nothing does.
    pub(crate) async fn next(&mut self) -> Option<Outgoing> {
        if let Some(received) = self.received.pop_front() {
            return Some(received);
        }
        let next = poll_fn(|cx| self.connection.poll_outgoing(cx, true));
        // Time is virtual: it passes at once when nobody has anything left to do.
        tokio::time::timeout(Duration::from_millis(100), next).await.ok()
    }
}
