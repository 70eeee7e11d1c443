//! The seam of time: the only place of the runtime that reads a clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use abide_storage::Timestamp;
use tokio::time::Instant;

/// Reads the wall clock: the system's, or one that follows the paused clock of a test runtime.
///
/// Waiting always goes through `tokio::time`, which a test runtime pauses and advances, so the
/// two never disagree.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    System,
    /// Wall time is `start` plus what tokio's clock has advanced since `since`.
    Virtual {
        start: Timestamp,
        since: Instant,
    },
}

impl Clock {
    /// The system's wall clock.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that starts at `start` now and advances with tokio's (pausable) clock.
    #[must_use]
    pub fn starting_at(start: Timestamp) -> Self {
        Self(Source::Virtual {
            start,
            since: Instant::now(),
        })
    }

    /// The wall time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => system_now(),
            Source::Virtual { start, since } => *start + since.elapsed(),
        }
    }

    /// How long from now until `at`; zero when it has passed.
    #[must_use]
    pub fn until(&self, at: Timestamp) -> Duration {
        Duration::from_millis(at.0.saturating_sub(self.now().0))
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the seam the ban points to"
)]
fn system_now() -> Timestamp {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
}

/// The monotonic clock, which a test runtime pauses.
#[must_use]
pub(crate) fn monotonic() -> Instant {
    Instant::now()
}
