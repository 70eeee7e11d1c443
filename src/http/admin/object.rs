//! `/admin/v1/objects/{namespace}/{name}`: one object is exported, imported, or forked.

use std::sync::Arc;

use abide_actors::{Deadline, ImageError, Precondition, Target};
use abide_storage::{IMAGE_SIZE_MAX_BYTES, ObjectImage, Section, Version};
use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, Request, State};
use axum::response::{IntoResponse, Response};
use http::header;
use serde::Deserialize;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::backup::{ended, log_store};
use super::json;
use crate::http::app::App;
use crate::http::body;
use crate::problem::{INVALID_ARGUMENTS, OBJECT_NOT_FOUND, OVERLOADED, Problem};
use crate::protocol::{Fork, ObjectFile, Replaced, moment, split_address};

/// Largest file of an object, bytes. Base64 and what is for people make it some three times as large
/// as the object; what one commit takes is the narrower bound.
const FILE_SIZE_MAX_BYTES: usize = 64 << 20;
/// Largest other body.
const BODY_SIZE_MAX_BYTES: usize = 64 << 10;

/// Objects on their way at one time; each is in memory whole, once as rows and once as text.
static TRANSFERS: Semaphore = Semaphore::const_new(4);

type Address = Result<Path<(String, String)>, PathRejection>;

/// Which object may be replaced, and with what of the image.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Terms {
    /// Whether one that is there may be replaced.
    #[serde(default)]
    replace: bool,
    /// Only one that is at this version.
    version: Option<u64>,
    /// Whether the image's alarms are left out.
    #[serde(default)]
    without_alarms: bool,
    /// Of a fork: which moment of the original; without it, now.
    at: Option<String>,
}

impl Terms {
    fn precondition(&self) -> Precondition {
        match (self.version, self.replace) {
            (Some(version), _) => Precondition::Version(Version(version)),
            (None, true) => Precondition::None,
            (None, false) => Precondition::Absent,
        }
    }

    /// The object becomes the image; its version now.
    async fn replace(
        &self,
        app: &App,
        target: &Target,
        image: ObjectImage,
        deadline: Deadline,
    ) -> Result<Version, Problem> {
        let image = match self.without_alarms {
            true => image.without(Section::Alarm),
            false => image,
        };
        let runtime = &app.runtime;
        let replaced = runtime.replace(target, image, self.precondition(), deadline);
        Ok(replaced.await?)
    }
}

/// Which moment of an object is meant.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct When {
    /// A commit's number or a time; without it, now.
    at: Option<String>,
}

/// The object as a file.
pub(super) async fn export(
    State(app): State<Arc<App>>,
    address: Address,
    when: Result<Query<When>, QueryRejection>,
) -> Result<Response, Problem> {
    let (Path((namespace, name)), Query(When { at })) = (address?, when?);
    let deadline = own_deadline(&app);
    let place = place(deadline).await?;
    let target = app.runtime.target(&namespace, &name)?;
    let (image, place) = image(&app, &target, at.as_deref(), deadline, place).await?;
    let text = apart(place, move || {
        let view = app.runtime.view(&image)?;
        let file = ObjectFile::new(&image, view, app.clock.now());
        Ok(serde_json::to_vec(&file).expect("a file has string keys only"))
    });
    let (text, _place) = text.await?;
    Ok(([(header::CONTENT_TYPE, "application/json")], text).into_response())
}

