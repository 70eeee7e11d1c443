//! The documents from their clients' side. What clients say and understand is written and read by
//! `yrs`' own implementation of y-protocols, so ours is checked against another.

mod awareness;
mod export;
mod hocuspocus;
mod hostile;
mod mutations;
mod pages;
mod peer;
mod saved;
mod size;
mod sync;
mod thinning;
mod versions;

use abide_actors::testing::World;
use abide_actors::{CallError, Limits};
use serde_json::{Value, json};

use crate::document::Document;

fn in_world(test: impl AsyncFnOnce(&mut World)) {
    // As the server has it.
    let limits = Limits {
        outbound_max_bytes: 2 * 1024 * 1024,
        ..Limits::default()
    };
    let world = World::builder().limits(limits);
    world.actor::<Document>("document").run(test);
}

/// Calls the document as a client does.
async fn call(world: &World, method: &str, arguments: Value) -> Result<Value, CallError> {
    world.call("document", "notes", method, arguments).await
}

/// The code and status of a refusal.
async fn refused(world: &World, method: &str, arguments: Value) -> (String, u16) {
    match call(world, method, arguments).await {
        Err(CallError::Actor(refusal)) => (refusal.code.to_string(), refusal.status),
        other => panic!("{method} was not refused: {other:?}"),
    }
}

/// Makes the document say this, with nobody's help.
async fn write(world: &World, text: &str) {
    call(world, "write", json!({ "text": text })).await.unwrap();
}

/// The text of the document, as the server has it.
async fn text(world: &World) -> String {
    world.actor::<Document>("notes").text(None).await.unwrap()
}

/// Stored updates since the last snapshot.
async fn updates(world: &World) -> u64 {
    world
        .actor::<Document>("notes")
        .size()
        .await
        .unwrap()
        .updates
}
