//! Sessions through a restart: the drain stores them, the next activation restores them. Durable sessions are
//! in the store already, and have a table of their own ([`crate::session`], `durable.rs`).
//!
//! What a crash leaves, and why no message is lost or doubled:
//!
//! | crash | in the store | the client |
//! |---|---|---|
//! | before the rows are durable | none, or some of them | was not told anything yet; a row there is says what the session was when nothing happened to it any more |
//! | between that and the next opening | the rows | comes back, and the session is restored |
//! | before their deletion is durable | the rows | got no welcome yet ([`SessionCore::settled`] waits); it is restored once more, with nothing added that a client saw |
//! | after it | none | its session is over, as after any crash |

use std::sync::Arc;

use abide_storage::{Commit, CommitError, Effect, Opened};
use tokio::sync::oneshot;

use super::hold::Hold;
use super::turn::Failure;
use super::{Activation, Flow};
use crate::call::CallError;
use crate::catalog::Slot;
use crate::departure::Answer as Addressee;
use crate::node::Node;
use crate::session::{self, Journal, Restored, RestoredSession, SessionCore};
use crate::teeth::{Tooth, broken};

/// What became of the sessions of an object that a drain wanted stored.
pub(crate) enum Keeping {
    /// They are durable, or there were none.
    Done,
    /// Something of a client's is on its way yet: ask again.
    Again,
}

/// The sessions that rows told of, and the deletion of those.
pub(super) struct Rows {
    sessions: Vec<Arc<SessionCore>>,
    deletes: abide_storage::WriteBatch,
}

impl Rows {
    /// Puts the sessions that an opening found where everybody sees them, away. `None` when nothing is to be
    /// deleted. Beside it what is known of durable sessions.
    pub(super) fn restore(
        node: &Arc<Node>,
        slot: &Arc<Slot>,
        rows: Vec<(bytes::Bytes, bytes::Bytes)>,
    ) -> (Option<Box<Self>>, Option<Box<Journal>>) {
        if rows.is_empty() {
            slot.sessions.rows_are_of(|_| false);
            return (None, None);
        }
        let had_none = slot.sessions.is_empty();
        let restored = session::restore(rows, &slot.sessions, &node.limits, &node.memory);
        let Restored {
            sessions,
            auto_response,
            deletes,
            journal,
            unreadable,
        } = restored;
        for why in unreadable {
            tracing::error!(object = %slot.object(), why, "a stored session cannot be read: it is over");
        }
        // With sessions there is one in memory, which may be newer.
        if let Some(auto) = auto_response.filter(|_| had_none) {
            slot.sessions.set_auto_response(Some(auto));
        }
        let mut ordinary = Vec::new();
        for session in sessions {
            // An activation before this one may have restored it and not come to delete its row.
            if !slot.sessions.contains(session.core.id) {
                put_back(node, slot, &session);
            }
            if !session.is_durable {
                ordinary.push(session.core);
            }
        }
        let has_rows = |id| journal.as_ref().is_some_and(|journal| journal.has_rows(id));
        slot.sessions.rows_are_of(has_rows);
        let is_needed = !deletes.is_empty() || !ordinary.is_empty();
        let rows = is_needed.then(|| {
            Box::new(Self {
                sessions: ordinary,
                deletes,
            })
        });
        (rows, journal)
    }
}

/// A session that rows told of is on the object again, away.
fn put_back(node: &Arc<Node>, slot: &Arc<Slot>, session: &RestoredSession) {
    let RestoredSession {
        core,
        place,
        presence,
        is_durable,
    } = session;
    node.numbers_are_beyond(core.id);
    slot.sessions.put_back(core.clone(), *place);
    let home = slot.home(node);
    let presence = presence.clone();
    slot.sessions.presence().restore(home, core, presence);
    if *is_durable {
        // Its rows are of the present, and stay.
        core.row_is_gone();
    }
    session::keep(node, slot, core.clone(), core.first_hold());
}

