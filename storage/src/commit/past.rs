//! A running store's backups and its past.

use super::LogStore;
use crate::history::{self, Backup, BackupReport, HistoryError, HistoryReport, Progress};

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

    /// Says what is retained of the past. Blocks: reads the log since its last segment was kept.
    ///
    /// # Errors
    /// [`HistoryError`]; nothing is changed.
    pub fn history(&self) -> Result<HistoryReport, HistoryError> {
        let _stays = self.keeper.closed.keep_all();
        history::report(&*self.keeper)
    }
}
