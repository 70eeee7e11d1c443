//! The seam of randomness.

use parking_lot::Mutex;

/// Random numbers of a node: seeded by the system, or by a test that wants a run again.
#[derive(Debug)]
pub struct Rng(Mutex<fastrand::Rng>);

impl Rng {
    /// Seeded by the operating system.
    #[must_use]
    pub fn from_system() -> Self {
        Self(Mutex::new(fastrand::Rng::new()))
    }

    /// The same seed gives the same numbers.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        Self(Mutex::new(fastrand::Rng::with_seed(seed)))
    }

    /// A random number.
    #[must_use]
    pub fn u64(&self) -> u64 {
        self.0.lock().u64(..)
    }

    /// Milliseconds of jitter, 0 to `range_ms`.
    pub(crate) fn jitter_ms(&self, range_ms: u64) -> u64 {
        self.0.lock().u64(..=range_ms)
    }
}
