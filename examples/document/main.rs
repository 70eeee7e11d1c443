//! Collaborative documents: a Yjs server that y-websocket clients use as it is.
//!
//! ```text
//! cargo run --example document
//!
//! # in a page or in Node (npm install yjs y-websocket)
//! import * as Y from "yjs";
//! import { WebsocketProvider } from "y-websocket";
//! const doc = new Y.Doc();
//! new WebsocketProvider("ws://127.0.0.1:7878/v1/document", "notes", doc);
//! doc.getText("codemirror").insert(0, "hello");
//!
//! curl http://127.0.0.1:7878/v1/document/notes/text      # "hello"
//! curl http://127.0.0.1:7878/v1/document/notes/size
//! curl -X POST http://127.0.0.1:7878/v1/document/notes/append \
//!      -H 'Content-Type: application/json' -d '{"text": " from the backend"}'
//! curl http://127.0.0.1:7878/v1/document/notes/-/codemirror.md
//! curl http://127.0.0.1:7878/v1/document/notes/versions
//! ```
//! A change is durable before anybody else sees it. `protocol.rs` has the messages, `log.rs` and
//! `versions.rs` what is stored, `docs/editor.md` all that can be asked. `@hocuspocus/provider`
//! works too, at `ws://127.0.0.1:7878/v1/document/notes?protocol=hocuspocus`.

mod document;
#[cfg(test)]
mod tests;

use abide::prelude::*;

use crate::document::Document;

#[tokio::main]
async fn main() -> abide::Result<()> {
    Server::builder().actor::<Document>("document").run().await
}
