//! Filling an empty engine with a base and the commits after it: what a restore does.
//!
//! Commits go through a memtable, as they do in a running store, so that there is one code that
//! turns a commit into rows.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::checkpointer::pieces_of;
use super::memtable::Memtable;
use super::opening::EPOCH_COUNTER_BITS;
use super::recovery::{Logged, Namespaces, for_each_entry};
use crate::engine::{Engine, EngineError, Row};
use crate::history::HistoryError;
use crate::id::{Epoch, ObjectId};
use crate::key::{self, Meta};
use crate::log::Group;

/// Commits gathered before they go to the engine, bytes of memory as estimated.
const TABLE_SIZE_BYTES: u64 = 16 << 20;
/// Pieces between two syncs, as in a checkpoint: what is not synced costs engines memory.
const PIECES_PER_SYNC: usize = 16;

/// An engine that is being filled.
#[derive(Debug)]
pub(crate) struct Rebuild<'a> {
    engine: &'a dyn Engine,
    table: Memtable,
    namespaces: Namespaces,
    /// Only its rows, when there is one.
    only: Option<ObjectId>,
    epoch_max: Epoch,
    pieces: usize,
}

impl<'a> Rebuild<'a> {
    pub(crate) fn new(engine: &'a dyn Engine) -> Self {
        Self {
            engine,
            table: new_table(),
            namespaces: Namespaces::default(),
            only: None,
            epoch_max: Epoch(0),
            pieces: 0,
        }
    }

    /// Leaves out the commits of all other objects.
    pub(crate) fn only(self, id: ObjectId) -> Self {
        Self {
            only: Some(id),
            ..self
        }
    }

    /// Takes rows, which are sorted; but those of sessions. Their clients have gone on since, and count what
    /// the restored store knows nothing of: with the sessions of then it would give the same numbers to
    /// other messages.
    pub(crate) fn take_rows(&mut self, rows: &[Row]) -> Result<(), EngineError> {
        let is_kept = |row: &&Row| !key::is_of_sessions(&row.key);
        let kept: Vec<Row>;
        let rows = if rows.iter().all(|row| is_kept(&row)) {
            rows
        } else {
            kept = rows.iter().filter(is_kept).cloned().collect();
            &kept
        };
        for piece in pieces_of(rows) {
            self.engine.apply(piece)?;
            self.pieces += 1;
            if self.pieces.is_multiple_of(PIECES_PER_SYNC) {
                self.engine.sync()?;
            }
        }
        Ok(())
    }

    /// Takes the commits of a group that lie after `after` and up to `up_to`.
    pub(crate) fn take_group(
        &mut self,
        group: &Group,
        (after, up_to): (u64, u64),
    ) -> Result<(), HistoryError> {
        let (table, only, epoch_max) = (&self.table, self.only, &mut self.epoch_max);
        for_each_of(group, &mut self.namespaces, |logged| {
            let is_asked_for = only.is_none_or(|only| only == logged.entry.object.id);
            if logged.sequence > after && logged.sequence <= up_to && is_asked_for {
                *epoch_max = (*epoch_max).max(logged.entry.header.epoch);
                logged.insert_into(table);
            }
        })
        .map_err(|problem| {
            let text = format!("commit {}: {problem}", group.first_sequence);
            crate::store::ReadError::Corrupt(text.into())
        })?;
        if self.table.size_bytes() >= TABLE_SIZE_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    /// Makes everything durable, as the state after commit `checkpoint` of a store of at least
    /// this generation.
    pub(crate) fn finish(mut self, generation: u64, checkpoint: u64) -> Result<(), EngineError> {
        self.flush()?;
        let generation = generation.max(self.epoch_max.0 >> EPOCH_COUNTER_BITS);
        let meta = Meta {
            generation,
            checkpoint,
        };
        self.engine.sync()?;
        self.engine.apply(&[meta.row()])?;
        self.engine.sync()
    }

    fn flush(&mut self) -> Result<(), EngineError> {
        let table = std::mem::replace(&mut self.table, new_table());
        table.drain(|rows| self.take_rows(&rows))
    }
}

/// Whether every commit of the group can be read.
pub(crate) fn check_group(group: &Group) -> Result<(), &'static str> {
    for_each_of(group, &mut Namespaces::default(), |_| {})
}

fn for_each_of(
    group: &Group,
    namespaces: &mut Namespaces,
    visit: impl FnMut(Logged),
) -> Result<(), &'static str> {
    let (first, payload) = (group.first_sequence, group.payload.clone());
    if for_each_entry(first, payload, namespaces, visit)? == first + u64::from(group.count) {
        Ok(())
    } else {
        Err("the group does not have as many commits as it says")
    }
}

fn new_table() -> Memtable {
    Memtable::new(Arc::new(AtomicU64::new(0)))
}
