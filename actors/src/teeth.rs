//! Teeth: ways to break the runtime on purpose, so that a test can see the simulation bite.
//!
//! As `abide_storage::teeth`: each variant is one point of the product that asks `broken`, which is
//! the constant `false` without the feature `teeth`.

#[cfg(all(feature = "teeth", not(debug_assertions)))]
compile_error!("the feature `teeth` breaks the runtime on request: it has no place in a release");

/// A promise of the runtime that can be broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tooth {
    /// What a turn lets out leaves before its commit is durable.
    SkipOutputGate,
    /// Reads are answered though what they saw is not durable.
    ReadsSkipTheGate,
    /// A call to another object leaves before the commits of the turns before it are durable.
    CallBeforeDurable,
    /// A message that begins an activation begins another one though one runs.
    StartSecondActivation,
    /// As that, and nothing notices that there are two.
    InterleaveTurns,
    /// An activation that ends drops the messages it did not get to.
    DropLeftovers,
    /// A failed turn's staged writes go into the next turn's commit.
    KeepStageOfFailedTurn,
    /// A failed turn's changes to the value stay.
    KeepValueOfFailedTurn,
    /// The reply kept for an idempotency key is left out of the turn's commit.
    ForgetIdempotencyRow,
    /// The number of a message that was heard is left out of the commit of its turn.
    ForgetReceipt,
    /// A sent message is left out of the commit of its turn.
    ForgetOutgoingRow,
    /// An alarm is cleared before its handler has committed.
    ClearAlarmEarly,
    /// A new activation does not know how often an alarm has failed.
    LoseRetryCount,
    /// Alarms of the time before a start do not fire.
    ForgetAlarmsAtStart,
    /// A frame overtakes those that wait to be read.
    FramesOutOfOrder,
    /// A frame that does not fit into the queue of its session is dropped.
    DropFrameWhenFull,
    /// A client's message is acknowledged when its turn has ended, durable or not.
    AckBeforeDurable,
    /// A client that is back is told how many of its messages have taken effect while one is under way.
    WelcomeBeforeSettled,
    /// A client that is back is sent what comes after the message behind its last one.
    ReplayFromWrongNumber,
    /// A drain stores sessions while their clients' messages are under way. Three waits each prevent that;
    /// this leaves all of them out.
    StoreSessionsEarly,
    /// The rows of sessions that are restored stay in the store.
    KeepRowsOfRestored,
    /// The commit of a turn on a message of a durable session says that it has not taken effect.
    ForgetDurableCount,
    /// What a turn sends to durable sessions is left out of its commit.
    ForgetDurableMessages,
    /// What a durable session was sent is deleted before its client has acknowledged it.
    ForgetDurableEarly,
}

impl Tooth {
    /// All there are.
    pub const ALL: [Self; 24] = [
        Self::SkipOutputGate,
        Self::ReadsSkipTheGate,
        Self::CallBeforeDurable,
        Self::StartSecondActivation,
        Self::InterleaveTurns,
        Self::DropLeftovers,
        Self::KeepStageOfFailedTurn,
        Self::KeepValueOfFailedTurn,
        Self::ForgetIdempotencyRow,
        Self::ForgetReceipt,
        Self::ForgetOutgoingRow,
        Self::ClearAlarmEarly,
        Self::LoseRetryCount,
        Self::ForgetAlarmsAtStart,
        Self::FramesOutOfOrder,
        Self::DropFrameWhenFull,
        Self::AckBeforeDurable,
        Self::WelcomeBeforeSettled,
        Self::ReplayFromWrongNumber,
        Self::StoreSessionsEarly,
        Self::KeepRowsOfRestored,
        Self::ForgetDurableCount,
        Self::ForgetDurableMessages,
        Self::ForgetDurableEarly,
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
