//! What the commit of one turn must say of durable sessions.
//!
//! The plan is made before the store has accepted the commit, and changes nothing; it is
//! [entered](Journal::enter) when the store has. A refused commit leaves the journal as it was, but for what
//! clients have acknowledged meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use abide_storage::{Timestamp, Version, WriteBatch};

use super::journal::{Entry, Journal, Line};
use crate::session::kept::row::{
    Addressee, CountsRow, Key, SessionRow, Stored, StoredClose, TurnMessage, TurnRow,
};
use crate::session::kept::{no_wake_writes, wake_writes};
use crate::session::{AutoResponse, SessionCore, SessionId, SessionSet};
use crate::stage::{Effect, Receivers, Stage};
use crate::teeth::{Tooth, broken};

/// A turn that is about to be committed.
pub(crate) struct Sealing<'a> {
    pub(crate) version: Version,
    pub(crate) now: Timestamp,
    pub(crate) stage: &'a Stage,
    pub(crate) sessions: &'a SessionSet,
    /// The session it declares durable.
    pub(crate) joins: Option<Arc<SessionCore>>,
    /// The session whose message it has handled.
    pub(crate) received: Option<SessionId>,
    /// The session whose end it has handled.
    pub(crate) ended: Option<SessionId>,
    /// As this turn leaves it.
    pub(crate) auto_response: Option<&'a AutoResponse>,
}

/// See the module's documentation.
pub(crate) struct Plan {
    pub(super) version: Version,
    pub(super) messages: Vec<TurnMessage>,
    pub(super) to: BTreeMap<SessionId, To>,
    pub(super) joins: Option<Arc<SessionCore>>,
    pub(super) received: Option<(SessionId, u64)>,
    pub(super) over: BTreeMap<SessionId, StoredClose>,
    /// Sessions whose acknowledgements a row of this commit records.
    pub(super) records: BTreeSet<SessionId>,
    pub(super) ended: Option<SessionId>,
    pub(super) wake: Option<Timestamp>,
    /// Whether the rows that were gone are deleted.
    pub(super) deletes_gone: bool,
}

/// What a session is sent.
pub(super) struct To {
    pub(super) first: u64,
    pub(super) messages: Vec<u32>,
}

impl Journal {
    /// Adds to the batch what the turn does to durable sessions.
    pub(crate) fn plan(&mut self, turn: &Sealing<'_>, batch: &mut WriteBatch) -> Plan {
        self.look_around();
        let mut plan = Plan {
            version: turn.version,
            messages: Vec::new(),
            to: BTreeMap::new(),
            joins: turn.joins.clone(),
            received: turn
                .received
                .and_then(|id| Some((id, self.open(id)?.core.outbound.handed_over()))),
            over: BTreeMap::new(),
            records: BTreeSet::new(),
            ended: turn.ended.filter(|id| self.has(*id)),
            wake: self.wake,
            deletes_gone: false,
        };
        for effect in &turn.stage.effects {
            plan.take(self, turn, effect);
        }
        for id in plan.to.keys() {
            self.look_at(*id);
        }
        self.write_sent(&mut plan, batch);
        self.write_sessions(&plan, turn, batch);
        self.write_end(&mut plan, batch);
        self.write_gone(&mut plan, batch);
        self.write_counts(&mut plan, batch);
        self.write_wake(&mut plan, turn, batch);
        plan
    }

    /// **kept-with-the-turn**.
    fn write_sent(&self, plan: &mut Plan, batch: &mut WriteBatch) {
        if plan.to.is_empty() {
            return;
        }
        let to = plan.to.iter().map(|(id, to)| {
            let line = self.sessions.get(id).map(|entry| &entry.line);
            Addressee {
                session: id.0,
                first: to.first,
                base: line.map_or(0, |line| line.acknowledged),
                messages: to.messages.clone(),
            }
        });
        let row = TurnRow {
            messages: plan.messages.clone(),
            to: to.collect(),
        };
        let key = Key::Turn(plan.version);
        if !broken(Tooth::ForgetDurableMessages) {
            batch.writes.push(key.put(&Stored::TurnV1(row)));
        }
        plan.records.extend(plan.to.keys());
    }

