//! Calls with an idempotency key: a kept reply, or a turn that promises to keep its own.

use abide_storage::Effect;

use super::turn::Failure;
use super::{Activation, Flow};
use crate::call::{Call, CallError, Reply};
use crate::idempotency::{Found, IdempotencyKey, Promise, find, fingerprint};

/// What a call with a key becomes.
pub(super) enum Promised {
    /// It was answered before: this is that reply, and no turn runs.
    Kept(Reply),
    /// It was not: its turn runs, and its commit keeps the reply.
    New(Box<Promise>),
}

impl Activation {
    /// Looks whether the object has answered the call before.
    ///
    /// Between this and the turn no other turn of the object runs, here or elsewhere: one
    /// activation handles one message after the other, and the store fences every other
    /// activation. So of two calls that race, the second finds what the first has kept.
    pub(super) async fn promise(
        &mut self,
        call: &Call,
        key: &IdempotencyKey,
    ) -> Result<Promised, Failure> {
        let node = self.shared.node.clone();
        let object = self.object().clone();
        let (now, count) = (node.clock.now(), self.kept_replies);
        let looking = find(&*node.store, &object, key, now, count);
        let deadline = call.deadline.min(self.own_deadline());
        let looking = tokio::time::timeout_at(deadline.0, looking);
        let found = match self.meanwhile(looking).await {
            Ok(Ok(found)) => found.map_err(Failure::of)?,
            Ok(Err(_elapsed)) => {
                let effect = Effect::None;
                return Err(Failure::of(CallError::DeadlineExceeded { effect }));
            }
            Err(error) => {
                let flow = Flow::Broken(error.clone());
                let error = CallError::EarlierCommit(error);
                return Err(Failure { error, flow });
            }
        };
        let fingerprint = fingerprint(call);
        match found {
            Found::Kept(kept) if kept.fingerprint == fingerprint => {
                kept.into_reply().map(Promised::Kept).map_err(Failure::of)
            }
            Found::Kept(_) => {
                let key = key.clone();
                Err(Failure::of(CallError::IdempotencyKeyReused { key }))
            }
            Found::Nothing(room) => {
                let limit = node.limits.idempotency_keys_max;
                if let Some(retry_after) = room.full(limit, now) {
                    return Err(Failure::of(CallError::TooManyIdempotencyKeys {
                        limit,
                        retry_after,
                    }));
                }
                Ok(Promised::New(Box::new(Promise {
                    key: key.clone(),
                    fingerprint,
                    expires: now + node.limits.idempotency_retention,
                    room,
                })))
            }
        }
    }
}