impl Activation {
    /// Deletes the rows of restored sessions, in a commit before those of any turn: what reaches the
    /// sessions from now on leaves behind it.
    pub(super) async fn forget_rows(&mut self) -> Result<(), (CallError, Flow)> {
        let Some(rows) = self.rows.take() else {
            return Ok(());
        };
        let Rows { sessions, deletes } = *rows;
        if broken(Tooth::KeepRowsOfRestored) {
            sessions.iter().for_each(|session| session.row_is_gone());
            return Ok(());
        }
        let broken =
            |error: CommitError| (CallError::EarlierCommit(error.clone()), Flow::Broken(error));
        self.room().await.map_err(broken)?;
        match self.commit(deletes) {
            Ok(ticket) => {
                let departure = self.departure();
                self.depart(ticket, departure, Addressee::Restored(sessions));
                Ok(())
            }
            // The rows stay, and so do the sessions, whom nobody can take up yet. The next activation
            // tries again; with this one a turn could reach them that a crash would take back.
            Err(error) => {
                let Failure { error, .. } = super::seal::failed_commit(error);
                Err((error, Flow::End))
            }
        }
    }
}

/// Stores the sessions of an object that has no activation. The caller is the slot's one task, so none
/// can begin meanwhile (**single-activation**), and afterwards none does on this node.
pub(super) async fn alone(node: &Arc<Node>, slot: &Arc<Slot>, reply: oneshot::Sender<Keeping>) {
    let mut sessions = slot.sessions.select(None);
    sessions.retain(|session| session.freeze());
    let is_settled = |session: &Arc<SessionCore>| session.outbound.is_settled();
    if !sessions.iter().all(is_settled) && !broken(Tooth::StoreSessionsEarly) {
        drop(reply.send(Keeping::Again));
        return;
    }
    slot.sessions.seal();
    if let Err(error) = store(node, slot, &sessions).await {
        let sessions = sessions.len();
        tracing::error!(object = %slot.object(), sessions, %error, "sessions could not be stored: they are over");
    }
    drop(reply.send(Keeping::Done));
}

async fn store(
    node: &Arc<Node>,
    slot: &Arc<Slot>,
    sessions: &[Arc<SessionCore>],
) -> Result<(), CallError> {
    let is_over = |session: &Arc<SessionCore>| session.outbound.sent_while_open().is_none();
    if sessions.iter().all(is_over) {
        return Ok(());
    }
    let (hold, mut opened) = Hold::open(node, slot).await?;
    // Durable sessions have an entry that brings the object back; one is enough.
    let wake = session::wake_of(std::mem::take(&mut opened.sessions));
    let wake = wake.unwrap_or_else(|| node.clock.now());
    let batches = session::store(&slot.sessions, sessions, wake);
    hold.commit_all(opened, batches)
        .await
        .map_err(CallError::Commit)
}

impl Hold<'_> {
    /// Makes the batches durable, one commit each.
    async fn commit_all(
        &self,
        opened: Opened,
        batches: Vec<abide_storage::WriteBatch>,
    ) -> Result<(), CommitError> {
        let name = self.slot.target.name.clone().or(opened.name);
        let mut version = opened.version;
        let mut tickets = Vec::with_capacity(batches.len());
        for batch in batches {
            self.node.store.room().await;
            let commit = Commit {
                object: self.slot.object().clone(),
                name: name.clone(),
                epoch: self.epoch,
                version: version.next(),
                batch,
            };
            match self.node.store.commit(commit) {
                Ok(ticket) => {
                    version = version.next();
                    tickets.push(ticket);
                }
                // Those of this commit are over; the others need not be.
                Err(error) if error.effect() == Effect::None => {
                    tracing::error!(object = %self.slot.object(), %error, "some sessions could not be stored: they are over");
                }
                Err(error) => return Err(error),
            }
        }
        for ticket in tickets {
            ticket.await?;
        }
        Ok(())
    }
}
