//! The all-time table of a room: a row in storage per name.
//!
//! Points are gathered for a moment and staged together. The table shows what is staged and no
//! more: the output gate holds an answer until it is durable, so what anybody has read of it
//! outlives a crash.

use std::collections::BTreeMap;

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

/// The table as it is staged, and what has been won since.
#[derive(Debug, Default)]
pub(crate) struct Best {
    records: BTreeMap<String, Record>,
    won: BTreeMap<String, Record>,
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
            won: BTreeMap::new(),
        })
    }

    pub(crate) fn add(&mut self, name: &str, points: u32, kills: u32) {
        let won = self.won.entry(name.to_owned()).or_default();
        won.points += u64::from(points);
        won.kills += u64::from(kills);
    }

    /// Stages what has been won, which the table shows from now on; answers whether there was any.
    ///
    /// # Errors
    /// When a row cannot be staged.
    pub(crate) fn stage<A>(&mut self, ctx: &mut Context<A>) -> Result<bool, CallError> {
        let won = std::mem::take(&mut self.won);
        let has_won = !won.is_empty();
        let mut storage = ctx.storage_mut();
        for (name, won) in won {
            let key = format!("{PREFIX}{name}");
            let record = self.records.entry(name).or_default();
            record.points += won.points;
            record.kills += won.kills;
            storage.put(&key, record)?;
        }
        while self.records.len() > NAMES_MAX {
            let least = self.records.iter().min_by_key(|(_, record)| record.points);
            let Some(name) = least.map(|(name, _)| name.clone()) else {
                break;
            };
            self.records.remove(&name);
            storage.delete(&format!("{PREFIX}{name}"))?;
        }
        Ok(has_won)
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
