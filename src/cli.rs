//! The command line of every program made of [`Server`](crate::Server).

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::commands::Command;
use crate::config::{Config, ConfigError, Layer};

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

/// The settings of a server, as its flags and its file say them.
#[derive(Debug, Args)]
pub(crate) struct Settings {
    /// Settings file; without one, ./abide.toml when it exists.
    #[arg(long, env = "ABIDE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    layer: Layer,
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

impl Settings {
    /// The settings in force.
    ///
    /// # Errors
    /// [`ConfigError`]. No effect.
    pub(crate) fn config(self) -> Result<Config, ConfigError> {
        Config::load(self.layer, self.config.as_deref())
    }
}

/// Writes to standard output. A reader that has gone away is no error: `abide config | head`.
pub(crate) fn print(text: &str) {
    let mut out = io::stdout().lock();
    drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
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
