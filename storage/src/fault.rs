//! Engines and file systems that fail on purpose.
//!
//! [`FaultEngine`] and [`FaultDisk`] count their writing operations and make chosen ones fail, stall or
//! tear. Both also stand for what a machine forgets when its power goes: what was not synced
//! is dropped, kept, or half kept, at random.

mod disk;
mod engine;
mod steps;

pub use disk::{DiskFault, FaultDisk};
pub use engine::{EngineFault, EngineOperation, FaultEngine};
pub use steps::{DiskOperation, DiskStep, FileRole};

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts the writing operations of a whole machine and goes off at one of them: that operation
/// and all later ones fail, on every disk and engine it is wired to.
#[derive(Debug, Clone)]
pub struct PowerSwitch(Arc<AtomicU64>);

impl PowerSwitch {
    /// A switch that lets `operations` happen.
    #[must_use]
    pub fn after(operations: u64) -> Self {
        Self(Arc::new(AtomicU64::new(operations)))
    }

    /// A switch that stays on.
    #[must_use]
    pub fn never() -> Self {
        Self::after(u64::MAX)
    }

    /// Whether the power is gone.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.0.load(Ordering::SeqCst) == 0
    }

    /// Counts one operation; an error when the power is gone.
    fn count(&self) -> std::io::Result<()> {
        let counted = self
            .0
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            });
        match counted {
            Ok(left) if left > 1 => Ok(()),
            _ => Err(std::io::Error::other("the power is gone")),
        }
    }
}
