//! What became of a frame.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

/// Resolves when it is known what became of a frame; it may be dropped.
#[derive(Debug)]
#[must_use = "a frame is on its way without it, but nobody will know when it is durable"]
pub struct Receipt(pub(crate) oneshot::Receiver<Result<Assurance, Unsettled>>);

/// How sure it is that a frame has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assurance {
    /// The object has handled it, and what it wrote is on disk.
    Durable,
    /// It was written to the connection of a plain session; nothing more is known there.
    Written,
}

/// Why it will never be known what became of a frame. All such frames are handed back, by
/// [`Event::Reset`](crate::Event::Reset) or [`State::Closed`](crate::State::Closed).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unsettled {
    /// Its session is over and another has begun: it may have taken effect.
    #[error("the session began anew before the frame was acknowledged")]
    Reset,
    /// The session ended: it may have taken effect.
    #[error("the session ended before the frame was acknowledged")]
    Closed,
}

impl Future for Receipt {
    type Output = Result<Assurance, Unsettled>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let told = Pin::new(&mut self.0).poll(cx);
        told.map(|told| told.unwrap_or(Err(Unsettled::Closed)))
    }
}
