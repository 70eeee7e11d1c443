//! How many calls are handled at one time, and the line for the others.
//!
//! More work than the processor can do makes every piece of it late: with all of it begun at once,
//! each answer comes when its client has stopped waiting, and the server is busy with work for
//! nobody. So calls are admitted. Those that do not fit wait in a line, first come, first served,
//! and one that has waited for long is refused with [`Busy`]. Waiting costs a connection and no
//! processor, and a connection that waits sends no further call: most overloads end right there,
//! without one refusal.
//!
//! How many fit is found out: a probe measures how long a task that is ready waits for a thread. Above
//! [`LAG_MAX`] so many fewer calls are admitted as would have made it, below it a few more again.
//! Judging by the time of waiting, not by that of answering, is what
//! keeps slow actors (they wait for something outside) from being taken for a slow server.
//! (H. Zhou et al., Overload Control for Scaling WeChat Microservices, SoCC 2018.)
//!
//! One hot object cannot hold the places of all. While the processor has time, a call to an object
//! that has messages waiting takes no place: it joins a queue with its own bound and its own answer. While
//! it has not, an object may have a quarter of the places waiting, and one more is refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use abide_actors::Deadline;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until, timeout_at};

/// How long a task that is ready may wait for a thread before fewer calls are admitted: the figure
/// of the paper above.
const LAG_MAX: Duration = Duration::from_millis(20);
/// Time between two probes.
const PROBE_PAUSE: Duration = Duration::from_millis(10);
/// So many calls for each thread are admitted whatever the lag: group commits need company, and on a
/// machine shared with others lag may not be our doing.
const PLACES_PER_THREAD_MIN: usize = 16;
/// At least this part of the places in use is left after one probe, which may have been late for
/// another reason.
const SHRINK_MAX: usize = 8;
/// Longest wait in line. Short against the patience of clients, long against a burst.
const LINE_WAIT_MAX: Duration = Duration::from_millis(500);
/// The part of a call's time that it may spend in line: what is admitted has yet to be done.
const LINE_WAIT_SHARE: u32 = 4;

/// The places there are, and the line for them.
#[derive(Debug)]
pub(crate) struct Admission {
    /// Free places. Waiting for one is fair: tokio's semaphore is a queue.
    free: Arc<Semaphore>,
    places_max: usize,
    places_min: usize,
    /// Calls that may be handled at one time. Only the probe changes it.
    places: AtomicUsize,
    /// Places to be taken away that are in use: each goes when its call has ended. Given to the line
    /// instead, they would never go.
    owed: AtomicUsize,
    in_line: AtomicUsize,
    refused: AtomicU64,
    lag_micros: AtomicU64,
}

/// The right to be handled; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place(Option<(OwnedSemaphorePermit, Arc<Admission>)>);

/// Too many calls at one time: this one was not begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server handles {admitted} calls, and {in_line} wait for their turn")]
pub(crate) struct Busy {
    admitted: usize,
    in_line: usize,
}

