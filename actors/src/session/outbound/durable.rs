//! What a durable session asks of its queue: it forgets nothing that was not acknowledged.

use super::{Line, Outbound, State};
use crate::session::Close;

impl Outbound {
    /// From now on it waits for the client rather than forgetting.
    pub(in crate::session) fn make_durable(&self) {
        let mut queue = self.queue.lock();
        queue.numbered().numbered.retain_all();
        queue.count();
    }

    /// The number up to which the client has acknowledged what it was sent.
    pub(in crate::session) fn acknowledged(&self) -> u64 {
        match &self.queue.lock().line {
            Line::Frames(_) => 0,
            Line::Numbered(line) => line.numbered.forgotten(),
        }
    }

    /// How many messages of the client were handed over. While a turn on one runs that is its number, because
    /// the next is handed over after it.
    pub(in crate::session) fn handed_over(&self) -> u64 {
        let mut queue = self.queue.lock();
        queue.taken().map_or(0, |taken| taken.handed_over())
    }

    /// How the session ends, if it is over.
    pub(in crate::session) fn closing(&self) -> Option<Close> {
        let queue = self.queue.lock();
        let ended = || Close::new(Close::ABNORMAL, "the session had ended");
        match &queue.close {
            Some(close) => Some(close.clone()),
            None => (queue.state == State::Ended).then(ended),
        }
    }

    /// The number of the last message that was sent; `None` when the session is over.
    pub(crate) fn sent_while_open(&self) -> Option<u64> {
        let mut queue = self.queue.lock();
        if queue.is_over() {
            return None;
        }
        Some(queue.numbered().numbered.sent())
    }
}
