//! The object as a whole: exported between two turns, or replaced between two activations.
//!
//! An export looks at the rows while the activation stands still, so that it sees one version. A
//! replacement needs neither the value that is nor one made of it: the activation ends, as by
//! idleness, and then its task commits the image under an epoch of its own. So a value that is
//! damaged can be replaced, too, and the next message activates afresh, from what was committed.
//!
//! What a crash leaves: the replacement is one commit, so the object is the old one or the new one
//! (**all-or-nothing**). Its answer, and the end of the sessions, wait until it is durable.

use std::sync::Arc;

use abide_storage::{Commit, Effect, ObjectImage, Opened, Version};

use super::hold::Hold;
use super::{Activation, Flow};
use crate::alarm::Change;
use crate::call::CallError;
use crate::catalog::Slot;
use crate::clock::monotonic;
use crate::departure::Answer as Addressee;
use crate::image::{self, Answer, ImageError, Replace, Task, Work};
use crate::node::Node;
use crate::session::{self, Close};

/// What a live activation makes of the work.
pub(super) enum Taken {
    Done(Flow),
    /// The activation must end first; then [`alone`] does it.
    EndFirst(Work),
}

impl Activation {
    /// Exports, or says that a replacement may be made.
    pub(super) async fn image(&mut self, work: Work) -> Taken {
        if work.is_forsaken() {
            return Taken::Done(Flow::GoOn);
        }
        let Work { deadline, task } = work;
        let answer = match task {
            Task::Export(answer) => answer,
            Task::Replace(replace) => {
                let checked = replace
                    .precondition
                    .check(self.object(), self.shared.version());
                let Err(error) = checked else {
                    let task = Task::Replace(replace);
                    return Taken::EndFirst(Work { deadline, task });
                };
                // Like any answer it waits for what it tells of: the version may be on its way.
                let (answer, result) = (replace.answer, Err(error));
                self.answer(Addressee::Replace { answer, result });
                return Taken::Done(Flow::GoOn);
            }
        };
        let node = self.shared.node.clone();
        let (object, name) = (self.object().clone(), self.shared.name.clone());
        let reading = read(&node, &object, name, self.shared.version());
        let deadline = deadline.min(self.own_deadline());
        let reading = tokio::time::timeout_at(deadline.0, reading);
        let result = match self.meanwhile(reading).await {
            Ok(Ok(result)) => result,
            Ok(Err(_elapsed)) => Err(too_late()),
            Err(error) => {
                let result = Err(CallError::EarlierCommit(error.clone()).into());
                self.answer(Addressee::Export { answer, result });
                return Taken::Done(Flow::Broken(error));
            }
        };
        self.answer(Addressee::Export { answer, result });
        Taken::Done(Flow::GoOn)
    }
}

/// Does the work on an object that has no activation. The caller is the slot's one task, so none
/// can begin meanwhile (**single-activation**).
pub(super) async fn alone(node: &Arc<Node>, slot: &Arc<Slot>, work: Work) {
    if work.is_forsaken() {
        return;
    }
    if monotonic() >= work.deadline.0 {
        return work.refuse(too_late());
    }
    let (hold, opened) = match Hold::open(node, slot).await {
        Ok(held) => held,
        Err(error) => return work.refuse(error.into()),
    };
    match work.task {
        Task::Export(answer) => {
            let name = slot.target.name.clone().or(opened.name);
            let reading = read(node, slot.object(), name, opened.version);
            let read = tokio::time::timeout_at(work.deadline.0, reading).await;
            drop(answer.send(read.unwrap_or_else(|_elapsed| Err(too_late()))));
        }
        Task::Replace(replace) => {
            let Replace { image, answer, .. } = *replace;
            let prepared = async {
                replace.precondition.check(slot.object(), opened.version)?;
                hold.prepare(image, opened).await
            };
            let prepared = tokio::time::timeout_at(work.deadline.0, prepared).await;
            match prepared.unwrap_or_else(|_elapsed| Err(too_late())) {
                // From here on it is no longer the deadline that decides: what is handed to the
                // store may become durable, and the answer says whether it did.
                Ok(prepared) => hold.commit(prepared, answer).await,
                Err(error) => drop(answer.send(Err(error))),
            }
        }
    }
}

async fn read(
    node: &Node,
    object: &abide_storage::Object,
    name: Option<Arc<str>>,
    version: Version,
) -> Result<ObjectImage, ImageError> {
    if version == Version(0) {
        let object = object.clone();
        return Err(ImageError::Absent { object });
    }
    Ok(ObjectImage::read(&*node.store, object, name, version).await?)
}

fn too_late() -> ImageError {
    let effect = Effect::None;
    CallError::DeadlineExceeded { effect }.into()
}

struct Prepared {
    /// `None`: the object is what it is to be already.
    commit: Option<Commit>,
    version: Version,
    changes: Vec<Change>,
}

impl Hold<'_> {
    /// Reads what is there, and says what must be written. Changes nothing.
    async fn prepare(&self, image: ObjectImage, opened: Opened) -> Result<Prepared, ImageError> {
        let object = self.slot.object();
        let is_own = image.id == object.id;
        let name = self.slot.target.name.clone().or(opened.name);
        let name = name.or_else(|| image.name.clone().filter(|_| is_own));
        let image = if is_own { image } else { image.for_another() };
        let store = &self.node.store;
        let before = ObjectImage::read(&**store, object, None, opened.version).await?;
        let (batch, changes) = image::replacing(object, &before, &image)
            .map_err(|detail| ImageError::Invalid { detail })?;
        store.room().await;
        if batch.is_empty() {
            return Ok(Prepared {
                commit: None,
                version: opened.version,
                changes,
            });
        }
        let mut batch = batch;
        // Its sessions end with it, those that a restart has stored as well.
        batch
            .writes
            .extend(session::deletes(opened.sessions).writes);
        let version = opened.version.next();
        let commit = Commit {
            object: object.clone(),
            name,
            epoch: self.epoch,
            version,
            batch,
        };
        Ok(Prepared {
            commit: Some(commit),
            version,
            changes,
        })
    }

    /// Commits, waits until it is durable, and tells everybody.
    async fn commit(&self, prepared: Prepared, answer: Answer<Version>) {
        let Prepared {
            commit,
            version,
            changes,
        } = prepared;
        let Some(commit) = commit else {
            drop(answer.send(Ok(version)));
            return;
        };
        let committed = match self.node.store.commit(commit) {
            Ok(ticket) => ticket.await,
            Err(error) => Err(error),
        };
        let alarms = &self.node.alarms;
        match committed {
            Ok(()) => {
                alarms.apply(changes);
                // What the sessions were told is of an object that is no more: their clients come
                // back, as after a restart, and begin with what is there now.
                let close = Close::new(Close::RESTART, "the object was replaced");
                self.slot.sessions.close_all(&close);
                drop(answer.send(Ok(version)));
            }
            Err(error) => {
                if error.effect() == Effect::Unknown {
                    // Alarms it may have set must not be forgotten; one that was not stored finds
                    // no row when it fires, and nothing happens.
                    let set = |change: &Change| matches!(change, Change::Insert(_));
                    alarms.apply(changes.into_iter().filter(set).collect());
                }
                drop(answer.send(Err(CallError::Commit(error).into())));
            }
        }
    }
}
