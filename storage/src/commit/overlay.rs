//! The two memtables in front of the engine, and reads through all three.
//!
//! ```text
//! commits ──► active ──freeze──► frozen ──checkpoint──► engine
//! reads   ──► active ──────────► frozen ──────────────► engine      first one that knows, wins
//! ```
//!
//! A read takes both memtables first and asks the engine afterwards. A frozen memtable that is
//! dropped in between is wholly in the engine by then, so nothing is missed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::RwLock;

use super::memtable::{Layer, Memtable, ObjectView};
use crate::engine::Engine;
use crate::id::{Namespace, ObjectId};
use crate::key::{self, Header, KeyRange, as_slices};
use crate::store::{Direction, ObjectSummary, ReadError, ScheduledAlarm};

/// What is committed and not yet in the engine.
#[derive(Debug)]
pub(super) struct Overlay {
    /// Read-locked while a commit is queued and inserted, write-locked to freeze or rebuild:
    /// then no commit is half in.
    pub(super) tables: RwLock<Tables>,
    size_bytes: Arc<AtomicU64>,
}

/// The memtables at one moment.
#[derive(Debug, Clone)]
pub(super) struct Tables {
    pub(super) active: Arc<Memtable>,
    pub(super) frozen: Option<Frozen>,
    /// Every commit up to this sequence is in the engine and no longer here.
    pub(super) engine_sequence: u64,
}

/// A memtable on its way into the engine.
#[derive(Debug, Clone)]
pub(super) struct Frozen {
    pub(super) table: Arc<Memtable>,
    /// Every commit up to this sequence is in it or in the engine, none after.
    pub(super) sequence: u64,
}

impl Overlay {
    pub(super) fn new(active: Memtable, engine_sequence: u64) -> Self {
        let size_bytes = active.total_size_bytes();
        let tables = Tables {
            active: Arc::new(active),
            frozen: None,
            engine_sequence,
        };
        Self {
            tables: RwLock::new(tables),
            size_bytes,
        }
    }

    /// An empty memtable for this overlay.
    pub(super) fn new_table(&self) -> Memtable {
        Memtable::new(self.size_bytes.clone())
    }

    pub(super) fn snapshot(&self) -> Tables {
        self.tables.read().clone()
    }

    /// Memory the memtables take, bytes. Takes no lock.
    pub(super) fn size_bytes(&self) -> u64 {
        self.size_bytes.load(Ordering::Relaxed)
    }
}

impl Tables {
    fn layers(&self) -> impl Iterator<Item = &Memtable> {
        [
            Some(&self.active),
            self.frozen.as_ref().map(|frozen| &frozen.table),
        ]
        .into_iter()
        .flatten()
        .map(|table| &**table)
    }

    /// The newest view of an object; whole when any layer has its first commit.
    pub(super) fn object(&self, id: &ObjectId) -> Option<ObjectView> {
        let mut views = self.layers().filter_map(|layer| layer.object(id));
        let mut newest = views.next()?;
        newest.is_whole |= views.any(|older| older.is_whole);
        Some(newest)
    }

    /// One row, when the overlay knows it.
    pub(super) fn get(&self, id: &ObjectId, key: &[u8]) -> Option<Option<Bytes>> {
        self.layers().find_map(|layer| layer.get(id, key))
    }

    /// Rows of an object from the overlay, newest layer first. Keys begin with the section's number.
    pub(super) fn scan(
        &self,
        id: &ObjectId,
        range: &KeyRange,
        direction: Direction,
        limit: usize,
    ) -> Vec<Layer> {
        let (start, end) = as_slices(range);
        self.collect(limit, |table, puts_max| {
            table.scan(id, start, end, direction, puts_max)
        })
    }

    /// Entries of the index of alarms from the overlay, newest layer first.
    pub(super) fn alarms(&self, range: &KeyRange, limit: usize) -> Vec<Layer> {
        let (start, end) = as_slices(range);
        self.collect(limit, |table, puts_max| table.alarms(start, end, puts_max))
    }

