//! What watchers have been shown, and what they are to be told next.
//!
//! All watchers that are up to date have been shown the same listing, so a change is told to all of
//! them by one message. The others, who came, resumed or did not read, wait in a line for a *sync*:
//! the whole listing.
//!
//! **bounded**: a round tells the changes of at least [`INTERVAL`], however many there were, and
//! pays for itself: the next one comes when what it sent, at [`RATE_BYTES_PER_SECOND`], has been
//! sent. So the traffic of one object's presence has a rate, whoever comes and goes; in a crowd, or
//! when long lists change, presence is told less often. Syncs take a part of each round at most, so
//! that a crowd that comes at once is served in rounds, too.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use abide_storage::ObjectId;
use tokio::time::Instant;

use super::Change;
use super::flusher::Flusher;
use super::listing::{Bounds, Diff, Listing};
use super::roster::{Roster, Turn};
use super::wire::Message;
use crate::clock::monotonic;
use crate::memory::Charge;
use crate::node::Node;
use crate::session::{SessionCore, SessionId};

/// Time between two rounds, at least: ten times a second is what moving cursors need to look alive.
pub(super) const INTERVAL: Duration = Duration::from_millis(100);
/// What one object's presence sends in a second, in the long run: a quarter of a gigabit link.
pub(super) const RATE_BYTES_PER_SECOND: u64 = 32 * 1024 * 1024;
/// What a message costs beside its bytes, in the same coin: to wake a connection and write a few
/// bytes keeps a processor busy for about as long as a kibibyte keeps such a link.
pub(super) const MESSAGE_OVERHEAD_BYTES: usize = 1024;
/// Syncs of one round: about what the rate allows in one interval.
const SYNC_ROUND_MAX_BYTES: usize = 3 * 1024 * 1024;
/// Watchers of the line that one round looks at.
const LOOKS_MAX: usize = 4_096;
/// When it is looked again at those who do not read, if nothing else happens.
const LAGGARDS_PAUSE: Duration = Duration::from_secs(1);
/// What a watcher costs: its places in the maps.
const WATCHER_BYTES: usize = 96;

pub(super) struct Board {
    roster: Roster,
    watchers: BTreeMap<SessionId, Watcher>,
    /// Watchers to be sent a sync: those whose view is [`View::Waiting`].
    line: Line,
    /// What those who are up to date have been told.
    shown: Listing,
    clients_may: bool,
    /// When the flusher comes, if it does.
    due: Option<Instant>,
    /// The last round is paid for then.
    not_before: Instant,
    flusher: Arc<Flusher>,
    object: ObjectId,
    charge: Charge,
}

struct Watcher {
    session: Arc<SessionCore>,
    view: View,
}

/// What a watcher knows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum View {
    /// All of `shown`.
    UpToDate,
    /// Nothing that counts; it is in the line.
    Waiting(Place),
    /// Nothing, and nobody is there to be told: its end or its resumption comes next.
    Away,
}

/// One message, and who gets it.
#[derive(Default)]
pub(super) struct Round {
    pub(super) changes: Option<Telling>,
    pub(super) sync: Option<Telling>,
}

pub(super) struct Telling {
    pub(super) message: Message,
    pub(super) to: Vec<Arc<SessionCore>>,
}

impl Round {
    fn cost_bytes(&self) -> usize {
        let tellings = self.changes.iter().chain(&self.sync);
        tellings.map(Telling::cost_bytes).sum()
    }
}

impl Telling {
    fn cost_bytes(&self) -> usize {
        (self.message.size_bytes() + MESSAGE_OVERHEAD_BYTES) * self.to.len()
    }
}

impl Board {
    pub(super) fn new(node: &Node, object: ObjectId) -> Self {
        Self {
            roster: Roster::default(),
            watchers: BTreeMap::new(),
            line: Line::default(),
            shown: Listing::default(),
            clients_may: false,
            due: None,
            not_before: monotonic(),
            flusher: node.presence.clone(),
            object,
            charge: node.memory.charge(),
        }
    }

