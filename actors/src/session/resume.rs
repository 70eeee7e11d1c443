//! Sessions without a connection: how one is kept, how its client takes it up, how it ends.
//!
//! ```text
//!                 connection lost                      window over, queue full, closed by the object
//!   connected ───────────────────────────► away ─────────────────────────────────────► over
//!       ▲  ▲ another connection claims it ─► │ ▲                                         (disconnected)
//!       │  └──────────────────────────────── │ │ restored after a restart
//!       └──────── taken up, all settled ─────┘ stored
//! ```
//! Whoever comes back with a count that fits claims the session first, which makes it away if it was not:
//! from then on the old connection hands over and writes nothing more. When all it handed over has settled,
//! what the client is told to have been received is exact, and the session is taken up. Whose count does not
//! fit takes nothing from anybody: a client that is wrong, or late, disturbs no other.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::link::{Hold, Unclaimed};
use super::token::{InvalidToken, Token};
use super::{Close, Connection, SessionCore, SessionId};
use crate::call::{CallError, Deadline};
use crate::catalog::Slot;
use crate::connect::ConnectError;
use crate::mailbox::{Admission, Attempt, Envelope};
use crate::node::{Node, Target, answered};
use crate::tasks::TaskKind;

/// Whether, and how, a client means to outlive its connection.
#[derive(Debug, Clone, Default)]
pub enum Resumption {
    /// The session ends with its connection.
    #[default]
    Plain,
    /// A new session that can be taken up again.
    New,
    /// This session, or a new one if it is over.
    Resume {
        /// What the last welcome gave.
        token: Token,
        /// How many messages the client has got.
        received: u64,
    },
}

/// What a client is told that can take its session up again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Welcome {
    /// The session.
    pub session: SessionId,
    /// What to resume with.
    pub token: Token,
    /// Whether the session goes on; otherwise it is a new one.
    pub resumed: bool,
    /// Why it is a new one although the client wanted another.
    pub reset: Option<Reset>,
    /// How many of the client's messages have taken effect.
    pub received: u64,
    /// How long the session is kept without a connection.
    pub window: Duration,
}

/// Why a session could not be taken up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reset {
    /// It is over, or unknown.
    Expired,
    /// What the client has missed is not there any more.
    Behind,
}

/// Takes a session up, or says why its client gets a new one.
pub(crate) async fn resume(
    node: &Arc<Node>,
    target: &Target,
    token: &Token,
    received: u64,
    deadline: Deadline,
) -> Result<Result<Connection, Reset>, ConnectError> {
    if !token.belongs_to(&target.object) {
        return Err(InvalidToken.into());
    }
    let Some((slot, core)) = find(node, target, token.session(), deadline).await? else {
        return Ok(Err(Reset::Expired));
    };
    let Some(link) = &core.link else {
        return Err(InvalidToken.into());
    };
    if !link.secret.is(token.secret()) {
        return Err(InvalidToken.into());
    }
    let claimed = match core.claim(received) {
        Ok(claimed) => claimed,
        Err(Unclaimed::FromTheFuture(error)) => return Err(error.into()),
        Err(Unclaimed::NotThere) => return not_there(node, Reset::Expired),
        Err(Unclaimed::Behind { away_by }) => {
            // A session that is connected is not this client's business. One that is away would wait for
            // a client that has just said that it cannot go on with it.
            if let Some(hold) = away_by {
                let reason = "its client has missed more than was kept";
                end(
                    node,
                    &slot,
                    &core,
                    hold,
                    Close::new(Close::ABNORMAL, reason),
                );
            }
            return not_there(node, Reset::Behind);
        }
    };
    keep(node, &slot, core.clone(), claimed);
    if tokio::time::timeout_at(deadline.0, core.settled())
        .await
        .is_err()
    {
        let effect = abide_storage::Effect::None;
        return Err(CallError::DeadlineExceeded { effect }.into());
    }
    match core.take_up(claimed, received) {
        Some((hold, settled)) => {
            let node = node.clone();
            Ok(Ok(Connection::resumed(node, slot, core, hold, settled)))
        }
        // The drain has taken it, and the next start gives it back.
        None if node.is_draining() => Err(CallError::Draining.into()),
        None if core.outbound.is_over() => Ok(Err(Reset::Expired)),
        None => Err(ConnectError::TakenOver),
    }
}

/// The client gets a new session; not on a node that drains, which may be about to store this one.
fn not_there(node: &Node, reset: Reset) -> Result<Result<Connection, Reset>, ConnectError> {
    node.refuse_when_draining()?;
    Ok(Err(reset))
}

/// The session, if the object has it; stored ones are restored by activating the object.
async fn find(
    node: &Arc<Node>,
    target: &Target,
    session: SessionId,
    deadline: Deadline,
) -> Result<Option<(Arc<Slot>, Arc<SessionCore>)>, CallError> {
    let known = |slot: Arc<Slot>| {
        let core = slot.sessions.get(session)?;
        Some((slot, core))
    };
    if let Some(found) = node.catalog.get(target.object.id).and_then(known) {
        return Ok(Some(found));
    }
    let (reply, restored) = oneshot::channel();
    let slot = node.push(target, Envelope::Restore { reply })?;
    answered(restored, deadline).await?;
    Ok(known(slot))
}

/// Keeps a session that is away until its window is over, or something else becomes of it.
pub(crate) fn keep(node: &Arc<Node>, slot: &Arc<Slot>, core: Arc<SessionCore>, hold: Hold) {
    let (node, slot) = (node.clone(), slot.clone());
    let tasks = node.tasks.clone();
    tasks.spawn(TaskKind::Object, "away session", async move {
        let over = std::future::poll_fn(|cx| core.poll_away(hold, cx));
        let close = tokio::select! {
            biased;
            // The drain stores what is away.
            () = node.drain_began() => return,
            close = over => match close {
                Some(close) => close,
                None => return,
            },
            () = tokio::time::sleep(node.limits.resume_window) => {
                let reason = "the connection was lost, and nobody came back in time";
                Close::new(Close::ABNORMAL, reason)
            }
        };
        end(&node, &slot, &core, hold, close);
    });
}

/// The session is over, and its object hears of it; if that is for this hold to say.
pub(crate) fn end(
    node: &Arc<Node>,
    slot: &Arc<Slot>,
    core: &Arc<SessionCore>,
    hold: Hold,
    close: Close,
) {
    if !core.finish(hold) {
        return;
    }
    // The rows of a durable one go in a commit, whether the object wants to be told or not.
    if slot.entry.kind.description().callbacks.disconnected || core.is_durable() {
        let envelope = Envelope::Disconnected {
            session: core.clone(),
            close,
            attempt: Attempt::First,
        };
        let taken = node
            .catalog
            .push(node, &slot.target, envelope, Admission::Always);
        debug_assert!(taken.is_ok(), "an unbounded admission is never refused");
    } else {
        slot.sessions.remove(core);
        node.catalog.forget_if_unused(slot);
    }
}
