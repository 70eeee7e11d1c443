//! The documents from their clients' side. What clients say and understand is written and read by
//! `yrs`' own implementation of y-protocols, so ours is checked against another.

mod awareness;
mod hostile;
mod peer;
mod sync;

use abide_actors::testing::World;

use crate::document::Document;

fn in_world(test: impl AsyncFnOnce(&mut World)) {
    World::builder().actor::<Document>("document").run(test);
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
