//! Durable sessions: those that live through SIGKILL and a power cut.
//!
//! A session that its object [declares durable](super::Session::set_durable) has its rows in the object's
//! own commits, so that a crash takes back a turn with all that it told, or nothing of it:
//!
//! - **counted-with-the-turn**: how many of the client's messages have taken effect is committed with the
//!   turn that handled the last of them, even when that writes nothing else. So after a crash a welcome's
//!   `received` is exact. An `ack` waits for the commit, as ever.
//! - **kept-with-the-turn**: each message that a turn sends to a durable session is in that turn's commit,
//!   with its number, once for all who get it. A turn that sends to a durable session always commits. After
//!   a crash it is sent again unless the client's count covers it.
//! - **same-number**: numbers are given when a turn is sealed, which is the order of commits, and taken when
//!   it leaves the gate, which is first in, first out. The two are compared (`journal::Numbered`).
//!
//! Messages that may be left out have a number in the row and nothing else. A frame that is answered below
//! the object would break both counts: of a durable session it goes through the mailbox, as a turn without
//! actor code.
//!
//! What a crash leaves:
//!
//! | crash | in the store | the client |
//! |---|---|---|
//! | before the commit of `connected` | nothing | got no welcome |
//! | after it | the session | comes back to it, or has never heard of it: then it ends after the window |
//! | before the commit of a turn on its message | the count of before | was not told of it, and sends the message again |
//! | after it, before its answers leave | count and answers | is told that the message is received, and gets the answers |
//! | after the client acknowledged, before the rows are deleted | rows that nobody needs | says what it has got, and gets what comes after |
//! | after rows are deleted | what was acknowledged is counted by a base, in the same commit | as before |
//! | after the session's end, before the commit of `disconnected` | the session | does not come back, and the object is told after the window; or it comes back and has missed nothing |
//! | after that | nothing of it | gets a new session |
//!
//! Acknowledgements have no commit of their own: what they make needless is deleted by the object's next one.
//! Who has acknowledged what is in memory only, and with the activation only ([`Journal`]): each activation makes it
//! anew of the rows and of what the sessions' queues know, so whatever became of a commit, the rows are right.
//!
//! **bounded**: what is written and not acknowledged is bounded by `resume_buffer_max`; the queue then waits
//! for the client rather than forgetting anything, and a queue that is too long ends the session with 1013.
//! What may be left out has at most one row that is kept for it.

mod enter;
mod journal;
mod plan;
mod restore;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Session, SessionCore};
use crate::call::CallError;

pub(crate) use enter::Entered;
pub(crate) use journal::{Journal, Numbered};
pub(crate) use plan::{Plan, Sealing};
pub(super) use restore::Past;

/// Whether the object has been told of the end of a durable session whose rows are still there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    Yes,
    No,
}

/// A session was declared durable elsewhere than in `connected`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a session can be declared durable while it connects, and not later")]
struct NotConnecting;

impl Session {
    /// Has the session live through a crash of the server, with nothing lost and nothing doubled in either
    /// direction. Only in `connected`, and staged like everything: of a refused session nothing is kept.
    ///
    /// Every turn that handles a message of the session or sends it one then commits, with the count or the
    /// message itself, even when it changes nothing else; so it costs what a commit costs, and is not for
    /// what comes sixty times a second. After a crash the object is activated, the session is
    /// away with its tags and its attachment, and its client takes it up; if that never comes, `disconnected`
    /// runs after the window. Automatic answers to it wake the object.
    ///
    /// `false`, and without effect, when its client could not come back or cannot acknowledge what it has
    /// got: a plain session, a stream of events.
    ///
    /// # Errors
    /// [`CallError::Actor`] when it is not the session that is just connecting; nothing is staged.
    pub fn set_durable(&self) -> Result<bool, CallError> {
        let mut stage = self.stage.lock();
        if stage.connecting != Some(self.id()) {
            return Err(CallError::Actor(NotConnecting.into()));
        }
        let can_be = self.core.link.as_ref().is_some_and(|link| link.may_last);
        if can_be {
            stage.session(self.id()).durable = true;
        }
        Ok(can_be)
    }
}

impl SessionCore {
    /// Whether it was declared durable, in a turn that the store has accepted.
    pub(crate) fn is_durable(&self) -> bool {
        let link = self.link.as_ref();
        link.is_some_and(|link| link.is_durable.load(Ordering::Acquire))
    }

    fn make_durable(self: &Arc<Self>) {
        if let Some(link) = &self.link {
            link.is_durable.store(true, Ordering::Release);
            self.outbound.make_durable();
        }
    }
}
