//! A full disk, for real: the binary on a small file system of its own, which the tests fill up.
//!
//! `storage/tests/faults.rs` lets one operation fail at a time. Here the kernel decides which, and
//! log and engine meet the end of the disk together. Making a file system takes the right to
//! mount; without it a test says on standard error that it was skipped.

/// Longest that the client waits for the server, or the server for the client.
#[cfg(test)]
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

#[cfg(test)]
#[path = "../blackbox/support/http.rs"]
#[expect(dead_code, reason = "the black-box tests use all of it")]
mod http;

#[cfg(test)]
mod load;
#[cfg(test)]
mod server;
#[cfg(test)]
mod tmpfs;

#[cfg(test)]
mod full;
#[cfg(test)]
mod refused;