impl Admission {
    pub(crate) fn new(places_max: usize, threads: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(places_max)),
            places_max,
            places_min: places_max.min(threads * PLACES_PER_THREAD_MIN),
            places: AtomicUsize::new(places_max),
            owed: AtomicUsize::new(0),
            in_line: AtomicUsize::new(0),
            refused: AtomicU64::new(0),
            lag_micros: AtomicU64::new(0),
        }
    }

    /// Refuses at once, before anything of a call is read, when the line is as long as it may be.
    pub(crate) fn check(&self) -> Result<(), Busy> {
        if self.in_line.load(Ordering::Relaxed) < self.places_max {
            Ok(())
        } else {
            Err(self.refuse())
        }
    }

    /// The place of a call that joins a queue: none.
    pub(crate) fn join() -> Place {
        Place(None)
    }

    /// A place, at once or after a while in line.
    ///
    /// # Errors
    /// [`Busy`] when the wait took too long, or a quarter of the time to the deadline.
    ///
    /// # Cancel safety
    /// Yes: the place in line is given up.
    pub(crate) async fn enter(self: &Arc<Self>, deadline: Deadline) -> Result<Place, Busy> {
        if let Ok(permit) = self.free.clone().try_acquire_owned() {
            return Ok(Place(Some((permit, self.clone()))));
        }
        self.check()?;
        let now = Instant::now();
        let patience = deadline.0.saturating_duration_since(now) / LINE_WAIT_SHARE;
        let until = now + patience.min(LINE_WAIT_MAX);
        let _waiting = InLine::new(&self.in_line);
        match timeout_at(until, self.free.clone().acquire_owned()).await {
            Ok(permit) => {
                let permit = permit.expect("the semaphore is never closed");
                Ok(Place(Some((permit, self.clone()))))
            }
            Err(_elapsed) => Err(self.refuse()),
        }
    }

    /// Messages that may wait for one object; `None` while the processor has time.
    pub(crate) fn share(&self) -> Option<usize> {
        let places = self.places();
        (places < self.places_max).then_some((places / 4).max(2))
    }

    /// Adapts the number of places until the server stops.
    pub(crate) async fn adapt(&self) {
        loop {
            let due = Instant::now() + PROBE_PAUSE;
            sleep_until(due).await;
            // Once more through the queue of what is ready to run: a timer may go before it.
            tokio::task::yield_now().await;
            self.observe(due.elapsed());
        }
    }

    /// Calls that may be handled at one time, just now.
    pub(crate) fn places(&self) -> usize {
        self.places.load(Ordering::Relaxed)
    }

    /// Calls that wait for a place.
    pub(crate) fn in_line(&self) -> usize {
        self.in_line.load(Ordering::Relaxed)
    }

    /// Calls that were refused.
    pub(crate) fn refused_count(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// How long a task that was ready last waited for a thread.
    pub(crate) fn lag(&self) -> Duration {
        Duration::from_micros(self.lag_micros.load(Ordering::Relaxed))
    }

    fn observe(&self, lag: Duration) {
        let micros = u64::try_from(lag.as_micros()).unwrap_or(u64::MAX);
        self.lag_micros.store(micros, Ordering::Relaxed);
        let places = self.places();
        let wanted = if lag > LAG_MAX {
            // Of those in use, not of those there are: places nobody uses keep nobody waiting.
            let there_are = places + self.owed.load(Ordering::Relaxed);
            let in_use = there_are.saturating_sub(self.free.available_permits());
            let in_use = places.min(in_use);
            // The lag is the time of all that is ready; so many would have made it bearable.
            let bearable = in_use as u128 * LAG_MAX.as_micros() / lag.as_micros();
            usize::try_from(bearable)
                .unwrap_or(in_use)
                .max(in_use / SHRINK_MAX)
                .max(self.places_min)
                .min(places)
        } else if lag > LAG_MAX / 2 {
            places
        } else {
            (places + places / 32 + 1).min(self.places_max)
        };
        self.resize(places, wanted);
    }

    fn resize(&self, places: usize, wanted: usize) {
        self.places.store(wanted, Ordering::Relaxed);
        if wanted > places {
            let more = wanted - places;
            self.free.add_permits(more - self.forgive(more));
        } else {
            let fewer = places - wanted;
            let owed = fewer - self.free.forget_permits(fewer);
            self.owed.fetch_add(owed, Ordering::Relaxed);
        }
    }

    /// Takes up to this many off what is owed; says how many.
    fn forgive(&self, most: usize) -> usize {
        let less = |owed: usize| Some(owed - owed.min(most));
        let before = self
            .owed
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        before.expect("the update always gives a value").min(most)
    }

    fn refuse(&self) -> Busy {
        self.refused.fetch_add(1, Ordering::Relaxed);
        Busy {
            admitted: self.places(),
            in_line: self.in_line(),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some((permit, admission)) = self.0.take()
            && admission.owed.load(Ordering::Relaxed) > 0
            && admission.forgive(1) == 1
        {
            permit.forget();
        }
    }
}

/// Counts a call that waits, for as long as it does.
struct InLine<'a>(&'a AtomicUsize);

