//! Durable sessions: what a turn's commit says of them, and turns that need no actor code.

use std::sync::Arc;

use abide_storage::WriteBatch;

use super::seal::{Joining, Sealed};
use super::turn::Failure;
use super::{Activation, Flow};
use crate::call::CallError;
use crate::departure::Answer as Addressee;
use crate::message::Answer;
use crate::session::{
    AutoResponse, Close, Entered, Frame, Journal, Plan, Sealing, SessionCore, SessionId,
};
use crate::stage::{Effect, Stage};

/// What a turn is to sessions that may be durable.
pub(super) struct Told {
    /// It declares this one durable.
    pub(super) joins: Option<SessionId>,
    /// It has handled a message of this one.
    pub(super) received: Option<SessionId>,
    /// It has handled the end of this one.
    pub(super) ended: Option<SessionId>,
}

impl Activation {
    /// Adds to a turn's batch what it does to durable sessions; `None` when there are none, and none joins.
    pub(super) fn plan(
        &mut self,
        stage: &Stage,
        told: &Told,
        auto_response: Option<&Option<Box<AutoResponse>>>,
        batch: &mut WriteBatch,
    ) -> Option<Plan> {
        let slot = &self.shared.slot;
        let joins = told.joins.and_then(|id| slot.sessions.get(id));
        if joins.is_none() && self.journal.is_none() {
            return None;
        }
        let turn = Sealing {
            version: self.shared.version().next(),
            now: self.shared.node.clock.now(),
            stage,
            sessions: &slot.sessions,
            joins,
            received: told.received,
            ended: told.ended,
            auto_response: auto_response.unwrap_or(&self.auto_response).as_deref(),
        };
        let journal: &mut Journal = self.journal.get_or_insert_default();
        Some(journal.plan(&turn, batch))
    }

    /// The batch of a plan was accepted.
    pub(super) fn enter(&mut self, plan: Plan) -> Entered {
        let journal: &mut Journal = self.journal.get_or_insert_default();
        let entered = journal.enter(plan);
        if journal.is_empty() {
            self.journal = None;
        }
        entered
    }

    /// Whether the store has a durable session of this id.
    pub(super) fn has_durable(&self, session: SessionId) -> bool {
        let journal = self.journal.as_ref();
        journal.is_some_and(|journal| journal.has(session))
    }

    /// Whether a frame of a durable session needs no actor code, and what answers it.
    pub(super) fn answered_below(&self, frame: &Frame) -> Option<Option<Frame>> {
        let auto = self.auto_response.as_ref();
        let response = auto.filter(|auto| auto.request == *frame);
        match response {
            Some(auto) => Some(Some(auto.response.clone())),
            None => (!self.callbacks().message).then_some(None),
        }
    }

    /// A turn without actor code: counts a durable session's frame, and answers it.
    pub(super) async fn answer_below(
        &mut self,
        session: Arc<SessionCore>,
        response: Option<Frame>,
    ) -> Flow {
        if let Some(response) = response {
            let session = session.clone();
            let delivery = response.into();
            let effect = Effect::Send { session, delivery };
            self.shared.stage.lock().effect(effect);
        }
        match self.own_turn(Joining::Received(session.id)).await {
            Ok(sealed) => {
                self.depart(sealed.ticket, sealed.departure, Addressee::Frame(session));
                Flow::GoOn
            }
            Err(failure) => self.failed_frame(session, failure),
        }
    }

    /// A turn without actor code: the rows of a durable session go. The object was told of its end, or does
    /// not want to be.
    pub(super) async fn forget_session(&mut self, session: SessionId) -> Flow {
        self.shared.slot.sessions.told_of_end(session);
        match self.own_turn(Joining::Ended(session)).await {
            Ok(Sealed {
                departure, ticket, ..
            }) => {
                self.depart(ticket, departure, Addressee::Nobody);
                Flow::GoOn
            }
            // They go with a commit of the next activation.
            Err(Failure { error, flow }) => {
                tracing::warn!(object = %self.object(), %session, %error, "a durable session that has ended could not be deleted yet");
                flow
            }
        }
    }

    async fn own_turn(&mut self, joining: Joining) -> Result<Sealed, Failure> {
        if let Err(error) = self.room().await {
            drop(self.shared.stage.lock().take());
            let flow = Flow::Broken(error.clone());
            let error = CallError::EarlierCommit(error);
            return Err(Failure { error, flow });
        }
        self.seal(Answer::Nothing, Some(joining))
    }

    /// A frame has no reply, so the failure is the session's end, with the reason. It goes through the gate like
    /// any answer: behind what earlier turns have sent.
    pub(super) fn failed_frame(&mut self, session: Arc<SessionCore>, failure: Failure) -> Flow {
        let Failure { error, flow } = failure;
        session.fail();
        let mut departure = self.departure();
        let close = Close::new(Close::INTERNAL_ERROR, error.to_string());
        departure.effects = vec![Effect::Close {
            session: session.clone(),
            close,
        }];
        self.depart(None, departure, Addressee::FailedFrame(session));
        flow
    }
}