    /// The rows of sessions that join, and of those that carry something else now.
    fn write_sessions(&self, plan: &Plan, turn: &Sealing<'_>, batch: &mut WriteBatch) {
        let stage = turn.stage;
        let presence = stage.presence();
        let mut changed: BTreeSet<SessionId> = stage.sessions.keys().copied().collect();
        let shown = presence.iter().filter_map(|change| change.session());
        changed.extend(shown.map(|session| session.id));
        changed.retain(|id| self.open(*id).is_some() && plan.ended != Some(*id));
        let known = |id: &SessionId| &self.sessions[id].core;
        for core in changed.iter().map(known).chain(&plan.joins) {
            let id = core.id;
            let image = turn
                .sessions
                .presence()
                .image_after(core, turn.sessions, &presence);
            let place = turn.sessions.place(id);
            let change = stage.session_change(id);
            if let Some(row) = SessionRow::carried(core, place, change, image) {
                batch
                    .writes
                    .push(Key::Session(id).put(&Stored::SessionV1(row)));
            }
        }
    }

    /// The object has been told of a session's end: nothing of it stays.
    fn write_end(&self, plan: &mut Plan, batch: &mut WriteBatch) {
        let Some(id) = plan.ended else { return };
        // Others may have had messages in the same rows.
        plan.records.extend(&self.unrecorded);
        let rows = [Key::Session(id), Key::Counts(id)];
        batch.writes.extend(rows.map(Key::delete));
        let mut wanted: BTreeMap<Version, usize> = BTreeMap::new();
        for kept in self.sessions[&id].line.kept.values() {
            *wanted.entry(kept.version).or_default() += 1;
        }
        let needless = wanted
            .into_iter()
            .filter(|(version, wanted)| self.turns[version] == *wanted);
        let needless = needless.map(|(version, _)| Key::Turn(version).delete());
        batch.writes.extend(needless);
    }

    /// Rows that nobody needs go with a commit that there is anyway.
    fn write_gone(&self, plan: &mut Plan, batch: &mut WriteBatch) {
        let has_counts = plan.received.is_some() || !plan.over.is_empty();
        if batch.is_empty() && !has_counts {
            return;
        }
        plan.deletes_gone = true;
        batch
            .writes
            .extend(self.gone.iter().map(|key| key.delete()));
        if !self.gone.is_empty() {
            plan.records.extend(&self.unrecorded);
        }
    }

    /// **counted-with-the-turn**; and what says which numbers were given, where their rows go.
    fn write_counts(&self, plan: &mut Plan, batch: &mut WriteBatch) {
        let mut ids: BTreeSet<SessionId> = plan.records.clone();
        ids.retain(|id| !plan.to.contains_key(id));
        ids.extend(plan.received.map(|(id, _)| id));
        ids.extend(plan.over.keys());
        ids.extend(plan.joins.as_ref().map(|core| core.id));
        ids.retain(|id| plan.ended != Some(*id));
        for id in &ids {
            let entry = self.sessions.get(id);
            let received = plan.received.filter(|(of, _)| of == id);
            let received = received.filter(|_| !broken(Tooth::ForgetDurableCount));
            let received = received.map(|(_, received)| received);
            let over = plan.over.get(id).cloned();
            assert!(
                over.is_some() || entry.is_none_or(|entry| !entry.is_over),
                "a session that is over stays over"
            );
            let row = CountsRow {
                received: received.or(entry.map(|entry| entry.received)).unwrap_or(0),
                base: entry.map_or(0, |entry| entry.line.acknowledged),
                over,
            };
            batch
                .writes
                .push(Key::Counts(*id).put(&Stored::CountsV1(row)));
        }
        plan.records = ids;
        plan.records.extend(plan.to.keys());
    }

