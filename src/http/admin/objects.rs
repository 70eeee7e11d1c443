//! `GET /admin/v1/objects/{namespace}`: which objects there are.

use std::sync::Arc;

use abide_actors::CallError;
use abide_storage::{Namespace, ObjectId, ObjectSummary};
use axum::Extension;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::Response;
use futures_util::{StreamExt, stream};
use serde::Deserialize;

use super::lines;
use crate::http::app::App;
use crate::problem::Problem;
use crate::protocol::{Line, ListedObject, Listing, RequestId};

/// Objects read at a time; a listing holds no more than this in memory.
const PAGE_OBJECTS: usize = 512;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// Beginning of the names wanted.
    #[serde(default)]
    prefix: String,
}

/// Every object that has been written, in order of id, with the names of the moment at which its
/// page was read. Names are not sorted, so that a prefix reads all the same.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Extension(id): Extension<RequestId>,
    namespace: Result<Path<String>, PathRejection>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Problem> {
    let namespace = app.runtime.namespace(&namespace?)?;
    let pages = Pages {
        app,
        namespace,
        prefix: asked?.0.prefix,
        after: None,
        told: 0,
        ended: false,
    };
    let lines = stream::unfold(pages, |mut pages| async {
        let lines = pages.next().await?;
        Some((lines, pages))
    });
    Ok(lines::respond(id, lines.flat_map(stream::iter)))
}

struct Pages {
    app: Arc<App>,
    namespace: Namespace,
    prefix: String,
    after: Option<ObjectId>,
    told: u64,
    ended: bool,
}

type ObjectLine = Result<Line<ListedObject, Listing>, Problem>;

impl Pages {
    /// The lines of the next page; `None` after the last.
    async fn next(&mut self) -> Option<Vec<ObjectLine>> {
        if self.ended {
            return None;
        }
        let store = &self.app.store;
        let page = store.objects(&self.namespace, self.after, PAGE_OBJECTS);
        let page = match page.await {
            Ok(page) => page,
            Err(error) => {
                self.ended = true;
                return Some(vec![Err(CallError::Read(error).into())]);
            }
        };
        match page.last() {
            Some(last) if page.len() == PAGE_OBJECTS => self.after = Some(last.id),
            _ => self.ended = true,
        }
        let mut lines: Vec<ObjectLine> = page
            .into_iter()
            .filter(|object| self.is_wanted(object))
            .map(|object| Ok(Line::Item(listed(object))))
            .collect();
        self.told += lines.len() as u64;
        if self.ended {
            let objects = self.told;
            lines.push(Ok(Line::End(Listing { objects })));
        }
        Some(lines)
    }

    fn is_wanted(&self, object: &ObjectSummary) -> bool {
        let name = object.name.as_deref().unwrap_or_default();
        name.starts_with(&self.prefix)
    }
}

fn listed(object: ObjectSummary) -> ListedObject {
    ListedObject {
        id: object.id.to_string(),
        name: object.name.map(|name| name.to_string()),
        version: object.version.0,
    }
}
