//! Standard output, for people and scripts.

use std::io::{self, Write};
use std::path::Path;

use crate::error::{Error, Result};

/// Writes what was asked for. A reader that has gone away is no error: `abide config | head`.
///
/// # Errors
/// [`Error::File`]: a disk that is full, for instance. What was written is not whole.
pub(crate) fn output(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::file(Path::new("standard output"), error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Says what was done. It stays done when nobody can be told.
pub(crate) fn print(text: &str) {
    drop(output(text));
}
