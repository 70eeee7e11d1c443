//! What may be sent to a session: a frame, and what becomes of it when its client lags behind.

use std::sync::Arc;

use super::Frame;

/// A frame with its [`Class`]. Whatever is a [`Frame`] is a reliable delivery.
/// ```
/// use abide_actors::{Class, Delivery, Frame};
///
/// let said = Delivery::from("hello");
/// assert_eq!(said.class, Class::Reliable);
///
/// let moved = Frame::from("[3,4]").latest("cursor/7");
/// assert_eq!(moved.class, Class::Latest("cursor/7".into()));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// What is sent.
    pub frame: Frame,
    /// What becomes of it when it has to wait.
    pub class: Class,
}

/// What becomes of a frame that has to wait for its client. One that does not wait is sent, whatever its class.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Class {
    /// It arrives, in order, or the session ends with 1013: for what a client must not miss.
    #[default]
    Reliable,
    /// Only the newest of its key counts: it takes the place of the one that waits, and itself goes to
    /// the end. The newest arrives, or the session ends with 1013. For state that is told whole
    /// each time: a cursor, a progress bar, a score.
    Latest(Arc<str>),
    /// It is worth something now or not at all: it is dropped when much is waiting, and when the client is away.
    /// For what comes again soon anyway: positions in a game, a level meter.
    Lossy,
}

impl Delivery {
    /// Payload and key in bytes.
    pub(crate) fn size_bytes(&self) -> usize {
        let key = match &self.class {
            Class::Latest(key) => key.len(),
            Class::Reliable | Class::Lossy => 0,
        };
        self.frame.size_bytes() + key
    }
}

impl Frame {
    /// To be sent as [`Class::Latest`]: only the newest of the key counts.
    #[must_use]
    pub fn latest(self, key: impl Into<Arc<str>>) -> Delivery {
        Delivery {
            frame: self,
            class: Class::Latest(key.into()),
        }
    }

    /// To be sent as [`Class::Lossy`]: dropped when it would have to wait long.
    #[must_use]
    pub fn lossy(self) -> Delivery {
        Delivery {
            frame: self,
            class: Class::Lossy,
        }
    }
}

impl<F: Into<Frame>> From<F> for Delivery {
    fn from(frame: F) -> Self {
        Self {
            frame: frame.into(),
            class: Class::Reliable,
        }
    }
}
