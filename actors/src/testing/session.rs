//! A client of a session, without a socket.

use std::collections::VecDeque;
use std::task::Poll;
use std::time::Duration;

use crate::presence::PresenceRefused;
use crate::session::{Close, Connection, Frame, Incoming, Outgoing, SessionId};

/// One session as its client sees it.
#[derive(Debug)]
pub struct TestSession {
    id: SessionId,
    connection: Option<Connection>,
    received: VecDeque<Frame>,
    close: Option<Close>,
}

impl TestSession {
    pub(super) fn new(connection: Connection) -> Self {
        Self {
            id: connection.id(),
            connection: Some(connection),
            received: VecDeque::new(),
            close: None,
        }
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// Sends a frame and waits until the object has handled it. Its answers may still be on their
    /// way to the disk. After the session has ended it does nothing.
    pub async fn send(&mut self, frame: impl Into<Frame>) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        match connection.deliver(frame.into()) {
            Incoming::Accepted => {
                while !matches!(self.step().await, Step::Readable | Step::Ended) {}
            }
            Incoming::Answered(frame) => self.received.push_back(frame),
            Incoming::Ignored => {}
        }
    }

    /// Sets what the client itself shows to those who watch who is here; `None` takes it back.
    ///
    /// # Errors
    /// [`PresenceRefused`], as a client would read it.
    pub fn presence(&self, state: Option<serde_json::Value>) -> Result<(), PresenceRefused> {
        match &self.connection {
            Some(connection) => connection.presence(state.as_ref()),
            None => Ok(()),
        }
    }

    /// The next frame, waiting for it at most a minute of virtual time.
    pub async fn next(&mut self) -> Option<Frame> {
        let received = async {
            while self.received.is_empty() {
                if matches!(self.step().await, Step::Ended) {
                    break;
                }
            }
        };
        // An elapsed wait and an ended session look the same: there is no frame.
        let waited = tokio::time::timeout(Duration::from_secs(60), received).await;
        drop(waited);
        self.received.pop_front()
    }

    /// The next frame as text.
    pub async fn next_text(&mut self) -> Option<String> {
        self.next()
            .await
            .and_then(|frame| frame.as_text().map(str::to_owned))
    }

    /// The next frame as JSON.
    ///
    /// # Panics
    /// When it is not.
    pub async fn next_json(&mut self) -> Option<serde_json::Value> {
        let text = self.next_text().await?;
        Some(serde_json::from_str(&text).expect("the frame is JSON"))
    }

    /// The frames that have arrived by now.
    pub async fn arrived(&mut self) -> Vec<Frame> {
        // Let the actors do what they can do without time passing.
        tokio::time::sleep(Duration::from_millis(1)).await;
        while let Some(connection) = &mut self.connection {
            let polled = std::future::poll_fn(|cx| Poll::Ready(connection.poll_outgoing(cx)));
            match polled.await {
                Poll::Ready(outgoing) => _ = self.take(outgoing),
                Poll::Pending => break,
            }
        }
        self.received.drain(..).collect()
    }

    /// Waits, at most a minute of virtual time, until the object ends the session.
    pub async fn closed(&mut self) -> Option<Close> {
        let ended = async { while !matches!(self.step().await, Step::Ended) {} };
        let waited = tokio::time::timeout(Duration::from_secs(60), ended).await;
        drop(waited);
        self.close.clone()
    }

    /// Closes the session from the client's side.
    pub fn close(mut self, code: u16, reason: &str) {
        if let Some(connection) = self.connection.take() {
            connection.closed(Close::new(code, reason));
        }
    }

    async fn step(&mut self) -> Step {
        let Some(connection) = &mut self.connection else {
            return Step::Ended;
        };
        let outgoing = std::future::poll_fn(|cx| connection.poll_outgoing(cx)).await;
        self.take(outgoing)
    }

    fn take(&mut self, outgoing: Outgoing) -> Step {
        match outgoing {
            Outgoing::Frame(frame) => {
                self.received.push_back(frame);
                Step::Received
            }
            Outgoing::Readable => Step::Readable,
            Outgoing::Skip(_) | Outgoing::Ack(_) | Outgoing::Control(_) => Step::Received,
            Outgoing::Close(close) => {
                self.close = Some(close.clone());
                if let Some(connection) = self.connection.take() {
                    connection.closed(close);
                }
                Step::Ended
            }
        }
    }
}

enum Step {
    Received,
    Readable,
    Ended,
}
