//! Frames as they are sent; `docs/games.md` describes them for those who decode them.
//!
//! ```text
//! snapshot  [0, topic, tick, [name, per_unit, …], [[id, mask, value…]…], []]
//! patch     [1, topic, tick, [[id, mask, value…]…], [gone…]]
//! end       [2, topic]
//! ```
//! Never change what stands; a later release may add elements at the end of the outer array.

use bytes::Bytes;
use rmp::encode::{self, ByteBuf};

use super::table::Bounds;
use super::{Field, RowId, Value};
use crate::session::Frame;

pub(super) const SNAPSHOT: u8 = 0;
pub(super) const PATCH: u8 = 1;
pub(super) const END: u8 = 2;

/// How the first of several frames begins. All further ones are patches.
pub(super) enum Kind<'a> {
    Snapshot(&'a [Field]),
    Patch,
}

/// Rows on their way into as many frames as they need.
pub(super) struct Frames<'a> {
    /// Of the frame that is open.
    kind: Kind<'a>,
    topic: &'a str,
    tick: u64,
    size_max_bytes: usize,
    rows: Part,
    gone: Part,
    done: Vec<Frame>,
}

/// Elements of an array whose length is not known yet.
#[derive(Default)]
struct Part {
    count: u32,
    bytes: Vec<u8>,
}

impl<'a> Frames<'a> {
    pub(super) fn new(kind: Kind<'a>, topic: &'a str, tick: u64, bounds: Bounds) -> Self {
        Self {
            kind,
            topic,
            tick,
            size_max_bytes: bounds.frame_size_max_bytes,
            rows: Part::default(),
            gone: Part::default(),
            done: Vec::new(),
        }
    }

    /// Adds the fields of a row that the mask names.
    pub(super) fn row(&mut self, id: RowId, mask: u32, values: &[Value]) {
        let mut row = ByteBuf::new();
        array(&mut row, 2 + mask.count_ones());
        uint(&mut row, id.0.into());
        uint(&mut row, mask.into());
        for (at, value) in values.iter().enumerate() {
            if mask & (1 << at) != 0 {
                put(&mut row, value);
            }
        }
        self.make_room(row.as_slice().len());
        self.rows.push(row);
    }

    /// Adds a row that is no longer in the topic.
    pub(super) fn gone(&mut self, id: RowId) {
        let mut gone = ByteBuf::new();
        uint(&mut gone, id.0.into());
        self.make_room(gone.as_slice().len());
        self.gone.push(gone);
    }

    /// The frames: at least one.
    pub(super) fn end(mut self) -> Vec<Frame> {
        self.close();
        self.done
    }

    fn make_room(&mut self, more: usize) {
        let size = self.rows.bytes.len() + self.gone.bytes.len();
        if size > 0 && size + more > self.size_max_bytes {
            self.close();
        }
    }

    fn close(&mut self) {
        let mut frame = ByteBuf::new();
        match std::mem::replace(&mut self.kind, Kind::Patch) {
            Kind::Snapshot(fields) => {
                array(&mut frame, 6);
                uint(&mut frame, SNAPSHOT.into());
                text(&mut frame, self.topic);
                uint(&mut frame, self.tick);
                array(&mut frame, count(fields.len() * 2));
                for field in fields {
                    text(&mut frame, &field.name);
                    uint(&mut frame, field.per_unit.into());
                }
            }
            Kind::Patch => {
                array(&mut frame, 5);
                uint(&mut frame, PATCH.into());
                text(&mut frame, self.topic);
                uint(&mut frame, self.tick);
            }
        }
        for part in [&mut self.rows, &mut self.gone] {
            let part = std::mem::take(part);
            array(&mut frame, part.count);
            frame.as_mut_vec().extend_from_slice(&part.bytes);
        }
        self.done.push(Bytes::from(frame.into_vec()).into());
    }
}

impl Part {
    fn push(&mut self, element: ByteBuf) {
        self.count += 1;
        self.bytes.extend_from_slice(element.as_slice());
    }
}

/// What tells a session that it no longer watches a topic.
pub(super) fn end_of(topic: &str) -> Frame {
    let mut frame = ByteBuf::new();
    array(&mut frame, 2);
    uint(&mut frame, END.into());
    text(&mut frame, topic);
    Bytes::from(frame.into_vec()).into()
}

fn put(to: &mut ByteBuf, value: &Value) {
    match value {
        Value::Nil => {
            let Ok(()) = encode::write_nil(to);
        }
        Value::Bool(flag) => {
            let Ok(()) = encode::write_bool(to, *flag);
        }
        Value::Int(whole) => {
            let Ok(_) = encode::write_sint(to, *whole);
        }
        Value::Float(number) => {
            #[expect(clippy::cast_possible_truncation, reason = "only when nothing is lost")]
            let single = *number as f32;
            if f64::from(single) == *number {
                let Ok(()) = encode::write_f32(to, single);
            } else {
                let Ok(()) = encode::write_f64(to, *number);
            }
        }
        Value::Text(value) => text(to, value),
    }
}

fn array(to: &mut ByteBuf, length: u32) {
    let Ok(_) = encode::write_array_len(to, length);
}

fn uint(to: &mut ByteBuf, number: u64) {
    let Ok(_) = encode::write_uint(to, number);
}

fn text(to: &mut ByteBuf, text: &str) {
    let Ok(()) = encode::write_str(to, text);
}

fn count(length: usize) -> u32 {
    u32::try_from(length).expect("a table has 32 fields at most")
}
