//! The settings as the command line gives them.

use std::path::PathBuf;

use clap::Args;

use super::{Config, ConfigError, Layer};

/// The settings of a server, as its flags and its file say them.
#[derive(Debug, Args)]
pub(crate) struct Settings {
    /// Settings file; without one, ./abide.toml when it exists.
    #[arg(long, env = "ABIDE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    layer: Layer,
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
