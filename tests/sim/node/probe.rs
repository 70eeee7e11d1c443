//! What actor code tells the simulation behind the runtime's back. A turn that is undone has told
//! it all the same, which is what makes it of use.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use abide::prelude::*;

use super::subject::Seen;

/// One try of an alarm's handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attempt {
    pub(super) object: String,
    pub(super) name: String,
    pub(super) scheduled: Timestamp,
    pub(super) at: Timestamp,
    pub(super) retries: u32,
}

/// What was told since [`begin`].
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) attempts: Vec<Attempt>,
    /// What objects heard of others, and that has not been taken over yet.
    pub(super) sightings: Vec<(String, Seen)>,
    /// Objects in which a turn began while another one had not ended.
    pub(super) interleaved: BTreeSet<String>,
    /// Panics, of the product or of the simulation itself.
    pub(super) panics: Vec<String>,
    /// Turns that are open, by life and object.
    pub(super) open: BTreeMap<(u64, String), u32>,
}

thread_local! {
    // A simulated node runs on one thread.
    static NOTES: RefCell<Notes> = RefCell::default();
    static LIFE: Cell<u64> = const { Cell::new(0) };
    static IS_SIMULATED: Cell<bool> = const { Cell::new(false) };
}

/// Forgets what was told before, and from now on takes note of panics on this thread.
pub(super) fn begin() {
    static HOOK: std::sync::Once = std::sync::Once::new();
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if IS_SIMULATED.get() {
                let _at_the_end = NOTES.try_with(|notes| {
                    if let Ok(mut notes) = notes.try_borrow_mut() {
                        notes.panics.push(panic.to_string());
                    }
                });
            } else {
                usual(panic);
            }
        }));
    });
    NOTES.take();
    LIFE.set(0);
    IS_SIMULATED.set(true);
}

/// Panics are the test's own again.
pub(super) fn end() -> Notes {
    IS_SIMULATED.set(false);
    NOTES.take()
}

/// The value that is made next belongs to this process.
pub(super) fn make_for(life: u64) {
    LIFE.set(life);
}

pub(super) fn take_sightings() -> Vec<(String, Seen)> {
    NOTES.with_borrow_mut(|notes| std::mem::take(&mut notes.sightings))
}

pub(super) fn sighted(object: &str, seen: Seen) {
    NOTES.with_borrow_mut(|notes| notes.sightings.push((object.to_owned(), seen)));
}

pub(super) fn attempted(object: &str, alarm: &Alarm, at: Timestamp) {
    let attempt = Attempt {
        object: object.to_owned(),
        name: alarm.name.to_string(),
        scheduled: alarm.scheduled,
        at,
        retries: alarm.retries,
    };
    NOTES.with_borrow_mut(|notes| notes.attempts.push(attempt));
}

/// The process in which a value was made.
#[derive(Debug)]
pub(super) struct Life(u64);

impl Default for Life {
    fn default() -> Self {
        Self(LIFE.get())
    }
}

impl Life {
    /// **one-turn**: notes when another turn of the object is open.
    pub(super) fn enter(&self, object: &str) -> OpenTurn {
        let key = (self.0, object.to_owned());
        NOTES.with_borrow_mut(|notes| {
            let open = notes.open.entry(key.clone()).or_default();
            *open += 1;
            if *open > 1 {
                notes.interleaved.insert(object.to_owned());
            }
        });
        OpenTurn(key)
    }
}

/// A turn that has begun.
#[derive(Debug)]
pub(super) struct OpenTurn((u64, String));

impl Drop for OpenTurn {
    fn drop(&mut self) {
        NOTES.with_borrow_mut(|notes| {
            if let Some(open) = notes.open.get_mut(&self.0) {
                *open = open.saturating_sub(1);
            }
        });
    }
}
