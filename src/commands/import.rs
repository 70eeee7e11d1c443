//! `abide import`: a file becomes an object.

use std::path::PathBuf;

use clap::Args;
use http::Method;

use super::admin::{Admin, plain};
use super::object::{ObjectName, Terms, read};
use crate::error::{Error, Result};
use crate::protocol::{ObjectFile, Replaced};

/// Puts an exported object into a running server.
///
/// Everything in the file is checked before anything is changed, and one commit changes everything.
/// Sessions on an object that is replaced are closed with 1012, so that their clients come back.
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// File that `abide export` wrote; `-` is standard input.
    file: PathBuf,
    /// Object to make of it, of the same kind: namespace/name. Without it, the object it was.
    #[arg(long = "as", value_name = "OBJECT")]
    target: Option<ObjectName>,
    #[command(flatten)]
    terms: Terms,
    #[command(flatten)]
    admin: Admin,
}

impl Import {
    pub(super) async fn run(self) -> Result<()> {
        let text = read(&self.file)?;
        let refused = |source| Error::ObjectFile {
            path: self.file.clone(),
            source,
        };
        // Read here as well: what is wrong with a file is told without a server.
        let parsed = ObjectFile::parse(&text).map_err(refused)?;
        let target = match self.target {
            Some(target) => target,
            None => {
                let (namespace, name) = parsed.address();
                ObjectName::new(namespace, &name)
            }
        };
        parsed.into_image().map_err(refused)?;
        let path = format!("{}?{}", target.path(), self.terms.query());
        let client = self.admin.client()?;
        let replaced: Replaced = client.change_with(Method::PUT, &path, text.into()).await?;
        self.admin.print(&replaced, |replaced| {
            format!(
                "{} is at version {}",
                plain(&replaced.object),
                replaced.version
            )
        });
        Ok(())
    }
}
