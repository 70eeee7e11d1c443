//! Panics inside the CRDT. A fuzzer takes every panic for a finding; one in there is none by
//! itself: it ends the activation, and all else that is checked must still hold.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    static PANICS: Cell<u32> = const { Cell::new(0) };
}

/// From now on they are counted, from zero, and not reported.
pub(super) fn count_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let others = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            let is_inside = |file: &str| file.contains("/yrs-");
            if panic.location().is_some_and(|at| is_inside(at.file())) {
                PANICS.set(PANICS.get() + 1);
            } else {
                others(panic);
            }
        }));
    });
    PANICS.set(0);
}

/// How many there have been on this thread.
pub(super) fn panics() -> u32 {
    PANICS.get()
}

/// What the runtime does around actor code: `None` after a panic in the CRDT.
pub(super) fn contained<T>(work: impl FnOnce() -> T) -> Option<T> {
    let before = panics();
    match panic::catch_unwind(AssertUnwindSafe(work)) {
        Ok(value) => Some(value),
        Err(_) if panics() > before => None,
        Err(ours) => panic::resume_unwind(ours),
    }
}
