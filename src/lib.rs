//! Abide: durable objects. Every object is a single-threaded actor with a name, its own
//! transactional storage, its own alarms and its own WebSocket sessions; nothing it says leaves
//! before what it wrote is durable.
//!
//! ```no_run
//! use abide::prelude::*;
//!
//! /// One durable number.
//! #[derive(Default, Serialize, Deserialize)]
//! struct Counter {
//!     value: u64,
//! }
//!
//! #[actor]
//! impl Counter {
//!     /// Adds `by`, returns the new value.
//!     #[call]
//!     async fn increment(&mut self, by: u64) -> u64 {
//!         self.value += by;
//!         self.value
//!     }
//!
//!     /// Current value; a `&self` call is a read: it commits nothing and may be answered to GET.
//!     #[call]
//!     async fn get(&self) -> u64 {
//!         self.value
//!     }
//! }
//!
//! #[tokio::main]
//! async fn main() -> abide::Result<()> {
//!     Server::builder().actor::<Counter>("counter").run().await
//! }
//! ```
//!
//! In reading order: [`prelude`] is what an actor's file imports; [`Actor`] says what an actor may
//! have and what happens when it is called; [`Context`], [`Session`] and [`Storage`] are what it
//! works with; [`Server`] runs it; [`Config`] is what can be set. A program of one's own needs
//! `serde` (and `schemars`, for described arguments) beside this crate.

// The macro writes paths that begin with `::abide`, in this crate too.
extern crate self as abide;

mod admin_client;
mod assets;
mod cli;
mod commands;
pub mod config;
mod error;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod http;
mod memory;
mod problem;
mod protocol;
mod server;
mod signals;
mod stdout;
mod telemetry;
mod typescript;

#[doc(hidden)]
pub use abide_actors::__private;
#[cfg(feature = "test-util")]
pub use abide_actors::testing;
pub use abide_actors::{
    Actor, ActorError, ActorKind, Alarm, AlarmError, AlarmStatus, Audience, Body, BodyError, Call,
    CallError, Class, Close, ConnectError, ConnectRequest, Context, Cron, Deadline, Delivery,
    Frame, IdempotencyKey, InvalidCron, InvalidIdempotencyKey, Keys, Kind, MessageRate, Parked,
    Payload, Refusal, Session, SessionId, State, Storage, StorageMut, Tick, Ticked, When, actor,
    call, sync,
};
pub use abide_storage::{Namespace, Object, ObjectId, Timestamp, Version};
pub use admin_client::AdminError;
pub use assets::{Asset, InvalidAssets};
pub use config::{Config, ConfigError};
pub use error::{Error, Result};
pub use protocol::InvalidObjectFile;
pub use server::{Builder, Running, Server};

/// What the file of an actor imports: `use abide::prelude::*;`.
pub mod prelude {
    pub use std::time::Duration;

    pub use ::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
    pub use abide_actors::{
        Actor, ActorError, Alarm, Audience, Body, CallError, Close, ConnectError, ConnectRequest,
        Context, Cron, Frame, Keys, Refusal, Session, SessionId, Tick, Ticked, actor, call,
    };
    pub use abide_storage::{ObjectId, Timestamp, Version};
    pub use bytes::Bytes;
    pub use schemars::JsonSchema;
    pub use serde::{Deserialize, Serialize};

    pub use crate::Server;
}

/// The code in the documents, which is compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../docs/sessions.md")]
#[doc = include_str!("../docs/presence.md")]
struct Documents;
