//! The overlay from the log: after a restart, and after a group that could not be written.

use std::collections::HashMap;
use std::path::Path;

use bytes::Bytes;

use super::entry;
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
        let mut payload = payload;
        let mut sequence = first_sequence;
        while !payload.is_empty() {
            let size_before = payload.len();
            let entry = entry::decode(&mut payload, |name| namespaces.named(name))?;
            let size_bytes = size_before - payload.len();
            epoch_max = epoch_max.max(entry.header.epoch);
            // A record may begin before the checkpoint; what is before it is in the engine.
            if sequence > engine_sequence {
                active.insert(
                    &entry.object,
                    entry.header,
                    sequence,
                    size_bytes,
                    entry.changes,
                );
            }
            sequence += 1;
            if broken(Tooth::ReplayHalfAGroup) {
                break;
            }
        }
        Ok(())
    };
    let replayed = replay(disk, folder, engine_sequence, &mut visit)?;
    Ok(Recovered {
        active,
        replayed,
        epoch_max,
    })
}
