//! The ready objects, as the server has them.

use std::sync::{Arc, LazyLock};

use abide::{ActorKind, Kind};
use abide_actors::testing::World;

#[path = "../../../examples/chat/chat.rs"]
pub(super) mod chat;
#[path = "../../../examples/counter/counter.rs"]
pub(super) mod counter;
#[path = "../../../examples/document/document.rs"]
pub(super) mod document;
#[path = "../../../examples/kv/kv.rs"]
pub(super) mod kv;

/// Made once: a description holds the schemas of all methods, and a world is made per input.
static KINDS: LazyLock<[(&str, Arc<dyn Kind>); 4]> = LazyLock::new(|| {
    [
        ("chat", ActorKind::<chat::Chat>::new()),
        ("counter", ActorKind::<counter::Counter>::new()),
        ("document", ActorKind::<document::Document>::new()),
        ("kv", ActorKind::<kv::Kv>::new()),
    ]
});

/// Runs in a world of its own, with all ready objects.
pub(super) fn in_world(work: impl AsyncFnOnce(&mut World)) {
    let mut builder = World::builder();
    for (namespace, kind) in &*KINDS {
        builder = builder.kind(namespace, kind.clone());
    }
    builder.run(work);
}
