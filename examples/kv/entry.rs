//! Entries of the map: how they are told, and in which rows of the object's storage they are.
//!
//! ```text
//! k/{key}                      → Stored     the entry
//! x/{due, 20 digits}/{key}     → nothing    the index of expiries, soonest first
//! ```
//! An entry with an expiry has exactly one index row; both are written and deleted in one turn.

use abide::prelude::*;
use serde_json::Value;

/// Rows with the entries.
pub(crate) const ENTRIES: &str = "k/";
/// Rows with the expiries.
pub(crate) const EXPIRIES: &str = "x/";
/// Digits of the largest Unix millisecond, so that index rows sort by time.
const DUE_DIGITS: usize = 20;

/// A value with its revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Entry {
    /// Any JSON.
    pub(crate) value: Value,
    /// Grows with every change of the map, so no two values of a key ever share one.
    pub(crate) revision: u64,
    /// When it expires, Unix milliseconds; `null`: never.
    pub(crate) expires_at: Option<u64>,
}

/// One page of a listing.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Page {
    /// In the order of their keys.
    pub(crate) entries: Vec<KeyedEntry>,
    /// Where the next page begins: its `after`. `null`: this is the last.
    pub(crate) next: Option<String>,
}

/// An entry in a listing.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct KeyedEntry {
    /// Its key.
    pub(crate) key: String,
    /// What is kept under it.
    pub(crate) entry: Entry,
}

/// What `put` answers.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Written {
    /// The revision of the value just put.
    pub(crate) revision: u64,
    /// When it expires, Unix milliseconds; `null`: never.
    pub(crate) expires_at: Option<u64>,
}

/// An entry as it is stored. The value is JSON text: the row format does not describe itself, so
/// it could not read back a value of any shape.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Stored {
    pub(crate) json: String,
    pub(crate) revision: u64,
    pub(crate) expires_at: Option<Timestamp>,
}

impl Stored {
    /// Whether it is still there for those who ask: an entry is gone when its time has come, no
    /// matter when the alarm gets to it.
    pub(crate) fn is_alive(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|due| now < due)
    }

    /// The entry as it is told.
    ///
    /// # Errors
    /// When the stored text is no JSON, which only damage can cause.
    pub(crate) fn told(self) -> Result<Entry, serde_json::Error> {
        let value = serde_json::from_str(&self.json)?;
        let expires_at = self.expires_at.map(|due| due.0);
        Ok(Entry {
            value,
            revision: self.revision,
            expires_at,
        })
    }
}

/// Row of an entry.
pub(crate) fn entry_row(key: &str) -> String {
    format!("{ENTRIES}{key}")
}

/// Index row of an entry that expires.
pub(crate) fn expiry_row(due: Timestamp, key: &str) -> String {
    format!("{EXPIRIES}{:0DUE_DIGITS$}/{key}", due.0)
}

/// When an index row is due, and whose it is.
pub(crate) fn parse_expiry_row(row: &str) -> Option<(Timestamp, &str)> {
    let (due, key) = row.strip_prefix(EXPIRIES)?.split_at_checked(DUE_DIGITS)?;
    Some((Timestamp(due.parse().ok()?), key.strip_prefix('/')?))
}
