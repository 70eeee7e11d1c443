//! Which commits of a damaged log may be kept.
//!
//! **A turn is whole or was not**, and so is the order of an object's turns: an object keeps its commits up to the
//! first one that is missing. Versions tell: each commit of an object has the next one. Objects that had no commit in
//! a gap lose nothing.

use std::collections::HashMap;
use std::sync::Arc;

use super::plan::{Findings, Loss};
use crate::commit::entry::Entry;
use crate::commit::memtable::Memtable;
use crate::commit::recovery::{Logged, Namespaces, for_each_entry};
use crate::engine::Engine;
use crate::id::{Epoch, Namespace, ObjectId, Version};
use crate::key::{self, Header};
use crate::log::{Gap, Group, Salvaged};
use crate::store::ReadError;

const MIXED: &str = "its rows may be of several turns";

/// Decides over commits as they come, in order.
pub(super) struct Survivors<'a> {
    engine: &'a dyn Engine,
    checkpoint: u64,
    objects: HashMap<ObjectId, Fate>,
    pub(super) namespaces: Namespaces,
    pub(super) epoch_max: Epoch,
    /// Whether commits after the checkpoint are missing already.
    has_gap: bool,
    /// Above every sequence that stood in a group or a gap.
    pub(super) next_sequence: u64,
    /// A gap whose length nobody knows.
    pub(super) is_open_ended: bool,
}

/// What becomes of an object.
struct Fate {
    namespace: Namespace,
    name: Option<Arc<str>>,
    /// The version of its last commit that is kept.
    version: u64,
    dropped_commits: u64,
    /// Its version in the engine before the repair.
    in_engine: u64,
    /// The engine had commits of it that came before the log's first one, and some of them are missing.
    begins_mixed: bool,
}

impl Fate {
    /// A checkpoint that was cut short had written rows of commits that are not kept, or that the log no longer tells whole.
    fn is_mixed(&self) -> bool {
        self.begins_mixed || self.version < self.in_engine
    }
}

impl<'a> Survivors<'a> {
    pub(super) fn new(engine: &'a dyn Engine, checkpoint: u64) -> Self {
        Self {
            engine,
            checkpoint,
            objects: HashMap::new(),
            namespaces: Namespaces::default(),
            epoch_max: Epoch(0),
            has_gap: false,
            next_sequence: checkpoint + 1,
            is_open_ended: false,
        }
    }

    /// Whether the log has a commit of this object that is kept.
    pub(super) fn has(&self, id: &ObjectId) -> bool {
        self.objects.get(id).is_some_and(|fate| fate.version > 0)
    }

    /// The header of the last commit of this object in the log that is kept.
    pub(super) fn header(&self, id: &ObjectId) -> Option<Header> {
        let fate = self.objects.get(id).filter(|fate| fate.version > 0)?;
        Some(Header {
            version: Version(fate.version),
            epoch: Epoch(0),
            name: fate.name.clone(),
        })
    }

    pub(super) fn known_namespaces(&self) -> impl Iterator<Item = &Namespace> {
        self.objects.values().map(|fate| &fate.namespace)
    }

    /// Takes what the log gives next. Commits that are kept go into `table`.
    pub(super) fn take(
        &mut self,
        salvaged: Salvaged,
        table: &Memtable,
        findings: &mut Findings,
    ) -> Result<(), ReadError> {
        match salvaged {
            Salvaged::Gap(gap) => self.take_gap(&gap, findings),
            Salvaged::Group(group) => self.take_group(&group, table, findings)?,
        }
        Ok(())
    }

    fn take_gap(&mut self, gap: &Gap, findings: &mut Findings) {
        let first = gap.first.max(self.checkpoint + 1);
        let loss = match gap.next {
            None => {
                self.is_open_ended = true;
                Loss::Some(format!(
                    "any commits from {first} on; how many there were, and of which objects, cannot be known"
                ))
            }
            Some(next) if next > first => {
                self.next_sequence = self.next_sequence.max(next);
                Loss::Some(format!(
                    "commits {first} to {}; an object whose last commit is one of them goes back without being named",
                    next - 1
                ))
            }
            Some(_) => Loss::Nothing,
        };
        self.has_gap |= loss != Loss::Nothing;
        let place = format!("{} at byte {}", gap.file.display(), gap.offset);
        let remedy = "the log goes on in a new segment; this one is put aside";
        findings.add(place, &gap.problem, remedy, loss);
    }

