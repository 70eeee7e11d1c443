//! What a turn lets out when the output gate opens, or how its callers learn that it does not.

use std::sync::Arc;

use abide_storage::{Effect as Effects, ObjectImage, Timestamp, Version};
use tokio::sync::oneshot;

use crate::alarm::{Change, Fired, TRY_AGAIN};
use crate::body::Body;
use crate::call::{CallError, Reply};
use crate::catalog::Slot;
use crate::connect::ConnectError;
use crate::gate::{Held, Refused};
use crate::image::{self, ImageError};
use crate::memory::Charge;
use crate::node::{Node, Target};
use crate::send::{Departed, Heard, Sequence};
use crate::session::{Close, Delivery, Entered, Numbered, SessionCore};
use crate::stage::{Effect, Receivers};
use crate::turn::Shared;

/// One turn's effects, in the order they leave.
pub(crate) struct Departure {
    pub(crate) node: Arc<Node>,
    pub(crate) slot: Arc<Slot>,
    pub(crate) effects: Vec<Effect>,
    pub(crate) alarms: Vec<Change>,
    /// Sessions whose tags or attachment the turn has changed, which the next turn sees at once.
    pub(crate) changed: Vec<Arc<SessionCore>>,
    /// The turn's messages may leave then; here is whom to tell.
    pub(crate) messages: Option<(Departed, Version)>,
    /// Receivers that may forget what they heard up to this message: its row is gone.
    pub(crate) forget: Vec<(Target, Sequence)>,
    /// What its commit says of durable sessions.
    pub(crate) durable: Entered,
    pub(crate) answer: Answer,
    /// What the turn staged takes of the node's memory, until it has left.
    pub(crate) charge: Option<Charge>,
}

impl Departure {
    /// An answer without any effect.
    pub(crate) fn new(shared: &Shared, answer: Answer) -> Self {
        Self {
            node: shared.node.clone(),
            slot: shared.slot.clone(),
            effects: Vec::new(),
            alarms: Vec::new(),
            changed: Vec::new(),
            messages: None,
            forget: Vec::new(),
            durable: Entered::default(),
            answer,
            charge: None,
        }
    }

    fn broadcast(&self, delivery: &Delivery, receivers: &Receivers) {
        let figures = &self.node.sessions;
        match receivers {
            Receivers::UpTo(last, except) => {
                let sessions = &self.slot.sessions;
                sessions.broadcast(delivery, except, *last, figures);
            }
            Receivers::Sessions(sessions) => {
                for session in sessions {
                    let bursts = self.slot.sessions.bursts();
                    figures.note(session.outbound.write_or_send(delivery, bursts));
                }
            }
            Receivers::Wanted(_) => unreachable!("settled when the turn was sealed"),
        }
    }
}

/// The answer to whoever sent the message.
pub(crate) enum Answer {
    /// Nobody waits.
    Nobody,
    Call {
        reply: oneshot::Sender<Result<Reply, CallError>>,
        result: Result<Reply, CallError>,
    },
    Fetch {
        reply: oneshot::Sender<Result<http::Response<Body>, CallError>>,
        result: Result<http::Response<Body>, CallError>,
    },
    /// The object that sent the message; its activation may be gone, and then sends it again.
    Sent {
        reply: oneshot::Sender<Result<Heard, CallError>>,
        result: Result<Heard, CallError>,
    },
    Connect {
        session: Arc<SessionCore>,
        reply: oneshot::Sender<Result<(), ConnectError>>,
        result: Result<(), ConnectError>,
    },
    Export {
        answer: image::Answer<ObjectImage>,
        result: Result<ObjectImage, ImageError>,
    },
    /// A replacement that was refused.
    Replace {
        answer: image::Answer<Version>,
        result: Result<Version, ImageError>,
    },
    /// A turn on a session's frame; on failure the session ends.
    Frame(Arc<SessionCore>),
    /// A turn on a session's frame that has failed: it is not acknowledged, and the session ends.
    FailedFrame(Arc<SessionCore>),
    /// A turn on a session's end, which the object must hear of even if this commit fails.
    Disconnected {
        session: Arc<SessionCore>,
        close: Close,
    },
    /// The rows of these sessions are deleted: they can be taken up.
    Restored(Vec<Arc<SessionCore>>),
    /// An alarm's turn; a failed commit leaves the alarm in the index, so it must fire again.
    Alarm(Fired),
    /// An operator's wish that an alarm run now.
    RunAlarm {
        reply: oneshot::Sender<Result<Timestamp, CallError>>,
        result: Result<Timestamp, CallError>,
    },
}

