//! What a turn has staged: writes, alarms, frames. Nothing of it exists until the turn succeeds.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::alarm::Setting;
use crate::call::CallError;
use crate::memory::{Charge, Memory};
use crate::presence;
use crate::registry::Limits;
use crate::send::Outgoing;
use crate::session::{
    Audience, AutoResponse, Close, Delivery, Excepted, Join, SessionChange, SessionCore, SessionId,
    SessionSet,
};
use crate::tick::Tick;

/// Everything one turn wants to happen. Shared by the turn's context and its sessions, under one
/// lock that only this activation takes.
pub(crate) struct Stage {
    /// Key-value rows; `None` deletes.
    pub(crate) data: BTreeMap<Bytes, Option<Bytes>>,
    /// Alarms by name; `None` cancels.
    pub(crate) alarms: BTreeMap<Arc<str>, Option<Setting>>,
    /// Frames and closes, in order.
    pub(crate) effects: Vec<Effect>,
    /// Messages to other objects, in order.
    pub(crate) sends: Vec<Outgoing>,
    /// Their size in bytes.
    sends_bytes: usize,
    pub(crate) sessions: BTreeMap<SessionId, SessionChange>,
    /// The session whose `connected` runs.
    pub(crate) connecting: Option<SessionId>,
    /// `Some(None)` ends the ticks.
    pub(crate) tick: Option<Option<Tick>>,
    pub(crate) passivate: bool,
    staged_bytes: usize,
    limit_bytes: usize,
    /// What is staged takes of the node's memory; goes along with it until it has left.
    pub(crate) charge: Charge,
}

/// The turn has sent as much as the object may have outgoing.
pub(crate) struct OutboxIsFull;

/// Something that leaves the object once the turn is durable.
pub(crate) enum Effect {
    Send {
        session: Arc<SessionCore>,
        delivery: Delivery,
    },
    Broadcast {
        delivery: Delivery,
        receivers: Receivers,
    },
    Close {
        session: Arc<SessionCore>,
        close: Close,
    },
    AutoResponse(Option<AutoResponse>),
    /// Who is here, or who watches. Shared with the object's own view of it, which ends with it.
    Presence(Arc<presence::Change>),
}

/// Who gets a broadcast: those who were on the object, with the tag, when its turn ended. The gate
/// may open much later, when others have joined and tags have changed.
pub(crate) enum Receivers {
    /// As staged; settled when the turn is sealed.
    Wanted(Audience),
    Sessions(Vec<Arc<SessionCore>>),
    UpTo(Join, Excepted),
}

impl Receivers {
    pub(crate) fn settle(&mut self, sessions: &SessionSet) {
        let Self::Wanted(audience) = self else {
            return;
        };
        let (tag, except) = std::mem::replace(audience, Audience::all()).into_parts();
        *self = match tag {
            None => Self::UpTo(sessions.last_join(), except),
            Some(tag) => {
                let mut tagged = sessions.select(Some(&tag));
                tagged.retain(|session| !except.contains(session.id));
                Self::Sessions(tagged)
            }
        };
    }
}

/// What an effect costs beside its payload.
const EFFECT_OVERHEAD_BYTES: usize = 64;

impl Stage {
    pub(crate) fn new(limit_bytes: usize, memory: &Memory) -> Self {
        Self {
            data: BTreeMap::new(),
            alarms: BTreeMap::new(),
            effects: Vec::new(),
            sends: Vec::new(),
            sends_bytes: 0,
            sessions: BTreeMap::new(),
            connecting: None,
            tick: None,
            passivate: false,
            staged_bytes: 0,
            limit_bytes,
            charge: memory.charge(),
        }
    }

    /// All of it, leaving an empty stage for the next turn.
    pub(crate) fn take(&mut self) -> Self {
        let next = Self::new(self.limit_bytes, self.charge.memory());
        std::mem::replace(self, next)
    }

    pub(crate) fn effect(&mut self, effect: Effect) {
        let carried = match &effect {
            Effect::Send { delivery, .. } | Effect::Broadcast { delivery, .. } => {
                delivery.size_bytes()
            }
            Effect::Close { .. } | Effect::AutoResponse(_) => 0,
            Effect::Presence(change) => change.size_bytes(),
        };
        if self.has_room(carried) {
            self.effects.push(effect);
        }
    }

    /// What is staged of presence, in order.
    pub(crate) fn presence(&self) -> Vec<Arc<presence::Change>> {
        let presence = |effect: &Effect| match effect {
            Effect::Presence(change) => Some(change.clone()),
            _ => None,
        };
        self.effects.iter().filter_map(presence).collect()
    }

    pub(crate) fn put(&mut self, key: Bytes, value: Option<Bytes>) {
        if self.has_room(key.len() + value.as_ref().map_or(0, Bytes::len)) {
            self.data.insert(key, value);
        }
    }

    /// Counts what is to be staged. Past the limit the turn can only fail ([`check`](Self::check)), so
    /// nothing more of it is kept: a turn that stages without end must not fill the memory before it
    /// gets there.
    fn has_room(&mut self, carried_bytes: usize) -> bool {
        let cost = EFFECT_OVERHEAD_BYTES + carried_bytes;
        self.staged_bytes += cost;
        let room = self.staged_bytes <= self.limit_bytes;
        if room {
            self.charge.add(cost);
        }
        room
    }

    /// Stages a message unless it would be one too many; `taken` is what the object has outgoing.
    pub(crate) fn send(
        &mut self,
        outgoing: Outgoing,
        taken: (usize, usize),
        limits: &Limits,
    ) -> Result<(), OutboxIsFull> {
        let size_bytes = outgoing.size_bytes();
        let messages = taken.0 + self.sends.len() + 1;
        let total_bytes = taken.1 + self.sends_bytes + size_bytes;
        if messages > limits.outbox_messages_max || total_bytes > limits.outbox_max_bytes {
            return Err(OutboxIsFull);
        }
        self.sends_bytes += size_bytes;
        self.staged_bytes += size_bytes;
        self.charge.add(size_bytes);
        self.sends.push(outgoing);
        Ok(())
    }

    pub(crate) fn session(&mut self, id: SessionId) -> &mut SessionChange {
        self.sessions.entry(id).or_default()
    }

    /// The automatic answer that it leaves, if it sets one or none.
    pub(crate) fn auto_response(&self) -> Option<Option<Box<AutoResponse>>> {
        self.effects.iter().rev().find_map(|effect| match effect {
            Effect::AutoResponse(auto) => Some(auto.clone().map(Box::new)),
            _ => None,
        })
    }

    /// The session that this turn declares durable; it is the one that connects.
    pub(crate) fn joining(&self) -> Option<SessionId> {
        let id = self.connecting?;
        self.session_change(id)?.is_durable().then_some(id)
    }

    pub(crate) fn session_change(&self, id: SessionId) -> Option<&SessionChange> {
        self.sessions.get(&id)
    }

    /// **bounded**: a turn that staged too much fails when it ends.
    pub(crate) fn check(&self) -> Result<(), CallError> {
        if self.staged_bytes <= self.limit_bytes {
            return Ok(());
        }
        Err(CallError::LimitExceeded {
            what: "writes and frames staged by one turn",
            limit: format!("{} bytes", self.limit_bytes),
        })
    }
}
