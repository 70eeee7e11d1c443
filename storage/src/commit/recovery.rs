//! The overlay from the log: after a restart, and after a group that could not be written.

use std::collections::HashMap;
use std::path::Path;

use bytes::Bytes;

use super::entry::{self, Entry};
use super::memtable::Memtable;
use crate::id::{Epoch, Namespace};
use crate::log::{Disk, ReplayError, Replayed, replay};
use crate::teeth::{Tooth, broken};

/// What the log holds beyond the engine.
#[derive(Debug)]
pub(super) struct Recovered {
    pub(super) active: Memtable,
    pub(super) replayed: Replayed,
    /// The highest epoch of any commit.
    pub(super) epoch_max: Epoch,
}

/// Namespaces met so far: making one derives its key; there are few of them and many commits.
#[derive(Debug, Default)]
pub(super) struct Namespaces(HashMap<Box<str>, Namespace>);

impl Namespaces {
    /// The namespace with this name, if it is one.
    pub(super) fn named(&mut self, name: &str) -> Option<Namespace> {
        if let Some(known) = self.0.get(name) {
            return Some(known.clone());
        }
        let namespace = Namespace::new(name).ok()?;
        self.0.insert(name.into(), namespace.clone());
        Some(namespace)
    }
}

/// A commit of a group that was read back.
#[derive(Debug)]
pub(super) struct Logged {
    pub(super) sequence: u64,
    pub(super) entry: Entry,
    size_bytes: usize,
}

impl Logged {
    pub(super) fn insert_into(self, table: &Memtable) {
        let Entry {
            object,
            header,
            changes,
        } = self.entry;
        table.insert(&object, header, self.sequence, self.size_bytes, changes);
    }
}

/// Hands each commit in the payload of a group to `visit`. Answers the sequence after the last one.
pub(super) fn for_each_entry(
    first_sequence: u64,
    mut payload: Bytes,
    namespaces: &mut Namespaces,
    mut visit: impl FnMut(Logged),
) -> Result<u64, &'static str> {
    let mut sequence = first_sequence;
    while !payload.is_empty() {
        let size_before = payload.len();
        let entry = entry::decode(&mut payload, |name| namespaces.named(name))?;
        visit(Logged {
            sequence,
            entry,
            size_bytes: size_before - payload.len(),
        });
        sequence += 1;
    }
    Ok(sequence)
}

/// Reads every commit after `engine_sequence` into `active`, an empty memtable.
pub(super) fn recover(
    disk: &dyn Disk,
    folder: &Path,
    engine_sequence: u64,
    active: Memtable,
) -> Result<Recovered, ReplayError> {
    let mut epoch_max = Epoch(0);
    let mut namespaces = Namespaces::default();
    let mut visit = |first_sequence: u64, payload: Bytes| -> Result<(), String> {
        for_each_entry(first_sequence, payload, &mut namespaces, |entry| {
            if broken(Tooth::ReplayHalfAGroup) && entry.sequence > first_sequence {
                return;
            }
            epoch_max = epoch_max.max(entry.entry.header.epoch);
            // A record may begin before the checkpoint; what is before it is in the engine.
            if entry.sequence > engine_sequence {
                entry.insert_into(&active);
            }
        })?;
        Ok(())
    };
    let replayed = replay(disk, folder, engine_sequence, &mut visit)?;
    Ok(Recovered {
        active,
        replayed,
        epoch_max,
    })
}
