//! A client of Abide: calls, reads, and sessions that survive their connections.
//!
//! # Calls
//! ```
//! # async fn example(address: &str) -> Result<(), Box<dyn std::error::Error>> {
//! use abide_client::Client;
//!
//! let client = Client::new(address)?; // "http://127.0.0.1:7878"
//! let visits = client.object("counter", "visits");
//! let now: u64 = visits.call("increment").arguments(&[("by", 2)]).send().await?;
//! # Ok(())
//! # }
//! ```
#![warn(missing_docs)]

mod address;
mod backoff;
mod call;
mod client;
mod error;
mod frame;
mod problem;
mod session;
mod transport;

pub use backoff::Backoff;
pub use call::Call;
pub use client::{Client, Object};
pub use error::{CallError, InvalidAddress};
pub use frame::Frame;
pub use problem::{Effect, Problem};
pub use session::{
    Assurance, EndReason, Ended, Event, Events, InvalidQuery, Presence, PresentError, Receipt,
    Reset, ResetReason, SendError, Session, SessionBuilder, State, Unsettled,
};
