//! `abide repair`: makes a damaged data folder one that a server starts on.

use std::fmt::Write as _;

use abide_storage::{Options, Repair, RepairError, RepairMode, RepairReport, repair};
use clap::Args;

use crate::config::Settings;
use crate::error::{Error, Result};
use crate::stdout;

/// Makes the damaged data folder of a stopped server one that it starts on.
///
/// What can be made anew is made anew. What cannot is told, with what is lost by it, and is done with
/// --accept-loss only; a backup may have it. Everything that is changed is kept in repair-1, repair-2, …
/// in the data folder. It can be killed and run again. Takes the settings of `serve`, of which it uses `data`.
#[derive(Debug, Args)]
pub(crate) struct RepairFolder {
    /// Says what it would do and what would be lost, and changes nothing.
    #[arg(long)]
    dry_run: bool,
    /// Does what loses something, too.
    #[arg(long, conflicts_with = "dry_run")]
    accept_loss: bool,
    #[command(flatten)]
    settings: Settings,
}

impl RepairFolder {
    /// Repairs the folder of these settings and prints what was done.
    ///
    /// # Errors
    /// [`Error::Repair`]; what would be lost is printed before a refusal.
    pub(super) fn run(self) -> Result<()> {
        let mode = match (self.dry_run, self.accept_loss) {
            (true, _) => RepairMode::DryRun,
            (false, true) => RepairMode::AcceptLoss,
            (false, false) => RepairMode::Lossless,
        };
        let data = self.settings.config()?.data;
        let request = Repair {
            data: data.clone(),
            options: Options::default(),
            mode,
        };
        match repair(&request) {
            Ok(report) => {
                stdout::print(&describe(&report, mode));
                Ok(())
            }
            Err(source) => {
                if let RepairError::Lossy { report } = &source {
                    stdout::print(&describe(report, RepairMode::DryRun));
                }
                Err(Error::Repair { data, source })
            }
        }
    }
}

fn describe(report: &RepairReport, mode: RepairMode) -> String {
    let mut text = String::new();
    let mut line = |line: std::fmt::Arguments<'_>| {
        writeln!(text, "{line}").expect("writing to a string cannot fail");
    };
    for step in &report.steps {
        line(format_args!("{step}"));
    }
    let told = report.steps.len() as u64;
    if report.steps_count > told {
        line(format_args!("and {} more steps", report.steps_count - told));
    }
    let (steps, lossy) = (report.steps_count, report.lossy_count);
    match (mode, &report.aside) {
        _ if steps == 0 => line(format_args!("nothing to repair")),
        (RepairMode::DryRun, _) | (_, None) => line(format_args!(
            "{steps} steps, of which {lossy} lose something; nothing was changed"
        )),
        (_, Some(aside)) => line(format_args!(
            "{steps} steps done, of which {lossy} lost something; what was changed is kept as it was in {}, make a backup \
             now",
            aside.display()
        )),
    }
    text
}
