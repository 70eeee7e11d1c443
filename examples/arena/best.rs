//! The all-time table of a room: a row in storage per name, committed with the tick that changed it.

use std::collections::{BTreeMap, BTreeSet};

use abide::prelude::*;

/// Names a room remembers; the one with the least points makes room for another.
const NAMES_MAX: usize = 500;
/// Lines that are shown.
const SHOWN: usize = 10;
const PREFIX: &str = "best/";

/// What a name has won in this room.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) points: u64,
    pub(crate) kills: u64,
}

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) points: u64,
    pub(crate) kills: u64,
}

/// The table, and what of it is not staged yet.
#[derive(Debug, Default)]
pub(crate) struct Best {
    records: BTreeMap<String, Record>,
    changed: BTreeSet<String>,
}

impl Best {
    /// # Errors
    /// When the storage cannot be read.
    pub(crate) async fn load<A>(ctx: &Context<A>) -> Result<Self, CallError> {
        let rows = ctx.storage().list(Keys::prefix(PREFIX)).await?;
        let named = rows.into_iter().filter_map(|(key, record)| {
            let name = key.strip_prefix(PREFIX)?.to_owned();
            Some((name, record))
        });
        Ok(Self {
            records: named.collect(),
            changed: BTreeSet::new(),
        })
    }

    pub(crate) fn add(&mut self, name: &str, points: u32, kills: u32) {
        let record = self.records.entry(name.to_owned()).or_default();
        record.points += u64::from(points);
        record.kills += u64::from(kills);
        self.changed.insert(name.to_owned());
    }

    /// Stages the rows that changed; answers whether there were any.
    ///
    /// # Errors
    /// When a row cannot be staged.
    pub(crate) fn stage<A>(&mut self, ctx: &mut Context<A>) -> Result<bool, CallError> {
        let changed = std::mem::take(&mut self.changed);
        let mut storage = ctx.storage_mut();
        for name in &changed {
            storage.put(&format!("{PREFIX}{name}"), &self.records[name])?;
        }
        while self.records.len() > NAMES_MAX {
            let least = self.records.iter().min_by_key(|(_, record)| record.points);
            let Some(name) = least.map(|(name, _)| name.clone()) else {
                break;
            };
            self.records.remove(&name);
            storage.delete(&format!("{PREFIX}{name}"))?;
        }
        Ok(!changed.is_empty())
    }

    /// The lines with the most points.
    pub(crate) fn shown(&self) -> Vec<Line> {
        let mut lines: Vec<(&String, &Record)> = self.records.iter().collect();
        lines.sort_by_key(|(_, record)| std::cmp::Reverse((record.points, record.kills)));
        lines.truncate(SHOWN);
        let shown = lines.into_iter().map(|(name, record)| Line {
            name: name.clone(),
            points: record.points,
            kills: record.kills,
        });
        shown.collect()
    }
}
