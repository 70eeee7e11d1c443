//! A queue whose messages have numbers: it can leave some out, and send again what was not received.
//!
//! ```text
//!  forgotten        cursor        written              sent
//!      │  retained, sent again │  retained  │  waiting   │
//! ─────┼───────────────────────┼────────────┼────────────┤
//!      1  2  3  ·  5     8     9  ·  ·  12    13  ·  15      · a hole: lossy, or replaced
//! ```
//!
//! Every message takes the next number when it is sent, also one that is dropped at once: what a turn
//! sends has its numbers before anybody knows how far the client is. No number is on the wire, both sides
//! count; so a run of holes is told as one [`Outgoing::Skip`], and the client's count is right again.
//!
//! A session that cannot be resumed retains nothing, and is not told of holes, since nobody counts.
//! What was written of a session that can be resumed stays until it is acknowledged: the cursor goes back on
//! [`attach`](Numbered::attach), and all behind it waits again.
//!
//! **bounded**: waiting and retained entries are counted in bytes with what they cost here, keys too.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use super::image::{Image, Kept};
use super::{AttachError, Enqueued, FRAME_OVERHEAD_BYTES, FromTheFuture};
use crate::session::{Class, Delivery, Frame, Outgoing, Text};
use crate::teeth::{Tooth, broken};

/// What a key costs beside its bytes: its place in the map, twice for the map's slack.
const KEY_OVERHEAD_BYTES: usize = 64;
/// What is lossy, and the control messages, get one part in so many of the bound; the rest is kept for
/// what cannot be dropped.
const DROPPABLE_SHARE: usize = 2;

/// Where an entry stands: a message at its number, a control message behind the one that was the last
/// when it was sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    number: u64,
    control: u64,
}

impl Place {
    fn of(number: u64) -> Self {
        Self { number, control: 0 }
    }
}

enum Entry {
    Message(Delivery),
    Control(Text),
}

impl Entry {
    fn cost_bytes(&self) -> usize {
        match self {
            Self::Message(delivery) => cost_bytes(delivery),
            Self::Control(text) => text.0.len() + FRAME_OVERHEAD_BYTES,
        }
    }

    fn is_droppable(&self) -> bool {
        match self {
            Self::Message(delivery) => delivery.class == Class::Lossy,
            Self::Control(_) => true,
        }
    }
}

fn cost_bytes(delivery: &Delivery) -> usize {
    let key = match &delivery.class {
        Class::Latest(_) => KEY_OVERHEAD_BYTES,
        Class::Reliable | Class::Lossy => 0,
    };
    delivery.size_bytes() + key + FRAME_OVERHEAD_BYTES
}

#[derive(Default)]
pub(super) struct Numbered {
    /// Bytes retained for a client that may come back; `None` when the session ends with its connection.
    retained_max_bytes: Option<usize>,
    /// Of a durable session: what would be too much to retain is not written yet.
    retains_all: bool,
    /// Nobody takes what is sent just now.
    is_away: bool,
    entries: BTreeMap<Place, Entry>,
    /// The number of the newest message of each key among the entries.
    latest: HashMap<Arc<str>, u64>,
    /// The last number that was given.
    sent: u64,
    /// Control messages sent so far: tells apart those behind the same message.
    controls: u64,
    /// What the transport was given last on this connection.
    cursor: Place,
    /// The highest number any transport is known to have been given, or a hole before it.
    written: u64,
    /// The highest that one may have been given: before a restart it may have been more than is known.
    maybe_written: u64,
    /// What has a number up to here cannot be sent again.
    forgotten: u64,
    /// Of entries beyond `written`.
    waiting_bytes: usize,
    /// Those of them that may be dropped.
    droppable_bytes: usize,
    /// Of entries up to `written`.
    retained_bytes: usize,
    dropped: u64,
    replaced: u64,
}

impl Numbered {
    /// Goes on where a plain queue was: what waited in it still does.
    pub(super) fn plain(waiting: impl IntoIterator<Item = Frame>) -> Self {
        let mut numbered = Self::default();
        for frame in waiting {
            numbered.push(Delivery::from(frame));
        }
        numbered
    }

