//! `abide backup`: brings a folder of backups up to date, or reads one through.

use std::path::{Path, PathBuf};

use abide_storage::{BackupMode, verify};
use clap::Args;
use http::Method;

use super::admin::Admin;
use super::history::spans_text;
use super::meter::Meter;
use crate::error::{Error, Result};
use crate::protocol::{BackupAsked, BackupDone, BackupProgress};
use crate::stdout;

/// Backs up a running server, or the data folder of a stopped one.
///
/// The first backup into a folder copies everything; later ones add what is new. A folder of
/// backups holds every state from the first backup on: abide restore --at goes back to any commit
/// or time. A server writes the folder itself, on its own machine.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub(crate) struct Backup {
    /// Folder of backups; made when it is missing.
    #[arg(long, value_name = "FOLDER", group = "what")]
    to: Option<PathBuf>,
    /// Reads a folder of backups from end to end instead, and says what is damaged.
    #[arg(long, value_name = "FOLDER", group = "what")]
    verify: Option<PathBuf>,
    /// Copies everything once more, so that a restore begins there.
    #[arg(long, requires = "to")]
    full: bool,
    /// The data folder of a stopped server; without it, the running server is asked.
    #[arg(long, value_name = "FOLDER", requires = "to")]
    data: Option<PathBuf>,
    #[command(flatten)]
    admin: Admin,
}

impl Backup {
    pub(super) async fn run(self) -> Result<()> {
        if let Some(folder) = &self.verify {
            return read_through(folder);
        }
        let to = self.to.as_deref().unwrap_or(Path::new("."));
        let done = match &self.data {
            Some(data) => self.of_folder(data, to)?,
            None => self.of_server(to).await?,
        };
        self.admin.print(&done, |done| {
            let base = match done.base_rows {
                Some(rows) => format!("a base of {rows} rows and "),
                None => String::new(),
            };
            let BackupDone {
                commits,
                written_bytes,
                last_commit,
                ..
            } = done;
            format!(
                "{}: up to commit {last_commit}; added {base}{commits} commits, {written_bytes} bytes",
                to.display()
            )
        });
        Ok(())
    }

    fn of_folder(&self, data: &Path, to: &Path) -> Result<BackupDone> {
        let backup = abide_storage::Backup {
            mode: match self.full {
                true => BackupMode::Full,
                false => BackupMode::Incremental,
            },
            ..abide_storage::Backup::to(to)
        };
        let mut meter = Meter::new();
        let report = abide_storage::backup(data, &backup, &mut |progress| {
            let BackupProgress { step, permille } = progress.into();
            meter.at(&step, permille);
        })?;
        Ok(report.into())
    }

    async fn of_server(&self, to: &Path) -> Result<BackupDone> {
        let asked = BackupAsked {
            // The server has another working folder.
            to: std::path::absolute(to).map_err(Error::Process)?,
            full: self.full,
        };
        let client = self.admin.client()?;
        let path = "/admin/v1/backup";
        let mut lines = client
            .change_in_lines::<_, BackupProgress, BackupDone>(Method::POST, path, &asked)
            .await?;
        let mut meter = Meter::new();
        while let Some(BackupProgress { step, permille }) = lines.next().await? {
            meter.at(&step, permille);
        }
        Ok(lines.end().expect("it is there after the last item"))
    }
}

fn read_through(folder: &Path) -> Result<()> {
    let mut meter = Meter::new();
    let report = verify(folder, &mut |permille| meter.at("verify", permille))?;
    drop(meter);
    for problem in &report.problems {
        stdout::output(&format!("problem: {problem}\n"))?;
    }
    let (files, size_bytes) = (report.files, report.size_bytes);
    stdout::output(&format!(
        "{}: {files} files, {size_bytes} bytes\n",
        folder.display()
    ))?;
    stdout::output(&spans_text(report.spans.iter().map(ToString::to_string)))?;
    match report.problems.len() {
        0 => Ok(()),
        count => Err(Error::Damaged { count }),
    }
}
