//! The bench `commit`, with SQLite as one more subject.
//!
//! ```text
//! cargo run --release --manifest-path storage/benches/commit/sqlite/Cargo.toml -- --only raw,log+sled,sqlite
//! ```

#[path = "../harness/mod.rs"]
mod harness;
mod sqlite;

/// The allocator of the server.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() {
    let mut subjects = harness::Subject::all();
    subjects.push(harness::Subject::grouped("sqlite", sqlite::sink));
    harness::main(subjects);
}
