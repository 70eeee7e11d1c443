//! Turns on alarms: one that is due is handled and cleared in one commit, or set for a retry, or
//! parked; and an operator may have one run now.

use std::sync::Arc;

use abide_storage::{Effect, Ticket, Timestamp, WriteBatch};
use tokio::sync::oneshot;

use super::seal::{AlarmTurn, Joining, Sealed, failed_commit};
use super::turn::{Failure, OnUnwind};
use super::{Activation, Flow};
use crate::alarm::{
    AlarmRow, Failure as LastFailure, Fired, Parked, Standing, TRY_AGAIN, retry_wait,
};
use crate::call::{CallError, Origin};
use crate::departure::{Answer as Addressee, Departure};
use crate::message::{Alarm, Message};
use crate::teeth::{Tooth, broken};

impl Activation {
    pub(super) async fn alarm(&mut self, fired: Fired) -> Flow {
        let entry = fired.alarm.clone();
        let name = std::str::from_utf8(&entry.name).expect("checked when it was fired");
        let name: Arc<str> = name.into();
        let row = self.shared.alarms.lock().get(&name).cloned();
        let Some(row) = row.filter(|row| row.due() == Some(entry.due)) else {
            // It was set anew, cancelled or handled since the scheduler fired it, by a turn whose
            // commit may still fail; then the store has the alarm as it was, and it must fire.
            self.answer(Addressee::Alarm(fired));
            return Flow::GoOn;
        };
        if !self.callbacks().alarm {
            tracing::warn!(object = %self.object(), alarm = %name, "cleared: the actor has no alarm callback");
            return self.rewrite_alarm(&name, None, fired);
        }
        let alarm = Alarm {
            name: name.clone(),
            scheduled: row.scheduled,
            retries: row.retries,
        };
        let handled = if broken(Tooth::ClearAlarmEarly) {
            _ = self.commit_alarm(&name, None);
            None
        } else {
            let (name, row) = (name.clone(), row.clone());
            Some(Joining::Alarm(AlarmTurn { name, row }))
        };
        let deadline = self.own_deadline();
        let (node, lost) = (self.shared.node.clone(), entry.clone());
        let _unwinding = OnUnwind::new(move || node.alarms.put_off(&node, lost, TRY_AGAIN));
        let result = self
            .turn(Message::Alarm(alarm), deadline, Origin::default(), handled)
            .await;
        match result {
            Ok(Sealed {
                departure, ticket, ..
            }) => {
                self.depart(ticket, departure, Addressee::Alarm(fired));
                Flow::GoOn
            }
            Err(Failure {
                error,
                flow: Flow::Broken(broken),
            }) => {
                tracing::warn!(object = %self.object(), alarm = %name, %error, "an alarm's turn was lost");
                let node = &self.shared.node;
                node.alarms.put_off(node, entry, TRY_AGAIN);
                Flow::Broken(broken)
            }
            Err(Failure { error, flow }) => {
                if self.shared.alarms.lock().get(&name) != Some(&row) {
                    // Undoing the turn ran `activated` again, and that has set or cancelled it: in a
                    // commit that may still fail, as above.
                    self.answer(Addressee::Alarm(fired));
                    return flow;
                }
                let row = self.failed(&name, row, &error);
                match self.rewrite_alarm(&name, Some(row), fired) {
                    Flow::GoOn => flow,
                    ended => ended,
                }
            }
        }
    }

    /// The row of an alarm whose turn has failed once more: set for a retry, or parked.
    fn failed(&self, name: &str, row: AlarmRow, error: &CallError) -> AlarmRow {
        let node = &self.shared.node;
        let (now, object) = (node.clock.now(), self.object());
        let retries = row.retries.saturating_add(1);
        let row = AlarmRow {
            retries,
            failure: Some(LastFailure::new(now, &error.to_string())),
            ..row
        };
        tracing::warn!(%object, alarm = %name, %error, retries, "alarm failed");
        let max = node.limits.alarm_retries_max;
        if max.is_some_and(|max| retries > max) {
            return row.parked(now, Parked::Failures);
        }
        AlarmRow {
            standing: Standing::Due(now + retry_wait(retries, &node.rng)),
            ..row
        }
    }

    /// Clears an alarm that cannot be handled, or stores how its turn has failed.
    fn rewrite_alarm(&mut self, name: &Arc<str>, row: Option<AlarmRow>, fired: Fired) -> Flow {
        match self.commit_alarm(name, row) {
            Ok((ticket, departure)) => {
                self.depart(ticket, departure, Addressee::Alarm(fired));
                Flow::GoOn
            }
            Err(Failure { flow, .. }) => {
                let node = &self.shared.node;
                node.alarms.put_off(node, fired.alarm, TRY_AGAIN);
                flow
            }
        }
    }

    /// Has an alarm run now: it is made due in a commit, and fires by itself like any other, so
    /// that no crash loses it.
    pub(super) async fn run_alarm(
        &mut self,
        name: Arc<str>,
        reply: oneshot::Sender<Result<Timestamp, CallError>>,
    ) -> Flow {
        match tokio::time::timeout_at(self.own_deadline().0, self.room()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                drop(reply.send(Err(CallError::EarlierCommit(error.clone()))));
                return Flow::Broken(error);
            }
            Err(_elapsed) => {
                let effect = Effect::None;
                drop(reply.send(Err(CallError::DeadlineExceeded { effect })));
                return Flow::GoOn;
            }
        }
        let Some(row) = self.shared.alarms.lock().get(&name).cloned() else {
            let error = CallError::UnknownAlarm {
                object: self.object().clone(),
                name: name.to_string(),
            };
            let result = Err(error);
            self.answer(Addressee::RunAlarm { reply, result });
            return Flow::GoOn;
        };
        let due = self.shared.node.clock.now();
        tracing::info!(object = %self.object(), alarm = %name, "an operator has the alarm run now");
        let row = AlarmRow {
            standing: Standing::Due(due),
            // It counts anew: what parked it is meant to be mended.
            retries: 0,
            chain: 0,
            ..row
        };
        match self.commit_alarm(&name, Some(row)) {
            Ok((ticket, departure)) => {
                let result = Ok(due);
                self.depart(ticket, departure, Addressee::RunAlarm { reply, result });
                Flow::GoOn
            }
            Err(Failure { error, flow }) => {
                drop(reply.send(Err(error)));
                flow
            }
        }
    }

    /// The runtime's own commit about one alarm, and what is to leave when it is durable. When the store
    /// refuses it nothing has changed.
    fn commit_alarm(
        &mut self,
        name: &Arc<str>,
        row: Option<AlarmRow>,
    ) -> Result<(Option<Ticket>, Departure), Failure> {
        let (mut batch, mut changes) = (WriteBatch::default(), Vec::new());
        let object = self.object().clone();
        let before = {
            let mut table = self.shared.alarms.lock();
            let before = table.get(name).cloned();
            table.set(&object, name, row, &mut batch, &mut changes);
            before
        };
        let before = [(name.clone(), before)];
        match self.commit(batch) {
            Ok(ticket) => {
                self.tell_parked(&before);
                let mut departure = self.departure();
                departure.alarms = changes;
                Ok((ticket, departure))
            }
            Err(error) => {
                self.shared.alarms.lock().restore(before);
                Err(failed_commit(error))
            }
        }
    }
}
