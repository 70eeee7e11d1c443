//! The server's side: rows, and what changed of them since the last tick.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::topic::Topic;
use super::wire::{Frames, Kind};
use super::{Error, FIELDS_MAX, Field, RowId, Value};
use crate::session::Frame;

/// What a table may hold and send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Rows of the table; one more is [`Error::TooManyRows`].
    pub rows_max: usize,
    /// Length of a text; a longer one is [`Error::InvalidValue`].
    pub text_size_max_bytes: usize,
    /// Size of the rows in one frame; more are sent in several frames of the same tick. A single
    /// row is never split.
    pub frame_size_max_bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            rows_max: 4_096,
            text_size_max_bytes: 256,
            // Half of it is what a slow phone takes in within a second.
            frame_size_max_bytes: 64 * 1024,
        }
    }
}

/// Rows in topics, with what changed since the last [`flush`](Self::flush).
///
/// It lives in memory. See the [module's documentation](super) for how an actor uses it.
#[derive(Debug)]
pub struct Table {
    name: Box<str>,
    fields: Box<[Field]>,
    bounds: Bounds,
    rows: BTreeMap<RowId, Row>,
    topics: BTreeMap<Arc<str>, Topic>,
    /// Of the last flush.
    tick: u64,
}

#[derive(Debug)]
struct Row {
    topic: Arc<str>,
    /// As stored: quantised.
    values: Box<[Value]>,
    /// Fields that changed since the last flush; all of them for a row that entered its topic
    /// since then.
    changed: u32,
}

impl Table {
    /// An empty table. Its topics are the tags that are its name, or begin with its name and `/`.
    ///
    /// # Panics
    /// When there is no field or there are more than [`FIELDS_MAX`].
    #[must_use]
    pub fn new(name: &str, fields: Vec<Field>) -> Self {
        assert!(
            (1..=FIELDS_MAX).contains(&fields.len()),
            "a table has 1 to {FIELDS_MAX} fields"
        );
        Self {
            name: name.into(),
            fields: fields.into(),
            bounds: Bounds::default(),
            rows: BTreeMap::new(),
            topics: BTreeMap::new(),
            tick: 0,
        }
    }

