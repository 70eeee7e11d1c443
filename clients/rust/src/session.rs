//! Sessions: frames in both directions, over as many connections as it takes.

mod builder;
mod control;
mod driver;
mod event;
mod machine;
mod receipt;
mod socket;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::Stream;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;

pub use self::builder::{InvalidQuery, SessionBuilder};
use self::control::STATE_SIZE_MAX_BYTES;
pub use self::event::{EndReason, Ended, Event, Presence, Reset, ResetReason, State};
use self::machine::{Machine, Refusal, Time};
pub use self::receipt::{Assurance, Receipt, Unsettled};
use crate::frame::Frame;

/// The sending half of a session. Cheap to clone.
///
/// When all clones and the [`Events`] are gone, the session is ended as by [`close`](Self::close).
#[derive(Clone)]
pub struct Session(Arc<Owner>);

/// A frame was not taken, and is not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// As much as may be waiting to be sent or acknowledged is. It becomes less while the session is
    /// open: wait for a [`Receipt`] or [`Event::Saved`].
    #[error("as many frames as may be are waiting to be acknowledged")]
    Full,
    /// The session is over, or is being closed.
    #[error("the session is over")]
    Closed,
}

/// A state cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum PresentError {
    /// It has no JSON form.
    #[error("the state cannot be encoded")]
    Unencodable(#[source] serde_json::Error),
    /// The server takes no control message that holds it.
    #[error(
        "the state has {size_bytes} bytes as JSON, at most {STATE_SIZE_MAX_BYTES} can be shown"
    )]
    TooLarge {
        /// As JSON.
        size_bytes: usize,
    },
}

impl Session {
    /// Sends a frame: at once when the session is open, else when it is again. The receipt resolves
    /// when the object has handled it and what it wrote is durable.
    ///
    /// # Errors
    /// When the buffer is full or the session is over; the frame is not sent.
    pub fn send(&self, frame: impl Into<Frame>) -> Result<Receipt, SendError> {
        let (teller, receipt) = oneshot::channel();
        let sent = self.shared().machine.lock().send(frame.into(), teller);
        match sent {
            Ok(()) => {
                self.shared().wake.notify_one();
                Ok(Receipt(receipt))
            }
            Err(Refusal::Full) => Err(SendError::Full),
            Err(Refusal::Closed) => Err(SendError::Closed),
        }
    }

    /// Shows this state of ours to who watches the object's presence, if the actor allows clients to.
    /// It is shown again after each reconnect; the newest replaces those not shown yet. Plain
    /// sessions show none.
    ///
    /// # Errors
    /// When it has no JSON form, or one of more than 8,000 bytes; what is shown stays as it was.
    pub fn present<T: Serialize + ?Sized>(&self, state: &T) -> Result<(), PresentError> {
        let state = serde_json::to_value(state).map_err(PresentError::Unencodable)?;
        let size_bytes = state.to_string().len();
        if size_bytes > STATE_SIZE_MAX_BYTES {
            return Err(PresentError::TooLarge { size_bytes });
        }
        self.shared().machine.lock().present(Some(state));
        self.shared().wake.notify_one();
        Ok(())
    }

    /// Shows no state of ours any more.
    pub fn absent(&self) {
        self.shared().machine.lock().present(None);
        self.shared().wake.notify_one();
    }

    /// The subprotocol of the application that was chosen, once the session is open.
    #[must_use]
    pub fn protocol(&self) -> Option<String> {
        self.shared().machine.lock().protocol().map(str::to_owned)
    }

    /// How many frames were sent and are not known to be durable.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.shared().machine.lock().pending()
    }

    /// Ends the session when everything sent is acknowledged, but after the close timeout at the
    /// latest. The object hears 1000; the last event is [`State::Closed`].
    pub fn close(&self) {
        let shared = self.shared();
        shared.machine.lock().finish(shared.now());
        shared.wake.notify_one();
    }

    fn shared(&self) -> &Shared {
        &self.0.0
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("pending", &self.pending())
            .finish()
    }
}

/// What happens on a session, in order. It has to be read: a session whose events are not read
/// does not read its connection either.
#[derive(Debug)]
pub struct Events(mpsc::Receiver<Event>);

impl Events {
    /// The next one; `None` when the session is over.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn next(&mut self) -> Option<Event> {
        self.0.recv().await
    }

    /// The next frame the object sent; other events are passed over. `None` when the session is over.
    ///
    /// # Cancel safety
    /// Nothing is lost but the events passed over.
    pub async fn next_message(&mut self) -> Option<Frame> {
        loop {
            if let Event::Message(frame) = self.next().await? {
                return Some(frame);
            }
        }
    }
}

impl Stream for Events {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.0.poll_recv(cx)
    }
}

/// What the halves and the driver share.
struct Shared {
    machine: Mutex<Machine>,
    /// Something was asked of the machine.
    wake: Notify,
    began: Instant,
}

impl Shared {
    fn now(&self) -> Time {
        self.began.elapsed()
    }
}

/// Lives as long as somebody may send.
struct Owner(Arc<Shared>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.wake.notify_one();
    }
}
