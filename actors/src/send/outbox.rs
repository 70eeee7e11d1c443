//! The sender's side: which messages there are, and their way to the receivers.
//!
//! An activation has an outbox as long as there are messages. It is polled beside the turns, never by
//! anyone else. A message goes through these states:
//! ```text
//! kept, its commit on its way ──► waiting in its lane ──► flying ──► settled ──► row deleted
//!                                        ▲                  │
//!                                        └──── resting ◄────┘  not taken: later
//! ```
//! A lane is the queue of one receiver. Its head is ready, flying or resting; the others wait.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use abide_storage::{
    BoxFuture, OUTGOING_WAKE, Object, ObjectId, ScheduledAlarm, Section, Timestamp, Version, Write,
    WriteBatch,
};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::oneshot;

use super::{Counters, FAULTS_MAX, Heard, Outgoing, Sent, Sequence, retry_wait};
use crate::call::CallError;
use crate::mailbox::Envelope;
use crate::node::{Node, Target};
use crate::teeth::{Tooth, broken};
use crate::turn::Shared;

/// Messages of one sender in the mailboxes of receivers at a time.
const FLYING_MAX: usize = 64;

/// See the module's documentation.
#[derive(Default)]
pub(crate) struct Outbox {
    /// Every message whose row is in the store, or in a commit on its way there.
    kept: BTreeMap<Sequence, Arc<Outgoing>>,
    size_bytes: usize,
    /// When the entry in the index of alarms is due; `None` when there is none.
    wake: Option<Timestamp>,
    /// Messages whose commit may not be durable yet.
    undeparted: VecDeque<Sequence>,
    lanes: HashMap<ObjectId, Lane>,
    /// Lanes whose head may fly.
    ready: VecDeque<ObjectId>,
    flights: FuturesUnordered<BoxFuture<'static, Landed>>,
    flying: usize,
    /// Done with; their rows leave with the next commit.
    settled: Vec<Sequence>,
    /// Whether the store has refused to delete rows a moment ago.
    settles_later: bool,
}

/// The messages to one receiver, oldest first; never empty.
struct Lane {
    waiting: VecDeque<Sequence>,
    /// Attempts on the head that failed, for whatever reason.
    failures: u32,
    /// Those of them that the receiver's code is to blame for.
    faults: u32,
}

/// What one flight, or one wait, came to.
enum Landed {
    /// The head of a lane was answered.
    Answered(ObjectId, Result<Heard, CallError>),
    /// The head of a lane has rested.
    Rested(ObjectId),
    /// After a refusal the store may be asked again to delete rows.
    MaySettle,
}

/// Whether further messages may fly.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Starts {
    Yes,
    /// The activation is to end; it waits for what flies.
    No,
}

/// What a commit does to the outbox, once it is accepted.
pub(crate) struct Posting {
    posted: Vec<(Sequence, Arc<Outgoing>)>,
    deleted: usize,
    wake: Option<Timestamp>,
    /// Receivers that may forget the sender up to a message, once the commit is durable.
    pub(crate) forget: Vec<(Target, Sequence)>,
}

impl Posting {
    /// Whether the turn has sent anything.
    pub(crate) fn has_messages(&self) -> bool {
        !self.posted.is_empty()
    }
}

impl Outbox {
    /// Reads the rows that came with the object; all of them are durable.
    pub(crate) fn load(rows: Vec<(Bytes, Bytes)>) -> Result<Option<Box<Self>>, String> {
        if rows.is_empty() {
            return Ok(None);
        }
        let mut outbox = Box::new(Self::default());
        for (key, value) in rows {
            let sequence = Sequence::decode(&key).ok_or("a sent message has no number")?;
            let (outgoing, wake) =
                Outgoing::decode(&value).map_err(|error| format!("a sent message: {error}"))?;
            outbox.wake = Some(wake);
            outbox.keep(sequence, Arc::new(outgoing));
        }
        Ok(Some(outbox))
    }

    fn keep(&mut self, sequence: Sequence, outgoing: Arc<Outgoing>) {
        self.size_bytes += outgoing.size_bytes();
        self.kept.insert(sequence, outgoing);
        self.undeparted.push_back(sequence);
    }

    /// What counts against the bounds: messages, and their size in bytes. Those that are settled
    /// leave with the next commit.
    pub(crate) fn taken(&self) -> (usize, usize) {
        (self.kept.len() - self.settled.len(), self.size_bytes)
    }

    /// Whether a receiver has a message and has not answered.
    pub(crate) fn flies(&self) -> bool {
        self.flying > 0
    }

