//! Ids of things, small and used again: one is two or three bytes in each frame.

use std::collections::BTreeMap;
use std::ops::Range;

/// Ids of one kind of thing, given out round and round, so that one is not used again at once.
#[derive(Debug)]
pub(crate) struct Ids {
    range: Range<u32>,
    next: u32,
}

impl Ids {
    pub(crate) fn new(range: Range<u32>) -> Self {
        Self {
            next: range.start,
            range,
        }
    }

    /// An id that is not taken; `None` when all are.
    pub(crate) fn free<T>(&mut self, taken: &BTreeMap<u32, T>) -> Option<u32> {
        for _ in self.range.clone() {
            let id = self.next;
            self.next = if id + 1 == self.range.end {
                self.range.start
            } else {
                id + 1
            };
            if !taken.contains_key(&id) {
                return Some(id);
            }
        }
        None
    }
}
