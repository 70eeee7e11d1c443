//! The `abide` server with its ready objects.

use std::process::ExitCode;

use abide::Server;

#[cfg(feature = "ready-objects")]
#[path = "../examples/chat/chat.rs"]
mod chat;
#[cfg(feature = "ready-objects")]
#[path = "../examples/counter/counter.rs"]
mod counter;
#[cfg(feature = "ready-objects")]
#[path = "../examples/document/document.rs"]
mod document;
#[cfg(feature = "ready-objects")]
#[path = "../examples/kv/kv.rs"]
mod kv;

// Many small, short-lived allocations on many threads: what this allocator is made for.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let server = Server::builder();
    #[cfg(feature = "ready-objects")]
    let server = server
        .actor::<chat::Chat>("chat")
        .actor::<counter::Counter>("counter")
        .actor::<document::Document>("document")
        .actor::<kv::Kv>("kv");
    server.main()
}
