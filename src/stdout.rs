//! Standard output, for people and scripts.

use std::io::{self, Write};

/// Writes to standard output. A reader that has gone away is no error: `abide config | head`.
pub(crate) fn print(text: &str) {
    let mut out = io::stdout().lock();
    drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
}
