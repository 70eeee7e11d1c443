//! The time of the storage threads. Nothing that is stored or answered depends on it.

use std::time::Instant;

/// Now, for pacing and for how often things are looked at.
#[expect(
    clippy::disallowed_methods,
    reason = "storage threads wait for disks, which no virtual clock can move; results never depend on it"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}
