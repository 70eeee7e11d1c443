//! Sessions that watch a table, and the tick that tells them.

use std::sync::Arc;

use super::table::Table;
use super::wire;
use crate::call::CallError;
use crate::context::Context;
use crate::session::Session;

impl Table {
    /// Has the session watch these topics of the table and no others: its tags change, it gets
    /// a snapshot of each topic that is new to it, and is told of each that ended. Tags that are no
    /// topics of this table stay.
    ///
    /// # Errors
    /// [`CallError::LimitExceeded`] when that is too many tags, or one is too long; nothing is
    /// staged.
    pub fn watch(&mut self, session: &Session, topics: &[&str]) -> Result<(), CallError> {
        let before = session.tags();
        let (watched, others): (Vec<_>, Vec<_>) = before.iter().partition(|tag| self.owns(tag));
        let others = others.into_iter().map(|tag| &**tag);
        session.set_tags(others.chain(topics.iter().copied()))?;
        for topic in &watched {
            if !topics.contains(&&***topic) {
                session.send(wire::end_of(topic));
            }
        }
        for topic in topics {
            if !watched.iter().any(|known| &***known == *topic) {
                self.send_snapshot(session, topic);
            }
        }
        Ok(())
    }

    /// Sends snapshots of all that these sessions watch: after an activation, when what they hold
    /// is of the table before this one.
    pub fn resend(&mut self, sessions: &[Session]) {
        for session in sessions {
            let tags: Arc<[Arc<str>]> = session.tags();
            for topic in tags.iter().filter(|tag| self.owns(tag)).collect::<Vec<_>>() {
                self.send_snapshot(session, topic);
            }
        }
    }

    /// Sends what changed since the last time to those who watch it: one frame per topic with
    /// changes. `tick` is what clients see it under; it should grow.
    pub fn publish<A: ?Sized>(&mut self, ctx: &mut Context<A>, tick: u64) {
        for (topic, frame) in self.flush(tick) {
            ctx.broadcast_to(&topic, frame);
        }
    }

    fn send_snapshot(&mut self, session: &Session, topic: &str) {
        for frame in self.snapshot(topic) {
            session.send(frame);
        }
    }
}