    fn take_group(
        &mut self,
        group: &Group,
        table: &Memtable,
        findings: &mut Findings,
    ) -> Result<(), ReadError> {
        self.next_sequence = self
            .next_sequence
            .max(group.last_sequence().saturating_add(1));
        let Some(entries) = self.decode(group) else {
            let first = group.first_sequence.max(self.checkpoint + 1);
            self.has_gap = true;
            findings.add(
                format!("commits {first} to {} in the log", group.last_sequence()),
                "their checksum is right and they do not decode",
                "they are left out; the log goes on in a new segment",
                Loss::Some(format!("commits {first} to {}", group.last_sequence())),
            );
            return Ok(());
        };
        for logged in entries {
            self.epoch_max = self.epoch_max.max(logged.entry.header.epoch);
            if logged.sequence > self.checkpoint && self.keeps(&logged.entry)? {
                logged.insert_into(table);
            }
        }
        Ok(())
    }

    fn decode(&mut self, group: &Group) -> Option<Vec<Logged>> {
        let mut entries = Vec::new();
        let (first, payload) = (group.first_sequence, group.payload.clone());
        for_each_entry(first, payload, &mut self.namespaces, |logged| {
            entries.push(logged)
        })
        .ok()?;
        Some(entries)
    }

    fn keeps(&mut self, entry: &Entry) -> Result<bool, ReadError> {
        let version = entry.header.version.0;
        let id = entry.object.id;
        if let Some(fate) = self.objects.get_mut(&id) {
            let is_next = fate.dropped_commits == 0 && version.checked_sub(1) == Some(fate.version);
            if is_next {
                fate.version = version;
            } else {
                fate.dropped_commits += 1;
            }
            return Ok(is_next);
        }
        let in_engine = self.engine_version(entry)?.unwrap_or(version);
        // A checkpoint that was cut short has left later rows of it in the engine; the log sets them again.
        let is_next = version.saturating_sub(1) <= in_engine;
        let fate = Fate {
            namespace: entry.object.namespace.clone(),
            name: entry.header.name.clone(),
            version: if is_next { version } else { in_engine },
            dropped_commits: u64::from(!is_next),
            in_engine,
            begins_mixed: self.has_gap && is_next && version <= in_engine,
        };
        self.objects.insert(id, fate);
        Ok(is_next)
    }

    /// 0 when the engine does not have the object, `None` when its header does not decode.
    fn engine_version(&self, entry: &Entry) -> Result<Option<u64>, ReadError> {
        let key = key::header(&entry.object.namespace, &entry.object.id);
        Ok(match self.engine.get(&key)? {
            None => Some(0),
            Some(bytes) => {
                let header = key::decode_value::<Header>(&bytes);
                header.ok().map(|header| header.version.0)
            }
        })
    }

    /// Says which objects go back, once everything was taken.
    pub(super) fn tell(&self, findings: &mut Findings) {
        let mut objects: Vec<_> = self.objects.iter().collect();
        objects.sort_unstable_by_key(|(id, _)| **id);
        for (id, fate) in objects {
            let name = fate
                .name
                .as_ref()
                .map_or_else(|| format!("id:{id}"), ToString::to_string);
            let place = format!("object {}/{name}", fate.namespace);
            if fate.dropped_commits > 0 {
                let mut loss = format!(
                    "its commits after version {}: {} of them can be read, none follows on the last",
                    fate.version, fate.dropped_commits
                );
                if fate.is_mixed() {
                    loss = format!("{loss}; {MIXED}");
                }
                let what = "commits before its later ones are missing";
                let remedy = "it goes back to the version before them";
                findings.add(place, what, remedy, Loss::Some(loss));
            } else if fate.is_mixed() {
                let what = "a checkpoint that was cut short had begun to write it, and commits are missing";
                let remedy = "it is left as the commits that can be read make it";
                findings.add(place, what, remedy, Loss::Some(MIXED.to_owned()));
            }
        }
    }
}
