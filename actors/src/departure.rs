//! What a turn lets out when the output gate opens, or how its callers learn that it does not.

use std::sync::Arc;

use abide_storage::ScheduledAlarm;
use tokio::sync::oneshot;

use crate::alarm::Change;
use crate::body::Body;
use crate::call::{CallError, Reply};
use crate::catalog::Slot;
use crate::connect::ConnectError;
use crate::gate::{Held, Refused};
use crate::runtime::Node;
use crate::session::{Close, SessionCore};
use crate::stage::Effect;

/// One turn's effects, in the order they leave.
pub(crate) struct Departure {
    pub(crate) node: Arc<Node>,
    pub(crate) slot: Arc<Slot>,
    pub(crate) effects: Vec<Effect>,
    pub(crate) alarms: Vec<Change>,
    pub(crate) answer: Answer,
}

/// The answer to whoever sent the message.
pub(crate) enum Answer {
    /// Nobody waits.
    Nobody,
    Call { reply: oneshot::Sender<Result<Reply, CallError>>, result: Result<Reply, CallError> },
    Fetch {
        reply: oneshot::Sender<Result<http::Response<Body>, CallError>>,
        result: Result<http::Response<Body>, CallError>,
    },
    Connect {
        session: Arc<SessionCore>,
        reply: oneshot::Sender<Result<(), ConnectError>>,
        result: Result<(), ConnectError>,
    },
    /// A turn on a session's frame; on failure the session ends.
    Frame(Arc<SessionCore>),
    /// An alarm's turn; a failed commit leaves the alarm in the index, so it must fire again.
    Alarm(ScheduledAlarm),
}

impl Held for Departure {
    fn release(self) {
        for effect in self.effects {
            match effect {
                Effect::Send { session, frame } => session.outbound.send(frame),
                Effect::Broadcast { frame, tag, except, newest } => {
                    self.slot.sessions.broadcast(&frame, tag.as_deref(), &except, newest);
                }
                Effect::Close { session, close } => session.outbound.close(close),
            }
        }
        self.node.alarms.apply(self.alarms);
        match self.answer {
            Answer::Nobody | Answer::Frame(_) | Answer::Alarm(_) => {}
            // A receiver that is gone has stopped waiting; there is nobody to tell.
            Answer::Call { reply, result } => drop(reply.send(result)),
            Answer::Fetch { reply, result } => drop(reply.send(result)),
            Answer::Connect { session, reply, result } => {
                if result.is_err() {
                    self.slot.sessions.remove(&session);
                }
                // When nobody waits any more, the transport's end of the session has been dropped,
                // and the object hears of that as of any lost connection.
                drop(reply.send(result));
            }
        }
    }

    fn refuse(self, why: Refused) {
        let error = match why {
            Refused::Own(error) => CallError::Commit(error),
            Refused::Earlier(error) => CallError::EarlierCommit(error),
        };
        match self.answer {
            Answer::Nobody => {}
            Answer::Call { reply, .. } => drop(reply.send(Err(error))),
            Answer::Fetch { reply, .. } => drop(reply.send(Err(error))),
            Answer::Connect { session, reply, .. } => {
                self.slot.sessions.remove(&session);
                drop(reply.send(Err(error.into())));
            }
            Answer::Frame(session) => {
                // The client cannot know which of its frames took effect: it must start afresh.
                session.outbound.close(Close::new(Close::INTERNAL_ERROR, error.to_string()));
            }
            Answer::Alarm(alarm) => self.node.alarms.put_off(&self.node, alarm),
        }
    }
}
