//! `POST /admin/v1/backup`: brings a folder of backups up to date; `GET /admin/v1/history`: what is
//! retained of the past.

use std::sync::Arc;

use abide_storage::{Backup, BackupMode, BackupReport, HistoryError, LogStore, Progress};
use axum::extract::{Request, State};
use axum::response::Response;
use axum::{Extension, Json};
use futures_util::{Stream, StreamExt, stream};
use tokio::sync::{mpsc, oneshot};

use super::{json, lines};
use crate::http::app::App;
use crate::problem::{BACKUP_FAILED, BACKUP_REFUSED, INVALID_BODY, Problem};
use crate::protocol::{BackupAsked, BackupDone, BackupProgress, Line, RequestId, Retained};

/// A path and a word; far above the longest path.
const BODY_SIZE_MAX_BYTES: usize = 64 << 10;
/// Lines that wait for a slow client; later ones are dropped, since each says more than the one before.
const PROGRESS_LINES_MAX: usize = 16;

/// Backs the store up, and tells how far it is. It goes on when the client goes away: what is
/// written by then is needed by the next one anyway.
pub(super) async fn create(
    State(app): State<Arc<App>>,
    Extension(id): Extension<RequestId>,
    request: Request,
) -> Result<Response, Problem> {
    let store = log_store(&app)?;
    let (_, asked): (_, BackupAsked) = json::read(&app, request, BODY_SIZE_MAX_BYTES).await?;
    if !asked.to.is_absolute() {
        let said = format!(
            "to is '{}': name the folder by its absolute path on the server's machine",
            asked.to.display()
        );
        return Err(Problem::new(&INVALID_BODY, said));
    }
    let backup = Backup {
        mode: match asked.full {
            true => BackupMode::Full,
            false => BackupMode::Incremental,
        },
        ..Backup::to(asked.to)
    };
    Ok(lines::respond(id, run(store, backup)))
}

/// What can be restored from the data folder itself.
pub(super) async fn history(State(app): State<Arc<App>>) -> Result<Json<Retained>, Problem> {
    let store = log_store(&app)?;
    let report = tokio::task::spawn_blocking(move || store.history());
    let report = report.await.map_err(|_panicked| ended())??;
    Ok(Json(report.into()))
}

pub(super) fn log_store(app: &App) -> Result<Arc<LogStore>, Problem> {
    app.log_store.clone().ok_or_else(|| {
        let said =
            "this server keeps its data in memory only: it has no history, and nothing to back up";
        Problem::new(&BACKUP_REFUSED, said)
    })
}

type BackupLine = Result<Line<BackupProgress, BackupDone>, Problem>;

/// Runs the backup on a thread of its own, and gives its lines.
fn run(store: Arc<LogStore>, backup: Backup) -> impl Stream<Item = BackupLine> + Send {
    let (progress, told) = mpsc::channel(PROGRESS_LINES_MAX);
    let (done, outcome) = oneshot::channel();
    tokio::task::spawn_blocking(move || {
        let mut last = None;
        let outcome = store.backup(&backup, &mut |now| {
            if last.replace(now) != Some(now) {
                // A full queue or a client that went away is no reason to stop.
                _ = progress.try_send(now);
            }
        });
        match &outcome {
            Ok(report) => tracing::info!(to = %backup.to.display(), ?report, "backed up"),
            Err(error) => tracing::warn!(to = %backup.to.display(), %error, "not backed up"),
        }
        drop(done.send(outcome));
    });
    let told = stream::unfold(told, |mut told| async {
        let progress: Progress = told.recv().await?;
        Some((Ok(Line::Item(progress.into())), told))
    });
    told.chain(stream::once(async {
        let outcome: Result<BackupReport, HistoryError> = outcome.await.map_err(|_| ended())?;
        Ok(Line::End(outcome?.into()))
    }))
}

/// The thread panicked.
pub(super) fn ended() -> Problem {
    Problem::new(&BACKUP_FAILED, "it ended without an outcome")
}
