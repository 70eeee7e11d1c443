//! The actor runtime of Abide: no HTTP, no sockets, no engine names.
//!
//! In reading order: [`Actor`] is what a user writes, [`Kind`] what the runtime drives; a
//! [`Message`] becomes a turn with a [`TurnContext`]; [`Runtime`] is what a server talks to.

mod activation;
mod actor;
mod alarm;
mod body;
mod call;
mod catalog;
mod clock;
mod connect;
mod context;
mod departure;
mod drain;
mod evict;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod gate;
mod handle;
mod idempotency;
mod image;
mod keys;
mod kind;
mod mailbox;
mod memory;
mod message;
mod node;
mod payload;
mod presence;
mod registry;
mod rng;
mod runtime;
mod send;
mod session;
mod stage;
pub mod sync;
mod tasks;
#[doc(hidden)]
pub mod teeth;
#[cfg(feature = "test-util")]
pub mod testing;
mod tick;
mod turn;
mod waits;

pub use abide_macros::{actor, call};
#[doc(hidden)]
pub use actor::generated as __private;
pub use actor::{Actor, ActorKind, State};
pub use alarm::{
    AlarmError, AlarmPage, AlarmQuery, AlarmState, AlarmStats, AlarmStatus, Cron, InvalidCron,
    Parked,
};
pub use body::{Body, BodyError};
pub use call::{Access, ActorError, Call, CallChain, CallError, Deadline, Origin, Reply};
pub use clock::Clock;
pub use connect::ConnectError;
pub use context::{Context, Storage, StorageMut, When};
pub use handle::{Callee, Caller, Recipient};
pub use idempotency::{IDEMPOTENCY_KEY_SIZE_MAX_BYTES, IdempotencyKey, InvalidIdempotencyKey};
pub use image::{AlarmView, ImageError, ImageView, Precondition};
pub use keys::Keys;
pub use kind::{Callbacks, Description, Incarnation, Kind, MethodDescription};
pub use memory::{Charge, Memory, MemoryExhausted};
pub use message::{Alarm, Answer, Message, Refusal};
pub use node::Target;
pub use payload::{Encoding, InvalidPayload, Payload};
pub use presence::{
    Member, PRESENCE_KEY_SIZE_MAX_BYTES, PRESENCE_STATE_SIZE_MAX_BYTES, PresenceRefused,
};
pub use registry::{Limits, RegisterError};
pub use rng::Rng;
pub use runtime::{Builder, NamespaceInfo, Runtime, Stats};
pub use session::{
    ATTACHMENT_SIZE_MAX_BYTES, Audience, CLOSE_REASON_SIZE_MAX_BYTES, Class, Close, ConnectRequest,
    Connection, Delivery, Frame, FromTheFuture, Incoming, InvalidToken, MessageRate, Outgoing,
    Reset, Resumption, Session, SessionId, TAG_SIZE_MAX_CHARS, TAGS_MAX, Text, Token, Welcome,
    Wire, Written,
};
pub use tasks::{TaskKind, Tasks};
pub use tick::{Tick, Ticked};
pub use turn::{ListOptions, TurnContext};
