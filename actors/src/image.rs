//! Objects as values: what the runtime is asked for with an image, and how an image is checked
//! against the kind that is to live on it.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use abide_storage::{Object, ObjectImage, ReadError, Section, Timestamp, Version, WriteBatch};
use bytes::Bytes;
use tokio::sync::oneshot;

use crate::alarm::{AlarmTable, Change};
use crate::call::{CallError, Deadline};
use crate::idempotency;
use crate::kind::Kind;
use crate::registry::Limits;

/// Which object may be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precondition {
    /// Only one that has never been written.
    Absent,
    /// Only one that is at this version.
    Version(Version),
    /// Any.
    None,
}

impl Precondition {
    /// Whether an object at this version may be replaced.
    pub(crate) fn check(self, object: &Object, version: Version) -> Result<(), ImageError> {
        let object = || object.clone();
        match self {
            Self::Absent if version > Version(0) => Err(ImageError::Exists {
                object: object(),
                version,
            }),
            Self::Version(expected) if version != expected => Err(ImageError::VersionMismatch {
                object: object(),
                version,
                expected,
            }),
            Self::Absent | Self::Version(_) | Self::None => Ok(()),
        }
    }
}

/// Why an object was not exported or replaced.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ImageError {
    /// There is nothing to export: the object has never been written.
    #[error("{object} has never been written")]
    Absent {
        /// Which.
        object: Object,
    },
    /// The object is there, and was not to be replaced. Nothing was changed.
    #[error("{object} exists already, at version {version}")]
    Exists {
        /// Which.
        object: Object,
        /// Its version.
        version: Version,
    },
    /// The object is at another version than it was to be. Nothing was changed.
    #[error("{object} is at version {version}, not {expected}")]
    VersionMismatch {
        /// Which.
        object: Object,
        /// Its version.
        version: Version,
        /// The one asked for.
        expected: Version,
    },
    /// The image is of an actor of another kind. Nothing was changed.
    #[error("objects of {to} are of another kind than those of {from}")]
    OtherKind {
        /// Namespace of the image.
        from: String,
        /// Namespace of the object.
        to: String,
    },
    /// The image is damaged, or not of this kind. Nothing was changed.
    #[error("the image cannot be used: {detail}")]
    Invalid {
        /// What is wrong with it.
        detail: String,
    },
    /// The object is larger than an image may be. Nothing was changed.
    #[error("the object has more than {limit_bytes} bytes, which is the most that is read at once")]
    TooLarge {
        /// The limit.
        limit_bytes: usize,
    },
    /// The object could not be reached, read or written.
    #[error(transparent)]
    Call(#[from] CallError),
}

impl From<abide_storage::ImageError> for ImageError {
    fn from(error: abide_storage::ImageError) -> Self {
        match error {
            abide_storage::ImageError::TooLarge { limit_bytes } => Self::TooLarge { limit_bytes },
            abide_storage::ImageError::Read(error) => Self::Call(CallError::Read(error)),
        }
    }
}

impl From<ReadError> for ImageError {
    fn from(error: ReadError) -> Self {
        Self::Call(CallError::Read(error))
    }
}

pub(crate) type Answer<T> = oneshot::Sender<Result<T, ImageError>>;

/// A message about the object as a whole. It is handled beside the turns, never during one.
pub(crate) struct Work {
    pub(crate) deadline: Deadline,
    pub(crate) task: Task,
}

pub(crate) enum Task {
    Export(Answer<ObjectImage>),
    Replace(Box<Replace>),
}

pub(crate) struct Replace {
    /// Checked already: see [`check`].
    pub(crate) image: ObjectImage,
    pub(crate) precondition: Precondition,
    pub(crate) answer: Answer<Version>,
}

impl Work {
    /// Nobody waits for the answer any more, and has been told so.
    pub(crate) fn is_forsaken(&self) -> bool {
        match &self.task {
            Task::Export(answer) => answer.is_closed(),
            Task::Replace(replace) => replace.answer.is_closed(),
        }
    }

