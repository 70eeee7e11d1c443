//! Backups and restores: what comes back is what was there, at any commit and any time, after any
//! crash; and damage is named.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod crash;
mod damage;
mod faults;
mod model;
mod restored;
mod running;
mod sessions;
mod written;
