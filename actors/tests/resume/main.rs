//! **resume**: sessions that outlive their connection, their activation and a restart, with a client that
//! counts every message of both directions.
//!
//! Each module says `cfg(test)` for clippy, which lets helpers outside a test function unwrap only there.

// The macro's default path begins with `::abide`.
extern crate abide_actors as abide;

#[cfg(test)]
mod client;
#[cfg(test)]
mod drain;
#[cfg(test)]
mod durable;
#[cfg(test)]
mod presence;
#[cfg(test)]
mod random;
#[cfg(test)]
mod story;
