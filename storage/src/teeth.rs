//! Teeth: ways to break this crate on purpose, so that a test can see the simulation bite.
//!
//! Each variant is one point of the product that asks `broken`. Without the feature `teeth` the
//! answer is the constant `false` and the point is gone. With it, one variant at a time is chosen
//! by the thread that runs the simulated store.

#[cfg(all(feature = "teeth", not(debug_assertions)))]
compile_error!("the feature `teeth` breaks the store on request: it has no place in a release");

/// A promise of the store that can be broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tooth {
    /// Tickets answer when the log is written, not when it is synced.
    AcknowledgeBeforeSync,
    /// A failed sync is tried again, as if the kernel still had what it could not write.
    RetryFailedSync,
    /// A commit is taken under any epoch.
    IgnoreEpoch,
    /// Of a group in the log only the first commit is read again.
    ReplayHalfAGroup,
    /// A record of the log counts whatever its checksum says.
    IgnoreChecksum,
    /// Log segments are let go before the engine has synced what was in them.
    RecycleEarly,
    /// Of the rows of a commit only every second one is kept.
    ApplyHalfABatch,
    /// Commits that did not fit on the disk stay in the overlay.
    KeepWhatWasTakenBack,
}

impl Tooth {
    /// All there are.
    pub const ALL: [Self; 8] = [
        Self::AcknowledgeBeforeSync,
        Self::RetryFailedSync,
        Self::IgnoreEpoch,
        Self::ReplayHalfAGroup,
        Self::IgnoreChecksum,
        Self::RecycleEarly,
        Self::ApplyHalfABatch,
        Self::KeepWhatWasTakenBack,
    ];
}

/// Whether this promise is broken just now.
#[cfg(not(feature = "teeth"))]
pub(crate) const fn broken(_tooth: Tooth) -> bool {
    false
}

#[cfg(feature = "teeth")]
pub(crate) use chosen::broken;
#[cfg(feature = "teeth")]
pub use chosen::choose;

#[cfg(feature = "teeth")]
mod chosen {
    use std::cell::Cell;

    use super::Tooth;

    thread_local! {
        // A simulated node runs on the thread of its test, so tests do not break each other's.
        static CHOSEN: Cell<Option<Tooth>> = const { Cell::new(None) };
    }

    /// Breaks this promise on this thread, and no other; `None` mends all.
    pub fn choose(tooth: Option<Tooth>) {
        CHOSEN.set(tooth);
    }

    pub(crate) fn broken(tooth: Tooth) -> bool {
        CHOSEN.get() == Some(tooth)
    }
}
