//! `GET /admin/v1/alarms`: which alarms there are. `POST /admin/v1/alarms/run`: one runs now.

use std::sync::Arc;

use abide_actors::{AlarmQuery, AlarmState, CallError};
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use serde::Deserialize;

use super::json;
use crate::http::app::App;
use crate::problem::{INVALID_ARGUMENTS, Problem};
use crate::protocol::alarms::{
    ListedAlarm, ListedAlarms, RunAlarm, RunningAlarm, decode_place, encode_place,
};
use crate::protocol::split_address;

/// Alarms of one page unless the request says how many.
const PAGE_ALARMS: usize = 100;
/// Alarms of one page at most.
const PAGE_ALARMS_MAX: usize = 1_000;
/// An object's name and an alarm's name, escaped, fit with ease.
const RUN_SIZE_MAX_BYTES: usize = 16 * 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    #[serde(default)]
    state: StateAsked,
    namespace: Option<String>,
    limit: Option<usize>,
    after: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum StateAsked {
    #[default]
    Pending,
    Parked,
}

/// Pending alarms in order of the time they are due, or parked ones in order of the time they were
/// parked at; of all namespaces, or of one.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<ListedAlarms>, Problem> {
    let Query(asked) = asked?;
    let namespace = asked.namespace.as_deref();
    let after = asked.after.as_deref().map(|text| {
        let said = "'after' is no place that a page ended with";
        decode_place(text).ok_or_else(|| Problem::new(&INVALID_ARGUMENTS, said))
    });
    let query = AlarmQuery {
        state: match asked.state {
            StateAsked::Pending => AlarmState::Pending,
            StateAsked::Parked => AlarmState::Parked,
        },
        namespace: namespace
            .map(|name| app.runtime.namespace(name))
            .transpose()?,
        after: after.transpose()?,
        limit: asked.limit.unwrap_or(PAGE_ALARMS).clamp(1, PAGE_ALARMS_MAX),
    };
    let page = app.runtime.alarms(query).await.map_err(CallError::Read)?;
    let alarms = page.alarms.into_iter();
    Ok(Json(ListedAlarms {
        alarms: alarms
            .map(|(object, status)| ListedAlarm::of(&object, status))
            .collect(),
        next: page.next.as_ref().map(encode_place),
    }))
}

/// Has one alarm run now, pending or parked. Answers when that is durable.
pub(super) async fn run(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Json<RunningAlarm>, Problem> {
    let (head, asked) = json::read::<RunAlarm>(&app, request, RUN_SIZE_MAX_BYTES).await?;
    let (namespace, name) = split_address(&asked.object)?;
    let target = app.runtime.target(namespace, name)?;
    let deadline = app.deadline(&head.headers)?;
    let due = app
        .runtime
        .run_alarm(&target, &asked.alarm, deadline)
        .await?;
    Ok(Json(RunningAlarm { due_ms: due.0 }))
}
