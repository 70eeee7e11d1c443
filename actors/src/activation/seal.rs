//! A turn that succeeded becomes a commit and a departure.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use abide_storage::{Commit, CommitError, Section, Ticket, Write, WriteBatch};
use bytes::Bytes;

use super::durable::Told;
use super::turn::Failure;
use super::{Activation, Flow};
use crate::alarm::{AlarmRow, Change, Standing};
use crate::call::CallError;
use crate::departure::Departure;
use crate::idempotency::Promise;
use crate::message::Answer;
use crate::send::receipts::Receipt;
use crate::session::{SessionCore, SessionId};
use crate::stage::{Effect, Stage};
use crate::teeth::{Tooth, broken};
use crate::turn::Shared;

/// A turn whose writes the store has accepted.
pub(super) struct Sealed {
    pub(super) answer: Answer,
    pub(super) departure: Departure,
    /// `None`: the turn wrote nothing.
    pub(super) ticket: Option<Ticket>,
}

/// The alarm a turn handles; it is cleared in the turn's own commit unless it was set again.
pub(super) struct AlarmTurn {
    pub(super) name: Arc<str>,
    pub(super) row: AlarmRow,
}

/// What the runtime itself adds to the commit of a turn that succeeds.
pub(super) enum Joining {
    Alarm(AlarmTurn),
    /// The call's reply, for whoever repeats it. Boxed: turns without a key should not be larger for it.
    Reply(Box<Promise>),
    /// That a message from another object was heard.
    Receipt(Box<Receipt>),
    /// How many messages of a session have taken effect, if it is durable.
    Received(SessionId),
    /// That the object was told of a session's end, if it is durable.
    Ended(SessionId),
}

impl Activation {
    /// Takes what the turn staged, commits it, and prepares what leaves afterwards.
    pub(super) fn seal(
        &mut self,
        answer: Answer,
        joining: Option<Joining>,
    ) -> Result<Sealed, Failure> {
        let go_on = |error| Failure {
            error,
            flow: Flow::GoOn,
        };
        // Take the stage first: what it holds belongs to this turn and to no other.
        let mut stage = self.shared.stage.lock().take();
        stage.check().map_err(go_on)?;
        let mut batch = WriteBatch::default();
        let state = self.changed_state().map_err(go_on)?;
        if let Some(state) = &state {
            let (section, key) = (Section::State, Bytes::new());
            batch.writes.push(Write::Put {
                section,
                key,
                value: state.clone(),
            });
        }
        for (key, value) in mem::take(&mut stage.data) {
            let section = Section::Data;
            batch.writes.push(match value {
                Some(value) => Write::Put {
                    section,
                    key,
                    value,
                },
                None => Write::Delete { section, key },
            });
        }
        let (mut handled, mut promise, mut receipt) = (None, None, None);
        let (mut received, mut ended) = (None, None);
        match joining {
            Some(Joining::Alarm(alarm)) => handled = Some(alarm),
            Some(Joining::Reply(reply)) => promise = Some(reply),
            Some(Joining::Receipt(heard)) => receipt = Some(heard),
            Some(Joining::Received(session)) => received = Some(session),
            Some(Joining::Ended(session)) => ended = Some(session),
            None => {}
        }
        let kept = match (promise, &answer) {
            (Some(promise), Answer::Value(reply)) if !broken(Tooth::ForgetIdempotencyRow) => {
                let version = self.shared.version().next();
                Some(promise.keep(reply, version, &mut batch))
            }
            _ => None,
        };
        let receipt = receipt.filter(|_| !broken(Tooth::ForgetReceipt));
        let senders = receipt.map(|receipt| receipt.enter(&mut batch));
        let posting = self.post(mem::take(&mut stage.sends), &mut batch);
        let alarms = self.seal_alarms(&mut stage, handled, &mut batch);
        // Last, because it adds what goes only with a commit that there is anyway.
        let accepts = !matches!(answer, Answer::Refused(_));
        let told = Told {
            joins: stage.joining().filter(|_| accepts),
            received,
            ended,
        };
        let auto_response = stage.auto_response();
        let plan = self.plan(&stage, &told, auto_response.as_ref(), &mut batch);
        let ticket = match self.commit(batch) {
            Ok(ticket) => ticket,
            Err(error) => {
                // The table was moved on with the batch; it goes back with it.
                self.shared.alarms.lock().restore(alarms.before);
                return Err(failed_commit(error));
            }
        };
        if let Some(state) = state {
            self.state = state;
            self.stored = true;
        }
        // Not before the commit is accepted: a refused one has parked and kept nothing.
        self.tell_parked(&alarms.before);
        self.kept_replies = kept.or(self.kept_replies);
        if let Some(senders) = senders {
            self.receipts.entered(senders);
        }
        if let Some(auto) = auto_response {
            self.auto_response = auto;
        }
        let mut departure = self.departure();
        if let Some(plan) = plan {
            departure.durable = self.enter(plan);
        }
        if let Some(posting) = posting {
            self.posted(posting, &mut departure);
        }
        departure.changed = self.apply(&mut stage);
        let Shared { node, slot, .. } = &*self.shared;
        for effect in &mut stage.effects {
            match effect {
                Effect::Broadcast { receivers, .. } => receivers.settle(&slot.sessions),
                Effect::Presence(change) => slot.sessions.presence().pend(slot.home(node), change),
                Effect::Send { .. } | Effect::Close { .. } | Effect::AutoResponse(_) => {}
            }
        }
        departure.effects = stage.effects;
        departure.charge = Some(stage.charge);
        departure.alarms = alarms.changes;
        Ok(Sealed {
            answer,
            departure,
            ticket,
        })
    }