/// A file becomes the object of the path, which may be another than it was made of.
pub(super) async fn import(
    State(app): State<Arc<App>>,
    address: Address,
    terms: Result<Query<Terms>, QueryRejection>,
    request: Request,
) -> Result<Json<Replaced>, Problem> {
    let (Path((namespace, name)), Query(terms)) = (address?, terms?);
    if terms.at.is_some() {
        let said = "an import takes no 'at': its file is of one moment already";
        return Err(Problem::new(&INVALID_ARGUMENTS, said));
    }
    let deadline = own_deadline(&app);
    let place = place(deadline).await?;
    let target = app.runtime.target(&namespace, &name)?;
    let (head, body) = request.into_parts();
    let mut held = app.runtime.memory().charge();
    let limit_bytes = FILE_SIZE_MAX_BYTES;
    let text = body::whole(body, &head.headers, limit_bytes, deadline, &mut held).await?;
    let read = apart((place, held), move || {
        Ok(ObjectFile::parse(&text)?.into_image()?)
    });
    let (image, _held) = read.await?;
    let version = terms.replace(&app, &target, image, deadline).await?;
    Ok(Json(replaced(&namespace, &name, version)))
}

/// Another object becomes what this one is now.
pub(super) async fn fork(
    State(app): State<Arc<App>>,
    address: Address,
    terms: Result<Query<Terms>, QueryRejection>,
    request: Request,
) -> Result<Json<Replaced>, Problem> {
    let (Path((namespace, name)), Query(terms)) = (address?, terms?);
    let deadline = own_deadline(&app);
    let (_, Fork { to }) = json::read(&app, request, BODY_SIZE_MAX_BYTES).await?;
    let (to_namespace, to_name) = split_address(&to)?;
    let place = place(deadline).await?;
    let target = app.runtime.target(to_namespace, to_name)?;
    let source = app.runtime.target(&namespace, &name)?;
    let at = terms.at.as_deref();
    let (image, _place) = image(&app, &source, at, deadline, place).await?;
    let version = terms.replace(&app, &target, image, deadline).await?;
    Ok(Json(replaced(to_namespace, to_name, version)))
}

type Place = SemaphorePermit<'static>;

/// Work that would keep a thread from all others: an object's text has up to
/// [`FILE_SIZE_MAX_BYTES`], and history is read from the disk. It goes on when the client goes away, so
/// what the work takes goes with it, and comes back.
async fn apart<H, T>(
    held: H,
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<(T, H), Problem>
where
    H: Send + 'static,
    T: Send + 'static,
{
    let working = tokio::task::spawn_blocking(move || Ok((work()?, held)));
    working.await.map_err(|_panicked| ended())?
}

/// The object as it is, or as history has it.
async fn image(
    app: &App,
    target: &Target,
    at: Option<&str>,
    deadline: Deadline,
    place: Place,
) -> Result<(ObjectImage, Place), Problem> {
    let Some(at) = at else {
        return Ok((app.runtime.export(target, deadline).await?, place));
    };
    let moment = moment(at).map_err(|said| Problem::new(&INVALID_ARGUMENTS, said))?;
    let store = log_store(app)?;
    let object = target.object.clone();
    let reading = apart(place, move || Ok(store.object_at(&object, moment)?));
    let (image, place) = reading.await?;
    match image {
        Some(image) if image.size_bytes() > IMAGE_SIZE_MAX_BYTES => {
            let limit_bytes = IMAGE_SIZE_MAX_BYTES;
            Err(ImageError::TooLarge { limit_bytes }.into())
        }
        Some(image) => Ok((image, place)),
        None => {
            let said = format!("{} was not there at {at}", target.object);
            Err(Problem::new(&OBJECT_NOT_FOUND, said))
        }
    }
}

fn replaced(namespace: &str, name: &str, version: Version) -> Replaced {
    Replaced {
        object: format!("{namespace}/{name}"),
        version: version.0,
    }
}

/// As long as any client may wait: objects can be large, and operators are few.
fn own_deadline(app: &App) -> Deadline {
    Deadline::after(app.config.call_deadline_max.duration())
}

/// **bounded**: waits for one of the places, not longer than the request may take.
async fn place(deadline: Deadline) -> Result<Place, Problem> {
    let waited = tokio::time::timeout_at(deadline.0, TRANSFERS.acquire()).await;
    let busy = || Problem::new(&OVERLOADED, "too many objects are exported or imported now");
    waited.map_err(|_elapsed| busy())?.map_err(|_closed| busy())
}
