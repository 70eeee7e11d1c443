//! Chat rooms over plain WebSockets, with a durable history.
//!
//! ```text
//! cargo run --example chat
//!
//! websocat 'ws://127.0.0.1:7878/v1/chat/lobby?name=Ada'     # type a line, press return
//! curl 'http://127.0.0.1:7878/v1/chat/lobby/history?limit=10'
//! curl http://127.0.0.1:7878/v1/chat/lobby/members
//! curl -X POST http://127.0.0.1:7878/v1/chat/lobby/post -H 'Content-Type: application/json' \
//!      -d '{"from": "backend", "text": "deployed"}'
//! ```
//! A client says `{"type":"say","text":"…"}`, or any text that is no JSON object. The room says
//! `welcome`, `line`, `joined`, `left` and `error`; `protocol.rs` has their fields.

mod chat;
#[cfg(test)]
mod tests;

use abide::prelude::*;

use crate::chat::Chat;

#[tokio::main]
async fn main() -> abide::Result<()> {
    Server::builder().actor::<Chat>("chat").run().await
}
