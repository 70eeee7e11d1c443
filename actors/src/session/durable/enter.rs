//! A plan whose commit the store has accepted becomes a part of the journal.

use std::sync::Arc;

use abide_storage::Version;

use super::journal::{Entry, Journal, Line, Numbered};
use super::plan::{Plan, To};
use crate::session::kept::row::TurnMessage;
use crate::session::{SessionCore, SessionId};

/// What follows of a commit, once it is durable.
#[derive(Default)]
pub(crate) struct Entered {
    pub(crate) numbered: Vec<Numbered>,
    /// Sessions of which no row is left.
    pub(crate) ended: Vec<SessionId>,
}

impl Journal {
    /// The store has accepted the commit.
    pub(crate) fn enter(&mut self, plan: Plan) -> Entered {
        self.wake = plan.wake;
        let mut entered = Entered::default();
        if plan.deletes_gone {
            self.gone.clear();
            entered.ended = std::mem::take(&mut self.ended);
        }
        if let Some(core) = plan.joins {
            core.make_durable();
            self.sessions.insert(core.id, Entry::new(core));
        }
        if let Some((id, received)) = plan.received
            && let Some(entry) = self.sessions.get_mut(&id)
        {
            entry.received = received;
        }
        for id in plan.records {
            if let Some(entry) = self.sessions.get_mut(&id) {
                entry.base = entry.line.acknowledged;
            }
            self.unrecorded.remove(&id);
        }
        for (id, to) in plan.to {
            let numbered = &mut entered.numbered;
            numbered.extend(self.enter_sent(id, &to, plan.version, &plan.messages));
        }
        for id in plan.over.into_keys() {
            if let Some(entry) = self.sessions.get_mut(&id) {
                entry.is_over = true;
                let needless = entry.line.forget();
                self.unrecorded.remove(&id);
                self.are_needless(needless);
            }
        }
        if let Some(id) = plan.ended
            && let Some(mut entry) = self.sessions.remove(&id)
        {
            self.unrecorded.remove(&id);
            entered.ended.push(id);
            for version in entry.line.forget() {
                let wanted = self.turns.get_mut(&version);
                let wanted = wanted.expect("a row lasts as long as a message of it is wanted");
                *wanted -= 1;
                self.wanted -= 1;
                if *wanted == 0 {
                    self.turns.remove(&version);
                }
            }
        }
        entered
    }

    fn enter_sent(
        &mut self,
        id: SessionId,
        to: &To,
        version: Version,
        messages: &[TurnMessage],
    ) -> Option<Numbered> {
        let entry = self.sessions.get_mut(&id)?;
        *self.turns.entry(version).or_default() += to.messages.len();
        self.wanted += to.messages.len();
        let mut needless = Vec::new();
        let mut last = entry.line.sent;
        for (number, index) in (to.first..).zip(&to.messages) {
            let message = &messages[usize::try_from(*index).expect("an index of this vector")];
            needless.extend(entry.line.push(number, version, message));
            last = number;
        }
        let session = entry.core.clone();
        self.are_needless(needless);
        Some(Numbered { session, last })
    }
}

impl Entry {
    fn new(core: Arc<SessionCore>) -> Self {
        Self {
            core,
            received: 0,
            base: 0,
            is_over: false,
            line: Line::default(),
        }
    }
}
