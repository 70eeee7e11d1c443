//! What a session is to be, and its beginning.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::driver::Driver;
use super::machine::{Bounds, Machine, Settings, Style};
use super::{Events, Owner, Session, Shared};
use crate::backoff::Backoff;
use crate::client::Object;

/// Events that wait for the application before the connection is read no further.
const EVENTS_MAX: usize = 64;

/// A session that is being put together.
#[derive(Debug, Clone)]
#[must_use = "no session begins before `open`"]
pub struct SessionBuilder {
    object: Object,
    query: String,
    settings: Settings,
}

impl SessionBuilder {
    pub(crate) fn new(object: &Object) -> Self {
        Self {
            object: object.clone(),
            query: String::new(),
            settings: Settings {
                style: Style::Resumable,
                protocols: Vec::new(),
                bounds: Bounds {
                    messages_max: 1024,
                    size_max_bytes: 1 << 20,
                },
                backoff: Backoff::default(),
                ping_interval: Duration::from_secs(15),
                connect_timeout: Duration::from_secs(10),
                close_timeout: Duration::from_secs(5),
            },
        }
    }

    /// What the actor finds in the query string of its `ConnectRequest`: a struct or a map.
    ///
    /// # Errors
    /// When it has no such form; the builder is gone.
    pub fn query<T: Serialize + ?Sized>(mut self, query: &T) -> Result<Self, InvalidQuery> {
        let text = serde_html_form::to_string(query);
        self.query = text.map_err(|error| InvalidQuery(error.to_string()))?;
        Ok(self)
    }

    /// A subprotocol of the application, offered in the order added.
    pub fn protocol(mut self, protocol: &str) -> Self {
        self.settings.protocols.push(protocol.to_owned());
        self
    }

    /// Without `abide.v1`, for servers and actors that want bare frames: nothing is resumed, and
    /// nobody knows what is durable. The connection is still made again when it is lost.
    pub fn plain(mut self) -> Self {
        self.settings.style = Style::Plain;
        self
    }

    /// Most frames, and most bytes in them, that may be waiting to be sent or acknowledged; 1,024 and
    /// 1 MiB unless set.
    pub fn buffer(mut self, messages_max: usize, size_max_bytes: usize) -> Self {
        self.settings.bounds = Bounds {
            messages_max,
            size_max_bytes,
        };
        self
    }

    /// The pauses between attempts to reconnect; up to 250 ms, doubling to 10 s, unless set.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.settings.backoff = backoff;
        self
    }

    /// A connection on which nothing came for so long is asked for life, and given up when that
    /// is not answered twice; 15 s unless set.
    pub fn ping_interval(mut self, interval: Duration) -> Self {
        self.settings.ping_interval = interval.max(Duration::from_millis(1));
        self
    }

    /// How long a close waits for acknowledgements; 5 s unless set.
    pub fn close_timeout(mut self, timeout: Duration) -> Self {
        self.settings.close_timeout = timeout;
        self
    }

    /// Begins the session. It connects in the background, until it is closed or refused for good;
    /// frames may be sent at once.
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    #[must_use = "a session ends when both halves are gone"]
    pub fn open(self) -> (Session, Events) {
        let mut url = self.object.client.address.socket(&self.object.path);
        if !self.query.is_empty() {
            url.push('?');
            url.push_str(&self.query);
        }
        let shared = Arc::new(Shared {
            machine: Mutex::new(Machine::new(self.settings, fastrand::Rng::new())),
            wake: Notify::new(),
            began: Instant::now(),
        });
        let owner = Arc::new(Owner(shared.clone()));
        let (events, told) = mpsc::channel(EVENTS_MAX);
        let address = self.object.client.address.clone();
        let driver = Driver::new(shared, Arc::downgrade(&owner), events, address, url);
        #[expect(
            clippy::disallowed_methods,
            reason = "a client has no task seam of the server's; it ends with the session"
        )]
        tokio::spawn(driver.run());
        (Session(owner), Events(told))
    }
}

/// A value has no form as a query string: only structs and maps of simple values have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no query string can be made of it: {0}")]
pub struct InvalidQuery(String);