    /// What the request carries, bytes.
    pub(crate) fn size_bytes(&self) -> usize {
        match &self.task {
            Task::Export(_) => 0,
            Task::Replace(replace) => replace.image.size_bytes(),
        }
    }

    /// Answers without having done anything.
    pub(crate) fn refuse(self, error: ImageError) {
        match self.task {
            Task::Export(answer) => drop(answer.send(Err(error))),
            Task::Replace(replace) => drop(replace.answer.send(Err(error))),
        }
    }
}

/// Checks all of an image that an object of this kind is to take over, so that a wrong one is
/// refused before anything is touched.
pub(crate) fn check(
    image: &ObjectImage,
    kind: &dyn Kind,
    limits: &Limits,
) -> Result<(), ImageError> {
    let invalid = |detail| ImageError::Invalid { detail };
    image.check().map_err(invalid)?;
    // Decoding runs actor code, which may panic on what it never wrote itself.
    let state = image.state().map(AsRef::as_ref);
    catch_unwind(AssertUnwindSafe(|| kind.load(state).map(drop)))
        .unwrap_or_else(|_| Err("the actor's code panicked on it".to_owned()))
        .map_err(|detail| invalid(format!("its state is not of this kind: {detail}")))?;
    let alarms = alarms(image).map_err(invalid)?;
    let alarms_max = limits.alarms_per_object_max;
    if alarms.set_count() > alarms_max {
        let count = alarms.set_count();
        return Err(invalid(format!(
            "it has {count} alarms, an object takes {alarms_max}"
        )));
    }
    let replies = image.section(Section::Idempotency);
    idempotency::check_rows(replies)
        .map_err(|detail| invalid(format!("its replies for idempotency keys: {detail}")))
}

/// The alarms of an image.
pub(crate) fn alarms(image: &ObjectImage) -> Result<AlarmTable, String> {
    let rows = image.section(Section::Alarm);
    AlarmTable::load(rows.map(|(k, v)| (k.clone(), v.clone())).collect())
}

/// What makes the object with the rows `before` one with those of the image, and what the
/// clockwork of alarms must know once it is durable.
pub(crate) fn replacing(
    object: &Object,
    before: &ObjectImage,
    after: &ObjectImage,
) -> Result<(WriteBatch, Vec<Change>), String> {
    let mut batch = WriteBatch {
        writes: after.replacing(&before.rows),
    };
    let mut changes = Vec::new();
    alarms(before)?.become_those_of(alarms(after)?, object, &mut batch, &mut changes);
    Ok((batch, changes))
}

/// An image as people read it.
#[derive(Debug, Clone)]
pub struct ImageView {
    /// The state as JSON; `None` when the kind cannot say it so.
    pub state: Option<serde_json::Value>,
    /// Its alarms, by name.
    pub alarms: BTreeMap<Arc<str>, AlarmView>,
}

/// An alarm as people read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlarmView {
    /// When actor code set it for.
    pub scheduled: Timestamp,
    /// When it fires; `None` when it is parked.
    pub due: Option<Timestamp>,
    /// Failures in a row.
    pub retries: u32,
    /// Its row, as stored.
    pub row: Bytes,
}

/// What can be said of an image; of an alarm or state that does not decode, nothing.
pub(crate) fn view(image: &ObjectImage, kind: &dyn Kind) -> ImageView {
    let state = image.state().and_then(|state| {
        // Actor code again.
        catch_unwind(AssertUnwindSafe(|| kind.state_json(state))).unwrap_or_default()
    });
    let table = alarms(image).unwrap_or_default();
    let alarms = image.section(Section::Alarm).filter_map(|(name, row)| {
        let name: Arc<str> = std::str::from_utf8(name).ok()?.into();
        let set = table.get(&name)?;
        let view = AlarmView {
            scheduled: set.scheduled,
            due: set.due(),
            retries: set.retries,
            row: row.clone(),
        };
        Some((name, view))
    });
    ImageView {
        state,
        alarms: alarms.collect(),
    }
}
