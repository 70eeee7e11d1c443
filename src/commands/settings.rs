//! `abide config`: prints the settings there are, or checks a file of them.

use std::path::PathBuf;

use clap::Args;

use crate::config;
use crate::error::Result;
use crate::stdout;

/// Prints the default abide.toml, every setting with its range and reason; or checks a file.
#[derive(Debug, Args)]
pub(crate) struct PrintSettings {
    /// A file to check instead.
    #[arg(long, value_name = "FILE")]
    check: Option<PathBuf>,
}

impl PrintSettings {
    pub(super) fn run(self) -> Result<()> {
        let Some(path) = self.check else {
            return stdout::output(&config::default_file());
        };
        config::read_file(&path)?.into_config().validate()?;
        stdout::output(&format!("{}: every setting is valid\n", path.display()))
    }
}
