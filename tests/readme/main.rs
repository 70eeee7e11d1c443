//! The README and the page on real-time, followed to the letter: their blocks run in their order, as a reader
//! would run them.
//!
//! Everything happens in one new folder, with the built `abide` on the path. What a block is, its
//! fence says (a forge shows only the first word):
//!
//! | fence | what happens |
//! |---|---|
//! | `sh` | runs by bash; must exit with 0 |
//! | `sh server` | starts in the background; goes on once the server listens. One that runs is ended first with SIGTERM and must exit with 0, so a second such block shows a restart on the same data |
//! | `sh skip: reason` | does not run |
//! | `text output`, `json output` | must be what the `sh` or `js` block before printed; `…` stands for anything |
//! | `toml` | becomes `Cargo.toml` of a package in the folder; `abide` is taken from this repository |
//! | `rust` | becomes its `src/main.rs` and must compile; `cargo run` in a later block runs it |
//! | `js` | runs by node with the packages of `tests/clients` and our own client; skipped aloud where these are missing |
//! | `js stays after: words` | the same, but runs on in the background once it has printed the words |
//! | `text output of the one that stays` | must be what that one has printed when it ends by itself |
//!
//! A clone is taken from this repository, and `cargo run --release` is the built `abide`.
//! Other fences only show something. The README may use the default ports: they are replaced by
//! free ones, in the blocks and in the server's environment.
#![expect(clippy::unwrap_used, reason = "a step that fails here fails the test")]

mod block;
mod reader;

use std::fs;

use crate::block::blocks;
use crate::reader::{Reader, repository};

#[test]
fn every_block_of_the_readme_works() {
    follow("README.md", "readme");
}

#[test]
fn every_block_of_the_page_on_real_time_works() {
    follow("docs/realtime.md", "realtime");
}

fn follow(page: &str, package: &'static str) {
    let path = repository().join(page);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{page}: {error}"));
    let mut reader = Reader::new(package);
    for block in blocks(&text) {
        eprintln!("{page}:{} {}", block.line, block.fence);
        if let Err(problem) = reader.follow(&block) {
            let (line, fence, text) = (block.line, block.fence, block.text);
            panic!("{page}:{line} ```{fence}\n{text}\n{problem}");
        }
    }
    reader.stop_server().unwrap();
}
