//! The object's last commit becomes a value in memory.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;

use super::Activation;
use super::keep::Rows;
use super::ticks::Ticks;
use super::wait::Idleness;
use crate::alarm::AlarmTable;
use crate::call::CallError;
use crate::catalog::Slot;
use crate::clock::monotonic;
use crate::gate::OutputGate;
use crate::kind::Incarnation;
use crate::node::Node;
use crate::send::outbox::Outbox;
use crate::send::receipts::Receipts;
use crate::turn::Shared;

impl Activation {
    /// Takes the object in the store, which fences every earlier activation, and reads its state.
    pub(super) async fn load(node: &Arc<Node>, slot: &Arc<Slot>) -> Result<Self, CallError> {
        let opened = node.store.open(slot.object()).await?;
        let unreadable = |detail| CallError::StateUnreadable {
            object: slot.object().clone(),
            detail,
        };
        let stored = opened.state.is_some();
        let made = match make(slot, opened.state) {
            Ok(made) => AlarmTable::load(opened.alarms).map(|alarms| (made, alarms)),
            Err(detail) => Err(detail),
        };
        let made = made.and_then(|made| Ok((made, Outbox::load(opened.outgoing)?)));
        let (((incarnation, state), alarms), outbox) = made.map_err(|detail| {
            node.store.close(slot.object(), opened.epoch);
            unreadable(detail)
        })?;
        let (rows, journal) = Rows::restore(node, slot, opened.sessions);
        let auto_response = slot.sessions.the_auto_response().map(Box::new);
        let name = slot.target.name.clone().or(opened.name);
        let shared = Shared::new(node.clone(), slot.clone(), name, opened.version, alarms);
        if let Some(outbox) = &outbox {
            shared.set_outgoing(outbox.taken());
        }
        let mut activation = Self {
            shared,
            epoch: opened.epoch,
            incarnation,
            state,
            stored,
            gate: OutputGate::new(),
            ticks: Ticks::default(),
            has_ticked: false,
            idleness: Idleness::new(node.limits.idle_timeout),
            charge: node.memory.charge(),
            ending: false,
            scratch: Vec::new(),
            kept_replies: None,
            outbox,
            receipts: Receipts::default(),
            rows,
            journal,
            auto_response,
        };
        activation.weigh(monotonic());
        Ok(activation)
    }

    /// Makes the value anew from the last sealed turn.
    pub(super) fn undo(&mut self) -> Result<(), CallError> {
        let state = self.stored.then(|| self.state.clone());
        match make(&self.shared.slot, state) {
            Ok((incarnation, _)) => {
                self.incarnation = incarnation;
                Ok(())
            }
            Err(detail) => Err(CallError::StateUnreadable {
                object: self.object().clone(),
                detail,
            }),
        }
    }
}

/// The value, and the state it stands for.
///
/// Decoding and making a fresh value run actor code too (`Deserialize`, `Default`), so a panic in
/// them is contained like any other.
fn make(slot: &Slot, state: Option<Bytes>) -> Result<(Box<dyn Incarnation>, Bytes), String> {
    let made = catch_unwind(AssertUnwindSafe(|| make_uncaught(slot, state)));
    made.unwrap_or_else(|_| Err("the actor's code panicked while it was made".to_owned()))
}

fn make_uncaught(
    slot: &Slot,
    state: Option<Bytes>,
) -> Result<(Box<dyn Incarnation>, Bytes), String> {
    let incarnation = slot.entry.kind.load(state.as_deref())?;
    let state = match state {
        Some(state) => state,
        None => {
            // A fresh value counts as stored in its default form: an object whose state was
            // never changed is never written.
            let mut fresh = Vec::new();
            incarnation.encode(&mut fresh)?;
            fresh.into()
        }
    };
    Ok((incarnation, state))
}
