//! The sessions of one object.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use parking_lot::Mutex;

use super::{
    Bursts, Close, Delivery, Excepted, Figures, Frame, SessionChange, SessionCore, SessionId, Told,
};
use crate::presence::Presence;

/// Sessions that a broadcast takes out of the set at one time: what is written to them must not keep the
/// set locked, and taking them one by one would lock it too often.
const BROADCAST_CHUNK: usize = 64;

/// The sessions attached to an object, in the order they joined, and by tag. Lives beside the
/// mailbox, so it outlives the activation.
#[derive(Default)]
pub(crate) struct SessionSet {
    members: Mutex<Members>,
    presence: Presence,
    bursts: Bursts,
}

#[derive(Default)]
struct Members {
    by_join: BTreeMap<Join, Arc<SessionCore>>,
    joins: HashMap<SessionId, Join>,
    by_tag: HashMap<Arc<str>, BTreeSet<Join>>,
    last: Join,
    auto_response: Option<AutoResponse>,
    /// The sessions are stored, or about to be: nothing may happen to them any more.
    is_sealed: bool,
    /// Durable sessions that are not on the object any more, while rows of them may be there.
    ended: BTreeMap<SessionId, (Arc<SessionCore>, Told)>,
}

/// Counts those who joined. Not the session's own number: that is drawn before its turn comes, so
/// two sessions may join in the other order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Join(u64);

/// A frame answered below the object, without waking it.
#[derive(Clone)]
pub(crate) struct AutoResponse {
    pub(crate) request: Frame,
    pub(crate) response: Frame,
}

