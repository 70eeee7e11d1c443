//! What `abide` does beside serving: one file per command.
//!
//! A command is a struct of arguments with a `run`. Its documentation is what `--help` shows; its
//! line in [`Command`] is all that leads to it. Commands that speak to a running server take the
//! arguments of [`Admin`](admin::Admin) and go through its listener for operators.
//!
//! Exit codes, the same for all: 0 done, 1 failed or refused (the message says what it left), 2
//! malformed command line, 3 no server answers, 4 the outcome is unknown because the answer was lost.

mod admin;
mod alarms;
mod backup;
mod check;
mod export;
mod fork;
mod history;
mod import;
mod meter;
mod object;
mod objects;
mod repair;
mod restore;
mod settings;
mod types;

use clap::Subcommand;

use crate::error::Result;
use crate::server::Registered;

/// Every command but `serve`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Alarms(alarms::Alarms),
    Backup(backup::Backup),
    Check(Box<check::Check>),
    Config(settings::PrintSettings),
    Export(export::Export),
    Fork(fork::ForkObject),
    History(history::History),
    Import(import::Import),
    Objects(objects::Objects),
    Repair(Box<repair::RepairFolder>),
    Restore(restore::Restore),
    Types(types::Types),
}

impl Command {
    /// Does it, and prints what people or scripts are to read. `kinds` is what the program
    /// registers.
    ///
    /// # Errors
    /// What is told on standard error; [`Error::exit_code`](crate::Error) is the process's.
    pub(crate) async fn run(self, kinds: &Registered) -> Result<()> {
        match self {
            Self::Alarms(command) => command.run().await,
            Self::Backup(command) => command.run().await,
            Self::Check(command) => command.run(),
            Self::Config(command) => command.run(),
            Self::Export(command) => command.run().await,
            Self::Fork(command) => command.run().await,
            Self::History(command) => command.run().await,
            Self::Import(command) => command.run().await,
            Self::Objects(command) => command.run().await,
            Self::Repair(command) => command.run(),
            Self::Restore(command) => command.run(),
            Self::Types(command) => command.run(kinds),
        }
    }
}
