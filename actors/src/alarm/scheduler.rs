//! The node's clockwork of alarms: which fires next.
//!
//! The store's index by time is the truth; this is a window onto its beginning. An alarm is in
//! the window when it is due before the window's end; later ones are read when the window has
//! run dry. So memory is bounded however many alarms are stored, and start-up reads one page.
//! What falls due at once is spread out three ways: so many in a burst, so many objects whose turns are
//! not over yet (`places.rs`), and so many of each object (`pace.rs`).
//! **alarm-at-least-once**: an alarm leaves the index only in the commit of the turn that handled
//! it; whatever is lost in between fires again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use abide_storage::{OUTGOING_WAKE, SESSIONS_WAKE, ScheduledAlarm, Timestamp};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::pace::{Pace, Place};
use super::places::{Places, UnderWay};
use super::row::PARKED_FROM;
use crate::clock::monotonic;
use crate::mailbox::{Admission, Envelope};
use crate::node::{Node, Target};
use crate::registry::Limits;
use crate::teeth::{Tooth, broken};

/// Alarms read from the store at a time, if the window has room for them…
const PAGE_ALARMS: usize = 4_096;
/// …and for how many at least: to read fewer is not worth it.
const PAGE_ALARMS_MIN: usize = 256;
/// The window's latest part is given up above this…
const WINDOW_ALARMS_MAX: usize = 4 * PAGE_ALARMS;
/// …down to this, which leaves room for a page.
const WINDOW_ALARMS_KEPT: usize = WINDOW_ALARMS_MAX - PAGE_ALARMS;
/// Overdue alarms (all that fell due while the node was down) start at most this many at a time…
const BURST_ALARMS: usize = 64;
/// …and this far apart, so that a restart is not a stampede.
const BURST_PAUSE: Duration = Duration::from_millis(10);
/// Wall clocks jump: no single wait is longer than this.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// When the store or the object's mailbox cannot take an alarm just now.
pub(crate) const TRY_AGAIN: Duration = Duration::from_secs(1);
/// When the object cannot be activated: that needs an operator, and each try costs a read.
pub(crate) const TRY_AGAIN_LATER: Duration = Duration::from_secs(15);

/// What a durable commit did to the index.
#[derive(Debug)]
pub(crate) enum Change {
    Insert(ScheduledAlarm),
    Remove(ScheduledAlarm),
}

/// An alarm on its way through its object's mailbox, turn and commit. One that is dropped anywhere
/// there is not under way any more.
#[derive(Debug)]
pub(crate) struct Fired {
    pub(crate) alarm: ScheduledAlarm,
    _under_way: UnderWay,
}

/// See the module's documentation.
pub(crate) struct Scheduler {
    window: Mutex<Window>,
    changed: Notify,
    places: Places,
    pace: Mutex<Pace>,
    /// Alarms handed to their objects.
    fired: AtomicU64,
    /// Alarms put off because their object was above its budget.
    slowed: AtomicU64,
    /// Alarms parked.
    pub(crate) parked: AtomicU64,
}

/// Figures of the clockwork, for metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AlarmStats {
    /// Alarms handed to their objects since the node started.
    pub fired: u64,
    /// Alarms put off because their object was above its budget.
    pub slowed: u64,
    /// Alarms parked since the node started.
    pub parked: u64,
    /// Objects with alarms whose turns are not over.
    pub in_flight: usize,
}

#[derive(Default)]
struct Window {
    /// By the time to fire, which is later than the alarm's own when it had to be put off.
    alarms: BTreeSet<(Timestamp, ScheduledAlarm)>,
    /// The store holds alarms after this one that are not in the window. `None`: it does not.
    end: Option<ScheduledAlarm>,
}

