//! What every handler needs.

use std::sync::Arc;
use std::time::Duration;

use abide_actors::{CallError, Clock, Deadline, Origin, Runtime, Target, Tasks};
use abide_storage::{LogStore, Store, Timestamp};
use http::HeaderMap;
use http::request::Parts;
use tokio_util::sync::CancellationToken;

use super::admission::{Admission, Place};
use crate::config::Config;
use crate::problem::Problem;
use crate::protocol::{self, RequestId};
use crate::telemetry::Metrics;

/// The server behind the routes; one, shared by all connections.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) runtime: Runtime,
    pub(crate) store: Arc<dyn Store>,
    /// The same store, when it is one with metrics.
    pub(crate) log_store: Option<Arc<LogStore>>,
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    pub(crate) started: Timestamp,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) admission: Arc<Admission>,
    /// Connections and the pumps of sessions.
    pub(crate) tasks: Tasks,
    /// Cancelled when the drain begins.
    pub(crate) draining: CancellationToken,
}

impl App {
    /// When the request's client stops waiting.
    pub(crate) fn deadline(&self, headers: &HeaderMap) -> Result<Deadline, Problem> {
        let default = self.config.call_deadline.duration();
        let wait = protocol::deadline(headers, default, self.config.call_deadline_max.duration())?;
        Ok(Deadline::after(wait))
    }

    /// The place of a request among those handled at one time.
    ///
    /// # Errors
    /// A problem when the server is too busy. No effect.
    pub(crate) async fn admit(
        &self,
        target: &Target,
        deadline: Deadline,
    ) -> Result<Place, Problem> {
        let waiting = self.runtime.waiting(target);
        match self.admission.share() {
            None if waiting > 0 => return Ok(Admission::join()),
            Some(share) if waiting >= share => {
                let object = target.object.clone();
                return Err(CallError::Overloaded { object, waiting }.into());
            }
            None | Some(_) => {}
        }
        Ok(self.admission.enter(deadline).await?)
    }

    /// How long the server has been up.
    pub(crate) fn uptime(&self) -> Duration {
        Duration::from_millis(self.clock.now().0.saturating_sub(self.started.0))
    }
}

/// Where a request comes from, for the call it becomes.
pub(crate) fn origin(head: &Parts) -> Origin {
    Origin {
        request_id: head.extensions.get::<RequestId>().map(RequestId::shared),
        traceparent: protocol::traceparent(&head.headers),
        ..Origin::default()
    }
}
