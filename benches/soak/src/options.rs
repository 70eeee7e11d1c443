//! What the command line says.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::client::Sabotage;
use crate::witness::Lives;

/// Thousands of sessions through kills, drains and lost connections, every frame accounted for.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Options {
    /// The server; `abide-soak-server` beside this program unless given.
    #[arg(long, value_name = "FILE")]
    pub(crate) server: Option<PathBuf>,

    /// Sessions, spread evenly over the objects.
    #[arg(long, default_value_t = 2_000)]
    pub(crate) sessions: usize,

    /// Objects.
    #[arg(long, default_value_t = 200)]
    pub(crate) objects: usize,

    /// How long load and faults go on.
    #[arg(long, default_value_t = 600)]
    pub(crate) seconds: u64,

    /// In each stretch of so many seconds the server is ended once, at a random moment.
    #[arg(long, default_value_t = 60)]
    pub(crate) every: u64,

    /// Connections cut in a second, of the quarter that can be.
    #[arg(long, default_value_t = 2.0)]
    pub(crate) cuts: f64,

    /// Messages of one session in a second, on average.
    #[arg(long, default_value_t = 0.5)]
    pub(crate) rate: f64,

    /// What happens to the server.
    #[arg(long, value_enum, default_value_t = Plan::Both)]
    pub(crate) plan: Plan,

    /// Number that the faults follow from.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,

    /// Engine of the server.
    #[arg(long, default_value = "sled")]
    pub(crate) engine: String,

    /// Where the data folder is made; it is removed at the end.
    #[arg(long, default_value = ".")]
    pub(crate) folder: PathBuf,

    /// Does one thing wrong on purpose: the run has to fail.
    #[arg(long, value_enum)]
    pub(crate) sabotage: Option<Sabotage>,
}

/// What happens to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Plan {
    /// Drains and kills in turns.
    Both,
    /// SIGTERM and a restart.
    Drains,
    /// SIGKILL and a restart.
    Kills,
    /// Nothing: only connections are cut.
    Cuts,
    /// Drains and kills in turns, with sessions that are declared durable: no session may end.
    Durable,
    /// Three drains under load, without cuts, and how long each takes until all have resumed.
    Resume,
}

impl Options {
    /// What the sessions live through.
    pub(crate) fn lives(&self) -> Lives {
        match self.plan {
            Plan::Durable => Lives::ThroughKills,
            Plan::Both | Plan::Drains | Plan::Kills | Plan::Cuts | Plan::Resume => {
                Lives::ThroughDrains
            }
        }
    }

    /// The server's program.
    ///
    /// # Errors
    /// When nobody knows where this program is.
    pub(crate) fn program(&self) -> std::io::Result<PathBuf> {
        match &self.server {
            Some(path) => Ok(path.clone()),
            None => Ok(std::env::current_exe()?.with_file_name("abide-soak-server")),
        }
    }

    /// Mean time between two messages of a session.
    pub(crate) fn pause(&self) -> Duration {
        Duration::from_secs_f64(1.0 / self.rate.max(0.001))
    }
}