impl Held for Departure {
    fn release(mut self) {
        for effect in std::mem::take(&mut self.effects) {
            match effect {
                Effect::Send { session, delivery } => {
                    let figures = &self.node.sessions;
                    let bursts = self.slot.sessions.bursts();
                    figures.note(session.outbound.write_or_send(&delivery, bursts));
                }
                Effect::Broadcast {
                    delivery,
                    receivers,
                } => self.broadcast(&delivery, &receivers),
                Effect::Close { session, close } => session.outbound.close(close),
                Effect::AutoResponse(auto) => self.slot.sessions.set_auto_response(auto),
                Effect::Presence(change) => {
                    let home = self.slot.home(&self.node);
                    self.slot.sessions.presence().show(home, &change);
                }
            }
        }
        self.durable.numbered.iter().for_each(Numbered::compare);
        self.slot.sessions.rows_are_gone(&self.durable.ended);
        self.node.alarms.apply(self.alarms);
        if let Some((departed, version)) = self.messages {
            departed.advance(version);
        }
        for (receiver, last) in self.forget {
            self.node
                .forget_sender(&receiver, self.slot.object().id, last);
        }
        match self.answer {
            Answer::Nobody | Answer::Alarm(_) | Answer::Disconnected { .. } => {}
            // After its effects, so that the client has the answer before it is told.
            Answer::Frame(session) => session.settle(),
            Answer::FailedFrame(session) => session.has_settled(),
            Answer::Restored(sessions) => {
                sessions.iter().for_each(|session| session.row_is_gone());
            }
            // A receiver that is gone has stopped waiting; there is nobody to tell.
            Answer::Call { reply, result } => drop(reply.send(result)),
            Answer::Fetch { reply, result } => drop(reply.send(result)),
            Answer::Sent { reply, result } => drop(reply.send(result)),
            Answer::Export { answer, result } => drop(answer.send(result)),
            Answer::Replace { answer, result } => drop(answer.send(result)),
            Answer::RunAlarm { reply, result } => drop(reply.send(result)),
            Answer::Connect {
                session,
                reply,
                result,
            } => {
                drop(session);
                // When nobody waits any more, the transport's end of the session has been dropped,
                // and the object hears of that as of any lost connection.
                drop(reply.send(result));
            }
        }
    }

    fn refuse(self, why: Refused) {
        for session in self.changed {
            // What it carries was never committed, and later turns may have built on it.
            let reason = "a change of this session could not be stored";
            session
                .outbound
                .close(Close::new(Close::INTERNAL_ERROR, reason));
        }
        let unknown = matches!(&why, Refused::Own(error) if error.effect() == Effects::Unknown);
        if unknown {
            // Alarms it may have set must not be forgotten. One that was not stored after all
            // finds no row when it fires, and nothing happens.
            let set = |change: &Change| matches!(change, Change::Insert(_));
            self.node
                .alarms
                .apply(self.alarms.into_iter().filter(set).collect());
        }
        let error = match why {
            Refused::Own(error) => CallError::Commit(error),
            Refused::Earlier(error) => CallError::EarlierCommit(error),
        };
        match self.answer {
            // The next activation finds the rows again, and deletes them.
            Answer::Nobody | Answer::Restored(_) => {}
            Answer::Call { reply, .. } => drop(reply.send(Err(error))),
            Answer::Fetch { reply, .. } => drop(reply.send(Err(error))),
            Answer::Sent { reply, .. } => drop(reply.send(Err(error))),
            Answer::Export { answer, .. } => drop(answer.send(Err(error.into()))),
            Answer::Replace { answer, .. } => drop(answer.send(Err(error.into()))),
            Answer::RunAlarm { reply, .. } => drop(reply.send(Err(error))),
            Answer::Connect { session, reply, .. } => {
                self.slot.sessions.remove(&session);
                if !unknown {
                    self.slot.sessions.rows_are_gone(&[session.id]);
                }
                drop(reply.send(Err(error.into())));
            }
            Answer::Frame(session) | Answer::FailedFrame(session) => {
                // The client cannot know which of its frames took effect: it must start afresh.
                session
                    .outbound
                    .close(Close::new(Close::INTERNAL_ERROR, error.to_string()));
                // It is over, and what came to nothing must not be acknowledged.
                session.has_settled();
            }
            Answer::Alarm(fired) => {
                self.node.alarms.put_off(&self.node, fired.alarm, TRY_AGAIN);
            }
            Answer::Disconnected { session, close } => {
                self.node.disconnected_again(&self.slot, session, close);
            }
        }
    }
}
