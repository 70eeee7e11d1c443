//! The end of a node: how its activations end, and what becomes of its sessions.
//!
//! When no activation is left, nothing is sent to any session any more. Sessions that can be taken up again
//! are then stored, object by object, before any client is told to go; those that cannot are told first,
//! where there are both, because what the object does when they leave may reach the others.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::oneshot;

use crate::activation::Keeping;
use crate::catalog::Slot;
use crate::mailbox::{Admission, Envelope};
use crate::node::Node;
use crate::session::Close;
use crate::teeth::{Tooth, broken};

/// How often it is looked whether something has ended.
const LOOK: Duration = Duration::from_millis(2);
/// Time for plain sessions to end before the others are stored. A client that does not read gets no close,
/// and its end reaches nobody.
const PLAIN_TIMEOUT: Duration = Duration::from_millis(500);

/// Waits until every activation has ended.
pub(crate) async fn no_activations(node: &Arc<Node>) {
    if broken(Tooth::StoreSessionsEarly) {
        return;
    }
    while node.catalog.activations.load(Ordering::SeqCst) > 0 {
        node.catalog.evict_all();
        tokio::time::sleep(LOOK).await;
    }
}

/// Stores all sessions that can be taken up again.
pub(crate) async fn keep_sessions(node: &Arc<Node>) {
    let mut slots = node.catalog.slots();
    slots.retain(|slot| slot.sessions.has_resumable() && !slot.sessions.is_sealed());
    let close = Close::new(Close::RESTART, "the server restarts");
    for slot in &slots {
        slot.sessions.close_plain(&close);
    }
    let plain_ended = async {
        while slots.iter().any(|slot| slot.sessions.has_plain()) {
            tokio::time::sleep(LOOK).await;
        }
    };
    drop(tokio::time::timeout(PLAIN_TIMEOUT, plain_ended).await);
    no_activations(node).await;
    join_all(slots.iter().map(|slot| keep(node, slot))).await;
    no_activations(node).await;
}

async fn keep(node: &Arc<Node>, slot: &Arc<Slot>) {
    loop {
        let (reply, answer) = oneshot::channel();
        // Through the mailbox, because what clients have handed over is in front of it.
        let envelope = Envelope::Keep(reply);
        let taken = node
            .catalog
            .push(node, &slot.target, envelope, Admission::Always);
        debug_assert!(taken.is_ok(), "an unbounded admission is never refused");
        match answer.await {
            Ok(Keeping::Done) => return,
            // Something was on its way, or the activation broke down.
            Ok(Keeping::Again) | Err(_) => tokio::time::sleep(LOOK).await,
        }
    }
}
