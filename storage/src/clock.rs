//! The time of the storage threads.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::id::Timestamp;

/// Now, for pacing and for how often things are looked at.
#[expect(
    clippy::disallowed_methods,
    reason = "storage threads wait for disks, which no virtual clock can move; results never depend on it"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The machine's time, which is written beside groups of commits; asked for through
/// [`Disk::time`](crate::Disk::time), so that tests own it.
#[expect(clippy::disallowed_methods, reason = "the seam itself")]
pub(crate) fn wall() -> Timestamp {
    // Before 1970 it is 1970.
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
