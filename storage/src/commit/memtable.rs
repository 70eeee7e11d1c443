//! Committed rows that are not in the engine yet, in memory.
//!
//! Split by the first bits of the object id, so that commits of different objects rarely wait
//! for each other, and so that walking the shards in order walks the ids in order.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;

use super::entry::{Change, Changes};
use super::row::OverlayRow;
use crate::engine::{Row, is_empty_range};
use crate::id::{Namespace, Object, ObjectId};
use crate::key::{self, Header};
use crate::store::Direction;
use crate::teeth::{Tooth, broken};

const SHARDS: usize = 64;
/// What a commit costs in memory besides its own bytes, estimated: an object's entry and the
/// first node of its map.
const COMMIT_OVERHEAD_BYTES: u64 = 256;

/// A layer's rows of a range, deletions included.
pub(super) type Layer = Vec<(Bytes, Option<Bytes>)>;

/// A sorted, shared, append-only view of some commits.
#[derive(Debug)]
pub(super) struct Memtable {
    shards: Box<[Mutex<Shard>]>,
    /// The index of alarms, by engine key.
    alarms: Mutex<BTreeMap<Bytes, Option<Bytes>>>,
    size_bytes: AtomicU64,
    /// The size of all memtables of the store together.
    total_size_bytes: Arc<AtomicU64>,
}

#[derive(Debug, Default)]
struct Shard {
    objects: HashMap<ObjectId, ObjectRows>,
    size_bytes: u64,
}

#[derive(Debug)]
struct ObjectRows {
    namespace: Namespace,
    header: Header,
    /// Sequence of the object's last commit here.
    sequence: u64,
    /// Whether the object's very first commit is here, so that the engine has nothing of it.
    is_whole: bool,
    /// By section number and key.
    rows: BTreeSet<OverlayRow>,
}

/// What a memtable knows of one object besides its rows.
#[derive(Debug, Clone)]
pub(super) struct ObjectView {
    pub(super) header: Header,
    pub(super) sequence: u64,
    pub(super) is_whole: bool,
}

impl Memtable {
    /// An empty memtable that adds its size to `total_size_bytes` for as long as it lives.
    pub(super) fn new(total_size_bytes: Arc<AtomicU64>) -> Self {
        Self {
            total_size_bytes,
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            alarms: Mutex::default(),
            size_bytes: AtomicU64::new(0),
        }
    }

    /// Memory it takes, bytes, estimated from above: overwritten rows still count.
    pub(super) fn size_bytes(&self) -> u64 {
        self.size_bytes.load(Ordering::Relaxed)
    }

    pub(super) fn total_size_bytes(&self) -> Arc<AtomicU64> {
        self.total_size_bytes.clone()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.size_bytes() == 0
    }

    /// Adds a commit. Commits of one object come in order.
    pub(super) fn insert(
        &self,
        object: &Object,
        header: Header,
        sequence: u64,
        encoded_size_bytes: usize,
        changes: Changes,
    ) {
        let size_bytes = encoded_size_bytes as u64 + COMMIT_OVERHEAD_BYTES;
        self.size_bytes.fetch_add(size_bytes, Ordering::Relaxed);
        self.total_size_bytes
            .fetch_add(size_bytes, Ordering::Relaxed);
        let mut shard = self.shard(&object.id).lock();
        shard.size_bytes += size_bytes;
        let rows = shard
            .objects
            .entry(object.id)
            .or_insert_with(|| ObjectRows {
                namespace: object.namespace.clone(),
                header: header.clone(),
                sequence,
                is_whole: header.version.0 == 1,
                rows: BTreeSet::new(),
            });
        (rows.header, rows.sequence) = (header, sequence);
        let step = if broken(Tooth::ApplyHalfABatch) { 2 } else { 1 };
        for change in changes.into_iter().step_by(step) {
            match change {
                // Replaced, not inserted: that would keep the older row.
                Change::Row(row) => _ = rows.rows.replace(row),
                Change::Alarm {
                    due,
                    name,
                    is_scheduled,
                } => {
                    let key = key::alarm(due, &object.id, &name);
                    let value = is_scheduled.then(|| namespace_value(&object.namespace));
                    self.alarms.lock().insert(key.into(), value);
                }
            }
        }
    }

    pub(super) fn object(&self, id: &ObjectId) -> Option<ObjectView> {
        self.shard(id)
            .lock()
            .objects
            .get(id)
            .map(|rows| ObjectView {
                header: rows.header.clone(),
                sequence: rows.sequence,
                is_whole: rows.is_whole,
            })
    }

    /// One row: `None` when this memtable does not know it, `Some(None)` when it is deleted.
    pub(super) fn get(&self, id: &ObjectId, key: &[u8]) -> Option<Option<Bytes>> {
        self.shard(id)
            .lock()
            .objects
            .get(id)?
            .rows
            .get(key)
            .map(OverlayRow::value)
    }

