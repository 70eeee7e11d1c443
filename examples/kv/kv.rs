//! A durable map per name, with compare-and-set and expiry.

// With a path, because the server's own main.rs includes this file from another folder.
#[path = "entry.rs"]
pub(crate) mod entry;

use abide::prelude::*;
use serde_json::{Value, json};

use self::entry::{
    ENTRIES, EXPIRIES, Entry, KeyedEntry, Page, Stored, Written, entry_row, expiry_row,
    parse_expiry_row,
};

/// Longest key.
const KEY_SIZE_MAX_BYTES: usize = 512;
/// Largest value, as JSON text.
const VALUE_SIZE_MAX_BYTES: usize = 256 * 1024;
/// Most entries one page lists, and how many it has when the caller does not say.
const PAGE_MAX: u32 = 1_000;
const PAGE_DEFAULT: u32 = 100;
/// Entries one alarm removes, so that a million expiring together are many small commits with
/// other turns between them, not one large one.
const EXPIRED_PER_TURN_MAX: usize = 500;
/// The one alarm there is: set for the soonest expiry.
const EXPIRY_ALARM: &str = "expiry";

/// A durable map from text to JSON.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Kv {
    /// The revision given last.
    revision: u64,
}

#[actor]
impl Kv {
    /// The entry under the key, or `null`.
    #[call]
    async fn get(&self, ctx: &Context<Self>, key: String) -> Result<Option<Entry>, ActorError> {
        let stored = ctx.storage().get::<Stored>(&entry_row(&key)).await?;
        let alive = stored.filter(|stored| stored.is_alive(ctx.now()));
        Ok(alive.map(Stored::told).transpose()?)
    }

    /// Puts the value under the key. With `if_revision` only when the key is at that revision (0:
    /// is not there), otherwise the answer is the error `revision-conflict` with the `current`
    /// one. With `ttl_ms` the entry expires so many milliseconds from now.
    #[call]
    async fn put(
        &mut self,
        ctx: &mut Context<Self>,
        key: String,
        value: Value,
        if_revision: Option<u64>,
        ttl_ms: Option<u64>,
    ) -> Result<Written, ActorError> {
        if key.len() > KEY_SIZE_MAX_BYTES {
            let message = format!("a key has {KEY_SIZE_MAX_BYTES} bytes at most");
            return Err(ActorError::new("key-too-long", message));
        }
        let json = value.to_string();
        if json.len() > VALUE_SIZE_MAX_BYTES {
            let message = format!("a value has {VALUE_SIZE_MAX_BYTES} bytes of JSON at most");
            return Err(ActorError::new("value-too-large", message).status(413));
        }
        self.remove(ctx, &key, if_revision).await?;
        self.revision += 1;
        let expires_at = ttl_ms.map(|ttl_ms| ctx.now() + Duration::from_millis(ttl_ms));
        let stored = Stored {
            json,
            revision: self.revision,
            expires_at,
        };
        ctx.storage_mut().put(&entry_row(&key), &stored)?;
        if let Some(due) = expires_at {
            ctx.storage_mut()
                .put_bytes(&expiry_row(due, &key), Bytes::new())?;
            if ctx.alarm(EXPIRY_ALARM).is_none_or(|set_for| due < set_for) {
                ctx.set_alarm(EXPIRY_ALARM, due)?;
            }
        }
        Ok(Written {
            revision: self.revision,
            expires_at: expires_at.map(|due| due.0),
        })
    }

    /// Deletes the key, under the same condition as `put`; whether there was an entry.
    #[call]
    async fn delete(
        &mut self,
        ctx: &mut Context<Self>,
        key: String,
        if_revision: Option<u64>,
    ) -> Result<bool, ActorError> {
        let removed = self.remove(ctx, &key, if_revision).await?;
        Ok(removed.is_some())
    }

    /// Entries whose keys begin with `prefix`, in the order of the keys, from the first one behind
    /// `after`. A page looks at `limit` entries at most (100 when absent, 1,000 at most), and may
    /// hold fewer when some have expired: `next` says whether there is more.
    #[call]
    async fn list(
        &self,
        ctx: &Context<Self>,
        prefix: Option<String>,
        after: Option<String>,
        limit: Option<u32>,
    ) -> Result<Page, ActorError> {
        let limit = limit.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX) as usize;
        let prefix = prefix.unwrap_or_default();
        let mut range = Keys::prefix(&entry_row(&prefix));
        // One that sorts before the prefix would widen the range.
        if let Some(after) = after.filter(|after| *after >= prefix) {
            range = range.after(&entry_row(&after));
        }
        let rows = ctx.storage().list::<Stored>(range.limit(limit)).await?;
        let last = rows.last().filter(|_| rows.len() == limit);
        let next = last.map(|(row, _)| row[ENTRIES.len()..].to_owned());
        let alive = rows
            .into_iter()
            .filter(|(_, stored)| stored.is_alive(ctx.now()));
        let entries = alive
            .map(|(row, stored)| {
                let key = row[ENTRIES.len()..].to_owned();
                Ok(KeyedEntry {
                    key,
                    entry: stored.told()?,
                })
            })
            .collect::<Result<_, serde_json::Error>>()?;
        Ok(Page { entries, next })
    }

    /// Removes what has expired, and sets the alarm for what is next. There may be nothing to
    /// remove: the entry that set the alarm can have been replaced since.
    async fn alarm(&mut self, ctx: &mut Context<Self>, _alarm: Alarm) -> Result<(), CallError> {
        // One row more than is removed: it says when to come back.
        let soonest = Keys::prefix(EXPIRIES).limit(EXPIRED_PER_TURN_MAX + 1);
        let rows = ctx.storage().list_bytes(soonest).await?;
        for (removed, (row, _)) in rows.iter().enumerate() {
            let Some((due, key)) = parse_expiry_row(row) else {
                continue;
            };
            if ctx.now() < due || removed == EXPIRED_PER_TURN_MAX {
                return ctx.set_alarm(EXPIRY_ALARM, due);
            }
            ctx.storage_mut().delete(row)?;
            ctx.storage_mut().delete(&entry_row(key))?;
        }
        Ok(())
    }

    /// Takes an entry and its index row out, if the condition holds. Answers the entry, unless
    /// it had expired: then it was gone already for everybody who asked.
    async fn remove(
        &mut self,
        ctx: &mut Context<Self>,
        key: &str,
        if_revision: Option<u64>,
    ) -> Result<Option<Stored>, ActorError> {
        let row = entry_row(key);
        let stored = ctx.storage().get::<Stored>(&row).await?;
        let current = stored.as_ref().filter(|stored| stored.is_alive(ctx.now()));
        let current = current.map_or(0, |stored| stored.revision);
        if if_revision.is_some_and(|expected| expected != current) {
            let message = format!("the key is at revision {current}");
            let conflict = ActorError::new("revision-conflict", message).status(409);
            return Err(conflict.data(json!({ "current": current })));
        }
        let Some(stored) = stored else {
            return Ok(None);
        };
        ctx.storage_mut().delete(&row)?;
        if let Some(due) = stored.expires_at {
            ctx.storage_mut().delete(&expiry_row(due, key))?;
        }
        Ok(stored.is_alive(ctx.now()).then_some(stored))
    }
}
