//! Steps: the calls an operation of the store makes, counted by what they do and to what, so that a test can
//! make each of them fail once.

use std::collections::BTreeMap;
use std::path::Path;

/// What a call does to a file or a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DiskOperation {
    /// A folder is made.
    CreateFolder,
    /// A file is locked.
    Lock,
    /// A file is created.
    Create,
    /// Bytes are written.
    Write,
    /// A file is synced.
    Sync,
    /// A file is renamed.
    Rename,
    /// A file is removed.
    Remove,
    /// A folder is synced.
    SyncFolder,
    /// A file is opened.
    Open,
    /// Bytes, or the size of a file, are read.
    Read,
    /// A folder is listed.
    List,
    /// The free space is asked for.
    Space,
}

impl DiskOperation {
    /// Whether it changes what is on the disk. Others need no space, and are no steps of a power cut.
    #[must_use]
    pub fn is_writing(self) -> bool {
        match self {
            Self::CreateFolder
            | Self::Lock
            | Self::Create
            | Self::Write
            | Self::Sync
            | Self::Rename
            | Self::Remove
            | Self::SyncFolder => true,
            Self::Open | Self::Read | Self::List | Self::Space => false,
        }
    }
}

/// What a file is to the store. Calls on one role come from one thread at a time, so that the n-th of them is the
/// same call in every run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FileRole {
    /// `FORMAT` or its draft.
    Format,
    /// `LOCK`.
    Lock,
    /// A segment of the log.
    Segment,
    /// A spare, until it is renamed to a segment.
    Spare,
    /// The folder of the log.
    Log,
    /// Any other file or folder.
    Other,
}

impl FileRole {
    pub(super) fn of(path: &Path) -> Self {
        match path.file_name().and_then(|name| name.to_str()) {
            Some("LOCK") => Self::Lock,
            Some("log") => Self::Log,
            Some(name) if name.starts_with("FORMAT") => Self::Format,
            Some(name) if name.starts_with("spare-") => Self::Spare,
            Some(name) if name.ends_with(".log") => Self::Segment,
            _ => Self::Other,
        }
    }
}

/// A kind of call: what it does, and to what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DiskStep {
    /// What it does.
    pub operation: DiskOperation,
    /// To what.
    pub file: FileRole,
}

/// Counts steps of any sort, and holds the faults that wait at some of them.
#[derive(Debug)]
pub(super) struct Steps<S, F> {
    counts: BTreeMap<S, u64>,
    faults: BTreeMap<(S, u64), F>,
}

impl<S: Ord, F> Default for Steps<S, F> {
    fn default() -> Self {
        Self {
            counts: BTreeMap::new(),
            faults: BTreeMap::new(),
        }
    }
}

impl<S: Ord + Copy, F> Steps<S, F> {
    /// Counts a step and answers its fault.
    pub(super) fn count(&mut self, step: S) -> Option<F> {
        let count = self.counts.entry(step).or_insert(0);
        *count += 1;
        self.faults.remove(&(step, *count))
    }

    /// Puts a fault at the `nth` step of this sort from now, counted from 1.
    pub(super) fn fault_at(&mut self, step: S, nth: u64, fault: F) {
        let at = self.counted(step) + nth;
        self.faults.insert((step, at), fault);
    }

    pub(super) fn counted(&self, step: S) -> u64 {
        self.counts.get(&step).copied().unwrap_or(0)
    }

    pub(super) fn counts(&self) -> BTreeMap<S, u64> {
        self.counts.clone()
    }

    /// Whether a fault was put somewhere and not met yet.
    pub(super) fn is_armed(&self) -> bool {
        !self.faults.is_empty()
    }
}
