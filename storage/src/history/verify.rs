//! Reading a folder of backups from end to end.

use std::path::Path;
use std::sync::Arc;

use super::container::Content;
use super::error::HistoryError;
use super::repository::{Found, Repository};
use super::spans::{Past, Span};
use super::{base, groups};
use crate::commit::check_group;
use crate::key;
use crate::log::RealDisk;

/// What [`verify`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyReport {
    /// Files read.
    pub files: u64,
    /// Their size, bytes.
    pub size_bytes: u64,
    /// What can be restored when nothing is damaged.
    pub spans: Vec<Span>,
    /// What is damaged: file, byte, and what is wrong there. One per file.
    pub problems: Vec<String>,
}

/// Reads every file in a folder of backups and compares all checksums, sequences and counts; every
/// commit and every key is decoded. Blocks. `progress` is called with the parts of a thousand that are done.
///
/// # Errors
/// [`HistoryError`] when the folder cannot be read, or the header of a file is damaged, without
/// which nobody can tell what is missing. Damage further on is a problem in the report.
pub fn verify(folder: &Path, progress: &mut dyn FnMut(u16)) -> Result<VerifyReport, HistoryError> {
    let repository = Repository::open_existing(Arc::new(RealDisk), folder)?;
    let contents = repository.contents()?;
    let size_bytes = contents.size_bytes();
    let mut report = VerifyReport {
        files: 0,
        size_bytes,
        spans: Past::of_repository(&repository)?.spans()?,
        problems: Vec::new(),
    };
    let mut done_bytes = 0;
    for found in contents.bases.iter().chain(&contents.commits) {
        match read(&repository, found) {
            Ok(()) => {}
            Err(error @ HistoryError::Corrupt { .. }) => report.problems.push(error.to_string()),
            Err(error) => return Err(error),
        }
        report.files += 1;
        done_bytes += found.header.size_bytes;
        let permille = done_bytes * 1_000 / size_bytes.max(1);
        progress(u16::try_from(permille).expect("at most 1,000"));
    }
    Ok(report)
}

fn read(repository: &Repository, found: &Found) -> Result<(), HistoryError> {
    let disk = &*repository.disk;
    match found.header.content {
        Content::Rows => base::read(disk, &found.path, &mut |rows| {
            for row in &rows {
                let value = row.value.as_deref().unwrap_or_default();
                let decoded = key::decode(&row.key, value);
                decoded
                    .map_err(|error| HistoryError::corrupt(&found.path, 0, error.to_string()))?;
            }
            Ok(())
        }),
        Content::Commits => groups::read_file(disk, &found.path, (0, u64::MAX), &mut |group| {
            check_group(&group).map_err(|problem| {
                let first = group.first_sequence;
                let problem = format!("in the group of commit {first}: {problem}");
                HistoryError::corrupt(&found.path, 0, problem)
            })
        }),
    }
}