    /// The same table with other bounds.
    #[must_use]
    pub fn bounds(mut self, bounds: Bounds) -> Self {
        self.bounds = bounds;
        self
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many rows it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether it has no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether a tag is a topic of this table.
    #[must_use]
    pub fn owns(&self, tag: &str) -> bool {
        let rest = tag.strip_prefix(&*self.name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Puts a row into a topic: a new one, or new values of one that is there, or one that moves
    /// from another topic. Values come in the order of the fields; those that are as before cost
    /// nothing.
    ///
    /// # Errors
    /// Every [`Error`] but those of unknown rows and fields; nothing changes.
    pub fn put(&mut self, id: RowId, topic: &str, values: &[Value]) -> Result<(), Error> {
        if values.len() != self.fields.len() {
            return Err(Error::WrongNumberOfValues {
                found: values.len(),
                expected: self.fields.len(),
            });
        }
        if !self.owns(topic) {
            return Err(Error::ForeignTopic {
                table: self.name.to_string(),
                topic: topic.to_owned(),
            });
        }
        let text_max = self.bounds.text_size_max_bytes;
        let fields = self.fields.iter().zip(values);
        let stored = fields.map(|(field, value)| field.stored(value, text_max));
        let stored: Box<[Value]> = stored.collect::<Result<_, _>>()?;

        let is_full = self.rows.len() >= self.bounds.rows_max;
        match self.rows.get_mut(&id) {
            Some(row) if &*row.topic == topic => {
                let mut differs = 0;
                for (at, (old, new)) in row.values.iter_mut().zip(stored).enumerate() {
                    if *old != new {
                        *old = new;
                        differs |= 1 << at;
                    }
                }
                row.changed |= differs;
                if differs != 0 {
                    self.topics.entry(row.topic.clone()).or_default().touch(id);
                }
            }
            Some(_) => {
                self.leave(id);
                self.enter(id, topic, stored);
            }
            None if is_full => {
                return Err(Error::TooManyRows {
                    table: self.name.to_string(),
                    limit: self.bounds.rows_max,
                });
            }
            None => self.enter(id, topic, stored),
        }
        Ok(())
    }

    /// Sets one field of a row.
    ///
    /// # Errors
    /// [`Error::UnknownRow`], [`Error::UnknownField`], [`Error::InvalidValue`]; nothing changes.
    pub fn set(&mut self, id: RowId, field: usize, value: impl Into<Value>) -> Result<(), Error> {
        let row = self.rows.get_mut(&id).ok_or(Error::UnknownRow(id))?;
        let form = self.fields.get(field).ok_or(Error::UnknownField(field))?;
        let stored = form.stored(&value.into(), self.bounds.text_size_max_bytes)?;
        if row.values[field] != stored {
            row.values[field] = stored;
            row.changed |= 1 << field;
            self.topics.entry(row.topic.clone()).or_default().touch(id);
        }
        Ok(())
    }

    /// Removes a row; of one that is not there it does nothing.
    pub fn remove(&mut self, id: RowId) {
        self.leave(id);
        self.rows.remove(&id);
    }

    /// Keeps the rows that the predicate holds for.
    pub fn retain(&mut self, mut keep: impl FnMut(RowId) -> bool) {
        let gone: Vec<RowId> = self.rows.keys().copied().filter(|id| !keep(*id)).collect();
        for id in gone {
            self.remove(id);
        }
    }

    /// A row's values, quantised as its watchers see them.
    #[must_use]
    pub fn get(&self, id: RowId) -> Option<Vec<Value>> {
        let row = self.rows.get(&id)?;
        let shown = self.fields.iter().zip(&row.values);
        Some(shown.map(|(field, value)| field.shown(value)).collect())
    }

    /// The topic that a row is in.
    #[must_use]
    pub fn topic(&self, id: RowId) -> Option<&str> {
        self.rows.get(&id).map(|row| &*row.topic)
    }

    /// The rows of a topic.
    pub fn rows(&self, topic: &str) -> impl Iterator<Item = RowId> {
        let topic = self.topics.get(topic);
        topic
            .into_iter()
            .flat_map(|topic| topic.members.iter().copied())
    }

    /// The patches since the last flush, by topic: each for those who watch the topic. Where more
    /// changed than one frame holds, a topic has several, to be sent in this order.
    #[must_use]
    pub fn flush(&mut self, tick: u64) -> Vec<(Arc<str>, Frame)> {
        self.tick = tick;
        let mut patches = Vec::new();
        for (name, topic) in &mut self.topics {
            if !topic.has_changes() {
                continue;
            }
            let mut frames = Frames::new(Kind::Patch, name, tick, self.bounds);
            let (changed, gone) = topic.take();
            for id in changed {
                let row = self
                    .rows
                    .get_mut(&id)
                    .expect("a member of a topic is a row");
                frames.row(id, row.changed, &row.values);
                row.changed = 0;
            }
            for id in gone {
                frames.gone(id);
            }
            patches.extend(frames.end().into_iter().map(|frame| (name.clone(), frame)));
        }
        // Nobody needs an empty topic to be remembered: a snapshot of it is empty either way.
        self.topics.retain(|_, topic| !topic.members.is_empty());
        patches
    }

    /// All of a topic as it is now: what a newcomer is sent before patches of it. Encoded once
    /// for all who come between two changes.
    #[must_use]
    pub fn snapshot(&mut self, topic: &str) -> Vec<Frame> {
        let all = self.all();
        let kind = Kind::Snapshot(&self.fields);
        let mut frames = Frames::new(kind, topic, self.tick, self.bounds);
        let Some(topic) = self.topics.get_mut(topic) else {
            return frames.end();
        };
        if let Some(encoded) = &topic.snapshot {
            return encoded.clone();
        }
        for id in &topic.members {
            frames.row(*id, all, &self.rows[id].values);
        }
        topic.snapshot.insert(frames.end()).clone()
    }

    fn enter(&mut self, id: RowId, topic: &str, values: Box<[Value]>) {
        let known = self
            .topics
            .get_key_value(topic)
            .map(|(name, _)| name.clone());
        let topic = known.unwrap_or_else(|| topic.into());
        self.topics.entry(topic.clone()).or_default().enter(id);
        let changed = self.all();
        self.rows.insert(
            id,
            Row {
                topic,
                values,
                changed,
            },
        );
    }

    fn leave(&mut self, id: RowId) {
        if let Some(row) = self.rows.get(&id)
            && let Some(topic) = self.topics.get_mut(&row.topic)
        {
            topic.leave(id);
        }
    }

    /// The mask with every field.
    fn all(&self) -> u32 {
        u32::MAX >> (FIELDS_MAX - self.fields.len())
    }
}
