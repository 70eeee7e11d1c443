//! `abide types`: TypeScript declarations of what is registered.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::http::openapi_document;
use crate::server::Registered;
use crate::{stdout, typescript};

/// Prints TypeScript declarations of every namespace this program registers, for
/// `createClient<Api>` of the npm package abide-client. Needs no running server.
#[derive(Debug, Args)]
pub(crate) struct Types {
    /// Of another program instead: what its `GET /openapi.json` answered; `-` reads standard input.
    #[arg(long, value_name = "FILE")]
    openapi: Option<PathBuf>,
}

impl Types {
    pub(super) fn run(self, kinds: &Registered) -> Result<()> {
        let document = match self.openapi {
            Some(path) => read(&path)?,
            None => openapi_document(
                kinds
                    .iter()
                    .map(|(name, kind)| (name.as_str(), kind.description())),
            ),
        };
        stdout::output(&typescript::declarations(&document))
    }
}

/// The document in a file.
fn read(path: &Path) -> Result<Value> {
    let text = match path.to_str() {
        Some("-") => io::read_to_string(io::stdin()),
        _ => fs::read_to_string(path),
    };
    let parsed = text.and_then(|text| serde_json::from_str(&text).map_err(io::Error::from));
    let document: Value = parsed.map_err(|error| Error::file(path, error))?;
    if document["openapi"].is_string() && document["paths"].is_object() {
        return Ok(document);
    }
    let said = "this is no OpenAPI document: save what GET /openapi.json of a server answers";
    Err(Error::file(path, io::Error::other(said)))
}
