//! The seam of randomness.

use parking_lot::Mutex;

/// Random numbers of a node: seeded by the system, or by a test that wants a run again.
#[derive(Debug)]
pub struct Rng {
    numbers: Mutex<fastrand::Rng>,
    secrets: Secrets,
}

/// Where what nobody may guess comes from.
#[derive(Debug, Clone, Copy)]
enum Secrets {
    System,
    /// The same numbers, so that a test has the same again.
    Numbers,
}

impl Rng {
    /// Seeded by the operating system.
    #[must_use]
    pub fn from_system() -> Self {
        Self {
            numbers: Mutex::new(fastrand::Rng::new()),
            secrets: Secrets::System,
        }
    }

    /// The same seed gives the same numbers.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        Self {
            numbers: Mutex::new(fastrand::Rng::with_seed(seed)),
            secrets: Secrets::Numbers,
        }
    }

    /// A random number.
    #[must_use]
    pub fn u64(&self) -> u64 {
        self.numbers.lock().u64(..)
    }

    /// Bytes that nobody can guess who has seen others.
    pub(crate) fn secret<const SIZE_BYTES: usize>(&self) -> [u8; SIZE_BYTES] {
        let mut secret = [0; SIZE_BYTES];
        match self.secrets {
            Secrets::System => getrandom::fill(&mut secret)
                .expect("a system without randomness could not have started this process"),
            Secrets::Numbers => self.numbers.lock().fill(&mut secret),
        }
        secret
    }

    /// Milliseconds of jitter, 0 to `range_ms`.
    pub(crate) fn jitter_ms(&self, range_ms: u64) -> u64 {
        self.numbers.lock().u64(..=range_ms)
    }
}
