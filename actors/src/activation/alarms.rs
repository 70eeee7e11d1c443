//! Turns on alarms: one that is due is handled and cleared in one commit, or set for a retry.

use std::sync::Arc;

use abide_storage::{ScheduledAlarm, Timestamp};
use bytes::Bytes;

use super::seal::{AlarmTurn, Joining, Sealed};
use super::turn::{Failure, OnUnwind};
use super::{Activation, Flow};
use crate::alarm::{AlarmRow, TRY_AGAIN, retry_wait};
use crate::call::Origin;
use crate::departure::Answer as Addressee;
use crate::message::{Alarm, Message};
use crate::teeth::{Tooth, broken};

impl Activation {
    pub(super) async fn alarm(&mut self, name: Arc<str>, due: Timestamp) -> Flow {
        let row = self.shared.alarms.lock().get(&name).cloned();
        let entry = ScheduledAlarm {
            due,
            object: self.object().clone(),
            name: Bytes::copy_from_slice(name.as_bytes()),
        };
        let Some(row) = row.filter(|row| row.due == Some(due)) else {
            // It was set anew, cancelled or handled since the scheduler fired it, by a turn whose
            // commit may still fail; then the store has the alarm as it was, and it must fire.
            self.answer(Addressee::Alarm(entry));
            return Flow::GoOn;
        };
        if !self.callbacks().alarm {
            tracing::warn!(object = %self.object(), alarm = %name, "cleared: the actor has no alarm callback");
            return self.rewrite_alarm(&name, None, entry);
        }
        let alarm = Alarm {
            name: name.clone(),
            scheduled: row.scheduled,
            retries: row.retries,
        };
        let handled = if broken(Tooth::ClearAlarmEarly) {
            _ = self.rewrite_alarm(&name, None, entry.clone());
            None
        } else {
            let (name, row) = (name.clone(), row.clone());
            Some(Joining::Alarm(AlarmTurn { name, row }))
        };
        let deadline = self.own_deadline();
        let node = self.shared.node.clone();
        let lost = entry.clone();
        let _unwinding = OnUnwind::new(move || node.alarms.put_off(&node, lost, TRY_AGAIN));
        let result = self
            .turn(Message::Alarm(alarm), deadline, Origin::default(), handled)
            .await;
        match result {
            Ok(Sealed {
                departure, ticket, ..
            }) => {
                self.depart(ticket, departure, Addressee::Alarm(entry));
                Flow::GoOn
            }
            Err(Failure {
                error,
                flow: Flow::Broken(broken),
            }) => {
                tracing::warn!(object = %self.object(), alarm = %name, %error, "an alarm's turn was lost");
                self.shared
                    .node
                    .alarms
                    .put_off(&self.shared.node, entry, TRY_AGAIN);
                Flow::Broken(broken)
            }
            Err(Failure { error, flow }) => {
                let retries = row.retries.saturating_add(1);
                let node = &self.shared.node;
                let parked = node
                    .limits
                    .alarm_retries_max
                    .is_some_and(|max| retries > max);
                let next = node.clock.now() + retry_wait(retries, &node.rng);
                if parked {
                    tracing::error!(object = %self.object(), alarm = %name, %error, retries, "alarm parked");
                } else {
                    tracing::warn!(object = %self.object(), alarm = %name, %error, retries, "alarm failed, will be retried");
                }
                let due = (!parked).then_some(next);
                if self.shared.alarms.lock().get(&name) != Some(&row) {
                    // Undoing the turn ran `activated` again, and that has set or cancelled it.
                    return flow;
                }
                let row = AlarmRow {
                    scheduled: row.scheduled,
                    due,
                    retries,
                };
                match self.rewrite_alarm(&name, Some(row), entry) {
                    Flow::GoOn => flow,
                    ended => ended,
                }
            }
        }
    }
}
