//! The time of the storage threads.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::id::Timestamp;

/// Now, for pacing and for how often things are looked at.
#[expect(
    clippy::disallowed_methods,
    reason = "storage threads wait for disks, which no virtual clock can move; results never depend on it"
)]
pub(crate) fn now() -> Instant {
    #[cfg(feature = "test-util")]
    if let Some(now) = set::NOW.get() {
        return now;
    }
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

/// The clock of a store without threads, which follows the virtual time of whoever drives it.
#[cfg(feature = "test-util")]
pub(crate) mod set {
    use std::cell::Cell;
    use std::time::Instant;

    thread_local! {
        // Such a store runs on the one thread that drives it.
        pub(super) static NOW: Cell<Option<Instant>> = const { Cell::new(None) };
    }

    pub(crate) fn to(now: Instant) {
        NOW.set(Some(now));
    }
}
