//! The command line of every program made of [`Server`](crate::Server).

use clap::{Parser, Subcommand};

use crate::commands::Command;
use crate::config::{Config, ConfigError, Settings};

/// A durable-objects server: single-threaded actors with transactional storage, alarms and
/// WebSocket sessions.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Option<Subcommands>,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Debug, Subcommand)]
enum Subcommands {
    /// Runs the server. The default.
    Serve(Box<Settings>),
    #[command(flatten)]
    Other(Command),
}

/// What the command line asks for.
#[derive(Debug)]
pub(crate) enum Task {
    /// Run the server.
    Serve(Box<Config>),
    /// Do this and be done.
    Run(Command),
}

impl Cli {
    /// What to do.
    pub(crate) fn task(self) -> Result<Task, ConfigError> {
        let settings = match self.command {
            None => self.settings,
            Some(Subcommands::Serve(settings)) => *settings,
            Some(Subcommands::Other(command)) => return Ok(Task::Run(command)),
        };
        Ok(Task::Serve(Box::new(settings.config()?)))
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::{Cli, Task};
    use crate::commands::Command;
    use crate::config::Engine;

    fn task(arguments: &[&str]) -> Task {
        Cli::try_parse_from([&["abide"], arguments].concat())
            .unwrap()
            .task()
            .unwrap()
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn serving_is_the_default() {
        for arguments in [
            &["--engine", "memory"][..],
            &["serve", "--engine", "memory"],
        ] {
            match task(arguments) {
                Task::Serve(config) => assert_eq!(config.engine, Engine::Memory),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_command_is_no_server() {
        let asked = task(&["check", "--data", "elsewhere"]);
        assert!(matches!(asked, Task::Run(Command::Check(_))), "{asked:?}");
        assert!(matches!(task(&["config"]), Task::Run(Command::Config(_))));
    }
}
