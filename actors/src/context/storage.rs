//! The object's own key-value map with typed values.

use std::ops::Deref;

use abide_storage::codec;
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::call::CallError;
use crate::keys::Keys;
use crate::turn::TurnContext;

/// An object's key-value map, to read. Reads see what the turn has staged.
///
/// It is for state too large to encode every turn: only the rows a turn wrote are committed, in
/// the same commit as its state. Keys are text of 2,048 bytes at most, ordered by their bytes. A
/// value is any type of serde's, or plain bytes.
#[derive(Debug, Clone, Copy)]
pub struct Storage<'a>(&'a TurnContext);

impl<'a> Storage<'a> {
    pub(crate) fn new(turn: &'a TurnContext) -> Self {
        Self(turn)
    }

    /// The value of a key.
    ///
    /// # Errors
    /// [`CallError::Read`] when the store cannot be read, [`CallError::StateUnreadable`] when the
    /// value is no `T`. Effect *none*.
    ///
    /// # Cancel safety
    /// Yes.
    pub async fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, CallError> {
        let Some(bytes) = self.get_bytes(key).await? else {
            return Ok(None);
        };
        self.decode(key, &bytes).map(Some)
    }

    /// The value of a key that was written with [`StorageMut::put_bytes`].
    ///
    /// # Errors
    /// [`CallError::Read`] when the store cannot be read. Effect *none*.
    ///
    /// # Cancel safety
    /// Yes.
    pub async fn get_bytes(&self, key: &str) -> Result<Option<Bytes>, CallError> {
        self.0.get(key.as_bytes()).await
    }

    /// Keys and values of a range.
    /// ```
    /// # extern crate abide_actors as abide;
    /// # use abide::{CallError, Context, Keys};
    /// # async fn lines<A>(ctx: &Context<A>) -> Result<(), CallError> {
    /// let last = ctx.storage().list::<String>(Keys::prefix("line/").reverse().limit(50)).await?;
    /// # drop(last);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`CallError::Read`] when the store cannot be read, [`CallError::StateUnreadable`] when a
    /// value is no `T`. Effect *none*.
    ///
    /// # Cancel safety
    /// Yes.
    pub async fn list<T: DeserializeOwned>(
        &self,
        keys: Keys,
    ) -> Result<Vec<(String, T)>, CallError> {
        let rows = self.list_bytes(keys).await?;
        let decoded = rows.into_iter().map(|(key, bytes)| {
            let value = self.decode(&key, &bytes)?;
            Ok((key, value))
        });
        decoded.collect()
    }

    /// Keys and values of a range that was written with [`StorageMut::put_bytes`].
    ///
    /// # Errors
    /// [`CallError::Read`] when the store cannot be read. Effect *none*.
    ///
    /// # Cancel safety
    /// Yes.
    pub async fn list_bytes(&self, keys: Keys) -> Result<Vec<(String, Bytes)>, CallError> {
        let rows = self.0.list(keys.into()).await?;
        let named = rows.into_iter().map(|(key, bytes)| {
            let key = std::str::from_utf8(&key)
                .map_err(|error| self.unreadable(format_args!("a key is no text: {error}")))?;
            Ok((key.to_owned(), bytes))
        });
        named.collect()
    }

    fn decode<T: DeserializeOwned>(&self, key: &str, bytes: &[u8]) -> Result<T, CallError> {
        codec::decode(bytes).map_err(|error| {
            self.unreadable(format_args!(
                "the value of '{key}' is no {}: {error}",
                std::any::type_name::<T>()
            ))
        })
    }

    fn unreadable(&self, detail: std::fmt::Arguments<'_>) -> CallError {
        CallError::StateUnreadable {
            object: self.0.object().clone(),
            detail: detail.to_string(),
        }
    }
}

/// An object's key-value map, to read and write. Writes are staged and committed with the turn.
#[derive(Debug)]
pub struct StorageMut<'a>(Storage<'a>);

impl<'a> StorageMut<'a> {
    pub(crate) fn new(turn: &'a TurnContext) -> Self {
        Self(Storage::new(turn))
    }

    /// Stages a key's new value.
    ///
    /// # Errors
    /// [`CallError::Unencodable`] when the value has no encoding, [`CallError::LimitExceeded`] when
    /// the key is too long; nothing is staged.
    pub fn put<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> Result<(), CallError> {
        let mut bytes = Vec::new();
        codec::encode(value, &mut bytes).map_err(|error| CallError::Unencodable {
            what: "a value for the storage",
            detail: error.to_string(),
        })?;
        self.put_bytes(key, bytes)
    }

    /// Stages a key's new value as it is, without a type.
    ///
    /// # Errors
    /// [`CallError::LimitExceeded`] when the key is too long; nothing is staged.
    pub fn put_bytes(&mut self, key: &str, value: impl Into<Bytes>) -> Result<(), CallError> {
        self.0.0.put(key_bytes(key), value.into())
    }

    /// Stages the removal of a key; of one that is not there it does nothing.
    ///
    /// # Errors
    /// [`CallError::LimitExceeded`] when the key is too long; nothing is staged.
    pub fn delete(&mut self, key: &str) -> Result<(), CallError> {
        self.0.0.delete(key_bytes(key))
    }
}

/// What can be read can be read while writing, too.
impl<'a> Deref for StorageMut<'a> {
    type Target = Storage<'a>;

    fn deref(&self) -> &Storage<'a> {
        &self.0
    }
}

fn key_bytes(key: &str) -> Bytes {
    Bytes::copy_from_slice(key.as_bytes())
}