    /// What brings the object back after a crash is there with the first durable session, and goes with the last.
    fn write_wake(&self, plan: &mut Plan, turn: &Sealing<'_>, batch: &mut WriteBatch) {
        let stays = |id: &SessionId| plan.ended != Some(*id);
        let has_some = plan.joins.is_some() || self.sessions.keys().any(stays);
        let sets_auto = |effect: &Effect| matches!(effect, Effect::AutoResponse(_));
        let auto_changes = turn.stage.effects.iter().any(sets_auto);
        match self.wake {
            None if has_some => {
                // Due at once, and known to nobody who fires alarms before the next start.
                plan.wake = Some(turn.now);
                batch
                    .writes
                    .extend(wake_writes(turn.now, turn.auto_response));
            }
            Some(wake) if has_some && auto_changes => {
                batch.writes.extend(wake_writes(wake, turn.auto_response));
            }
            Some(wake) if !has_some && !batch.is_empty() => {
                plan.wake = None;
                batch.writes.extend(no_wake_writes(wake));
            }
            None | Some(_) => {}
        }
    }

    /// A session of which the store does not know that it is over.
    fn open(&self, id: SessionId) -> Option<&Entry> {
        self.sessions.get(&id).filter(|entry| !entry.is_over)
    }

    /// The line of a session that may be sent something.
    fn line(&self, id: SessionId, plan: &Plan) -> Option<(&Line, &Arc<SessionCore>)> {
        let entry = self.open(id)?;
        let is_over = plan.over.contains_key(&id) || plan.ended == Some(id);
        (!is_over).then_some((&entry.line, &entry.core))
    }
}

impl Plan {
    /// Takes over what an effect of the turn does to durable sessions.
    fn take(&mut self, journal: &Journal, turn: &Sealing<'_>, effect: &Effect) {
        match effect {
            Effect::Send { session, delivery } => {
                let message = TurnMessage::of(delivery);
                self.send(journal, [session.id], message);
            }
            Effect::Broadcast {
                delivery,
                receivers: Receivers::Wanted(audience),
            } => {
                let (tag, except) = audience.clone().into_parts();
                let has_tag = |core: &SessionCore| {
                    let Some(tag) = &tag else { return true };
                    let change = turn.stage.session_change(core.id);
                    let tags = change.and_then(|change| change.tags.clone());
                    tags.unwrap_or_else(|| core.tags()).contains(tag)
                };
                let known = journal.sessions.values().map(|entry| &entry.core);
                let receivers = known.chain(&turn.joins);
                let receivers = receivers
                    .filter(|core| !except.contains(core.id) && has_tag(core))
                    .map(|core| core.id);
                let message = TurnMessage::of(delivery);
                self.send(journal, receivers, message);
            }
            Effect::Broadcast { .. } => unreachable!("receivers are settled after the commit"),
            Effect::Close { session, close } => {
                let joins = self
                    .joins
                    .as_ref()
                    .is_some_and(|core| core.id == session.id);
                let is_open = journal.line(session.id, self).is_some();
                if is_open || joins && !self.over.contains_key(&session.id) {
                    self.over.insert(session.id, close.clone().into());
                }
            }
            Effect::AutoResponse(_) | Effect::Presence(_) => {}
        }
    }

    fn send(
        &mut self,
        journal: &Journal,
        receivers: impl IntoIterator<Item = SessionId>,
        message: TurnMessage,
    ) {
        let index = u32::try_from(self.messages.len()).expect("a stage holds fewer effects");
        let mut has_receiver = false;
        for id in receivers {
            let joins = self.joins.as_ref().is_some_and(|core| core.id == id);
            let sent = match journal.line(id, self) {
                Some((line, core)) => match core.outbound.closing() {
                    None => line.sent,
                    Some(close) => {
                        // It is over, but for the turn on its end. From here on the store knows it, too.
                        self.over.insert(id, close.into());
                        continue;
                    }
                },
                None if joins && !self.over.contains_key(&id) => 0,
                None => continue,
            };
            has_receiver = true;
            let to = self.to.entry(id).or_insert_with(|| To {
                first: sent + 1,
                messages: Vec::new(),
            });
            to.messages.push(index);
        }
        if has_receiver {
            self.messages.push(message);
        }
    }
}
