//! A client of Abide: calls, reads, and sessions that survive their connections.
//!
//! ```
//! # use abide::prelude::*;
//! # #[derive(Default, Serialize, Deserialize)]
//! # struct Room { lines: u64 }
//! # #[actor]
//! # impl Room {
//! #     fn connected(&mut self, _session: &Session, _request: &ConnectRequest) {}
//! #     fn message(&mut self, ctx: &mut Context<Self>, _session: &Session, frame: Frame) {
//! #         self.lines += 1;
//! #         ctx.broadcast(frame);
//! #     }
//! #     #[call]
//! #     fn add(&mut self, by: u64) -> u64 { self.lines += by; self.lines }
//! #     #[call]
//! #     fn lines(&self) -> u64 { self.lines }
//! # }
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let mut config = abide::Config { engine: abide::config::Engine::Memory, ..Default::default() };
//! # config.listen = "127.0.0.1:0".parse()?;
//! # config.admin_listen = config.listen;
//! # let server = Server::builder().actor::<Room>("room").config(config).start().await?;
//! # let address = &format!("http://{}", server.addr());
//! use abide_client::{Assurance, Client, Event};
//! use serde_json::json;
//!
//! let client = Client::new(address)?; // "http://127.0.0.1:7878"
//! let lobby = client.object("room", "lobby");
//!
//! // A call writes; a read does not. `exactly_once` makes it safe to repeat through anything.
//! let lines: u64 = lobby.call("add").arguments(&json!({"by": 2})).exactly_once().send().await?;
//! assert_eq!(lines, 2);
//! assert_eq!(lobby.read("lines").send::<u64>().await?, 2);
//!
//! // A session: send at any time, connected or not.
//! let (session, mut events) = lobby.session().open();
//! let receipt = session.send("hello, everyone")?;
//! while let Some(event) = events.next().await {
//!     if let Event::Message(frame) = event {
//!         assert_eq!(frame.as_text(), Some("hello, everyone"));
//!         break;
//!     }
//! }
//! # let reading = tokio::spawn(async move { while events.next().await.is_some() {} });
//! // The object has handled it, and what it wrote is on disk.
//! assert_eq!(receipt.await?, Assurance::Durable);
//! # session.close();
//! # reading.await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Sessions
//! A session reconnects by itself and takes up where it was: no frame is lost or doubled in either
//! direction. When the server cannot go on (it crashed, or the client was away for too long),
//! [`Event::Reset`] hands back what is not known to have taken effect, and a new session begins.
//! Read the [`Events`]: they are how a session learns anything, receipts included.
//!
//! # Errors
//! Every [`CallError`] knows its [`Effect`]: whether anything may have changed. Calls are repeated
//! by themselves as long as that is safe and their deadline allows.
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