    /// Whether every message waits for its receiver to recover.
    pub(crate) fn rests(&self) -> bool {
        self.flying == 0 && self.ready.is_empty() && self.undeparted.is_empty()
    }

    /// Whether nothing is left to deliver or to delete.
    pub(crate) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Whether rows wait to be deleted.
    pub(crate) fn has_settled(&self) -> bool {
        !self.settled.is_empty() && !self.settles_later
    }

    /// The store refused to delete rows: asking at once would only keep it busy.
    pub(crate) fn settle_later(&mut self, wait: Duration) {
        self.settles_later = true;
        self.flights.push(Box::pin(async move {
            tokio::time::sleep(wait).await;
            Landed::MaySettle
        }));
    }

    /// The entry that brings the object back.
    pub(crate) fn wake_entry(&self, object: &Object) -> Option<ScheduledAlarm> {
        self.wake.map(|due| ScheduledAlarm {
            due,
            object: object.clone(),
            name: Bytes::from_static(OUTGOING_WAKE),
        })
    }

    /// Puts the messages of the turn that makes `version` into its batch, and takes out what is
    /// settled. Changes nothing here before [`posted`](Self::posted).
    pub(crate) fn post(
        &self,
        sends: Vec<Outgoing>,
        version: Version,
        now: Timestamp,
        batch: &mut WriteBatch,
    ) -> Posting {
        let section = Section::Outgoing;
        let name = Bytes::from_static(OUTGOING_WAKE);
        for sequence in &self.settled {
            let key = sequence.key();
            batch.writes.push(Write::Delete { section, key });
        }
        let mut wake = self.wake;
        let is_last = self.settled.len() == self.kept.len() && sends.is_empty();
        if let Some(due) = wake
            && is_last
        {
            let name = name.clone();
            batch.writes.push(Write::UnscheduleAlarm { due, name });
            wake = None;
        }
        if wake.is_none() && !sends.is_empty() {
            batch.writes.push(Write::ScheduleAlarm { due: now, name });
            wake = Some(now);
        }
        let mut posted = Vec::with_capacity(sends.len());
        for (index, outgoing) in (0..).zip(sends) {
            let sequence = Sequence { version, index };
            let (key, value) = (sequence.key(), outgoing.encode(wake.unwrap_or(now)));
            if !broken(Tooth::ForgetOutgoingRow) {
                batch.writes.push(Write::Put {
                    section,
                    key,
                    value,
                });
            }
            posted.push((sequence, Arc::new(outgoing)));
        }
        Posting {
            forget: self.forgettable(&posted),
            posted,
            deleted: self.settled.len(),
            wake,
        }
    }

    /// Receivers that nothing is on its way to, with the last message each has heard.
    fn forgettable(&self, posted: &[(Sequence, Arc<Outgoing>)]) -> Vec<(Target, Sequence)> {
        let mut last: BTreeMap<ObjectId, (Target, Sequence)> = BTreeMap::new();
        for sequence in &self.settled {
            let to = &self.kept[sequence].to;
            let entry = (to.clone(), *sequence);
            let known = last.entry(to.object.id).or_insert_with(|| entry.clone());
            known.1 = known.1.max(entry.1);
        }
        let is_quiet = |id: &ObjectId| {
            !self.lanes.contains_key(id) && posted.iter().all(|(_, new)| new.to.object.id != *id)
        };
        last.retain(|id, _| is_quiet(id));
        last.into_values().collect()
    }

    /// The commit was accepted.
    pub(crate) fn posted(&mut self, posting: Posting) {
        for sequence in self.settled.drain(..posting.deleted) {
            let outgoing = self.kept.remove(&sequence);
            self.size_bytes -= outgoing.map_or(0, |outgoing| outgoing.size_bytes());
        }
        self.wake = posting.wake;
        for (sequence, outgoing) in posting.posted {
            self.keep(sequence, outgoing);
        }
    }