    /// Hands a batch to the store; nothing when it is empty.
    pub(super) fn commit(&mut self, batch: WriteBatch) -> Result<Option<Ticket>, CommitError> {
        if batch.is_empty() {
            return Ok(None);
        }
        let version = self.shared.version().next();
        let ticket = self.shared.node.store.commit(Commit {
            object: self.object().clone(),
            name: self.shared.name.clone(),
            epoch: self.epoch,
            version,
            batch,
        })?;
        self.shared.set_version(version);
        Ok(Some(ticket))
    }

    /// The state's bytes, when they are not those of the last sealed turn.
    fn changed_state(&mut self) -> Result<Option<Bytes>, CallError> {
        self.encode()?;
        let changed = self.scratch[..] != self.state[..];
        Ok(changed.then(|| Bytes::copy_from_slice(&self.scratch)))
    }

    fn encode(&mut self) -> Result<(), CallError> {
        self.scratch.clear();
        if self.scratch.capacity() > SCRATCH_KEPT_MAX_BYTES {
            self.scratch = Vec::new();
        }
        let (incarnation, scratch) = (&self.incarnation, &mut self.scratch);
        // `Serialize` is actor code too.
        let encoded = catch_unwind(AssertUnwindSafe(|| incarnation.encode(scratch)))
            .unwrap_or_else(|_| Err("the actor's code panicked while it was encoded".to_owned()));
        encoded.map_err(|detail| CallError::Unencodable {
            what: "state",
            detail,
        })
    }

    fn seal_alarms(
        &mut self,
        stage: &mut Stage,
        handled: Option<AlarmTurn>,
        batch: &mut WriteBatch,
    ) -> SealedAlarms {
        let mut changes = Vec::new();
        let staged = mem::take(&mut stage.alarms);
        if staged.is_empty() && handled.is_none() {
            return SealedAlarms {
                changes,
                before: Vec::new(),
            };
        }
        let mut table = self.shared.alarms.lock();
        let handled_name = handled.as_ref().map(|alarm| &alarm.name);
        let not_set_again = handled_name.filter(|name| !staged.contains_key(*name));
        let before = staged
            .keys()
            .chain(not_set_again)
            .map(|name| (name.clone(), table.get(name).cloned()))
            .collect();
        let object = self.shared.slot.object();
        let node = &self.shared.node;
        let now = node.clock.now();
        let predecessor = handled.as_ref().map(|handled| handled.row.clone());
        if let Some(AlarmTurn { name, row }) = handled
            && !staged.contains_key(&name)
        {
            debug_assert_eq!(
                table.get(&name),
                Some(&row),
                "only this turn touches the table"
            );
            let row = row.recurring(now);
            table.set(object, &name, row, batch, &mut changes);
        }
        for (name, setting) in staged {
            let chain_max = node.limits.alarm_chain_max;
            let row = setting.map(|setting| setting.row(predecessor.as_ref(), now, chain_max));
            table.set(object, &name, row, batch, &mut changes);
        }
        SealedAlarms { changes, before }
    }

    /// Of alarms that a commit has changed, tells which it has parked: they will not fire, even
    /// where their turn has succeeded.
    pub(super) fn tell_parked(&self, before: &[(Arc<str>, Option<AlarmRow>)]) {
        if before.is_empty() {
            return;
        }
        let table = self.shared.alarms.lock();
        for (name, before) in before {
            if let Some(row) = table.get(name).filter(|row| before.as_ref() != Some(*row))
                && let Standing::Parked { why, .. } = row.standing
            {
                let parked = &self.shared.node.alarms.parked;
                parked.fetch_add(1, Ordering::Relaxed);
                let (why, failure) = (why.as_str(), row.failure.as_ref());
                let error = failure.map(|failure| tracing::field::display(&failure.error));
                tracing::error!(object = %self.object(), alarm = %name, why, error, "alarm parked");
            }
        }
    }

    /// What of a turn happens in memory, and at once: the next turn must see it. Gives the sessions
    /// it has changed.
    fn apply(&mut self, stage: &mut Stage) -> Vec<Arc<SessionCore>> {
        let sessions = &self.shared.slot.sessions;
        let changes = mem::take(&mut stage.sessions).into_iter();
        let changed = changes
            .filter_map(|(id, change)| sessions.change(id, change))
            .collect();
        if let Some(tick) = stage.tick.take() {
            self.ticks.set(tick);
        }
        self.ending |= stage.passivate;
        changed
    }
}

struct SealedAlarms {
    changes: Vec<Change>,
    /// The touched rows as they were, should the commit be refused.
    before: Vec<(Arc<str>, Option<AlarmRow>)>,
}

/// A buffer larger than this was needed once and is not kept for every idle activation.
const SCRATCH_KEPT_MAX_BYTES: usize = 4 * 1024;

/// A commit the store refused before accepting it: the turn is undone. Fenced, the activation is
/// no longer the object's, so it ends.
pub(super) fn failed_commit(error: CommitError) -> Failure {
    let flow = match &error {
        CommitError::Fenced { .. } | CommitError::Unknown => Flow::End,
        CommitError::TooLarge { .. }
        | CommitError::DiskFull { .. }
        | CommitError::Refused { .. } => Flow::GoOn,
    };
    Failure {
        error: CallError::Commit(error),
        flow,
    }
}
