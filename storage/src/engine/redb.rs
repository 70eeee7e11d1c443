//! redb as an engine. The only file that names redb.

use std::fs::File;
use std::ops::Bound;
use std::path::Path;

use bytes::Bytes;
use redb::{Database, Durability, ReadableDatabase, TableDefinition};

use super::{Engine, EngineError, Row, is_empty_range};
use crate::store::Direction;

const ROWS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("rows");

/// An engine over redb.
pub struct RedbEngine {
    db: Database,
    /// The database's file, opened a second time to ask for its size.
    file: File,
}

impl RedbEngine {
    /// Opens the engine in this folder, or creates it there.
    ///
    /// # Errors
    /// [`EngineError`] when redb cannot open its file. Opening again may succeed.
    pub fn open(folder: &Path, cache_size_bytes: u64) -> Result<Self, EngineError> {
        std::fs::create_dir_all(folder)?;
        // redb does not open a file whose creation was cut short. So a new one gets its name when it
        // is whole, and what is left of a draft is removed.
        let (path, draft) = (folder.join("redb"), folder.join("redb.new"));
        let is_new = !path.try_exists()?;
        if is_new && draft.try_exists()? {
            std::fs::remove_file(&draft)?;
        }
        let made = if is_new { &draft } else { &path };
        let cache_size_bytes = usize::try_from(cache_size_bytes).unwrap_or(usize::MAX);
        let db = Database::builder()
            .set_cache_size(cache_size_bytes)
            .create(made)
            .map_err(redb::Error::from)?;
        let file = File::open(made)?;
        // Creates the table, so that reads need not ask whether it is there.
        let transaction = db.begin_write().map_err(redb::Error::from)?;
        transaction.open_table(ROWS).map_err(redb::Error::from)?;
        transaction.commit().map_err(redb::Error::from)?;
        if is_new {
            std::fs::rename(&draft, &path)?;
        }
        File::open(folder)?.sync_all()?;
        if let Some(parent) = folder
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
        {
            File::open(parent)?.sync_all()?;
        }
        Ok(Self { db, file })
    }

    fn write(&self, durability: Durability, rows: &[Row]) -> Result<(), redb::Error> {
        let mut transaction = self.db.begin_write()?;
        transaction.set_durability(durability)?;
        {
            let mut table = transaction.open_table(ROWS)?;
            for row in rows {
                match &row.value {
                    Some(value) => _ = table.insert(&row.key[..], &value[..])?,
                    None => _ = table.remove(&row.key[..])?,
                }
            }
        }
        transaction.commit()?;
        Ok(())
    }

    fn read(&self, key: &[u8]) -> Result<Option<Bytes>, redb::Error> {
        let table = self.db.begin_read()?.open_table(ROWS)?;
        Ok(table
            .get(key)?
            .map(|value| Bytes::copy_from_slice(value.value())))
    }

    fn read_range(
        &self,
        start: Bound<&[u8]>,
        end: Bound<&[u8]>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, redb::Error> {
        let table = self.db.begin_read()?.open_table(ROWS)?;
        let mut range = table.range::<&[u8]>((start, end))?;
        let mut rows = Vec::new();
        while rows.len() < limit {
            let row = match direction {
                Direction::Forward => range.next(),
                Direction::Reverse => range.next_back(),
            };
            let Some((key, value)) = row.transpose()? else {
                break;
            };
            rows.push((
                Bytes::copy_from_slice(key.value()),
                Bytes::copy_from_slice(value.value()),
            ));
        }
        Ok(rows)
    }
}

impl Engine for RedbEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        Ok(self.read(key)?)
    }

    fn scan(
        &self,
        start: Bound<&[u8]>,
        end: Bound<&[u8]>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, EngineError> {
        if is_empty_range(start, end) {
            return Ok(Vec::new());
        }
        Ok(self.read_range(start, end, direction, limit)?)
    }

    fn apply(&self, rows: &[Row]) -> Result<(), EngineError> {
        Ok(self.write(Durability::None, rows)?)
    }

    fn sync(&self) -> Result<(), EngineError> {
        // A commit of nothing with this durability makes all commits before it durable.
        Ok(self.write(Durability::Immediate, &[])?)
    }

    fn size_bytes(&self) -> Result<u64, EngineError> {
        Ok(self.file.metadata()?.len())
    }
}

impl From<redb::Error> for EngineError {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::Io(error) => Self::Io(error),
            other => Self::Failed(other.to_string()),
        }
    }
}

impl std::fmt::Debug for RedbEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedbEngine").finish_non_exhaustive()
    }
}
