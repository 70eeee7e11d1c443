//! How a document is stored: a snapshot, and the updates since.
//!
//! ```text
//! s/{piece}     the snapshot, an update of the whole document, in pieces
//! p/{number}    a page: updates in the order they came, each after its length (lib0's form);
//!               the number is that of its first
//! u/{number}    one update: how each was stored before there were pages, and older than any page
//! ```
//! A page is written again with each update until it is full. A row of its own for each update would
//! have to be put into the engine and be deleted there, one by one; of a page that changes ten times
//! between two checkpoints the engine sees the last.

use std::fmt;
use std::ops::RangeInclusive;

use abide::prelude::*;

use super::Document;
use super::replica::{Replica, decode};
use super::wire::{Reader, write_bytes};

const PIECES: &str = "s/";
const PAGES: &str = "p/";
const SINGLE_UPDATES: &str = "u/";

/// Updates after which they become a new snapshot, by number and by size: what an activation has
/// to read and apply before its first message stays small.
const UPDATES_MAX: RangeInclusive<u64> = 200..=1_000;
const UPDATES_SIZE_MAX_BYTES: u64 = 256 * 1024;
/// Making a snapshot takes as long as the document is: so many bytes of it put the next one off by an
/// update.
const SNAPSHOT_BYTES_PER_UPDATE: u64 = 256;
/// Size from which a page is full: small, because all of it goes into the commit log with each update.
const PAGE_FULL_BYTES: usize = 512;
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
    /// What is known from loading and since; a failed turn has it loaded again.
    #[serde(skip)]
    rows: Rows,
}

/// The rows that the updates are in.
#[derive(Debug, Clone, Default)]
struct Rows {
    /// In order. The last one is of the page that may have room for more.
    keys: Vec<String>,
    /// What that page says.
    open_page: Vec<u8>,
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
        let more = self.snapshot_size_bytes / SNAPSHOT_BYTES_PER_UPDATE;
        let max = (UPDATES_MAX.start() + more).min(*UPDATES_MAX.end());
        self.updates() > max || self.updates_size_bytes > UPDATES_SIZE_MAX_BYTES
    }

    /// Stages one more update.
    pub(crate) fn append(
        &mut self,
        ctx: &mut Context<Document>,
        update: &[u8],
    ) -> Result<(), CallError> {
        let Rows { keys, open_page } = &mut self.rows;
        let is_page = keys.last().is_some_and(|key| key.starts_with(PAGES));
        if !is_page || open_page.len() >= PAGE_FULL_BYTES {
            open_page.clear();
            keys.push(row(PAGES, self.next));
        }
        let size_before = open_page.len();
        write_bytes(open_page, update);
        let key = keys.last().expect("a page is open");
        ctx.storage_mut()
            .put_bytes(key, Bytes::copy_from_slice(open_page))?;
        self.next += 1;
        self.updates_size_bytes += (open_page.len() - size_before) as u64;
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
        for key in &self.rows.keys {
            storage.delete(key)?;
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
            rows: Rows::default(),
        };
        Ok(())
    }

    /// Makes the replica anew from what is stored, with what this turn has staged.
    ///
    /// # Errors
    /// When rows cannot be read or are not what was written. It is better for the document not to
    /// open than to open without somebody's words.
    pub(crate) async fn load(&mut self, ctx: &Context<Document>) -> Result<Replica, ActorError> {
        let pieces = ctx.storage().list_bytes(Keys::prefix(PIECES)).await?;
        let singles = ctx
            .storage()
            .list_bytes(Keys::prefix(SINGLE_UPDATES))
            .await?;
        let pages = ctx.storage().list_bytes(Keys::prefix(PAGES)).await?;
        let mut updates: Vec<_> = singles.iter().map(|(_, update)| &update[..]).collect();
        for (_, page) in &pages {
            let mut page = Reader::new(page);
            while !page.is_empty() {
                updates.push(page.bytes().map_err(|problem| damaged(&problem))?);
            }
        }
        if pieces.len() as u64 != self.pieces || updates.len() as u64 != self.updates() {
            return Err(damaged(&"rows are missing"));
        }
        let snapshot: Vec<u8> = pieces
            .iter()
            .flat_map(|(_, piece)| piece)
            .copied()
            .collect();
        let snapshot = (self.pieces > 0).then_some(snapshot.as_slice());
        let mut replica = Replica::new(ctx.random_u64());
        for update in snapshot.into_iter().chain(updates) {
            let applied = decode(update).and_then(|update| replica.recall(update));
            applied.map_err(|problem| damaged(&problem))?;
        }
        self.rows = Rows::of(&singles, &pages);
        Ok(replica)
    }
}

impl Rows {
    fn of(singles: &[(String, Bytes)], pages: &[(String, Bytes)]) -> Self {
        let keys = singles.iter().chain(pages).map(|(key, _)| key.clone());
        let last_page = pages.last().map(|(_, page)| page.to_vec());
        Self {
            keys: keys.collect(),
            open_page: last_page.unwrap_or_default(),
        }
    }
}

fn damaged(problem: &dyn fmt::Display) -> ActorError {
    let message = format!("the stored document cannot be read: {problem}");
    ActorError::new("document-unreadable", message).status(500)
}

/// Padded to the width of the largest number: rows sort as numbers do.
fn row(prefix: &str, number: u64) -> String {
    format!("{prefix}{number:020}")
}
