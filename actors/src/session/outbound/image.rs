//! A session's queue as a value: what a restart carries over.

use std::sync::Arc;

use crate::session::Frame;

/// What is left of a resumable session when nothing is sent any more and all it was sent has settled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Image {
    /// The number of the last message.
    pub(crate) sent: u64,
    /// The number of the last one that is known to have been written.
    pub(crate) written: u64,
    /// Up to this number nothing can be sent again.
    pub(crate) forgotten: u64,
    /// The client's messages that have taken effect.
    pub(crate) received: u64,
    /// Messages not acknowledged, by number; what is missing between them is left out.
    pub(crate) kept: Vec<Kept>,
}

/// One message of an [`Image`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Counted from 1, growing, at most [`Image::sent`].
    pub(crate) number: u64,
    pub(crate) frame: Frame,
    /// Of a message of which only the newest counts.
    pub(crate) key: Option<Arc<str>>,
}
