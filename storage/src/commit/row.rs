//! One row of the overlay, as a slice of the commit that wrote it.

use std::borrow::Borrow;
use std::cmp::Ordering;

use bytes::Bytes;

/// A row put or deleted. Compared by its key alone, so that a set of rows is a map.
///
/// Key and value stand next to each other in the commit, so one slice holds both: half the
/// reference counts to move for each commit, and smaller nodes to walk through.
#[derive(Debug, Clone)]
pub(super) struct OverlayRow {
    /// The key, which begins with the number of the section, then the value.
    bytes: Bytes,
    key_size_bytes: u16,
    is_deletion: bool,
}

impl OverlayRow {
    /// A row that gets the value that follows its key.
    pub(super) fn put(bytes: Bytes, key_size_bytes: u16) -> Self {
        assert!(
            usize::from(key_size_bytes) <= bytes.len(),
            "the key of a row is a part of it"
        );
        Self {
            bytes,
            key_size_bytes,
            is_deletion: false,
        }
    }

    /// A row that goes.
    pub(super) fn deletion(bytes: Bytes, key_size_bytes: u16) -> Self {
        Self {
            is_deletion: true,
            ..Self::put(bytes, key_size_bytes)
        }
    }

    pub(super) fn key(&self) -> &[u8] {
        &self.bytes[..usize::from(self.key_size_bytes)]
    }

    /// The value, or `None` for a deletion.
    pub(super) fn value(&self) -> Option<Bytes> {
        (!self.is_deletion).then(|| self.bytes.slice(usize::from(self.key_size_bytes)..))
    }

    /// Key and value.
    pub(super) fn parts(&self) -> (Bytes, Option<Bytes>) {
        let key = self.bytes.slice(..usize::from(self.key_size_bytes));
        (key, self.value())
    }
}

impl Borrow<[u8]> for OverlayRow {
    fn borrow(&self) -> &[u8] {
        self.key()
    }
}

impl PartialEq for OverlayRow {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for OverlayRow {}

impl PartialOrd for OverlayRow {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for OverlayRow {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(other.key())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_later_row_of_a_key_takes_its_place() {
        let mut rows = BTreeSet::new();
        rows.replace(OverlayRow::put("kold".into(), 1));
        rows.replace(OverlayRow::put("lother".into(), 1));
        rows.replace(OverlayRow::put("knew".into(), 1));
        assert_eq!(rows.len(), 2);
        let value = |key: &[u8]| rows.get(key).map(OverlayRow::value);
        assert_eq!(value(b"k"), Some(Some("new".into())));
        assert_eq!(value(b"knew"), None);
        rows.replace(OverlayRow::deletion("k".into(), 1));
        assert_eq!(
            rows.get(b"k".as_slice()).unwrap().parts(),
            ("k".into(), None)
        );
    }
}
