//! Transactional persistence for durable objects. Knows objects, batches and epochs, not actors.

mod batch;
mod id;
mod store;

pub use batch::{Commit, KEY_SIZE_MAX_BYTES, Section, Write, WriteBatch};
pub use id::{
    Epoch, InvalidNamespace, InvalidObjectId, NAME_SIZE_MAX_BYTES, NAMESPACE_SIZE_MAX_BYTES,
    Namespace, Object, ObjectId, Timestamp, Version,
};
pub use store::{
    BoxFuture, CommitError, Direction, Effect, Health, ObjectSummary, Opened, ReadError, Scan,
    ScheduledAlarm, Store, Ticket,
};
