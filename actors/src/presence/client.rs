//! The state a client sets by itself, as cursors do: checked here, and never seen by the object.
//!
//! However often it changes, watchers are told the last one of each round.

use std::sync::Arc;

use serde_json::Value;

use super::{PRESENCE_STATE_SIZE_MAX_BYTES, Presence};
use crate::session::SessionId;

/// How deep lists and objects of a client's state may nest: other clients parse it.
const STATE_DEPTH_MAX: usize = 32;

/// Why a client's own state was not taken. Nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PresenceRefused {
    /// The object has not allowed it.
    #[error("the object does not let its clients set their presence")]
    NotAllowed,
    /// Too large, as compact JSON.
    #[error(
        "the state takes {size_bytes} bytes as JSON, {PRESENCE_STATE_SIZE_MAX_BYTES} are the most"
    )]
    TooLarge {
        /// Its size.
        size_bytes: usize,
    },
    /// Lists and objects nest too deeply.
    #[error("lists and objects of the state nest more than {STATE_DEPTH_MAX} deep")]
    TooDeep,
}

impl Presence {
    /// Sets what a session's client says of itself; `None` takes it back. The session must be on
    /// the object, as far as `is_here` knows, or nothing happens.
    pub(crate) fn set_by_client(
        &self,
        session: SessionId,
        is_here: impl FnOnce() -> bool,
        state: Option<&Value>,
    ) -> Result<(), PresenceRefused> {
        let state = state.map(checked).transpose()?;
        let mut known = self.0.lock();
        let Some(known) = &mut *known else {
            return Err(PresenceRefused::NotAllowed);
        };
        let board = &mut known.board;
        if !board.clients_may() {
            return Err(PresenceRefused::NotAllowed);
        }
        // Under the lock, as for what a turn shows: **no ghosts**.
        if is_here() {
            match state {
                Some(state) => board.present(session, None, state),
                None => board.absent(session),
            }
            board.weigh();
        }
        Ok(())
    }
}

fn checked(state: &Value) -> Result<Arc<str>, PresenceRefused> {
    if !nests_within(state, STATE_DEPTH_MAX) {
        return Err(PresenceRefused::TooDeep);
    }
    let text = state.to_string();
    if text.len() > PRESENCE_STATE_SIZE_MAX_BYTES {
        let size_bytes = text.len();
        return Err(PresenceRefused::TooLarge { size_bytes });
    }
    Ok(text.into())
}

fn nests_within(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(values) => {
            levels > 0 && values.iter().all(|value| nests_within(value, levels - 1))
        }
        Value::Object(fields) => {
            levels > 0 && fields.values().all(|value| nests_within(value, levels - 1))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}
