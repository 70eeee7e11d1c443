//! `abide export`: an object becomes a file.

use std::path::PathBuf;

use clap::Args;

use super::admin::Admin;
use super::object::{ObjectName, write_new};
use crate::admin_client::segment;
use crate::error::Result;
use crate::stdout;

/// Writes one object of a running server as JSON: state, alarms, stored rows, kept replies.
///
/// All of one moment, and durable. The object goes on meanwhile; its code does not run for it.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The object: namespace/name, or namespace/id:<64 hex digits>.
    object: ObjectName,
    /// File to write; it must not exist yet. Without one, standard output.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// As it was after a commit or at a time such as 2026-11-23T13:40:00Z, from the server's history.
    #[arg(long, value_name = "COMMIT|TIME")]
    at: Option<String>,
    #[command(flatten)]
    admin: Admin,
}

impl Export {
    pub(super) async fn run(self) -> Result<()> {
        let client = self.admin.client()?;
        let path = match &self.at {
            None => self.object.path(),
            Some(at) => format!("{}?at={}", self.object.path(), segment(at)),
        };
        let mut file = client.text(&path).await?;
        file.push('\n');
        match &self.output {
            None => stdout::output(&file),
            Some(path) => write_new(path, &file),
        }
    }
}
