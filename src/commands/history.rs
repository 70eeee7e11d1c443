//! `abide history`: what can be restored.

use std::path::PathBuf;

use abide_storage::history;
use clap::Args;

use super::admin::Admin;
use crate::error::Result;
use crate::protocol::{Retained, RetainedSpan};

/// Says which states can be restored: from a running server's own history, or from a folder.
#[derive(Debug, Args)]
pub(crate) struct History {
    /// A folder of backups, or the data folder of a stopped server; without it, the running
    /// server is asked.
    #[arg(long, value_name = "FOLDER")]
    from: Option<PathBuf>,
    #[command(flatten)]
    admin: Admin,
}

impl History {
    pub(super) async fn run(self) -> Result<()> {
        let retained: Retained = match &self.from {
            Some(folder) => history(folder)?.into(),
            None => self.admin.client()?.get("/admin/v1/history").await?,
        };
        self.admin.output(&retained, |retained| {
            let Retained {
                timeline,
                bases,
                size_bytes,
                spans,
            } = retained;
            let text = spans_text(spans.iter().map(span_text));
            let text = text.trim_end();
            format!("timeline {timeline}: {bases} bases, {size_bytes} bytes\n{text}")
        })
    }
}

fn span_text(span: &RetainedSpan) -> String {
    let RetainedSpan {
        first,
        last,
        first_time,
        last_time,
    } = span;
    match first {
        0 => format!("everything up to commit {last} ({last_time})"),
        _ => format!("commits {first} ({first_time}) to {last} ({last_time})"),
    }
}

/// Lines about what can be restored.
pub(super) fn spans_text(spans: impl Iterator<Item = String>) -> String {
    let lines: String = spans
        .map(|span| format!("can be restored: {span}\n"))
        .collect();
    if lines.is_empty() {
        return "nothing can be restored: there is no base with the commits that belong to it\n"
            .into();
    }
    lines
}
