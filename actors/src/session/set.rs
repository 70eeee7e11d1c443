//! The sessions of one object.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Close, Frame, SessionChange, SessionCore, SessionId};

/// The sessions attached to an object, by number and by tag. Lives beside the mailbox, so it
/// outlives the activation.
#[derive(Default)]
pub(crate) struct SessionSet(Mutex<Members>);

#[derive(Default)]
struct Members {
    by_id: BTreeMap<SessionId, Arc<SessionCore>>,
    by_tag: HashMap<Arc<str>, BTreeSet<SessionId>>,
    auto_response: Option<AutoResponse>,
}

/// A frame answered below the object, without waking it.
#[derive(Clone)]
pub(crate) struct AutoResponse {
    pub(crate) request: Frame,
    pub(crate) response: Frame,
}

impl SessionSet {
    pub(crate) fn len(&self) -> usize {
        self.0.lock().by_id.len()
    }

    pub(crate) fn insert(&self, session: Arc<SessionCore>) {
        self.0.lock().by_id.insert(session.id, session);
    }

    /// `false` when it was not a member.
    pub(crate) fn remove(&self, session: &SessionCore) -> bool {
        let mut members = self.0.lock();
        let was_member = members.by_id.remove(&session.id).is_some();
        if was_member {
            members.untag(session.id, &session.tags());
        }
        was_member
    }

    /// Takes over what a successful turn changed about a session.
    pub(crate) fn change(&self, id: SessionId, change: SessionChange) {
        let mut members = self.0.lock();
        let Some(session) = members.by_id.get(&id).cloned() else { return };
        if let Some(tags) = &change.tags {
            members.untag(id, &session.tags());
            for tag in tags.iter() {
                members.by_tag.entry(tag.clone()).or_default().insert(id);
            }
        }
        session.apply(change);
    }

    /// The sessions with the tag (`None`: all), in the order they came.
    pub(crate) fn select(&self, tag: Option<&str>) -> Vec<Arc<SessionCore>> {
        let members = self.0.lock();
        match tag {
            None => members.by_id.values().cloned().collect(),
            Some(tag) => {
                let ids = members.by_tag.get(tag).into_iter().flatten();
                ids.filter_map(|id| members.by_id.get(id)).cloned().collect()
            }
        }
    }

    /// Queues one frame for every session with the tag that is not younger than `newest`.
    ///
    /// Sessions are numbered as they come, so `newest` keeps a broadcast from those who joined
    /// after it was staged, without copying the list of members into the stage.
    pub(crate) fn broadcast(
        &self,
        frame: &Frame,
        tag: Option<&str>,
        except: &[SessionId],
        newest: SessionId,
    ) {
        let members = self.0.lock();
        let up_to = (Bound::Unbounded, Bound::Included(newest));
        let send = |session: &SessionCore| {
            if !except.contains(&session.id) {
                session.outbound.send(frame.clone());
            }
        };
        match tag {
            None => members.by_id.range(up_to).for_each(|(_, session)| send(session)),
            Some(tag) => {
                let ids = members.by_tag.get(tag).into_iter().flat_map(|ids| ids.range(up_to));
                ids.filter_map(|id| members.by_id.get(id)).for_each(|session| send(session));
            }
        }
    }

    pub(crate) fn close_all(&self, close: &Close) {
        for session in self.0.lock().by_id.values() {
            session.outbound.close(close.clone());
        }
    }

    pub(crate) fn newest(&self) -> SessionId {
        self.0.lock().by_id.last_key_value().map_or(SessionId(0), |(id, _)| *id)
    }

    pub(crate) fn set_auto_response(&self, auto_response: Option<AutoResponse>) {
        self.0.lock().auto_response = auto_response;
    }

    pub(super) fn auto_response(&self, frame: &Frame) -> Option<Frame> {
        let members = self.0.lock();
        let auto = members.auto_response.as_ref()?;
        (auto.request == *frame).then(|| auto.response.clone())
    }
}

impl Members {
    fn untag(&mut self, id: SessionId, tags: &[Arc<str>]) {
        for tag in tags {
            if let Some(ids) = self.by_tag.get_mut(tag) {
                ids.remove(&id);
                if ids.is_empty() {
                    self.by_tag.remove(tag);
                }
            }
        }
    }
}
