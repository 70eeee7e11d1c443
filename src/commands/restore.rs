//! `abide restore`: makes a data folder of a backup, or of another folder's history; or a file of
//! one object in it.

use std::path::PathBuf;

use abide_actors::Clock;
use abide_storage::{EngineKind, Options, Target, object_at, restore};
use clap::Args;

use super::meter::Meter;
use super::object::{ObjectName, write_new};
use crate::config::Engine;
use crate::error::{Error, Result};
use crate::protocol::{ObjectFile, moment};
use crate::stdout;

/// Makes a new data folder as the store was after a commit or at a time.
///
/// Start a server on it with --data. It is a store of its own: back it up to another folder. With
/// --object, one object becomes a file instead, which abide import puts into a running server.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub(crate) struct Restore {
    /// A folder of backups, or the data folder of a stopped server, which has its own history.
    #[arg(long, value_name = "FOLDER")]
    from: PathBuf,
    /// The data folder to make; it must not exist, or be empty.
    #[arg(long, value_name = "FOLDER", group = "what")]
    data: Option<PathBuf>,
    /// One object instead of everything: namespace/name, or namespace/id:<64 hex digits>.
    #[arg(long, group = "what")]
    object: Option<ObjectName>,
    /// File to write the object to; it must not exist yet. Without one, standard output.
    #[arg(long, value_name = "FILE", requires = "object")]
    to_json: Option<PathBuf>,
    /// The state: a commit's number, or a time such as 2026-11-23T13:40:00Z; without it, the latest.
    #[arg(long, value_name = "COMMIT|TIME", value_parser = moment)]
    at: Option<Target>,
    /// What keeps the rows of the new folder, whatever kept them before.
    #[arg(long, default_value = "sled", conflicts_with = "object")]
    engine: Engine,
}

impl Restore {
    pub(super) fn run(self) -> Result<()> {
        match (&self.object, &self.data) {
            (Some(object), _) => self.object(object),
            (None, Some(data)) => self.folder(data),
            (None, None) => unreachable!("the command line asks for one of the two"),
        }
    }

    fn folder(&self, data: &PathBuf) -> Result<()> {
        let request = abide_storage::Restore {
            target: self.at.unwrap_or(Target::Latest),
            options: Options {
                engine: match self.engine {
                    Engine::Sled => EngineKind::Sled,
                    Engine::Redb => EngineKind::Redb,
                    // Refused below, where the reason is told.
                    Engine::Memory => EngineKind::Memory,
                },
                ..Options::default()
            },
            ..abide_storage::Restore::new(&self.from, data)
        };
        let mut meter = Meter::new();
        let report = restore(&request, &mut |permille| meter.at("commits", permille))?;
        drop(meter);
        stdout::print(&format!(
            "{}: as after commit {}; {} rows of a base, {} commits replayed\n",
            data.display(),
            report.last_commit,
            report.base_rows,
            report.replayed_commits
        ));
        Ok(())
    }

    fn object(&self, name: &ObjectName) -> Result<()> {
        let target = self.at.unwrap_or(Target::Latest);
        let object = name.object()?;
        let Some(image) = object_at(&self.from, &object, target)? else {
            return Err(Error::NoObject {
                object: name.to_string(),
                target,
            });
        };
        let file = ObjectFile::plain(&image, Clock::system().now());
        let text = serde_json::to_string(&file).expect("a file has string keys only") + "\n";
        match &self.to_json {
            None => stdout::output(&text),
            Some(path) => write_new(path, &text),
        }
    }
}