    pub(super) fn resumable(retained_max_bytes: usize) -> Self {
        Self {
            retained_max_bytes: Some(retained_max_bytes),
            ..Self::default()
        }
    }

    pub(super) fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.waiting_bytes + self.retained_bytes
    }

    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    pub(super) fn replaced(&self) -> u64 {
        self.replaced
    }

    /// Gives the message its number and queues it, if its class and `max_bytes` let it.
    pub(super) fn send(&mut self, delivery: Delivery, max_bytes: usize) -> Enqueued {
        let cost = cost_bytes(&delivery);
        let mut enqueued = Enqueued::Queued;
        match &delivery.class {
            Class::Reliable => {}
            Class::Lossy => {
                if self.is_away || !self.has_room_for_droppable(cost, max_bytes) {
                    self.sent += 1;
                    self.dropped += 1;
                    return Enqueued::Dropped;
                }
            }
            Class::Latest(key) => {
                // One that was written is replaced, too: who resumes needs the newest only.
                if let Some(older) = self.latest.get(key).copied() {
                    self.remove(Place::of(older));
                    if older > self.written {
                        self.replaced += 1;
                        enqueued = Enqueued::Replaced;
                    }
                }
            }
        }
        if self.waiting_bytes + cost > max_bytes {
            return Enqueued::TooSlow;
        }
        self.push(delivery);
        enqueued
    }

    /// Queues a text that is not counted. It may be dropped, and is with the connection.
    pub(super) fn control(&mut self, text: Text, max_bytes: usize) -> Enqueued {
        let entry = Entry::Control(text);
        let cost = entry.cost_bytes();
        if self.is_away || !self.has_room_for_droppable(cost, max_bytes) {
            return Enqueued::Dropped;
        }
        self.controls += 1;
        self.waiting_bytes += cost;
        self.droppable_bytes += cost;
        let place = Place {
            number: self.sent,
            control: self.controls,
        };
        self.entries.insert(place, entry);
        Enqueued::Queued
    }

    /// Whether the transport has been given everything: messages, holes and control messages.
    pub(super) fn is_drained(&self) -> bool {
        // Control messages that wait are counted there, too.
        self.cursor.number == self.sent && self.waiting_bytes == 0
    }

    /// A message that the transport has been given already: it takes its number, and is retained like any other.
    pub(super) fn written_through(&mut self, delivery: &Delivery) {
        assert!(self.is_drained(), "what waits is written before");
        if let Class::Latest(key) = &delivery.class
            && let Some(older) = self.latest.get(key).copied()
        {
            self.remove(Place::of(older));
        }
        self.written = self.sent + 1;
        if self.retained_max_bytes.is_some() && delivery.class != Class::Lossy {
            self.push(delivery.clone());
            self.forget_beyond_bound();
        } else {
            self.sent += 1;
        }
        self.cursor = Place::of(self.sent);
    }

    fn has_room_for_droppable(&self, cost: usize, max_bytes: usize) -> bool {
        self.waiting_bytes + cost <= max_bytes
            && self.droppable_bytes + cost <= max_bytes / DROPPABLE_SHARE
    }

    fn push(&mut self, delivery: Delivery) {
        self.sent += 1;
        if let Class::Latest(key) = &delivery.class {
            self.latest.insert(key.clone(), self.sent);
        }
        let entry = Entry::Message(delivery);
        if self.sent > self.written {
            self.waiting_bytes += entry.cost_bytes();
            if entry.is_droppable() {
                self.droppable_bytes += entry.cost_bytes();
            }
        } else {
            self.retained_bytes += entry.cost_bytes();
        }
        self.entries.insert(Place::of(self.sent), entry);
    }

    /// What to write next.
    pub(super) fn next(&mut self) -> Option<Outgoing> {
        let behind_cursor = (Bound::Excluded(self.cursor), Bound::Unbounded);
        let next = self.entries.range(behind_cursor).next();
        let place = next.map(|(place, _)| *place);
        let before = match place {
            None => self.sent,
            Some(Place { number, control: 0 }) => number - 1,
            Some(Place { number, .. }) => number,
        };
        let holes = before - self.cursor.number;
        if holes > 0 {
            self.cursor = Place::of(before);
            self.written = self.written.max(before);
            if self.retained_max_bytes.is_some() {
                return Some(Outgoing::Skip(holes));
            }
        }
        let place = place?;
        if self.is_held_back(place) {
            return None;
        }
        self.write(place)
    }

    /// Whether the client has to acknowledge something first. One message is written whatever its size.
    fn is_held_back(&self, place: Place) -> bool {
        let is_new = place.number > self.written && place.control == 0;
        self.retains_all
            && is_new
            && match self.entries.get(&place) {
                Some(Entry::Message(delivery)) => !self.may_retain(delivery),
                Some(Entry::Control(_)) | None => false,
            }
    }

    /// Whether the message can be written now, by what would then be retained.
    pub(super) fn may_retain(&self, delivery: &Delivery) -> bool {
        let Some(max_bytes) = self.retained_max_bytes.filter(|_| self.retains_all) else {
            return true;
        };
        let is_kept = delivery.class != Class::Lossy;
        !is_kept
            || self.retained_bytes == 0
            || self.retained_bytes + cost_bytes(delivery) <= max_bytes
    }

    /// From now on nothing is forgotten that was not acknowledged. Of a session that was restored nobody
    /// knows what was written: as much as may be retained is taken for that, so that what waits has room.
    pub(super) fn retain_all(&mut self) {
        self.retains_all = true;
        let max_bytes = self.retained_max_bytes.unwrap_or(0);
        let waiting = self.entries.range(Place::of(self.written + 1)..);
        for (place, entry) in waiting {
            let cost = entry.cost_bytes();
            if entry.is_droppable() || self.retained_bytes + cost > max_bytes {
                break;
            }
            self.waiting_bytes -= cost;
            self.retained_bytes += cost;
            self.written = place.number;
        }
    }

    /// The session is about to end, and what waits is written as fast as it goes.
    pub(super) fn retain_no_more(&mut self) {
        self.retains_all = false;
    }

    pub(super) fn retains_all(&self) -> bool {
        self.retains_all
    }

    /// All up to this number is acknowledged, or forgotten.
    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    fn write(&mut self, place: Place) -> Option<Outgoing> {
        self.cursor = place;
        let is_kept =
            self.retained_max_bytes.is_some() && !self.entries.get(&place)?.is_droppable();
        if !is_kept {
            let entry = self.remove(place)?;
            self.written = self.written.max(place.number);
            return Some(match entry {
                Entry::Message(delivery) => Outgoing::Frame(delivery.frame),
                Entry::Control(text) => Outgoing::Control(text),
            });
        }
        let Some(Entry::Message(delivery)) = self.entries.get(&place) else {
            unreachable!("control messages are droppable");
        };
        let (frame, cost) = (delivery.frame.clone(), cost_bytes(delivery));
        if place.number > self.written {
            self.written = place.number;
            self.waiting_bytes -= cost;
            self.retained_bytes += cost;
            self.forget_beyond_bound();
        }
        Some(Outgoing::Frame(frame))
    }

    /// Only what was written is forgotten: while something is sent again nothing is added to it, and once
    /// something new is written, all before has been.
    fn forget_beyond_bound(&mut self) {
        let max_bytes = self.retained_max_bytes.unwrap_or(0);
        while self.retained_bytes > max_bytes && !self.retains_all {
            let oldest = *self
                .entries
                .first_key_value()
                .expect("its bytes are counted")
                .0;
            self.remove(oldest);
            self.forgotten = oldest.number;
        }
    }

    /// The client has received everything up to `number`.
    pub(super) fn acknowledge(&mut self, number: u64) -> Result<(), FromTheFuture> {
        if number > self.cursor.number {
            return Err(FromTheFuture {
                sent: self.cursor.number,
            });
        }
        self.forget_up_to(number);
        Ok(())
    }

    fn forget_up_to(&mut self, number: u64) {
        while let Some((&place, _)) = self.entries.first_key_value()
            && place <= Place::of(number)
        {
            self.remove(place);
        }
        self.forgotten = self.forgotten.max(number);
    }

    /// The connection is lost: what was worth something only on it is dropped.
    pub(super) fn detach(&mut self) {
        assert!(
            self.retained_max_bytes.is_some(),
            "a plain session ends with its connection"
        );
        self.is_away = true;
        let dropped = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.is_droppable());
        let dropped: Vec<Place> = dropped.map(|(place, _)| *place).collect();
        for place in dropped {
            if let Some(Entry::Message(_)) = self.remove(place) {
                self.dropped += 1;
            }
        }
    }

    /// Whether a client can go on that has received everything up to `received`.
    pub(super) fn fits(&self, received: u64) -> Result<(), AttachError> {
        let sent = self.written.max(self.maybe_written);
        if received > sent {
            return Err(FromTheFuture { sent }.into());
        }
        if received < self.forgotten {
            return Err(AttachError::Behind);
        }
        Ok(())
    }

    /// The client is back and has received everything up to `received`: what is behind it waits again.
    pub(super) fn attach(&mut self, received: u64) -> Result<(), AttachError> {
        self.fits(received)?;
        let received = if broken(Tooth::ReplayFromWrongNumber) {
            (received + 1).min(self.sent)
        } else {
            received
        };
        self.forget_up_to(received);
        self.written = self.written.max(received);
        self.cursor = Place::of(received);
        self.is_away = false;
        Ok(())
    }

    fn remove(&mut self, place: Place) -> Option<Entry> {
        let entry = self.entries.remove(&place)?;
        let cost = entry.cost_bytes();
        if place.number > self.written || matches!(entry, Entry::Control(_)) {
            self.waiting_bytes -= cost;
            if entry.is_droppable() {
                self.droppable_bytes -= cost;
            }
        } else {
            self.retained_bytes -= cost;
        }
        if let Entry::Message(Delivery {
            class: Class::Latest(key),
            ..
        }) = &entry
            && self.latest.get(key) == Some(&place.number)
        {
            self.latest.remove(key);
        }
        if self.entries.is_empty() {
            // An idle session must cost little: give back what one burst needed.
            self.entries = BTreeMap::new();
            self.latest = HashMap::new();
        }
        Some(entry)
    }

    /// Drops everything; the session is over.
    pub(super) fn clear(&mut self) {
        *self = Self {
            dropped: self.dropped,
            replaced: self.replaced,
            ..Self::default()
        };
    }

    /// What a restart carries over. Lossy messages are holes in it, control messages are left out.
    pub(super) fn image(&self, received: u64) -> Image {
        let kept = self.entries.iter().filter_map(|(place, entry)| {
            let Entry::Message(Delivery { frame, class }) = entry else {
                return None;
            };
            let key = match class {
                Class::Reliable => None,
                Class::Latest(key) => Some(key.clone()),
                Class::Lossy => return None,
            };
            Some(Kept {
                number: place.number,
                frame: frame.clone(),
                key,
            })
        });
        Image {
            sent: self.sent,
            written: self.written,
            forgotten: self.forgotten,
            received,
            kept: kept.collect(),
        }
    }

    /// As the image has it, and away. What waited may have been written after the image was made: the
    /// client knows what it has received.
    pub(super) fn restore(image: Image, retained_max_bytes: usize) -> Self {
        let mut numbered = Self::resumable(retained_max_bytes);
        numbered.is_away = true;
        numbered.written = image.written;
        for Kept { number, frame, key } in image.kept {
            let class = key.map_or(Class::Reliable, Class::Latest);
            numbered.sent = number - 1;
            numbered.push(Delivery { frame, class });
        }
        numbered.sent = image.sent;
        numbered.maybe_written = image.sent;
        numbered.forgotten = image.forgotten;
        numbered
    }
}
