//! An activation as far as a store sees it: what laws and tests commit with.

use std::sync::Arc;

use bytes::Bytes;

use crate::batch::{Commit, Section, Write, WriteBatch};
use crate::id::{Epoch, Namespace, Object, ObjectId, Version};
use crate::store::{CommitError, ReadError, Store, Ticket};

/// Holds an object open and counts its versions.
#[derive(Debug, Clone)]
pub struct Activation {
    /// Where it commits.
    pub store: Arc<dyn Store>,
    /// Whose rows.
    pub object: Object,
    /// What the opening gave.
    pub epoch: Epoch,
    /// The last version accepted.
    pub version: Version,
}

impl Activation {
    /// Opens the object.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub async fn open(store: &Arc<dyn Store>, object: Object) -> Result<Self, ReadError> {
        let opened = store.open(&object).await?;
        let (epoch, version) = (opened.epoch, opened.version);
        Ok(Self {
            store: store.clone(),
            object,
            epoch,
            version,
        })
    }

    /// Commits the next version; the version stays when the commit is refused.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub fn try_commit(&mut self, writes: Vec<Write>) -> Result<Ticket, CommitError> {
        let (object, version) = (self.object.clone(), self.version.next());
        let batch = WriteBatch { writes };
        let commit = Commit {
            object,
            name: None,
            epoch: self.epoch,
            version,
            batch,
        };
        let ticket = self.store.commit(commit)?;
        self.version = version;
        Ok(ticket)
    }

    /// Commits the next version and waits until it is durable.
    ///
    /// # Panics
    /// When the commit is refused or fails.
    pub async fn commit(&mut self, writes: Vec<Write>) {
        let ticket = self.try_commit(writes).expect("the commit is accepted");
        ticket.await.expect("the commit becomes durable");
    }

    /// The value of a key in [`Section::Data`].
    ///
    /// # Panics
    /// When the store cannot be read.
    pub async fn get(&self, key: &str) -> Option<Bytes> {
        let value = self
            .store
            .get(&self.object, Section::Data, key.as_bytes())
            .await;
        value.expect("the store can be read")
    }
}

/// The object with this name.
///
/// # Panics
/// When `namespace` is none.
#[must_use]
pub fn object(namespace: &str, name: &str) -> Object {
    let namespace = Namespace::new(namespace).expect("a namespace");
    let id = ObjectId::from_name(&namespace, name);
    Object { namespace, id }
}

/// A write of one row of [`Section::Data`].
#[must_use]
pub fn put(key: impl AsRef<str>, value: impl Into<Bytes>) -> Write {
    let key = Bytes::copy_from_slice(key.as_ref().as_bytes());
    Write::Put {
        section: Section::Data,
        key,
        value: value.into(),
    }
}
