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

// Its background thread gives the memory of passivated objects back to the system ten seconds
// later; mimalloc, 3 % cheaper per call, kept it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

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
