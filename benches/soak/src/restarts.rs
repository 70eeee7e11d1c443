//! Which runs of the server ended how.

use parking_lot::Mutex;

/// How a run of the server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// SIGTERM: sessions go on.
    Drained,
    /// SIGKILL: those that are not durable are over.
    Killed,
}

/// The runs of the server, the first of which is number zero.
#[derive(Debug, Default)]
pub(crate) struct Restarts(Mutex<Vec<Option<How>>>);

impl Restarts {
    /// A run has begun to listen.
    pub(crate) fn started(&self) {
        self.0.lock().push(None);
    }

    /// The run there is is about to end like this.
    pub(crate) fn ended(&self, how: How) {
        if let Some(run) = self.0.lock().last_mut() {
            *run = Some(how);
        }
    }

    /// The number of the run there is, or of the next one between two.
    pub(crate) fn next(&self) -> usize {
        self.0.lock().len()
    }

    /// Whether a run from `from` on and before `to` was killed.
    pub(crate) fn killed(&self, from: u32, to: u32) -> bool {
        let runs = self.0.lock();
        let between = runs.iter().take(to as usize).skip(from as usize);
        between.into_iter().any(|run| *run == Some(How::Killed))
    }
}
