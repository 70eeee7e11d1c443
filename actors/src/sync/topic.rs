//! What of one topic its watchers have not been told yet.

use std::collections::BTreeSet;

use super::RowId;
use crate::session::Frame;

/// One topic of a table. Ordered sets, so that the same changes make the same frames.
#[derive(Debug, Default)]
pub(super) struct Topic {
    /// The rows that are in it.
    pub(super) members: BTreeSet<RowId>,
    /// Those of them that changed since the last patch.
    changed: BTreeSet<RowId>,
    /// Rows that were removed, or went to another topic, since the last patch. None is a member.
    gone: BTreeSet<RowId>,
    /// What a newcomer gets, until the next change.
    pub(super) snapshot: Option<Vec<Frame>>,
}

impl Topic {
    pub(super) fn enter(&mut self, id: RowId) {
        self.members.insert(id);
        // Watchers may still hold the row it was before: all of its fields will replace that.
        self.gone.remove(&id);
        self.touch(id);
    }

    pub(super) fn touch(&mut self, id: RowId) {
        self.changed.insert(id);
        self.snapshot = None;
    }

    /// Also of a row that no patch has shown: a snapshot may have.
    pub(super) fn leave(&mut self, id: RowId) {
        self.members.remove(&id);
        self.changed.remove(&id);
        self.gone.insert(id);
        self.snapshot = None;
    }

    /// What changed, and what is gone, since the last time.
    pub(super) fn take(&mut self) -> (BTreeSet<RowId>, BTreeSet<RowId>) {
        (
            std::mem::take(&mut self.changed),
            std::mem::take(&mut self.gone),
        )
    }

    pub(super) fn has_changes(&self) -> bool {
        !self.changed.is_empty() || !self.gone.is_empty()
    }
}
