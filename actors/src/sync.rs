//! State sync: a table whose watchers see every change, for games and other live views.
//!
//! An actor keeps a [`Table`] in memory: one row per thing that clients see (a ship, a cursor, a
//! card), each in one **topic**. A topic is a session tag, so whoever has the tag watches it: a
//! room, a team, a sector of the map. The actor puts rows as often as it likes; once per tick it
//! publishes, and each topic with changes becomes *one* frame, encoded once for all its watchers,
//! with the rows and fields that changed since the last tick and nothing else. A newcomer gets a
//! snapshot. [`Replica`] is the other side, for clients in Rust; `docs/games.md` has the wire format
//! for everybody else's.
//!
//! ```
//! # extern crate abide_actors as abide;
//! use abide::sync::{Field, RowId, Table};
//! use abide::{CallError, ConnectRequest, Context, Frame, Session, Tick, actor};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Default, Serialize, Deserialize)]
//! struct Pond {
//!     /// In memory only: made anew with each activation.
//!     #[serde(skip)]
//!     ducks: Option<Table>,
//!     #[serde(skip)]
//!     tick: u64,
//! }
//!
//! #[actor]
//! impl Pond {
//!     fn activated(&mut self, ctx: &mut Context<Self>) {
//!         // Positions to an eighth of a unit: a smaller change is none, and two bytes are enough.
//!         let fields = vec![Field::fixed("x", 8), Field::fixed("y", 8)];
//!         let ducks = self.ducks.insert(Table::new("pond", fields));
//!         // Those who were here before the activation hold rows of the table before this one.
//!         ducks.resend(&ctx.sessions());
//!         ctx.set_tick(Tick::per_second(20));
//!     }
//!     fn connected(&mut self, session: &Session, _: &ConnectRequest) -> Result<(), CallError> {
//!         let Some(ducks) = &mut self.ducks else { return Ok(()) };
//!         ducks.watch(session, &["pond"])
//!     }
//!     fn message(&mut self, session: &Session, _: Frame) -> Result<(), abide::sync::Error> {
//!         let Some(ducks) = &mut self.ducks else { return Ok(()) };
//!         let id = RowId(u32::try_from(session.id().0 % 1_000).unwrap_or(0));
//!         ducks.put(id, "pond", &[1.5.into(), 2.0.into()])
//!     }
//!     fn tick(&mut self, ctx: &mut Context<Self>) {
//!         self.tick += 1;
//!         if let Some(ducks) = &mut self.ducks {
//!             ducks.publish(ctx, self.tick);
//!         }
//!     }
//! }
//! ```
//!
//! # The encoding, and why
//! MessagePack arrays, with fields by position and a bit mask of those that are there. Names
//! are said once, in the snapshot. There is no schema compiler and no generated code; a decoder is
//! some hundred lines in any language, and most have one. Numbers take the bytes they need, and
//! most numbers of a game are small once they are quantised ([`Field::fixed`]): a position to an
//! eighth of a unit is two bytes behind its marker, where a float of JSON takes up to eighteen.
//!
//! Measured by `sizes_beside_json` in `sync/tests.rs`: one tick of 50 ships, of which all moved (five
//! numbers each) and one was hit, is 904 bytes; the same patch as JSON objects with full names and
//! floats as they come is 6,396 bytes, as JSON arrays of rounded numbers 1,845. A snapshot of them with
//! names and colours is 1,577 bytes, as JSON objects 7,551.
//!
//! # What may go wrong, and what then
//! Values in a patch are absolute. So a patch over a snapshot that already shows it changes
//! nothing, and a snapshot may be taken at any moment between two ticks. Frames are sent as reliable
//! ones: a client that cannot take them in is closed with 1013 and comes back to a snapshot. A patch
//! of a topic of which a client has no snapshot is ignored. A turn that fails leaves a table made anew
//! by `activated`, which resends.
//!
//! Everything is bounded ([`Bounds`]): rows, length of texts, size of frames. What is too much is
//! an [`Error`] and changes nothing; what does not fit one frame is sent in several.

mod replica;
mod table;
#[cfg(test)]
mod tests;
mod topic;
mod value;
mod watch;
mod wire;

use std::fmt;

pub use replica::{Applied, Malformed, Replica};
pub use table::{Bounds, Table};
pub use value::{Field, Value};

/// Most fields of a table: one bit each in a mask that every language can hold.
pub const FIELDS_MAX: usize = 32;
/// Longest name of a field.
pub const FIELD_NAME_SIZE_MAX_BYTES: usize = 64;

/// Identity of a row in its table, chosen by the actor. Small numbers take fewer bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RowId(pub u32);

impl fmt::Display for RowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Why a row was not taken. The table is as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The table is full.
    #[error("the table '{table}' already has {limit} rows")]
    TooManyRows {
        /// Its name.
        table: String,
        /// [`Bounds::rows_max`].
        limit: usize,
    },
    /// A row has as many values as the table has fields.
    #[error("{found} values for {expected} fields")]
    WrongNumberOfValues {
        /// Values given.
        found: usize,
        /// Fields of the table.
        expected: usize,
    },
    /// A topic that no tag of the table could be.
    #[error("'{topic}' is no topic of the table '{table}': those are '{table}' and '{table}/…'")]
    ForeignTopic {
        /// The table's name.
        table: String,
        /// What was given.
        topic: String,
    },
    /// A value that the field cannot hold.
    #[error("field '{field}': {reason}")]
    InvalidValue {
        /// Its name.
        field: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// There is no such row.
    #[error("there is no row {0}")]
    UnknownRow(RowId),
    /// There is no such field.
    #[error("there is no field {0}")]
    UnknownField(usize),
}
