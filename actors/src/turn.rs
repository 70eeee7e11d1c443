//! One message's view of the object: what a kind may see and stage while it handles it.

use std::any::TypeId;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use abide_storage::{
    Direction, KEY_SIZE_MAX_BYTES, Namespace, Object, Scan, Section, Timestamp, Version,
};
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::alarm::{AlarmStatus, AlarmTable, Cron, Setting};
use crate::call::{Access, Call, CallError, Deadline, Origin, Reply};
use crate::catalog::Slot;
use crate::context::When;
use crate::node::Node;
use crate::payload::Payload;
use crate::presence::{Change, Member, Roster};
use crate::send::{Departed, Outgoing};
use crate::session::{Audience, AutoResponse, Delivery, Frame, Session};
use crate::stage::{Effect, OutboxIsFull, Receivers, Stage};
use crate::teeth::{Tooth, broken};
use crate::tick::Tick;

/// What the turns of one activation share.
pub(crate) struct Shared {
    pub(crate) node: Arc<Node>,
    pub(crate) slot: Arc<Slot>,
    pub(crate) name: Option<Arc<str>>,
    pub(crate) stage: Arc<Mutex<Stage>>,
    pub(crate) alarms: Mutex<AlarmTable>,
    version: AtomicU64,
    /// Turns whose effects the output gate holds.
    held: AtomicUsize,
    gate_opened: Notify,
    /// The last turn whose messages to other objects may leave.
    pub(crate) departed: Departed,
    /// Messages to other objects that are not delivered, and their size.
    outgoing_messages: AtomicUsize,
    outgoing_bytes: AtomicUsize,
}

impl Shared {
    pub(crate) fn new(
        node: Arc<Node>,
        slot: Arc<Slot>,
        name: Option<Arc<str>>,
        version: Version,
        alarms: AlarmTable,
    ) -> Arc<Self> {
        let stage = Stage::new(node.limits.stage_max_bytes, &node.memory);
        Arc::new(Self {
            node,
            slot,
            name,
            stage: Arc::new(Mutex::new(stage)),
            alarms: Mutex::new(alarms),
            version: AtomicU64::new(version.0),
            held: AtomicUsize::new(0),
            gate_opened: Notify::new(),
            departed: Departed::at(version),
            outgoing_messages: AtomicUsize::new(0),
            outgoing_bytes: AtomicUsize::new(0),
        })
    }

    pub(crate) fn version(&self) -> Version {
        Version(self.version.load(Ordering::Relaxed))
    }

    pub(crate) fn set_version(&self, version: Version) {
        let before = self.version.swap(version.0, Ordering::Relaxed);
        assert!(before < version.0, "a commit must move the version forward");
    }

    /// The activation says what its outbox holds, so that turns can be told when it is full.
    pub(crate) fn set_outgoing(&self, (messages, size_bytes): (usize, usize)) {
        self.outgoing_messages.store(messages, Ordering::Relaxed);
        self.outgoing_bytes.store(size_bytes, Ordering::Relaxed);
    }

    /// The activation says how many turns its gate holds, so that calls to other objects can wait
    /// for them.
    pub(crate) fn set_held(&self, turns: usize) {
        if self.held.swap(turns, Ordering::Relaxed) != 0 && turns == 0 {
            self.gate_opened.notify_waiters();
        }
    }

    async fn earlier_turns_durable(&self) {
        loop {
            let opened = self.gate_opened.notified();
            if self.held.load(Ordering::Relaxed) == 0 {
                return;
            }
            opened.await;
        }
    }

    pub(crate) fn session(&self, core: Arc<crate::session::SessionCore>) -> Session {
        Session {
            core,
            stage: self.stage.clone(),
        }
    }
}

/// What a [`Kind`](crate::Kind) may see and stage during one turn. Staged things happen when the
/// turn has succeeded, together with its commit; of a failed turn nothing happens.
pub struct TurnContext {
    pub(crate) shared: Arc<Shared>,
    pub(crate) deadline: Deadline,
    pub(crate) origin: Origin,
}

