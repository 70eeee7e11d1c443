//! The client's side: what a session sees of the tables it watches.

use std::collections::{BTreeMap, HashMap};

use rmp::decode::{self, bytes::Bytes};

use super::wire::{END, PATCH, SNAPSHOT};
use super::{FIELDS_MAX, Field, RowId, Value};

/// What one session holds of the topics it watches, kept up by the frames it gets.
#[derive(Debug, Clone, Default)]
pub struct Replica {
    topics: HashMap<String, View>,
}

/// One topic as it was last shown.
#[derive(Debug, Clone)]
struct View {
    tick: u64,
    fields: Vec<Field>,
    rows: BTreeMap<RowId, Vec<Value>>,
}

/// What a frame did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// A topic begins, or begins anew.
    Snapshot(String),
    /// A topic changed.
    Patch(String),
    /// A topic is no longer watched.
    End(String),
    /// It was about a topic of which there is no snapshot, or of a kind that a later release
    /// sends.
    Ignored,
}

/// A frame that is no frame of a table, or does not fit the ones before it. The replica may have
/// taken a part of it: connect anew.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a frame of a table: {0}")]
pub struct Malformed(&'static str);

impl Replica {
    /// One that watches nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a binary frame in.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn apply(&mut self, frame: &[u8]) -> Result<Applied, Malformed> {
        let mut from = Reader(Bytes::new(frame));
        from.array()?;
        let kind = from.uint()?;
        if ![SNAPSHOT, PATCH, END].map(u64::from).contains(&kind) {
            return Ok(Applied::Ignored);
        }
        let topic = from.text()?;
        if kind == u64::from(END) {
            self.topics.remove(topic);
            return Ok(Applied::End(topic.to_owned()));
        }
        let tick = from.uint()?;
        if kind == u64::from(SNAPSHOT) {
            let mut view = View {
                tick,
                fields: from.fields()?,
                rows: BTreeMap::new(),
            };
            view.take(&mut from)?;
            self.topics.insert(topic.to_owned(), view);
            return Ok(Applied::Snapshot(topic.to_owned()));
        }
        let Some(view) = self.topics.get_mut(topic) else {
            return Ok(Applied::Ignored);
        };
        view.tick = tick;
        view.take(&mut from)?;
        Ok(Applied::Patch(topic.to_owned()))
    }

    /// The topics that are watched.
    pub fn topics(&self) -> impl Iterator<Item = &str> {
        self.topics.keys().map(String::as_str)
    }

    /// The tick of the last frame of a topic.
    #[must_use]
    pub fn tick(&self, topic: &str) -> Option<u64> {
        self.topics.get(topic).map(|view| view.tick)
    }

    /// The rows of a topic with their values, by id.
    pub fn rows(&self, topic: &str) -> impl Iterator<Item = (RowId, Vec<Value>)> {
        let view = self.topics.get(topic);
        view.into_iter().flat_map(|view| {
            let rows = view.rows.iter();
            rows.map(|(id, stored)| (*id, view.shown(stored)))
        })
    }

    /// A row's value in a field, wherever the row is.
    #[must_use]
    pub fn value(&self, id: RowId, field: &str) -> Option<Value> {
        self.topics.values().find_map(|view| {
            let row = view.rows.get(&id)?;
            let at = view.fields.iter().position(|known| &*known.name == field)?;
            Some(view.fields[at].shown(&row[at]))
        })
    }
}

impl View {
    /// Takes in rows and those that are gone: the end of a snapshot and of a patch.
    fn take(&mut self, from: &mut Reader<'_>) -> Result<(), Malformed> {
        for _ in 0..from.array()? {
            self.take_row(from)?;
        }
        for _ in 0..from.array()? {
            self.rows.remove(&from.id()?);
        }
        Ok(())
    }

    fn take_row(&mut self, from: &mut Reader<'_>) -> Result<(), Malformed> {
        let length = from.array()?;
        let id = from.id()?;
        let mask = u32::try_from(from.uint()?).map_err(|_| Malformed("a mask of over 32 bits"))?;
        let all = u32::MAX >> (FIELDS_MAX - self.fields.len());
        if mask & !all != 0 || length != 2 + mask.count_ones() {
            return Err(Malformed("a mask that does not fit"));
        }
        if mask != all && !self.rows.contains_key(&id) {
            return Err(Malformed("a part of a row that was never whole"));
        }
        let row = self
            .rows
            .entry(id)
            .or_insert_with(|| vec![Value::Nil; self.fields.len()]);
        for (at, value) in row.iter_mut().enumerate() {
            if mask & (1 << at) != 0 {
                *value = from.value()?;
            }
        }
        Ok(())
    }

    fn shown(&self, stored: &[Value]) -> Vec<Value> {
        let values = self.fields.iter().zip(stored);
        values.map(|(field, value)| field.shown(value)).collect()
    }
}

/// MessagePack, read front to back. Nothing is allocated for a length before its elements are
/// there.
struct Reader<'a>(Bytes<'a>);

impl<'a> Reader<'a> {
    fn array(&mut self) -> Result<u32, Malformed> {
        decode::read_array_len(&mut self.0).map_err(|_| Malformed("an array was expected"))
    }

    fn uint(&mut self) -> Result<u64, Malformed> {
        decode::read_int(&mut self.0).map_err(|_| Malformed("a whole number was expected"))
    }

    fn id(&mut self) -> Result<RowId, Malformed> {
        let id = u32::try_from(self.uint()?).map_err(|_| Malformed("an id of over 32 bits"))?;
        Ok(RowId(id))
    }

    fn text(&mut self) -> Result<&'a str, Malformed> {
        let rest = self.0.remaining_slice();
        let (text, rest) =
            decode::read_str_from_slice(rest).map_err(|_| Malformed("a text was expected"))?;
        self.0 = Bytes::new(rest);
        Ok(text)
    }

    fn fields(&mut self) -> Result<Vec<Field>, Malformed> {
        let count = self.array()? / 2;
        if count == 0 || count as usize > FIELDS_MAX {
            return Err(Malformed("not 1 to 32 fields"));
        }
        (0..count)
            .map(|_| {
                let name = self.text()?.into();
                let per_unit = u32::try_from(self.uint()?);
                let per_unit = per_unit.map_err(|_| Malformed("a scale of over 32 bits"))?;
                Ok(Field { name, per_unit })
            })
            .collect()
    }

    fn value(&mut self) -> Result<Value, Malformed> {
        use rmp::Marker;
        let rest = self.0.remaining_slice();
        let marker = rest.first().ok_or(Malformed("it ends within a row"))?;
        let value = match Marker::from_u8(*marker) {
            Marker::Null => decode::read_nil(&mut self.0).ok().map(|()| Value::Nil),
            Marker::True | Marker::False => decode::read_bool(&mut self.0).ok().map(Value::Bool),
            Marker::F32 => decode::read_f32(&mut self.0).ok().map(Value::from),
            Marker::F64 => decode::read_f64(&mut self.0).ok().map(Value::Float),
            Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32 => {
                Some(Value::from(self.text()?))
            }
            _ => decode::read_int(&mut self.0).ok().map(Value::Int),
        };
        value.ok_or(Malformed("a value of a kind that no field holds"))
    }
}
