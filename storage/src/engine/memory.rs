//! The reference: a sorted map. Other engines must give the answers it gives.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;
use parking_lot::RwLock;

use super::{Engine, EngineError, Row, is_empty_range};
use crate::store::Direction;

/// An engine that forgets everything when it is dropped.
#[derive(Debug, Default)]
pub struct MemoryEngine {
    rows: RwLock<BTreeMap<Bytes, Bytes>>,
}

impl MemoryEngine {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Engine for MemoryEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        Ok(self.rows.read().get(key).cloned())
    }

    fn scan(
        &self,
        start: Bound<&[u8]>,
        end: Bound<&[u8]>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, EngineError> {
        Ok(scan_map(&self.rows.read(), start, end, direction, limit))
    }

    fn apply(&self, rows: &[Row]) -> Result<(), EngineError> {
        apply_to_map(&mut self.rows.write(), rows);
        Ok(())
    }

    fn sync(&self) -> Result<(), EngineError> {
        Ok(())
    }

    fn size_bytes(&self) -> Result<u64, EngineError> {
        Ok(0)
    }

    fn reads_are_memory(&self) -> bool {
        true
    }

    fn is_volatile(&self) -> bool {
        true
    }
}

/// [`Engine::scan`] of a sorted map.
pub(crate) fn scan_map(
    map: &BTreeMap<Bytes, Bytes>,
    start: Bound<&[u8]>,
    end: Bound<&[u8]>,
    direction: Direction,
    limit: usize,
) -> Vec<(Bytes, Bytes)> {
    if is_empty_range(start, end) {
        return Vec::new();
    }
    let range = map.range::<[u8], _>((start, end));
    let owned = |(key, value): (&Bytes, &Bytes)| (key.clone(), value.clone());
    match direction {
        Direction::Forward => range.take(limit).map(owned).collect(),
        Direction::Reverse => range.rev().take(limit).map(owned).collect(),
    }
}

/// [`Engine::apply`] to a sorted map.
pub(crate) fn apply_to_map(map: &mut BTreeMap<Bytes, Bytes>, rows: &[Row]) {
    for row in rows {
        match &row.value {
            Some(value) => map.insert(row.key.clone(), value.clone()),
            None => map.remove(&row.key),
        };
    }
}
