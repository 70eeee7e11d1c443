//! Durable commits per second: Abide's log against the bare file system and the bare engines.
//!
//! ```text
//! cargo bench -p abide-storage --bench commit -- [--seconds 2] [--rounds 3] [--only raw,log+sled] [--writers 16,256] (--help tells all)
//! ```
//!
//! N writers, tasks on a runtime of two threads, each commit 3 rows of 100 bytes and wait until they are
//! durable. "raw" appends the same bytes to a file filled with zeros and syncs it once per group: the
//! limit of this design on this disk. Rounds are interleaved, and each line is the median of its rounds,
//! because machines and disks have moods. The crate in `sqlite/` is the same bench with SQLite in it.

mod harness;

/// The allocator of the server.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() {
    harness::main(harness::Subject::all());
}