    /// Lets fly what may, and takes in what has landed.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, shared: &Shared, starts: Starts) {
        let (node, sender) = (&shared.node, shared.slot.object());
        let departed = shared.departed.version();
        while let Some(sequence) = self.undeparted.front().copied()
            && sequence.version <= departed
        {
            self.undeparted.pop_front();
            self.queue(sequence);
        }
        loop {
            // A node that drains ends its activations; a message would wake another one.
            while self.flying < FLYING_MAX
                && starts == Starts::Yes
                && !node.is_draining()
                && let Some(receiver) = self.ready.pop_front()
            {
                self.start(receiver, node, sender);
            }
            match self.flights.poll_next_unpin(cx) {
                Poll::Ready(Some(landed)) => self.landed(landed, node, sender),
                Poll::Ready(None) | Poll::Pending => return,
            }
        }
    }

    fn queue(&mut self, sequence: Sequence) {
        let receiver = self.kept[&sequence].to.object.id;
        if let Some(lane) = self.lanes.get_mut(&receiver) {
            lane.waiting.push_back(sequence);
            return;
        }
        self.lanes.insert(receiver, Lane::of(sequence));
        self.ready.push_back(receiver);
    }

    fn start(&mut self, receiver: ObjectId, node: &Arc<Node>, sender: &Object) {
        let sequence = self.lanes[&receiver].head();
        let outgoing = self.kept[&sequence].clone();
        if outgoing.expires <= node.clock.now() {
            let to = &outgoing.to.object;
            tracing::error!(%sender, %to, method = %outgoing.method, "a sent message expired");
            Counters::add(&node.sends.dropped);
            return self.settle(receiver);
        }
        let (node, from) = (node.clone(), sender.clone());
        self.flying += 1;
        self.flights.push(Box::pin(async move {
            Landed::Answered(receiver, fly(&node, from, sequence, outgoing).await)
        }));
    }

    fn landed(&mut self, landed: Landed, node: &Arc<Node>, sender: &Object) {
        let (receiver, answer) = match landed {
            Landed::Answered(receiver, answer) => (receiver, answer),
            Landed::Rested(receiver) => return self.ready.push_back(receiver),
            Landed::MaySettle => {
                self.settles_later = false;
                return;
            }
        };
        self.flying -= 1;
        let lane = self.lanes.get_mut(&receiver);
        let lane = lane.expect("a lane lasts as long as its head flies");
        let (to, method) = {
            let outgoing = &self.kept[&lane.head()];
            (&outgoing.to.object, &outgoing.method)
        };
        let why = match answer {
            Ok(Heard::Yes) => return self.settle(receiver),
            Ok(Heard::TooLate) => {
                tracing::error!(%sender, %to, %method, "a sent message expired");
                Counters::add(&node.sends.dropped);
                return self.settle(receiver);
            }
            Ok(Heard::NoRoom) => "it keeps the numbers of too many senders".to_owned(),
            Err(error) => {
                lane.faults += u32::from(is_fault(&error));
                error.to_string()
            }
        };
        lane.failures += 1;
        if lane.faults >= FAULTS_MAX {
            tracing::error!(%sender, %to, %method, %why, "a sent message is dropped: its receiver failed too often");
            Counters::add(&node.sends.dropped);
            return self.settle(receiver);
        }
        if lane.failures.is_power_of_two() {
            let failures = lane.failures;
            tracing::warn!(%sender, %to, %method, %why, failures, "a sent message was not taken, it is tried again");
        }
        Counters::add(&node.sends.retried);
        let wait = retry_wait(lane.failures, &node.rng);
        self.flights.push(Box::pin(async move {
            tokio::time::sleep(wait).await;
            Landed::Rested(receiver)
        }));
    }

    /// The head of a lane is done with.
    fn settle(&mut self, receiver: ObjectId) {
        let lane = self.lanes.remove(&receiver);
        let mut lane = lane.expect("a lane lasts as long as it has messages");
        self.settled.extend(lane.waiting.pop_front());
        if !lane.waiting.is_empty() {
            (lane.failures, lane.faults) = (0, 0);
            self.lanes.insert(receiver, lane);
            self.ready.push_back(receiver);
        }
    }
}

impl Lane {
    fn of(first: Sequence) -> Self {
        Self {
            waiting: VecDeque::from([first]),
            failures: 0,
            faults: 0,
        }
    }

    fn head(&self) -> Sequence {
        *self.waiting.front().expect("a lane is never empty")
    }
}

/// Hands a message to its receiver and waits for the answer, however long its mailbox is: a second
/// copy of it must not be under way.
async fn fly(
    node: &Arc<Node>,
    from: Object,
    sequence: Sequence,
    outgoing: Arc<Outgoing>,
) -> Result<Heard, CallError> {
    let to = outgoing.to.clone();
    // The rows may be older than this node's namespaces.
    node.description(&to)?;
    let (reply, answer) = oneshot::channel();
    let sent = Sent {
        from,
        sequence,
        outgoing,
        reply,
    };
    node.push(&to, Envelope::Sent(Box::new(sent)))?;
    answer.await.unwrap_or(Err(CallError::Dropped))
}

/// Whether it is the receiver's own code that fails, so that time alone will not mend it.
pub(crate) fn is_fault(error: &CallError) -> bool {
    matches!(
        error,
        CallError::Panicked | CallError::DeadlineExceeded { .. }
    )
}
