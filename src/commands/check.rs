//! `abide check`: reads a data folder from end to end and says what is wrong with it.

use std::fmt::Write as _;

use abide_storage::{CheckReport, Options};
use clap::Args;

use crate::config::Config;
use crate::config::Settings;
use crate::error::{Error, Result};
use crate::stdout;

/// Reads the data folder of a stopped server from end to end and says what is wrong with it.
///
/// Takes the settings of `serve`, of which it uses `data`. Exit code 0: sound; 1: it has
/// problems, or cannot be checked.
#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    settings: Settings,
}

impl Check {
    /// Checks the folder of these settings and prints what was found.
    ///
    /// # Errors
    /// [`Error::Store`] when it cannot be checked, [`Error::Unsound`] when it has problems.
    pub(super) fn run(self) -> Result<()> {
        let config = self.settings.config()?;
        let report = abide_storage::check(&config.data, &Options::default())?;
        stdout::output(&describe(&config, &report))?;
        match report.problems_count {
            0 => Ok(()),
            count => Err(Error::Unsound {
                count,
                data: config.data,
            }),
        }
    }
}

fn describe(config: &Config, report: &CheckReport) -> String {
    let CheckReport {
        engine,
        last_commit,
        replayed_commits,
        cut_tail_bytes,
        objects,
        rows,
        alarms,
        problems,
        problems_count,
    } = report;
    let mut text = format!(
        "{}: engine {engine}, {objects} objects, {rows} rows, {alarms} alarms\n\
         log: up to commit {last_commit}, of which {replayed_commits} are replayed at the next start\n",
        config.data.display(),
    );
    let mut line = |line: std::fmt::Arguments<'_>| {
        writeln!(text, "{line}").expect("writing to a string cannot fail");
    };
    if *cut_tail_bytes > 0 {
        line(format_args!(
            "log: it ends in {cut_tail_bytes} bytes of a group that was never acknowledged; the next start drops them"
        ));
    }
    for problem in problems {
        line(format_args!("problem: {problem}"));
    }
    let told = problems.len() as u64;
    if *problems_count > told {
        line(format_args!("and {} more problems", problems_count - told));
    }
    if *problems_count == 0 {
        line(format_args!("sound"));
    }
    text
}
