//! Being asked to stop.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// A signal this soon after the first is the same request told twice: a supervisor that signals
/// the process and its whole group (`timeout`, `npm run`, a terminal) sends two.
const ECHO: Duration = Duration::from_millis(300);

/// SIGTERM and SIGINT, caught from the moment it is made.
#[derive(Debug)]
pub(crate) struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// From now on the two no longer end the process.
    pub(crate) fn catch() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Forgets those that come in the moments after the first.
    ///
    /// # Cancel safety
    /// Yes.
    pub(crate) async fn settle(&mut self) {
        let echoes = async {
            loop {
                self.next().await;
            }
        };
        drop(tokio::time::timeout(ECHO, echoes).await);
    }

    /// The next one: the exit code that a process ended by it has, by the shells' convention.
    ///
    /// # Cancel safety
    /// Yes.
    pub(crate) async fn next(&mut self) -> i32 {
        let signal = tokio::select! {
            _ = self.terminate.recv() => SignalKind::terminate(),
            _ = self.interrupt.recv() => SignalKind::interrupt(),
        };
        128 + signal.as_raw_value()
    }
}
