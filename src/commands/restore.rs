//! `abide restore`: makes a data folder of a backup, or of another folder's history.

use std::path::PathBuf;

use abide_storage::{EngineKind, Options, Target, Timestamp, restore};
use clap::Args;

use super::meter::Meter;
use crate::cli;
use crate::config::Engine;
use crate::error::Result;

/// Makes a new data folder as the store was after a commit or at a time.
///
/// Start a server on it with --data. It is a store of its own: back it up to another folder.
#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// A folder of backups, or the data folder of a stopped server, which has its own history.
    #[arg(long, value_name = "FOLDER")]
    from: PathBuf,
    /// The data folder to make; it must not exist, or be empty.
    #[arg(long, value_name = "FOLDER")]
    data: PathBuf,
    /// The state: a commit's number, or a time such as 2026-11-23T13:40:00Z; without it, the latest.
    #[arg(long, value_name = "COMMIT|TIME", value_parser = target)]
    at: Option<Target>,
    /// What keeps the rows of the new folder, whatever kept them before.
    #[arg(long, default_value = "sled")]
    engine: Engine,
}

/// Digits alone are a commit's number.
pub(super) fn target(text: &str) -> Result<Target, String> {
    if let Ok(sequence) = text.parse() {
        return Ok(Target::Sequence(sequence));
    }
    let time: Timestamp = text
        .parse()
        .map_err(|error| format!("{error}, and no number"))?;
    Ok(Target::Time(time))
}

impl Restore {
    pub(super) fn run(self) -> Result<()> {
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
            ..abide_storage::Restore::new(self.from, &self.data)
        };
        let mut meter = Meter::new();
        let report = restore(&request, &mut |permille| meter.at("commits", permille))?;
        drop(meter);
        cli::print(&format!(
            "{}: as after commit {}; {} rows of a base, {} commits replayed\n",
            self.data.display(),
            report.last_commit,
            report.base_rows,
            report.replayed_commits
        ));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_number_or_a_time() {
        assert_eq!(target("17"), Ok(Target::Sequence(17)));
        let time = Target::Time(Timestamp(1_763_905_200_500));
        assert_eq!(target("2025-11-23T13:40:00.5Z"), Ok(time));
        assert_eq!(target("2025-11-23T14:40:00.5+01:00"), Ok(time));
        for wrong in ["", "yesterday", "2025-11-23", "-1", "1969-01-01T00:00:00Z"] {
            let error = target(wrong).unwrap_err();
            assert!(error.contains("is no time of RFC 3339"), "{error}");
        }
    }
}