    pub(super) fn roster(&self) -> &Roster {
        &self.roster
    }

    /// To look at what it would be, only: watchers are told nothing of it.
    pub(super) fn roster_mut(&mut self) -> &mut Roster {
        &mut self.roster
    }

    pub(super) fn clients_may(&self) -> bool {
        self.clients_may
    }

    pub(super) fn is_empty(&self) -> bool {
        self.roster.len() == 0 && self.watchers.is_empty() && !self.clients_may
    }

    /// Takes over a change of a session that is on the object.
    pub(super) fn show(&mut self, change: &Change) {
        match change {
            Change::Present { session, id, state } => {
                self.present(session.id, id.clone(), state.clone());
            }
            Change::Absent(session) => self.absent(session.id),
            Change::Watch(session) => self.watch(session),
            Change::Unwatch(session) => self.unwatch(session.id),
            Change::ClientsMay(may) => self.clients_may = *may,
        }
        self.weigh();
    }

    pub(super) fn present(&mut self, session: SessionId, id: Option<Arc<str>>, state: Arc<str>) {
        self.roster.present(session, id, state);
        self.changed();
    }

    pub(super) fn absent(&mut self, session: SessionId) {
        if self.roster.absent(session) {
            self.changed();
        }
    }

    /// The session has ended, whatever it was here.
    pub(super) fn gone(&mut self, session: SessionId) {
        self.unwatch(session);
        self.absent(session);
        self.weigh();
    }

    /// One that watches already is not told all again.
    pub(super) fn watch(&mut self, session: &Arc<SessionCore>) {
        if self.enter_watcher(session) {
            self.sync_anew(session.id);
        }
    }

    /// `false`: it watches already. Somebody must be there to be told, before it is.
    pub(super) fn enter_watcher(&mut self, session: &Arc<SessionCore>) -> bool {
        let Entry::Vacant(entry) = self.watchers.entry(session.id) else {
            return false;
        };
        entry.insert(Watcher {
            session: session.clone(),
            view: View::Away,
        });
        true
    }

    fn unwatch(&mut self, session: SessionId) {
        let watcher = self.watchers.remove(&session);
        if let Some(View::Waiting(place)) = watcher.map(|watcher| watcher.view) {
            self.line.leave(place);
        }
    }

    /// A watcher does not know, or not any more, what it was told.
    pub(super) fn sync_anew(&mut self, session: SessionId) {
        let Some(watcher) = self.watchers.get_mut(&session) else {
            return;
        };
        if !matches!(watcher.view, View::Waiting(_)) {
            watcher.view = View::Waiting(self.line.join(session));
        }
        self.changed();
    }

    pub(super) fn watches(&self, session: SessionId) -> bool {
        self.watchers.contains_key(&session)
    }

    pub(super) fn let_clients(&mut self) {
        self.clients_may = true;
    }

    /// A session of the time before a restart is here again,
    /// as what it was here, and where in the order.
    pub(super) fn put_back(
        &mut self,
        session: SessionId,
        place: (Turn, Turn),
        id: Arc<str>,
        state: Arc<str>,
    ) {
        self.roster.put_back(session, place, id, state);
        self.changed();
    }

    /// Charges what all of it takes.
    pub(super) fn weigh(&mut self) {
        let watchers = self.watchers.len() * WATCHER_BYTES;
        self.charge.set(self.roster.size_bytes() + watchers);
    }

    fn changed(&mut self) {
        if !self.watchers.is_empty() {
            self.ring(self.not_before.max(monotonic()));
        }
    }

    /// Has the flusher come at this time, or when it comes sooner, then.
    fn ring(&mut self, at: Instant) {
        if self.due.is_none_or(|due| at < due) {
            self.flusher.ring(self.object, self.due, at);
            self.due = Some(at);
        }
    }

