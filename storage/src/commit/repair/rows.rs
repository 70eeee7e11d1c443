//! Rows of the engine that no release writes, and what becomes of them.

use std::collections::HashMap;
use std::ops::Bound;

use bytes::Bytes;

use super::commits::Survivors;
use super::plan::{Findings, Loss};
use crate::commit::check::has_cause;
use crate::engine::{Engine, Row};
use crate::id::{Epoch, Namespace, ObjectId, Version};
use crate::key::{self, EngineKey, Header};
use crate::store::{Direction, ReadError};

/// Rows read from the engine at a time.
const PAGE_ROWS: usize = 1_024;
/// Rows changed by one repair, which it holds in memory. More take another one.
const ROWS_MAX: usize = 1 << 20;

/// Looks at every row, and answers the changes that make the engine sound, sorted, and the highest epoch of a header.
///
/// Objects that the log still has are left alone: their rows are written again from it.
pub(super) fn changes(
    engine: &dyn Engine,
    survivors: &Survivors<'_>,
    findings: &mut Findings,
) -> Result<(Vec<Row>, Epoch), ReadError> {
    let mut rows = Rows {
        engine,
        survivors,
        findings,
        objects: HashMap::new(),
        namespaces: survivors.known_namespaces().cloned().collect(),
        last_met: None,
        changes: Vec::new(),
        epoch_max: Epoch(0),
    };
    let mut last: Option<Bytes> = None;
    while rows.changes.len() < ROWS_MAX {
        let start = match &last {
            Some(key) => Bound::Excluded(&key[..]),
            None => Bound::Unbounded,
        };
        let page = engine.scan(start, Bound::Unbounded, Direction::Forward, PAGE_ROWS)?;
        let Some((key, _)) = page.last() else {
            break;
        };
        last = Some(key.clone());
        for (key, value) in &page {
            rows.look(key, value)?;
        }
    }
    let Rows {
        mut changes,
        epoch_max,
        ..
    } = rows;
    changes.sort_by(|a, b| a.key.cmp(&b.key));
    changes.dedup_by(|a, b| a.key == b.key);
    Ok((changes, epoch_max))
}

struct Rows<'a, 'b> {
    engine: &'a dyn Engine,
    survivors: &'a Survivors<'b>,
    findings: &'a mut Findings,
    /// Namespace of every object that has a header, or gets one.
    objects: HashMap<ObjectId, Namespace>,
    /// Every namespace met: an id tells which of them it belongs to.
    namespaces: Vec<Namespace>,
    last_met: Option<ObjectId>,
    changes: Vec<Row>,
    epoch_max: Epoch,
}

impl Rows<'_, '_> {
    fn look(&mut self, key: &Bytes, value: &Bytes) -> Result<(), ReadError> {
        match key::decode(key, value) {
            Ok(EngineKey::Meta) => {}
            Ok(EngineKey::Header { namespace, id }) if id.belongs_to(&namespace) => {
                self.met(&namespace);
                self.objects.insert(id, namespace);
                let header: Header = key::decode_value(value)?;
                self.epoch_max = self.epoch_max.max(header.epoch);
            }
            Ok(EngineKey::Header { namespace, id }) => {
                let loss = Loss::Some("this header; the rows of the id stay, if it has any".into());
                let what = format!("the id is not one of namespace '{namespace}'");
                self.remove(key, format!("header of object {id}"), &what, loss);
            }
            Ok(EngineKey::Row { id, .. }) => self.look_at_row(key, id),
            Ok(EngineKey::Alarm(alarm)) => {
                let id = alarm.object.id;
                if self.survivors.has(&id) {
                    return Ok(());
                }
                let is_known = self.objects.get(&id) == Some(&alarm.object.namespace);
                if !is_known || !has_cause(self.engine, &alarm)? {
                    let place = format!("alarm of object {id} due at {} ms", alarm.due.0);
                    let what = "the index has it, the object does not";
                    self.remove(key, place, what, Loss::Nothing);
                }
            }
            Err(error) => self.look_at_unreadable(key, &error),
        }
        Ok(())
    }

    fn look_at_row(&mut self, key: &Bytes, id: ObjectId) {
        if self.survivors.has(&id) || self.objects.contains_key(&id) {
            return;
        }
        let is_first = self.last_met.replace(id) != Some(id);
        let namespace = self.namespaces.iter().find(|known| id.belongs_to(known));
        let place = format!("object {id}");
        let what = "it has rows but no header";
        match namespace.cloned() {
            Some(namespace) => self.write_header(namespace, id, place, what),
            None if is_first => {
                let loss = Loss::Some(
                    "all rows of it: no namespace is known that the id belongs to".into(),
                );
                self.remove(key, place, what, loss);
            }
            None => self.push(key.clone(), None),
        }
    }

    fn look_at_unreadable(&mut self, key: &Bytes, error: &ReadError) {
        if let Some((namespace, id)) = key::decode_header(key) {
            self.met(&namespace);
            let place = format!("header of object {namespace}/id:{id}");
            if let Some(header) = self.survivors.header(&id) {
                // Written all the same: an object is read by its header until the next checkpoint.
                let remedy = "it is taken from the log";
                self.findings
                    .add(place, &error.to_string(), remedy, Loss::Nothing);
                self.push(key.clone(), Some(key::encode_value(&header)));
                self.objects.insert(id, namespace);
                return;
            }
            self.write_header(namespace, id, place, &error.to_string());
            return;
        }
        if *key == key::meta() {
            // It is written anew from what the log says.
            return;
        }
        let loss = Loss::Some("this row, whatever it was".into());
        self.remove(key, "a row of the engine".into(), &error.to_string(), loss);
    }

    /// A header that stands for one that is lost: its version is one that the object cannot have had, so that no
    /// version is given out twice.
    fn write_header(&mut self, namespace: Namespace, id: ObjectId, place: String, what: &str) {
        let header = Header {
            version: Version(self.survivors.next_sequence),
            epoch: Epoch(0),
            name: None,
        };
        let loss = Loss::Some("its name and its number of commits; its rows stay".into());
        let remedy = "it gets a new header";
        self.findings.add(place, what, remedy, loss);
        let key = key::header(&namespace, &id).into();
        self.push(key, Some(key::encode_value(&header)));
        self.objects.insert(id, namespace);
    }

    fn remove(&mut self, key: &Bytes, place: String, what: &str, loss: Loss) {
        self.findings.add(place, what, "it is removed", loss);
        self.push(key.clone(), None);
    }

    fn push(&mut self, key: Bytes, value: Option<Bytes>) {
        self.changes.push(Row { key, value });
    }

    fn met(&mut self, namespace: &Namespace) {
        if !self.namespaces.contains(namespace) {
            self.namespaces.push(namespace.clone());
        }
    }
}