impl<'a> InLine<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::Ordering;
    use std::time::Duration;

    use abide_actors::Deadline;
    use futures_util::poll;
    use tokio::time::Instant;

    use super::{Admission, LAG_MAX, LINE_WAIT_MAX, PLACES_PER_THREAD_MIN};

    fn in_a_minute() -> Deadline {
        Deadline::after(Duration::from_secs(60))
    }

    #[tokio::test(start_paused = true)]
    async fn the_line_is_served_in_order() {
        let admission = Arc::new(Admission::new(1, 1));
        let place = admission.enter(in_a_minute()).await.unwrap();
        let mut second = Box::pin(admission.enter(in_a_minute()));
        assert!(poll!(second.as_mut()).is_pending());
        // The line is one call long: so much, and no more.
        admission
            .enter(in_a_minute())
            .await
            .expect_err("the line is as long as it may be");
        drop(place);
        second.await.unwrap();
        assert_eq!((admission.in_line(), admission.refused_count()), (0, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_ends_soon_and_sooner_for_who_has_little_time() {
        let admission = Arc::new(Admission::new(1, 1));
        let _place = admission.enter(in_a_minute()).await.unwrap();
        let began = Instant::now();
        admission.enter(in_a_minute()).await.unwrap_err();
        assert_eq!(began.elapsed(), LINE_WAIT_MAX);
        let began = Instant::now();
        let soon = Deadline::after(Duration::from_millis(100));
        admission.enter(soon).await.unwrap_err();
        assert_eq!(began.elapsed(), Duration::from_millis(25));
        assert_eq!(admission.in_line(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn lag_takes_places_away_and_its_end_gives_them_back() {
        let admission = Arc::new(Admission::new(4_096, 1));
        let mut places = Vec::new();
        for _ in 0..1_000 {
            places.push(admission.enter(in_a_minute()).await.unwrap());
        }
        admission.observe(LAG_MAX * 2);
        assert_eq!((admission.places(), admission.share()), (500, Some(125)));
        let mut waits = Box::pin(admission.enter(in_a_minute()));
        assert!(poll!(waits.as_mut()).is_pending(), "those in use count");
        // Half is owed: what comes free next goes, and is not given to the line.
        places.truncate(501);
        assert!(poll!(waits.as_mut()).is_pending());
        places.truncate(499);
        waits.await.unwrap();
        for _ in 0..100 {
            admission.observe(LAG_MAX * 2);
        }
        assert_eq!(admission.places(), PLACES_PER_THREAD_MIN);
        places.clear();
        for _ in 0..300 {
            admission.observe(Duration::ZERO);
        }
        assert_eq!(admission.places(), 4_096);
        assert_eq!(admission.free.available_permits(), 4_096);
        assert_eq!(admission.share(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn no_place_is_lost_or_made_whatever_the_lag_does() {
        for seed in 0..200 {
            let mut random = fastrand::Rng::with_seed(seed);
            let admission = Arc::new(Admission::new(random.usize(1..300), random.usize(1..4)));
            let mut held = Vec::new();
            for _ in 0..500 {
                match random.u8(0..3) {
                    0 if admission.free.available_permits() > 0 => {
                        held.push(admission.enter(in_a_minute()).await.unwrap());
                    }
                    1 if !held.is_empty() => {
                        held.swap_remove(random.usize(..held.len()));
                    }
                    _ => admission.observe(LAG_MAX * random.u32(0..40) / 10),
                }
                let there_are = admission.places() + admission.owed.load(Ordering::Relaxed);
                let known = admission.free.available_permits() + held.len();
                assert_eq!(there_are, known, "seed {seed}");
                let bounds = admission.places_min..=admission.places_max;
                assert!(bounds.contains(&admission.places()), "seed {seed}");
            }
        }
    }
}