    /// What is to be told now; `None` when it is not due.
    pub(super) fn round(&mut self, bounds: Bounds) -> Option<Round> {
        let now = monotonic();
        if self.due.is_none_or(|due| now < due) {
            return None;
        }
        self.due = None;
        let before = std::mem::replace(&mut self.shown, self.roster.listing(bounds));
        let changes = self.tell_changes(&before, bounds);
        // After that, so that those who fell behind just now are in the line.
        let sync = self.tell_all(bounds);
        let round = Round { changes, sync };
        let cost_bytes = round.cost_bytes();
        self.not_before = now + INTERVAL.max(time_to_send(cost_bytes));
        if !self.line.is_empty() {
            // Without anybody served, all of them are slow to read.
            let pause = if cost_bytes == 0 {
                LAGGARDS_PAUSE
            } else {
                INTERVAL
            };
            self.ring(self.not_before.max(now + pause));
        }
        Some(round)
    }

    /// What has changed, for those who knew what was before.
    fn tell_changes(&mut self, before: &Listing, bounds: Bounds) -> Option<Telling> {
        let diff = Diff::between(before, &self.shown)?;
        let mut to = Vec::new();
        for (id, watcher) in &mut self.watchers {
            if watcher.view != View::UpToDate {
                continue;
            }
            match Reach::of(&watcher.session, bounds) {
                Reach::Now => to.push(watcher.session.clone()),
                Reach::Later => watcher.view = View::Waiting(self.line.join(*id)),
                Reach::Never => watcher.view = View::Away,
            }
        }
        (!to.is_empty()).then(|| Telling {
            message: Message::changes(&diff),
            to,
        })
    }

    /// All that is shown, for those in the line, as many as a round takes.
    fn tell_all(&mut self, bounds: Bounds) -> Option<Telling> {
        let mut sync: Option<Telling> = None;
        for _ in 0..self.line.len().min(LOOKS_MAX) {
            let costs = sync.as_ref().map_or(0, Telling::cost_bytes);
            if costs >= SYNC_ROUND_MAX_BYTES {
                break;
            }
            let id = self.line.next()?;
            let watcher = self.watchers.get_mut(&id);
            let watcher = watcher.expect("one that stops to watch leaves the line");
            watcher.view = match Reach::of(&watcher.session, bounds) {
                Reach::Now => {
                    let telling = sync.get_or_insert_with(|| Telling {
                        message: Message::sync(&self.shown),
                        to: Vec::new(),
                    });
                    telling.to.push(watcher.session.clone());
                    View::UpToDate
                }
                Reach::Later => View::Waiting(self.line.join(id)),
                Reach::Never => View::Away,
            };
        }
        sync
    }
}

/// Whether a watcher can be told something.
enum Reach {
    Now,
    /// Its queue is long: presence is not what fills it up.
    Later,
    /// Its client is gone.
    Never,
}

impl Reach {
    fn of(session: &SessionCore, bounds: Bounds) -> Self {
        if !session.outbound.is_connected() {
            Self::Never
        } else if session.outbound.waiting_bytes() > bounds.max_bytes {
            Self::Later
        } else {
            Self::Now
        }
    }
}

/// Watchers in the order they came for a sync.
#[derive(Default)]
struct Line {
    waiting: BTreeMap<Place, SessionId>,
    last: Place,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Place(u64);

impl Line {
    fn len(&self) -> usize {
        self.waiting.len()
    }

    fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    fn join(&mut self, session: SessionId) -> Place {
        self.last.0 += 1;
        self.waiting.insert(self.last, session);
        self.last
    }

    fn leave(&mut self, place: Place) {
        self.waiting.remove(&place);
    }

    fn next(&mut self) -> Option<SessionId> {
        self.waiting.pop_first().map(|(_, session)| session)
    }
}

fn time_to_send(cost_bytes: usize) -> Duration {
    let cost_bytes = u64::try_from(cost_bytes).unwrap_or(u64::MAX);
    Duration::from_micros(cost_bytes.saturating_mul(1_000_000) / RATE_BYTES_PER_SECOND)
}
