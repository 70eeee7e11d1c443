//! What the admin API says in JSON, for both ends of it: `http/admin/` and `admin_client.rs`.

use std::path::PathBuf;

use abide_storage::{BackupReport, HistoryReport, Progress, Span, Step, Target, Timestamp};
use serde::{Deserialize, Serialize};

/// One line of an answer that comes in many (newline-delimited JSON). The last line is an `end`
/// or a `problem`; an answer without one was cut short, and what it was about may have happened.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Line<I, E> {
    /// One of many, or how far it has come.
    Item(I),
    /// All went well, and this is the sum of it.
    End(E),
    /// It stopped here.
    Problem(Refused),
}

/// A problem as a program reads it; members it does not know are left out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Refused {
    /// The page that explains it is `/errors/{code}`.
    pub(crate) code: String,
    /// Sentence for people.
    pub(crate) detail: String,
    /// "none" or "unknown".
    pub(crate) effect: String,
}

/// What a backup is asked for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BackupAsked {
    /// Folder of backups on the server's machine, as an absolute path.
    pub(crate) to: PathBuf,
    /// Whether a new base is made even if there is one to build on.
    #[serde(default)]
    pub(crate) full: bool,
}

/// How far a backup is.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct BackupProgress {
    /// "base" or "commits".
    pub(crate) step: String,
    /// Parts of a thousand of the step.
    pub(crate) permille: u16,
}

/// What a backup has written.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct BackupDone {
    /// Rows of a new base; absent when none was needed.
    pub(crate) base_rows: Option<u64>,
    /// Commits added.
    pub(crate) commits: u64,
    /// Size of the files added.
    pub(crate) written_bytes: u64,
    /// The last commit that can be restored now.
    pub(crate) last_commit: u64,
}

/// What is retained of the past.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Retained {
    /// 32 hex digits: which line of commits this is.
    pub(crate) timeline: String,
    /// Bases.
    pub(crate) bases: u64,
    /// Size of bases and commits, without the log.
    pub(crate) size_bytes: u64,
    /// What can be restored, in order.
    pub(crate) spans: Vec<RetainedSpan>,
}

/// States that can be restored.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RetainedSpan {
    /// After this commit; 0 is the empty store.
    pub(crate) first: u64,
    /// To after this one.
    pub(crate) last: u64,
    /// When the first was written, as RFC 3339 writes it.
    pub(crate) first_time: String,
    /// When the last was written.
    pub(crate) last_time: String,
}

impl From<BackupReport> for BackupDone {
    fn from(report: BackupReport) -> Self {
        let BackupReport {
            base_rows,
            commits,
            written_bytes,
            last_commit,
        } = report;
        Self {
            base_rows,
            commits,
            written_bytes,
            last_commit,
        }
    }
}

impl From<Progress> for BackupProgress {
    fn from(progress: Progress) -> Self {
        let step = match progress.step {
            Step::Base => "base",
            Step::Commits => "commits",
        };
        Self {
            step: step.to_owned(),
            permille: progress.permille,
        }
    }
}

impl From<HistoryReport> for Retained {
    fn from(report: HistoryReport) -> Self {
        let span = |span: Span| RetainedSpan {
            first: span.first,
            last: span.last,
            first_time: span.first_time.to_string(),
            last_time: span.last_time.to_string(),
        };
        Self {
            timeline: report.timeline.to_string(),
            bases: report.bases,
            size_bytes: report.size_bytes,
            spans: report.spans.into_iter().map(span).collect(),
        }
    }
}

/// One object of a listing.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ListedObject {
    /// 64 hex digits.
    pub(crate) id: String,
    /// Its name, when it was addressed by one.
    pub(crate) name: Option<String>,
    /// Commits so far.
    pub(crate) version: u64,
}

/// The end of a listing.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Listing {
    /// Objects told.
    pub(crate) objects: u64,
}

/// What a fork is asked for with.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fork {
    /// The object that is to become a copy: `namespace/name`.
    pub(crate) to: String,
}

/// An object that was replaced.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Replaced {
    /// `namespace/name`.
    pub(crate) object: String,
    /// Its version now.
    pub(crate) version: u64,
}

/// The text names no object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{found}' names no object: write namespace/name, or namespace/id:<64 hex digits>")]
pub(crate) struct InvalidObjectName {
    found: String,
}

/// Namespace and name of an object, as commands and bodies write it: the name may hold slashes.
pub(crate) fn split_address(text: &str) -> Result<(&str, &str), InvalidObjectName> {
    match text.split_once('/') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() => {
            Ok((namespace, name))
        }
        _ => Err(InvalidObjectName {
            found: text.chars().take(80).collect(),
        }),
    }
}

/// A moment of history: digits alone are a commit's number, all else is a time of RFC 3339.
pub(crate) fn moment(text: &str) -> Result<Target, String> {
    if let Ok(sequence) = text.parse() {
        return Ok(Target::Sequence(sequence));
    }
    let time: Timestamp = text
        .parse()
        .map_err(|error| format!("{error}, and no number"))?;
    Ok(Target::Time(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_number_or_a_time() {
        assert_eq!(moment("17"), Ok(Target::Sequence(17)));
        let time = Target::Time(Timestamp(1_763_905_200_500));
        assert_eq!(moment("2025-11-23T13:40:00.5Z"), Ok(time));
        assert_eq!(moment("2025-11-23T14:40:00.5+01:00"), Ok(time));
        for wrong in ["", "yesterday", "2025-11-23", "-1", "1969-01-01T00:00:00Z"] {
            let error = moment(wrong).unwrap_err();
            assert!(error.contains("is no time of RFC 3339"), "{error}");
        }
    }

    #[test]
    fn a_name_may_hold_slashes_and_must_be_there() {
        assert_eq!(split_address("kv/a/b").unwrap(), ("kv", "a/b"));
        for wrong in ["", "kv", "kv/", "/a"] {
            assert!(split_address(wrong).is_err(), "{wrong}");
        }
    }
}
