//! How a document is stored: a snapshot, and the updates since.
//!
//! ```text
//! s/{piece}     the snapshot, an update of the whole document, in pieces
//! u/{number}    one update each, in the order they came
//! ```

use abide::prelude::*;

use super::Document;
use super::replica::{Replica, decode};

const PIECES: &str = "s/";
const UPDATES: &str = "u/";

/// Updates after which they become a new snapshot, by number and by size: what an activation has
/// to read and apply before its first message stays small.
const UPDATES_MAX: u64 = 200;
const UPDATES_SIZE_MAX_BYTES: u64 = 256 * 1024;
/// Largest piece of a snapshot.
const PIECE_SIZE_MAX_BYTES: usize = 64 * 1024;

/// What is stored: part of the document's state, so it changes in the same commit as the rows.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Log {
    /// Numbers of the updates: from the first to before the next.
    first: u64,
    next: u64,
    updates_size_bytes: u64,
    pieces: u64,
    snapshot_size_bytes: u64,
}

impl Log {
    /// Updates since the snapshot.
    pub(crate) fn updates(&self) -> u64 {
        self.next - self.first
    }

    /// All updates there have been: it grows with each change, so it names a state.
    pub(crate) fn changes(&self) -> u64 {
        self.next
    }

    /// Size of all rows.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.snapshot_size_bytes + self.updates_size_bytes
    }

    /// Whether it is time for a new snapshot.
    pub(crate) fn is_long(&self) -> bool {
        self.updates() > UPDATES_MAX || self.updates_size_bytes > UPDATES_SIZE_MAX_BYTES
    }

    /// Stages one more update.
    pub(crate) fn append(
        &mut self,
        ctx: &mut Context<Document>,
        update: &[u8],
    ) -> Result<(), CallError> {
        let row = row(UPDATES, self.next);
        ctx.storage_mut()
            .put_bytes(&row, Bytes::copy_from_slice(update))?;
        self.next += 1;
        self.updates_size_bytes += update.len() as u64;
        Ok(())
    }

    /// Stages a snapshot in place of everything stored so far. It is one turn, so after a crash
    /// there is the old snapshot with its updates, or the new one, and nothing in between.
    pub(crate) fn compact(
        &mut self,
        ctx: &mut Context<Document>,
        snapshot: Vec<u8>,
    ) -> Result<(), CallError> {
        let mut storage = ctx.storage_mut();
        for number in self.first..self.next {
            storage.delete(&row(UPDATES, number))?;
        }
        let size_bytes = snapshot.len() as u64;
        let snapshot = Bytes::from(snapshot);
        let mut pieces = 0;
        for start in (0..snapshot.len()).step_by(PIECE_SIZE_MAX_BYTES) {
            let end = snapshot.len().min(start + PIECE_SIZE_MAX_BYTES);
            storage.put_bytes(&row(PIECES, pieces), snapshot.slice(start..end))?;
            pieces += 1;
        }
        for surplus in pieces..self.pieces {
            storage.delete(&row(PIECES, surplus))?;
        }
        *self = Self {
            first: self.next,
            next: self.next,
            updates_size_bytes: 0,
            pieces,
            snapshot_size_bytes: size_bytes,
        };
        Ok(())
    }

    /// Makes the replica anew from what is stored, with what this turn has staged.
    ///
    /// # Errors
    /// When rows cannot be read or are not what was written. It is better for the document not to
    /// open than to open without somebody's words.
    pub(crate) async fn load(&self, ctx: &Context<Document>) -> Result<Replica, ActorError> {
        let mut replica = Replica::new(ctx.random_u64());
        let pieces = ctx.storage().list_bytes(Keys::prefix(PIECES)).await?;
        let updates = ctx.storage().list_bytes(Keys::prefix(UPDATES)).await?;
        if pieces.len() as u64 != self.pieces || updates.len() as u64 != self.updates() {
            return Err(damaged("rows are missing"));
        }
        let snapshot: Vec<u8> = pieces
            .iter()
            .flat_map(|(_, piece)| piece)
            .copied()
            .collect();
        let snapshot = (self.pieces > 0).then_some(snapshot.as_slice());
        for update in snapshot
            .into_iter()
            .chain(updates.iter().map(|(_, update)| &update[..]))
        {
            let applied = decode(update).and_then(|update| replica.recall(update));
            applied.map_err(|problem| damaged(&problem.to_string()))?;
        }
        Ok(replica)
    }
}

fn damaged(problem: &str) -> ActorError {
    let message = format!("the stored document cannot be read: {problem}");
    ActorError::new("document-unreadable", message).status(500)
}

/// Padded to the width of the largest number: rows sort as numbers do.
fn row(prefix: &str, number: u64) -> String {
    format!("{prefix}{number:020}")
}
