//! A server and its objects.

use std::sync::Arc;

use crate::address::Address;
use crate::call::Call;
use crate::error::InvalidAddress;
use crate::session::SessionBuilder;
use crate::transport::Transport;

/// A server. Cheap to clone; clones share their connections.
#[derive(Debug, Clone)]
pub struct Client {
    pub(crate) address: Arc<Address>,
    pub(crate) transport: Transport,
}

impl Client {
    /// A client of the server at `http://host[:port]`. Nothing is connected yet.
    ///
    /// # Errors
    /// When it is no such address, or needs the feature `tls` and this build has it not.
    pub fn new(address: &str) -> Result<Self, InvalidAddress> {
        Ok(Self {
            address: Arc::new(Address::parse(address)?),
            transport: Transport::new()?,
        })
    }

    /// An object by namespace and name, or by its id written as `id:` and 64 hex digits. Nothing is
    /// asked of the server: an object exists from its first write on.
    #[must_use]
    pub fn object(&self, namespace: &str, name: &str) -> Object {
        Object {
            path: self.address.object(namespace, name).into(),
            client: self.clone(),
        }
    }
}

/// One object of a server.
#[derive(Debug, Clone)]
pub struct Object {
    pub(crate) client: Client,
    pub(crate) path: Arc<str>,
}

impl Object {
    /// A call: any method, which may write.
    pub fn call(&self, method: &str) -> Call {
        Call::post(self, method)
    }

    /// A read: a method that changes nothing, and that is repeated without a second thought.
    pub fn read(&self, method: &str) -> Call {
        Call::get(self, method)
    }

    /// A session, to be [opened](SessionBuilder::open).
    pub fn session(&self) -> SessionBuilder {
        SessionBuilder::new(self)
    }
}