impl Scheduler {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            window: Mutex::default(),
            changed: Notify::new(),
            places: Places::new(limits.alarms_in_flight_max),
            pace: Mutex::new(Pace::new(limits.alarm_rate_max, limits.alarm_burst_max)),
            fired: AtomicU64::new(0),
            slowed: AtomicU64::new(0),
            parked: AtomicU64::new(0),
        }
    }

    pub(crate) fn stats(&self) -> AlarmStats {
        AlarmStats {
            fired: self.fired.load(Ordering::Relaxed),
            slowed: self.slowed.load(Ordering::Relaxed),
            parked: self.parked.load(Ordering::Relaxed),
            in_flight: self.places.taken(),
        }
    }

    /// Takes over what a durable commit changed.
    pub(crate) fn apply(&self, changes: Vec<Change>) {
        if changes.is_empty() {
            return;
        }
        let mut window = self.window.lock();
        for change in changes {
            match change {
                Change::Insert(alarm) => window.insert(alarm.due, alarm),
                Change::Remove(alarm) => {
                    window.alarms.remove(&(alarm.due, alarm));
                }
            }
        }
        drop(window);
        self.changed.notify_one();
    }

    /// The alarm could not be handed over or handled without a trace in the store: fire it later.
    pub(crate) fn put_off(&self, node: &Node, alarm: ScheduledAlarm, wait: Duration) {
        self.window.lock().insert(node.clock.now() + wait, alarm);
        self.changed.notify_one();
    }

    /// Fires alarms until the node stops.
    pub(crate) async fn run(&self, node: &Arc<Node>) {
        while !broken(Tooth::ForgetAlarmsAtStart) && !self.load(node, None).await {
            tokio::time::sleep(TRY_AGAIN).await;
        }
        loop {
            self.places.free().await;
            let due = self.take_due(node.clock.now());
            let burst = due.len() == BURST_ALARMS;
            if !self.hand_over(node, due) || burst {
                tokio::time::sleep(BURST_PAUSE).await;
                continue;
            }
            let next_page = self.window.lock().next_page(node.clock.now());
            if let Some(after) = next_page {
                if !self.load(node, Some(after)).await {
                    tokio::time::sleep(TRY_AGAIN).await;
                }
                continue;
            }
            let next = self.window.lock().next_look();
            let wait = next.map_or(WAIT_MAX, |at| node.clock.until(at).min(WAIT_MAX));
            tokio::select! {
                biased; // in this order always, so that a simulation can be had again
                () = self.changed.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    fn take_due(&self, now: Timestamp) -> Vec<(Timestamp, ScheduledAlarm)> {
        let mut window = self.window.lock();
        let mut due = Vec::new();
        while due.len() < BURST_ALARMS
            && let Some((at, _)) = window.alarms.first()
            && *at <= now
        {
            due.extend(window.alarms.pop_first());
        }
        due
    }

    /// Hands due alarms to their objects. `false` when there were no places for all of them; those
    /// left over are in the window again.
    fn hand_over(&self, node: &Arc<Node>, due: Vec<(Timestamp, ScheduledAlarm)>) -> bool {
        let now = monotonic();
        let mut all = true;
        for (at, alarm) in due {
            // One that was put off has been counted, and has its turn now. What wakes an object to send
            // its messages, or for its sessions, is none of its own alarms.
            let counts = at <= alarm.due && !wakes(&alarm.name);
            if counts
                && let Place::Later { wait, warn } = self.pace.lock().take(alarm.object.id, now)
            {
                self.slowed.fetch_add(1, Ordering::Relaxed);
                if warn {
                    let name = alarm.name.escape_ascii();
                    tracing::warn!(object = %alarm.object, alarm = %name, ?wait,
                        "alarms of this object fire more often than alarm_rate_max: they are slowed down");
                }
                self.put_off(node, alarm, wait);
                continue;
            }
            let Some(under_way) = self.places.take(alarm.object.id) else {
                // A millisecond later than it was, so that its object's budget is not asked twice.
                let again = node.clock.now().max(alarm.due) + Duration::from_millis(1);
                self.window.lock().insert(again, alarm);
                all = false;
                continue;
            };
            self.fired.fetch_add(1, Ordering::Relaxed);
            fire(node, alarm, under_way);
        }
        all
    }

    /// Reads the next page into the window; `false` when the store could not be read.
    async fn load(&self, node: &Node, after: Option<ScheduledAlarm>) -> bool {
        // Without an end the window keeps every alarm that is set while the page is read: the
        // page may be older than it.
        let (end_before, limit) = {
            let mut window = self.window.lock();
            (window.end.take(), window.room().max(PAGE_ALARMS_MIN))
        };
        match node.store.alarms(after, limit).await {
            Ok(page) => {
                // Parked alarms lie behind all others: a page that reaches them was the last.
                let is_full = page.len() == limit;
                let page_end = page.last().filter(|last| is_full && last.due < PARKED_FROM);
                let mut window = self.window.lock();
                window.end = earlier(page_end.cloned(), window.end.take());
                for alarm in page.into_iter().filter(|alarm| alarm.due < PARKED_FROM) {
                    window.insert(alarm.due, alarm);
                }
                true
            }
            Err(error) => {
                let mut window = self.window.lock();
                window.end = earlier(end_before, window.end.take());
                tracing::error!(%error, "alarms cannot be read from the store, trying again");
                false
            }
        }
    }
}

impl Window {
    fn insert(&mut self, fire_at: Timestamp, alarm: ScheduledAlarm) {
        if self.end.as_ref().is_some_and(|end| alarm > *end) {
            return;
        }
        self.alarms.insert((fire_at, alarm));
        if self.alarms.len() > WINDOW_ALARMS_MAX {
            // By the alarms' own times, not by those to fire at: what has been put off has taken its
            // place in its object's budget, and would take another one when it is read again.
            let mut alarms: Vec<_> = self.alarms.iter().map(|(_, alarm)| alarm).collect();
            let (_, end, _) = alarms.select_nth_unstable(WINDOW_ALARMS_KEPT - 1);
            let end = end.clone();
            self.alarms.retain(|(_, alarm)| *alarm <= end);
            self.end = Some(end);
        }
    }

    /// How many alarms the next page may have. A window full of what was put off would give up with
    /// each larger one what it had just read.
    fn room(&self) -> usize {
        let room = WINDOW_ALARMS_MAX.saturating_sub(self.alarms.len());
        room.min(PAGE_ALARMS)
    }

    /// Whether it is worth to read one.
    fn has_room(&self) -> bool {
        self.room() >= PAGE_ALARMS_MIN
    }

    /// Where to read on, when all that is due before the window's end has been taken out. What
    /// still sits in the window then was put off, or is later than its end; neither may keep the
    /// alarms behind the end from being read, as long as they fit in.
    fn next_page(&self, now: Timestamp) -> Option<ScheduledAlarm> {
        let is_next = |end: &&ScheduledAlarm| self.alarms.is_empty() || end.due <= now;
        let end = self.end.as_ref().filter(|_| self.has_room());
        end.filter(is_next).cloned()
    }

    /// When there may be something to do.
    fn next_look(&self) -> Option<Timestamp> {
        let first = self.alarms.first().map(|(at, _)| *at);
        // Without room there are alarms, and the first to fire makes some.
        let end = self.end.as_ref().filter(|_| self.has_room());
        first.into_iter().chain(end.map(|end| end.due)).min()
    }
}

/// The earlier of two ends; none is later than any.
fn earlier(one: Option<ScheduledAlarm>, other: Option<ScheduledAlarm>) -> Option<ScheduledAlarm> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (end, None) | (None, end) => end,
    }
}