impl TurnContext {
    /// The object.
    #[must_use]
    pub fn object(&self) -> &Object {
        self.shared.slot.object()
    }

    /// Its name, when it has been addressed by one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.shared.name.as_deref()
    }

    /// Its namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.object().namespace.as_str()
    }

    /// Its version before this turn, counting commits that are still on their way to the disk.
    #[must_use]
    pub fn version(&self) -> Version {
        self.shared.version()
    }

    /// Wall time. Virtual in a test world.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.shared.node.clock.now()
    }

    /// When the turn is ended and undone if it is not done.
    #[must_use]
    pub fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// Where the message comes from.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// A random number, reproducible in a test world.
    #[must_use]
    pub fn random_u64(&self) -> u64 {
        self.shared.node.rng.u64()
    }

    /// The value of a key, with what this turn has staged.
    ///
    /// # Errors
    /// [`CallError::Read`] when the store cannot be read. Effect *none*.
    ///
    /// # Cancel safety
    /// Yes.
    pub async fn get(&self, key: &[u8]) -> Result<Option<Bytes>, CallError> {
        if let Some(staged) = self.shared.stage.lock().data.get(key) {
            return Ok(staged.clone());
        }
        Ok(self
            .shared
            .node
            .store
            .get(self.object(), Section::Data, key)
            .await?)
    }

    /// Keys and values of a range, with what this turn has staged.
    ///
    /// # Errors
    /// [`CallError::Read`] when the store cannot be read. Effect *none*.
    ///
    /// # Cancel safety
    /// Yes.
    pub async fn list(&self, options: ListOptions) -> Result<Vec<(Bytes, Bytes)>, CallError> {
        let ListOptions {
            start,
            end,
            direction,
            limit,
        } = options;
        if is_empty(&start, &end) {
            return Ok(Vec::new());
        }
        // Staged deletions can hide that many committed rows, so ask for that many more.
        let staged: BTreeMap<Bytes, Option<Bytes>> = {
            let stage = self.shared.stage.lock();
            let range = stage.data.range((start.clone(), end.clone()));
            range
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect()
        };
        let hidden = staged.values().filter(|value| value.is_none()).count();
        let scan = Scan {
            section: Section::Data,
            start,
            end,
            direction,
            limit: limit.saturating_add(hidden),
        };
        let committed = self.shared.node.store.scan(self.object(), scan).await?;
        if staged.is_empty() {
            return Ok(committed);
        }
        let mut rows: BTreeMap<Bytes, Option<Bytes>> = committed
            .into_iter()
            .map(|(key, value)| (key, Some(value)))
            .collect();
        rows.extend(staged);
        let present = rows
            .into_iter()
            .filter_map(|(key, value)| Some((key, value?)));
        Ok(match direction {
            Direction::Forward => present.take(limit).collect(),
            Direction::Reverse => present.rev().take(limit).collect(),
        })
    }

    /// Stages a key's new value.
    ///
    /// # Errors
    /// [`CallError::LimitExceeded`] when the key is longer than 2,048 bytes; nothing is staged.
    pub fn put(&self, key: Bytes, value: Bytes) -> Result<(), CallError> {
        self.stage_row(key, Some(value))
    }

    /// Stages the removal of a key.
    ///
    /// # Errors
    /// [`CallError::LimitExceeded`] when the key is longer than 2,048 bytes; nothing is staged.
    pub fn delete(&self, key: Bytes) -> Result<(), CallError> {
        self.stage_row(key, None)
    }

    fn stage_row(&self, key: Bytes, value: Option<Bytes>) -> Result<(), CallError> {
        if key.len() > KEY_SIZE_MAX_BYTES {
            return Err(CallError::LimitExceeded {
                what: "length of a key",
                limit: format!("{KEY_SIZE_MAX_BYTES} bytes"),
            });
        }
        self.shared.stage.lock().put(key, value);
        Ok(())
    }

    /// Stages an alarm; one of the same name is replaced. A time that has passed means at once.
    ///
    /// # Errors
    /// [`CallError::LimitExceeded`] when the object has too many alarms or the name is longer
    /// than 256 bytes; nothing is staged.
    pub fn set_alarm(&self, name: &str, at: Timestamp) -> Result<(), CallError> {
        self.stage_alarm(name, When::At(at))
    }

    /// Stages an alarm that recurs by the calendar; one of the same name is replaced.
    ///
    /// # Errors
    /// As [`set_alarm`](Self::set_alarm).
    pub fn set_cron_alarm(&self, name: &str, cron: &Cron) -> Result<(), CallError> {
        self.stage_alarm(name, When::Cron(cron.clone()))
    }

    pub(crate) fn stage_alarm(&self, name: &str, when: When) -> Result<(), CallError> {
        if name.len() > ALARM_NAME_SIZE_MAX_BYTES {
            return Err(CallError::LimitExceeded {
                what: "length of an alarm's name",
                limit: format!("{ALARM_NAME_SIZE_MAX_BYTES} bytes"),
            });
        }
        let mut stage = self.shared.stage.lock();
        let known = self.shared.alarms.lock();
        let max = self.shared.node.limits.alarms_per_object_max;
        // What the object would have after the turn, without this alarm.
        let others = {
            let staged = stage.alarms.iter().filter(|(staged, _)| &***staged != name);
            let change = |(staged, setting): (&Arc<str>, &Option<Setting>)| {
                isize::from(setting.is_some()) - isize::from(known.is_set(staged))
            };
            let known_others = known.set_count() - usize::from(known.is_set(name));
            known_others.saturating_add_signed(staged.map(change).sum())
        };
        let is_there = stage
            .alarms
            .get(name)
            .map_or(known.is_set(name), Option::is_some);
        if !is_there && others >= max {
            return Err(CallError::LimitExceeded {
                what: "alarms of an object",
                limit: max.to_string(),
            });
        }
        let setting = when.seen_from(self.now());
        stage.alarms.insert(name.into(), Some(setting));
        Ok(())
    }

    /// Stages the removal of an alarm; of one that is not set it does nothing.
    pub fn cancel_alarm(&self, name: &str) {
        let mut stage = self.shared.stage.lock();
        if self.shared.alarms.lock().contains(name) || stage.alarms.contains_key(name) {
            stage.alarms.insert(name.into(), None);
        }
    }

    /// When the alarm is set for, with what this turn has staged. While its handler runs: `None`.
    #[must_use]
    pub fn alarm(&self, name: &str) -> Option<Timestamp> {
        if let Some(staged) = self.shared.stage.lock().alarms.get(name) {
            return staged.as_ref().map(|setting| setting.at);
        }
        self.shared.alarms.lock().scheduled(name)
    }

    /// The object's alarms by name, with what this turn has staged. The one whose handler runs is
    /// not among them.
    #[must_use]
    pub fn alarms(&self) -> Vec<AlarmStatus> {
        let (stage, table) = (self.shared.stage.lock(), self.shared.alarms.lock());
        let mut rows: BTreeMap<_, _> = table
            .visible()
            .map(|(name, row)| (name.clone(), row.clone()))
            .collect();
        for (name, setting) in &stage.alarms {
            match setting.clone() {
                // Whether it continues a chain is settled when the turn is sealed.
                Some(setting) => _ = rows.insert(name.clone(), setting.row(None, self.now(), None)),
                None => _ = rows.remove(name),
            }
        }
        rows.into_iter()
            .map(|(name, row)| AlarmStatus::of(name, &row))
            .collect()
    }

    /// The sessions on the object with the tag (`None`: all), in the order they came.
    #[must_use]
    pub fn sessions(&self, tag: Option<&str>) -> Vec<Session> {
        let cores = self.shared.slot.sessions.select(tag);
        cores
            .into_iter()
            .map(|core| self.shared.session(core))
            .collect()
    }

    /// How many sessions are on the object.
    #[must_use]
    pub fn session_count(&self) -> usize {
        self.shared.slot.sessions.len()
    }

    /// Stages one frame for several sessions: those of the audience when the turn ends.
    pub fn broadcast(&self, delivery: Delivery, audience: Audience) {
        self.shared.stage.lock().effect(Effect::Broadcast {
            delivery,
            receivers: Receivers::Wanted(audience),
        });
    }

    /// Who is shown to be here, in the order they came, with what earlier turns and this one have
    /// changed. The cost grows with the members.
    #[must_use]
    pub fn presence(&self) -> Vec<Member> {
        self.view_presence(|roster| roster.members().cloned().collect())
    }

    /// How many are shown to be here.
    #[must_use]
    pub fn presence_count(&self) -> usize {
        self.view_presence(Roster::len)
    }

    fn view_presence<T>(&self, see: impl FnOnce(&Roster) -> T) -> T {
        let staged = self.shared.stage.lock().presence();
        let sessions = &self.shared.slot.sessions;
        sessions.presence().view(sessions, &staged, see)
    }

    /// Stages whether clients set their own presence, without waking the object. Forgotten when
    /// the object has neither activation nor sessions.
    #[expect(
        clippy::fn_params_excessive_bools,
        reason = "it sets what it is named after"
    )]
    pub fn allow_client_presence(&self, allow: bool) {
        let change = Change::ClientsMay(allow);
        let effect = Effect::Presence(change.into());
        self.shared.stage.lock().effect(effect);
    }

    /// Stages a pair of frames: a session that sends the first is answered with the second
    /// without waking the object. `None` ends that. Forgotten when the object has neither
    /// activation nor sessions.
    pub fn set_auto_response(&self, pair: Option<(Frame, Frame)>) {
        let auto = pair.map(|(request, response)| AutoResponse { request, response });
        self.shared.stage.lock().effect(Effect::AutoResponse(auto));
    }

    /// Stages how often the `tick` callback runs; `None` ends that. It is in memory, and gone with the
    /// activation.
    pub fn set_tick(&self, tick: Option<Tick>) {
        self.shared.stage.lock().tick = Some(tick);
    }

    /// Ends the activation after this turn, as if it had been idle long enough.
    pub fn passivate(&self) {
        self.shared.stage.lock().passivate = true;
    }

    /// Calls a method of another object and waits for its reply.
    ///
    /// It leaves when the commits of this object's earlier turns are durable. What *this* turn has
    /// staged is not durable yet and is undone if the turn fails afterwards, while what the other
    /// object did stays done, as with any call over a network.
    ///
    /// # Errors
    /// Every [`CallError`], with the effect the call may have had on the other object;
    /// [`CallError::Deadlock`] at once when the other object waits for this one.
    ///
    /// # Cancel safety
    /// The call may be carried out all the same.
    pub async fn call(
        &self,
        namespace: &str,
        name: &str,
        method: &str,
        arguments: Payload,
    ) -> Result<Reply, CallError> {
        let node = &self.shared.node;
        let target = node.target(namespace, name)?;
        if !broken(Tooth::CallBeforeDurable) {
            self.shared.earlier_turns_durable().await;
        }
        let wait = node
            .waits
            .wait(self.object(), &target.object, &self.origin.chain)?;
        let origin = Origin {
            chain: self.origin.chain.and(self.object().clone()),
            ..self.origin.clone()
        };
        let call = Call {
            origin,
            ..Call::new(method, arguments, self.deadline)
        };
        node.call(&target, call, Some(wait)).await
    }

    /// Stages a message to an object: a call of a method that may write, whose reply nobody waits for.
    /// It is stored by this turn's commit, leaves when that is durable, and takes effect exactly
    /// once. Messages to one object arrive in the order they were sent.
    ///
    /// # Errors
    /// [`CallError::UnknownNamespace`], [`CallError::InvalidObject`] or [`CallError::UnknownMethod`]
    /// when it could never arrive; [`CallError::OutboxFull`] when too much is outgoing. Nothing is staged.
    pub fn send(
        &self,
        namespace: &str,
        name: &str,
        method: &str,
        arguments: Payload,
    ) -> Result<(), CallError> {
        let node = &self.shared.node;
        let to = node.target(namespace, name)?;
        let methods = &node.description(&to)?.methods;
        let writing = || methods.iter().filter(|m| m.access == Access::Write);
        if !writing().any(|known| known.name == method) {
            return Err(CallError::UnknownMethod {
                namespace: namespace.to_owned(),
                method: method.chars().take(80).collect(),
                known: writing().map(|known| known.name.to_owned()).collect(),
            });
        }
        let outgoing = Outgoing {
            to,
            method: method.into(),
            arguments,
            expires: self.now() + node.limits.send_retention,
            request_id: self.origin.request_id.clone(),
            traceparent: self.origin.traceparent.clone(),
        };
        let taken = (
            self.shared.outgoing_messages.load(Ordering::Relaxed),
            self.shared.outgoing_bytes.load(Ordering::Relaxed),
        );
        let staged = self.shared.stage.lock().send(outgoing, taken, &node.limits);
        staged.map_err(|OutboxIsFull| CallError::OutboxFull {
            object: self.object().clone(),
            messages_max: node.limits.outbox_messages_max,
            max_bytes: node.limits.outbox_max_bytes,
        })
    }

    /// The namespace a Rust actor is registered under.
    ///
    /// # Errors
    /// [`CallError::UnknownNamespace`] when it is not registered, [`CallError::InvalidObject`]
    /// when it is registered several times.
    pub fn namespace_of(&self, type_id: TypeId) -> Result<Namespace, CallError> {
        self.shared.node.registry.namespace_of(type_id)
    }
}

