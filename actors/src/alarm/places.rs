//! How many objects may have alarms under way.
//!
//! It is objects that are counted, not alarms: turns of one object come one after the other, so the work
//! under way is bounded all the same, and a slow object with a thousand alarms takes one place from
//! the others, not a thousand.

use std::collections::HashMap;
use std::sync::Arc;

use abide_storage::ObjectId;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    /// **bounded** by the places.
    taken: Arc<Mutex<HashMap<ObjectId, Taken>>>,
}

#[derive(Debug)]
struct Taken {
    alarms: usize,
    _place: OwnedSemaphorePermit,
}

/// One alarm under way. Its object gives its place back when the last of them is dropped, wherever.
#[derive(Debug)]
pub(crate) struct UnderWay {
    taken: Arc<Mutex<HashMap<ObjectId, Taken>>>,
    object: ObjectId,
}

impl Places {
    pub(super) fn new(count: usize) -> Self {
        let count = count.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            free: Arc::new(Semaphore::new(count)),
            taken: Arc::default(),
        }
    }

    /// Objects that have a place.
    pub(super) fn taken(&self) -> usize {
        self.taken.lock().len()
    }

    /// Waits until a place is free.
    pub(super) async fn free(&self) {
        let free = self.free.acquire().await;
        drop(free.expect("nobody closes the places"));
    }

    /// The place of an object, taken or its own already; `None` when all are taken by others.
    pub(super) fn take(&self, object: ObjectId) -> Option<UnderWay> {
        let mut taken = self.taken.lock();
        if let Some(own) = taken.get_mut(&object) {
            own.alarms += 1;
        } else {
            let _place = self.free.clone().try_acquire_owned().ok()?;
            taken.insert(object, Taken { alarms: 1, _place });
        }
        drop(taken);
        Some(UnderWay {
            taken: self.taken.clone(),
            object,
        })
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut taken = self.taken.lock();
        // An object keeps its place as long as one of its alarms is under way, so it has one now.
        if let Some(own) = taken.get_mut(&self.object) {
            own.alarms -= 1;
            if own.alarms == 0 {
                taken.remove(&self.object);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alarms_of_one_object_take_one_place_together() {
        let places = Places::new(2);
        let object = |fill| ObjectId::from_bytes([fill; 32]);
        let many: Vec<_> = (0..100).map(|_| places.take(object(1)).unwrap()).collect();
        let other = places.take(object(2)).unwrap();
        assert_eq!(places.taken(), 2);
        assert!(places.take(object(3)).is_none(), "all are taken");
        assert!(places.take(object(2)).is_some(), "its own");
        drop(other);
        let third = places.take(object(3)).unwrap();
        drop(many);
        assert_eq!(places.taken(), 1);
        drop(third);
        assert_eq!((places.taken(), places.free.available_permits()), (0, 2));
    }
}
