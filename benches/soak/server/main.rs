//! The server under test, with the flags of `abide`.

mod ledger;

use std::process::ExitCode;

use abide::Server;

use crate::ledger::Ledger;

// As in the `abide` binary, so that what holds here holds there.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    Server::builder().actor::<Ledger>("ledger").main()
}