impl fmt::Debug for TurnContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TurnContext({})", self.object())
    }
}

/// Longest name of an alarm.
const ALARM_NAME_SIZE_MAX_BYTES: usize = 256;

/// A range of keys to list.
#[derive(Debug, Clone)]
pub struct ListOptions {
    /// First key.
    pub start: Bound<Bytes>,
    /// Last key.
    pub end: Bound<Bytes>,
    /// Order of the answer, which `limit` counts from.
    pub direction: Direction,
    /// At most this many.
    pub limit: usize,
}

impl ListOptions {
    /// Every key.
    #[must_use]
    pub fn all() -> Self {
        Self {
            start: Bound::Unbounded,
            end: Bound::Unbounded,
            direction: Direction::Forward,
            limit: usize::MAX,
        }
    }

    /// The keys that begin with `prefix`.
    #[must_use]
    pub fn prefix(prefix: &[u8]) -> Self {
        // The end is the prefix with its last byte that is not 0xff counted up, and cut there.
        let kept = prefix.iter().rposition(|byte| *byte != u8::MAX);
        let end = kept.map_or(Bound::Unbounded, |last| {
            let mut end = prefix[..=last].to_vec();
            end[last] += 1;
            Bound::Excluded(end.into())
        });
        Self {
            start: Bound::Included(Bytes::copy_from_slice(prefix)),
            end,
            ..Self::all()
        }
    }
}

/// `BTreeMap::range` panics on ranges that end before they start; to us they are just empty.
fn is_empty(start: &Bound<Bytes>, end: &Bound<Bytes>) -> bool {
    match (start, end) {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        (Bound::Included(start), Bound::Included(end)) => start > end,
        (
            Bound::Included(start) | Bound::Excluded(start),
            Bound::Included(end) | Bound::Excluded(end),
        ) => start >= end,
    }
}