    /// The first objects of a namespace from the overlay.
    pub(super) fn objects(
        &self,
        namespace: &Namespace,
        after: Option<&ObjectId>,
        limit: usize,
    ) -> BTreeMap<ObjectId, Header> {
        let mut found = BTreeMap::new();
        for layer in self.layers() {
            for (id, header) in layer.objects(namespace, after, limit) {
                found.entry(id).or_insert(header);
            }
        }
        found
    }

    /// Each layer is read as far as the answer can reach: a newer layer's deletions may each
    /// hide one of its rows.
    fn collect(&self, limit: usize, scan: impl Fn(&Memtable, usize) -> Layer) -> Vec<Layer> {
        let mut layers = Vec::new();
        for table in self.layers() {
            let puts_max = limit.saturating_add(deletions(&layers));
            layers.push(scan(table, puts_max));
        }
        layers
    }
}

/// Rows that the engine must be asked for, so that `limit` are left after the overlay's deletions.
pub(super) fn engine_limit(layers: &[Layer], limit: usize) -> usize {
    limit.saturating_add(deletions(layers))
}

/// Rows of all layers as one, newest first in `layers`, the engine's last.
pub(super) fn merge(
    layers: Vec<Layer>,
    engine: Vec<(Bytes, Bytes)>,
    direction: Direction,
    limit: usize,
) -> Vec<(Bytes, Bytes)> {
    let mut rows = engine;
    if layers.iter().any(|layer| !layer.is_empty()) {
        let mut merged: BTreeMap<Bytes, Option<Bytes>> = rows
            .into_iter()
            .map(|(key, value)| (key, Some(value)))
            .collect();
        for layer in layers.into_iter().rev() {
            merged.extend(layer);
        }
        let live = merged
            .into_iter()
            .filter_map(|(key, value)| Some((key, value?)));
        rows = match direction {
            Direction::Forward => live.collect(),
            Direction::Reverse => live.rev().collect(),
        };
    }
    rows.truncate(limit);
    rows
}

/// An object's rows in the engine, keyed by section number and key like the overlay's.
pub(super) fn engine_rows(
    engine: &dyn Engine,
    id: &ObjectId,
    range: &KeyRange,
    direction: Direction,
    limit: usize,
) -> Result<Vec<(Bytes, Bytes)>, ReadError> {
    let range = key::row_range(id, range);
    let (start, end) = as_slices(&range);
    let found = engine.scan(start, end, direction, limit)?;
    found
        .into_iter()
        .map(|(key, value)| Ok((key::decode_row(&key)?, value)))
        .collect()
}

/// The index of alarms through overlay and engine.
pub(super) fn read_alarms(
    tables: &Tables,
    engine: &dyn Engine,
    after: Option<&ScheduledAlarm>,
    limit: usize,
) -> Result<Vec<ScheduledAlarm>, ReadError> {
    let range = key::alarms(after);
    let layers = tables.alarms(&range, limit);
    let (start, end) = as_slices(&range);
    let found = engine.scan(start, end, Direction::Forward, engine_limit(&layers, limit))?;
    let rows = merge(layers, found, Direction::Forward, limit);
    rows.iter()
        .map(|(key, value)| key::decode_alarm(key, value))
        .collect()
}

/// The objects of a namespace through overlay and engine.
pub(super) fn read_objects(
    tables: &Tables,
    engine: &dyn Engine,
    namespace: &Namespace,
    after: Option<&ObjectId>,
    limit: usize,
) -> Result<Vec<ObjectSummary>, ReadError> {
    let mut objects = tables.objects(namespace, after, limit);
    let range = key::headers(namespace, after);
    let (start, end) = as_slices(&range);
    for (key, value) in engine.scan(start, end, Direction::Forward, limit)? {
        let id = key::decode_header_id(&key)?;
        if let std::collections::btree_map::Entry::Vacant(vacant) = objects.entry(id) {
            vacant.insert(key::decode_value(&value)?);
        }
    }
    let summary = |(id, Header { name, version, .. })| ObjectSummary { id, name, version };
    Ok(objects.into_iter().take(limit).map(summary).collect())
}

fn deletions(layers: &[Layer]) -> usize {
    layers
        .iter()
        .flatten()
        .filter(|(_, value)| value.is_none())
        .count()
}
