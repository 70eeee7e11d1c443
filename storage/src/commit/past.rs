//! A running store's backups and its past.

use super::LogStore;
use crate::history::{self, Backup, BackupReport, HistoryError, HistoryReport, Progress, Target};
use crate::id::Object;
use crate::image::ObjectImage;

impl LogStore {
    /// Backs the store up while it serves. Every commit that is durable when it begins is in the
    /// backup, and some later ones. Log segments and history stay on disk for as long as it
    /// takes. Blocks.
    ///
    /// # Errors
    /// [`HistoryError`]; what was in the folder of backups before stays, and the next backup goes on
    /// from there.
    pub fn backup(
        &self,
        backup: &Backup,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<BackupReport, HistoryError> {
        let _stays = self.keeper.closed.keep_all();
        history::back_up(&*self.keeper, backup, progress)
    }

    /// One object as it was; `None`: it did not exist then. Nothing of the store is touched, and no
    /// activation is made. Blocks; reads a base and the commits after it.
    ///
    /// # Errors
    /// [`HistoryError`]; nothing is changed.
    pub fn object_at(
        &self,
        object: &Object,
        target: Target,
    ) -> Result<Option<ObjectImage>, HistoryError> {
        let _stays = self.keeper.closed.keep_all();
        history::object_of_source(&*self.keeper, object, target)
    }

    /// Says what is retained of the past. Blocks: reads the log since its last segment was kept.
    ///
    /// # Errors
    /// [`HistoryError`]; nothing is changed.
    pub fn history(&self) -> Result<HistoryReport, HistoryError> {
        let _stays = self.keeper.closed.keep_all();
        history::report(&*self.keeper)
    }
}