    /// Rows of an object in order, up to the `puts_max`-th that is no deletion. Keys begin with
    /// the section's number.
    pub(super) fn scan(
        &self,
        id: &ObjectId,
        start: Bound<&[u8]>,
        end: Bound<&[u8]>,
        direction: Direction,
        puts_max: usize,
    ) -> Layer {
        if is_empty_range(start, end) {
            return Layer::new();
        }
        match self.shard(id).lock().objects.get(id) {
            Some(object) => {
                let range = object.rows.range::<[u8], _>((start, end));
                take_layer(range.map(OverlayRow::parts), direction, puts_max)
            }
            None => Layer::new(),
        }
    }

    /// Entries of the index of alarms, as [`scan`](Self::scan).
    pub(super) fn alarms(&self, start: Bound<&[u8]>, end: Bound<&[u8]>, puts_max: usize) -> Layer {
        if is_empty_range(start, end) {
            return Layer::new();
        }
        let alarms = self.alarms.lock();
        let range = alarms.range::<[u8], _>((start, end));
        let range = range.map(|(key, value)| (key.clone(), value.clone()));
        take_layer(range, Direction::Forward, puts_max)
    }

    /// The first `limit` objects of a namespace after `after`, in order of id.
    pub(super) fn objects(
        &self,
        namespace: &Namespace,
        after: Option<&ObjectId>,
        limit: usize,
    ) -> Vec<(ObjectId, Header)> {
        let first_shard = after.map_or(0, shard_index);
        let mut found = Vec::new();
        for shard in &self.shards[first_shard..] {
            let mut here: Vec<_> = shard
                .lock()
                .objects
                .iter()
                .filter(|(id, rows)| {
                    rows.namespace == *namespace && after.is_none_or(|after| *id > after)
                })
                .map(|(id, rows)| (*id, rows.header.clone()))
                .collect();
            here.sort_unstable_by_key(|(id, _)| *id);
            found.append(&mut here);
            if found.len() >= limit {
                found.truncate(limit);
                break;
            }
        }
        found
    }

    /// Hands all rows, as the engine gets them, to `apply`, in sorted parts: headers, then shard by
    /// shard, then alarms. Each shard is let go as soon as the engine has it.
    ///
    /// A read that comes too late for a shard finds its rows in the engine, as long as it looks
    /// here for rows first, for the object second, and in the engine last.
    pub(super) fn drain<E>(
        &self,
        mut apply: impl FnMut(Vec<Row>) -> Result<(), E>,
    ) -> Result<(), E> {
        apply(self.headers())?;
        for shard in &self.shards {
            apply(rows_of_shard(shard))?;
            let drained = std::mem::take(&mut *shard.lock());
            self.size_bytes
                .fetch_sub(drained.size_bytes, Ordering::Relaxed);
            self.total_size_bytes
                .fetch_sub(drained.size_bytes, Ordering::Relaxed);
        }
        let alarms = self.alarms.lock().clone();
        apply(
            alarms
                .into_iter()
                .map(|(key, value)| Row { key, value })
                .collect(),
        )
    }

    fn headers(&self) -> Vec<Row> {
        let mut headers = Vec::new();
        for shard in &self.shards {
            headers.extend(shard.lock().objects.iter().map(|(id, rows)| Row {
                key: key::header(&rows.namespace, id).into(),
                value: Some(key::encode_value(&rows.header)),
            }));
        }
        headers.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        headers
    }

    fn shard(&self, id: &ObjectId) -> &Mutex<Shard> {
        &self.shards[shard_index(id)]
    }
}

impl Drop for Memtable {
    fn drop(&mut self) {
        self.total_size_bytes
            .fetch_sub(*self.size_bytes.get_mut(), Ordering::Relaxed);
    }
}

fn shard_index(id: &ObjectId) -> usize {
    usize::from(id.as_bytes()[0]) * SHARDS / 256
}

fn rows_of_shard(shard: &Mutex<Shard>) -> Vec<Row> {
    let shard = shard.lock();
    let mut objects: Vec<_> = shard.objects.iter().collect();
    objects.sort_unstable_by_key(|(id, _)| **id);
    let mut found = Vec::new();
    for (id, object) in objects {
        found.extend(object.rows.iter().map(|row| Row {
            key: key::row(id, row.key()).into(),
            value: row.value(),
        }));
    }
    found
}

/// The first rows of a range, or the last ones, up to the `puts_max`-th that is no deletion.
fn take_layer(
    range: impl DoubleEndedIterator<Item = (Bytes, Option<Bytes>)>,
    direction: Direction,
    puts_max: usize,
) -> Layer {
    let mut range = range;
    let mut layer = Layer::new();
    let mut puts = 0;
    while puts < puts_max {
        let row = match direction {
            Direction::Forward => range.next(),
            Direction::Reverse => range.next_back(),
        };
        let Some(row) = row else { break };
        puts += usize::from(row.1.is_some());
        layer.push(row);
    }
    layer
}

fn namespace_value(namespace: &Namespace) -> Bytes {
    Bytes::copy_from_slice(namespace.as_str().as_bytes())
}
