//! The objects the benches need, served by the library: a counter, an echo, a room, a lobby.
//!
//! The flags are those of `abide`. The `abide` binary cannot take this one's place: its counter wants
//! an argument, and its rooms are chats with names, a history and a protocol.

mod objects;

use std::process::ExitCode;

use abide::Server;

use crate::objects::{Counter, Echo, Lobby, Room};

// As in the `abide` binary, so that what is measured here holds there.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    Server::builder()
        .actor::<Counter>("counter")
        .actor::<Echo>("echo")
        .actor::<Room>("room")
        .actor::<Lobby>("lobby")
        .main()
}
