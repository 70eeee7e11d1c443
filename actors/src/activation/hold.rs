//! An object held in the store while it has no activation.

use std::sync::Arc;

use abide_storage::{Epoch, Opened, ReadError};

use crate::catalog::Slot;
use crate::node::Node;

/// Commits that need no value are made under its epoch, which fences every activation before. Dropping it gives
/// the object back. Only the slot's one task may have it (**single-activation**).
pub(super) struct Hold<'a> {
    pub(super) node: &'a Arc<Node>,
    pub(super) slot: &'a Arc<Slot>,
    pub(super) epoch: Epoch,
}

impl<'a> Hold<'a> {
    /// Takes the object in the store; with it comes what the opening has loaded.
    ///
    /// # Errors
    /// [`ReadError`]; the object is as it was.
    pub(super) async fn open(
        node: &'a Arc<Node>,
        slot: &'a Arc<Slot>,
    ) -> Result<(Self, Opened), ReadError> {
        let opened = node.store.open(slot.object()).await?;
        let epoch = opened.epoch;
        Ok((Self { node, slot, epoch }, opened))
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        self.node.store.close(self.slot.object(), self.epoch);
    }
}