/// Whether the entry is there to activate the object, and for no alarm of its own.
fn wakes(name: &[u8]) -> bool {
    name == OUTGOING_WAKE || name == SESSIONS_WAKE
}

fn fire(node: &Arc<Node>, alarm: ScheduledAlarm, under_way: UnderWay) {
    let namespace = alarm.object.namespace.as_str();
    if node.registry.get(namespace).is_err() {
        tracing::warn!(object = %alarm.object, "an alarm is due of a namespace that is not registered");
        return;
    }
    let admission = Admission::Bounded(node.limits.mailbox_messages_max);
    let envelope = match std::str::from_utf8(&alarm.name) {
        Ok(_) => Envelope::Alarm(Fired {
            alarm: alarm.clone(),
            _under_way: under_way,
        }),
        Err(_) if wakes(&alarm.name) => Envelope::Wake {
            due: alarm.due,
            name: alarm.name.clone(),
        },
        Err(_) => {
            tracing::error!(object = %alarm.object, "an alarm's name in the index is not UTF-8");
            return;
        }
    };
    let target = Target {
        object: alarm.object.clone(),
        name: None,
    };
    if node
        .catalog
        .push(node, &target, envelope, admission)
        .is_err()
    {
        node.alarms.put_off(node, alarm, TRY_AGAIN);
    }
}

#[cfg(test)]
mod tests {
    use abide_storage::{Namespace, Object, ObjectId};
    use bytes::Bytes;

    use super::*;

    #[test]
    fn a_window_that_overflows_keeps_the_earliest_alarms_whatever_was_put_off() {
        let alarm = |due: usize| ScheduledAlarm {
            due: Timestamp(due as u64),
            object: Object {
                namespace: Namespace::new("bell").unwrap(),
                id: ObjectId::from_bytes([7; 32]),
            },
            name: Bytes::new(),
        };
        let mut window = Window::default();
        // The earliest of all was put off behind all others.
        window.insert(Timestamp(u64::MAX), alarm(0));
        for due in 1..=WINDOW_ALARMS_MAX {
            window.insert(Timestamp(due as u64), alarm(due));
        }
        assert_eq!(window.alarms.len(), WINDOW_ALARMS_KEPT);
        assert_eq!(window.end, Some(alarm(WINDOW_ALARMS_KEPT - 1)));
        assert_eq!(window.room(), PAGE_ALARMS);
    }
}
