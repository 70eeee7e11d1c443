//! The seam of tasks: every task of the runtime is started here, is counted, and is waited for.

use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use tokio_util::task::TaskTracker;

/// The tasks of a node.
#[derive(Debug, Clone, Default)]
pub struct Tasks(TaskTracker);

/// What the end of a task means to the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskKind {
    /// Lives as long as one object or session is busy; ends by itself.
    Object,
    /// Lives as long as the node; its end before that is a defect.
    Background,
}

impl Tasks {
    /// Starts a task. A panic inside it ends the task and never the node; of one that should have
    /// lived as long as the node it is an error in the log.
    pub fn spawn<F>(&self, kind: TaskKind, name: &'static str, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        match kind {
            TaskKind::Object => self.spawn_now(future),
            TaskKind::Background => self.spawn_now(async move {
                match AssertUnwindSafe(future).catch_unwind().await {
                    Ok(()) => tracing::debug!(task = name, "background task ended"),
                    Err(_panic) => tracing::error!(
                        task = name,
                        "a background task has panicked: what it did is not done any more, restart the server"
                    ),
                }
            }),
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "this is the seam the ban points to"
    )]
    fn spawn_now<F>(&self, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        tokio::spawn(self.0.track_future(future));
    }

    /// Waits until every task has ended.
    ///
    /// # Cancel safety
    /// Yes.
    pub async fn ended(&self) {
        self.0.close();
        self.0.wait().await;
    }
}