impl SessionSet {
    pub(crate) fn len(&self) -> usize {
        self.members.lock().by_join.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether nothing would be forgotten with it.
    pub(crate) fn is_unused(&self) -> bool {
        let members = self.members.lock();
        members.by_join.is_empty() && members.ended.is_empty()
    }

    /// Whether at least one session is connected. Looks for the first, which is hardly ever far.
    pub(crate) fn is_attended(&self) -> bool {
        let members = self.members.lock();
        let mut sessions = members.by_join.values();
        sessions.any(|session| session.outbound.is_connected())
    }

    /// `false` when there are `max` already.
    pub(crate) fn insert(&self, session: Arc<SessionCore>, max: usize) -> bool {
        let mut members = self.members.lock();
        if members.by_join.len() >= max {
            return false;
        }
        members.insert(session);
        true
    }

    /// Puts a session back that rows told of. In the order of their places, and behind it come those that join.
    pub(crate) fn put_back(&self, session: Arc<SessionCore>, place: u64) {
        let mut members = self.members.lock();
        members.last.0 = members.last.0.max(place.saturating_sub(1));
        members.insert(session);
    }

    /// Its place in the order they joined; 0 when it is not a member.
    pub(crate) fn place(&self, session: SessionId) -> u64 {
        let members = self.members.lock();
        members.joins.get(&session).map_or(0, |join| join.0)
    }

    /// A durable session that was a member and is not any more, while rows of it may be there.
    pub(crate) fn ended(&self, session: SessionId) -> Option<(Arc<SessionCore>, Told)> {
        self.members.lock().ended.get(&session).cloned()
    }

    /// The object has been told of its end, or will not be told again.
    pub(crate) fn told_of_end(&self, session: SessionId) {
        if let Some((_, told)) = self.members.lock().ended.get_mut(&session) {
            *told = Told::Yes;
        }
    }

    /// No row is left of these.
    pub(crate) fn rows_are_gone(&self, sessions: &[SessionId]) {
        let mut members = self.members.lock();
        for session in sessions {
            members.ended.remove(session);
        }
    }

    /// An opening has found rows of these durable sessions, and of no other.
    pub(crate) fn rows_are_of(&self, has_rows: impl Fn(SessionId) -> bool) {
        self.members.lock().ended.retain(|id, _| has_rows(*id));
    }

    /// The member with this id.
    pub(crate) fn get(&self, id: SessionId) -> Option<Arc<SessionCore>> {
        let members = self.members.lock();
        let join = members.joins.get(&id)?;
        members.by_join.get(join).cloned()
    }

    /// From now on no turn runs that could reach the sessions.
    pub(crate) fn seal(&self) {
        self.members.lock().is_sealed = true;
    }

    pub(crate) fn is_sealed(&self) -> bool {
        self.members.lock().is_sealed
    }

    /// `false` when it was not a member.
    pub(crate) fn remove(&self, session: &SessionCore) -> bool {
        let mut members = self.members.lock();
        let Some(join) = members.joins.remove(&session.id) else {
            return false;
        };
        let member = members.by_join.remove(&join);
        members.untag(join, &session.tags());
        if let Some(member) = member.filter(|member| member.is_durable()) {
            members.ended.insert(session.id, (member, Told::No));
        }
        drop(members);
        self.presence.gone(session.id);
        true
    }

    /// Whether the session is on the object.
    pub(crate) fn contains(&self, session: SessionId) -> bool {
        self.members.lock().joins.contains_key(&session)
    }

    /// Which of the sessions are shown to be here, and to whom.
    pub(crate) fn presence(&self) -> &Presence {
        &self.presence
    }

    /// Takes over what a successful turn changed about a session.
    pub(crate) fn change(&self, id: SessionId, change: SessionChange) -> Option<Arc<SessionCore>> {
        let mut members = self.members.lock();
        let join = members.joins.get(&id).copied()?;
        let session = members.by_join.get(&join)?.clone();
        if let Some(tags) = &change.tags {
            members.untag(join, &session.tags());
            for tag in tags.iter() {
                members.by_tag.entry(tag.clone()).or_default().insert(join);
            }
        }
        session.apply(change);
        Some(session)
    }

    /// The sessions with the tag (`None`: all), in the order they joined.
    pub(crate) fn select(&self, tag: Option<&str>) -> Vec<Arc<SessionCore>> {
        let members = self.members.lock();
        match tag {
            None => members.by_join.values().cloned().collect(),
            Some(tag) => {
                let joins = members.by_tag.get(tag).into_iter().flatten();
                joins
                    .filter_map(|join| members.by_join.get(join))
                    .cloned()
                    .collect()
            }
        }
    }

    /// Who joined last; the audience of a broadcast to all are those who are not younger.
    pub(crate) fn last_join(&self) -> Join {
        self.members.lock().last
    }

    /// What the activation lets out in one go.
    pub(crate) fn bursts(&self) -> &Bursts {
        &self.bursts
    }

    /// Sends one frame to every session that joined no later than `last`. Only the object's activation sends
    /// broadcasts, so no two are under way at one time.
    pub(crate) fn broadcast(
        &self,
        delivery: &Delivery,
        except: &Excepted,
        last: Join,
        figures: &Figures,
    ) {
        let mut chunk = Vec::with_capacity(BROADCAST_CHUNK);
        let mut first = Bound::Unbounded;
        loop {
            self.members
                .lock()
                .chunk((first, Bound::Included(last)), &mut chunk);
            let Some((join, _)) = chunk.last() else {
                return;
            };
            first = Bound::Excluded(*join);
            for (_, session) in chunk.drain(..) {
                if !except.contains(session.id) {
                    figures.note(session.outbound.write_or_send(delivery, &self.bursts));
                }
            }
        }
    }

    /// Shows every session; the set is locked meanwhile.
    pub(crate) fn each(&self, see: impl FnMut(&Arc<SessionCore>)) {
        self.members.lock().by_join.values().for_each(see);
    }

    /// Whether there is one that can be taken up again.
    pub(crate) fn has_resumable(&self) -> bool {
        let members = self.members.lock();
        members
            .by_join
            .values()
            .any(|session| session.is_resumable())
    }

    /// Whether there is one that cannot.
    pub(crate) fn has_plain(&self) -> bool {
        let members = self.members.lock();
        members
            .by_join
            .values()
            .any(|session| !session.is_resumable())
    }

    /// Closes those that cannot be taken up again.
    pub(crate) fn close_plain(&self, close: &Close) {
        for session in self.members.lock().by_join.values() {
            if !session.is_resumable() {
                session.outbound.close(close.clone());
            }
        }
    }

    pub(crate) fn close_all(&self, close: &Close) {
        for session in self.members.lock().by_join.values() {
            session.outbound.close(close.clone());
        }
    }

    pub(crate) fn set_auto_response(&self, auto_response: Option<AutoResponse>) {
        self.members.lock().auto_response = auto_response;
    }

    pub(crate) fn the_auto_response(&self) -> Option<AutoResponse> {
        self.members.lock().auto_response.clone()
    }

    pub(super) fn auto_response(&self, frame: &Frame) -> Option<Frame> {
        let members = self.members.lock();
        let auto = members.auto_response.as_ref()?;
        (auto.request == *frame).then(|| auto.response.clone())
    }
}

impl Members {
    /// The first of these.
    fn chunk(&self, joined: (Bound<Join>, Bound<Join>), chunk: &mut Vec<(Join, Arc<SessionCore>)>) {
        let sessions = self.by_join.range(joined).take(BROADCAST_CHUNK);
        chunk.extend(sessions.map(|(join, session)| (*join, session.clone())));
    }

    fn insert(&mut self, session: Arc<SessionCore>) {
        self.last.0 += 1;
        let join = self.last;
        self.joins.insert(session.id, join);
        // A new session has none; one that was stored has.
        for tag in session.tags().iter() {
            self.by_tag.entry(tag.clone()).or_default().insert(join);
        }
        self.by_join.insert(join, session);
    }

    fn untag(&mut self, join: Join, tags: &[Arc<str>]) {
        for tag in tags {
            if let Some(joins) = self.by_tag.get_mut(tag) {
                joins.remove(&join);
                if joins.is_empty() {
                    self.by_tag.remove(tag);
                }
            }
        }
    }
}
