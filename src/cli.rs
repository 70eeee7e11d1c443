//! The command line of every program made of [`Server`](crate::Server).

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::config::{self, Config, ConfigError, Layer};

/// A durable-objects server: single-threaded actors with transactional storage, alarms and
/// WebSocket sessions.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the server. The default.
    Serve(Box<Serve>),
    /// Reads the data folder of a stopped server from end to end and says what is wrong with it.
    ///
    /// Takes the settings of `serve`, of which it uses `data`. Exit code 0: sound; 1: it has
    /// problems, or cannot be checked.
    Check(Box<Serve>),
    /// Prints the default abide.toml, every setting with its range and reason; or checks a file.
    Config {
        /// A file to check instead.
        #[arg(long, value_name = "FILE")]
        check: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
struct Serve {
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
    /// Check the data folder.
    Check(Box<Config>),
    /// Say this on standard output and be done.
    Print(String),
}

impl Cli {
    /// What to do.
    pub(crate) fn task(self) -> Result<Task, ConfigError> {
        match self.command {
            None => self.serve.task(),
            Some(Command::Serve(serve)) => serve.task(),
            Some(Command::Check(serve)) => Ok(Task::Check(Box::new(serve.config()?))),
            Some(Command::Config { check: None }) => Ok(Task::Print(config::default_file())),
            Some(Command::Config { check: Some(path) }) => {
                config::read_file(&path)?.into_config().validate()?;
                Ok(Task::Print(format!(
                    "{}: every setting is valid\n",
                    path.display()
                )))
            }
        }
    }
}

impl Serve {
    fn task(self) -> Result<Task, ConfigError> {
        Ok(Task::Serve(Box::new(self.config()?)))
    }

    fn config(self) -> Result<Config, ConfigError> {
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
    fn a_check_takes_the_settings_of_serve() {
        match task(&["check", "--data", "elsewhere"]) {
            Task::Check(config) => assert_eq!(config.data.to_str(), Some("elsewhere")),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_default_file_is_printed() {
        assert!(matches!(task(&["config"]), Task::Print(text) if text.contains("body_size_max")));
    }
}
