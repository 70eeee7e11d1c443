//! [`Store`] in memory: the reference of the contract, and what tests of actors run on.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use crate::batch::{Commit, Section, Write};
use crate::engine::Row;
use crate::engine::memory::{apply_to_map, scan_map};
use crate::id::{Epoch, Namespace, Object, ObjectId, Version};
use crate::key::{self, Header};
use crate::limits::{self, COMMIT_SIZE_MAX_BYTES_DEFAULT};
use crate::store::{
    BoxFuture, CommitError, Direction, Health, ObjectSummary, Opened, ReadError, Scan,
    ScheduledAlarm, Store, Ticket,
};

mod controls;

pub use controls::{Aftermath, Room};

type Rows = BTreeMap<Bytes, Bytes>;
type Answer = oneshot::Sender<Result<(), CommitError>>;

/// Keeps everything in memory, has no threads and no clock: a test with virtual time owns it.
///
/// Commits are durable at once, until [`hold_commits`](Self::hold_commits). The other controls
/// make it refuse, fail and crash.
#[derive(Default)]
pub struct MemoryStore {
    inner: Mutex<Inner>,
    /// Rung when something a waiter looks at has changed: held commits, room, shutdown.
    changed: Notify,
}

#[derive(Default)]
struct Inner {
    /// Every accepted commit, durable or not.
    rows: Rows,
    /// Set while commits are held.
    held: Option<Held>,
    /// Objects with an open activation.
    live: HashMap<ObjectId, Live>,
    last_epoch: u64,
    failure: Option<Failure>,
    refusal: Option<Arc<str>>,
    no_room: bool,
    closed: bool,
}

#[derive(Clone)]
struct Live {
    epoch: Epoch,
    version: Version,
    name: Option<Arc<str>>,
}

struct Held {
    /// The rows as they were when holding began: what a crash would leave.
    durable: Rows,
    pending: VecDeque<Pending>,
}

struct Pending {
    object: ObjectId,
    outcome: Result<(), CommitError>,
    answer: Answer,
}

enum Failure {
    /// The ticket answers this error, nothing is written.
    Dropped(CommitError),
    /// The ticket answers [`CommitError::Unknown`], and the commit is written all the same.
    Applied,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn try_open(&self, object: &Object) -> Option<Result<Opened, ReadError>> {
        let mut inner = self.inner.lock();
        if inner.closed {
            return Some(Err(ReadError::Closed));
        }
        let unsettled = |held: &Held| held.pending.iter().any(|held| held.object == object.id);
        if inner.held.as_ref().is_some_and(unsettled) {
            return None;
        }
        inner.last_epoch += 1;
        let epoch = Epoch(inner.last_epoch);
        let opened = read_opened(&inner.rows, object, epoch);
        if let Ok(Opened { version, name, .. }) = &opened {
            let live = Live {
                epoch,
                version: *version,
                name: name.clone(),
            };
            inner.live.insert(object.id, live);
        }
        Some(opened)
    }
}

impl Store for MemoryStore {
    fn open<'a>(&'a self, object: &'a Object) -> BoxFuture<'a, Result<Opened, ReadError>> {
        Box::pin(async move {
            loop {
                let mut changed = std::pin::pin!(self.changed.notified());
                changed.as_mut().enable();
                match self.try_open(object) {
                    Some(opened) => return opened,
                    None => changed.await,
                }
            }
        })
    }

    fn close(&self, object: &Object, epoch: Epoch) {
        let mut inner = self.inner.lock();
        if inner
            .live
            .get(&object.id)
            .is_some_and(|live| live.epoch == epoch)
        {
            inner.live.remove(&object.id);
        }
    }

    fn commit(&self, commit: Commit) -> Result<Ticket, CommitError> {
        let mut inner = self.inner.lock();
        let inner = &mut *inner;
        if inner.closed {
            return Err(CommitError::Refused {
                reason: "the store is closed".into(),
            });
        }
        if let Some(reason) = &inner.refusal {
            return Err(CommitError::Refused {
                reason: reason.clone(),
            });
        }
        let id = commit.object.id;
        let fenced = CommitError::Fenced {
            epoch: commit.epoch,
        };
        let live = inner
            .live
            .get_mut(&id)
            .filter(|live| live.epoch == commit.epoch);
        let live = live.ok_or(fenced)?;
        limits::check(&commit, COMMIT_SIZE_MAX_BYTES_DEFAULT)?;
        assert_eq!(
            commit.version,
            live.version.next(),
            "a commit makes exactly the next version"
        );

        live.version = commit.version;
        live.name = live.name.take().or_else(|| commit.name.clone());
        let header = Header {
            version: live.version,
            epoch: live.epoch,
            name: live.name.clone(),
        };
        let rows = engine_rows(&commit, &header);

        let (answer, ticket) = Ticket::new();
        let (outcome, applied, durable) = match inner.failure.take() {
            None => (Ok(()), true, false),
            Some(Failure::Applied) => (Err(CommitError::Unknown), true, true),
            Some(Failure::Dropped(error)) => (Err(error), false, false),
        };
        if applied {
            apply_to_map(&mut inner.rows, &rows);
        }
        if outcome.is_err() {
            inner.live.remove(&id);
        }
        match &mut inner.held {
            Some(held) => {
                if durable {
                    apply_to_map(&mut held.durable, &rows);
                }
                held.pending.push_back(Pending {
                    object: id,
                    outcome,
                    answer,
                });
            }
            None => _ = answer.send(outcome),
        }
        Ok(ticket)
    }

    fn has_room(&self) -> bool {
        !self.inner.lock().no_room
    }

    fn room(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            loop {
                let mut changed = std::pin::pin!(self.changed.notified());
                changed.as_mut().enable();
                if self.has_room() || self.inner.lock().closed {
                    return;
                }
                changed.await;
            }
        })
    }

    fn get<'a>(
        &'a self,
        object: &'a Object,
        section: Section,
        key: &'a [u8],
    ) -> BoxFuture<'a, Result<Option<Bytes>, ReadError>> {
        let key = key::row(&object.id, &key::local(section, key));
        let value = self.inner.lock().rows.get(&key[..]).cloned();
        Box::pin(std::future::ready(Ok(value)))
    }

    fn scan<'a>(
        &'a self,
        object: &'a Object,
        scan: Scan,
    ) -> BoxFuture<'a, Result<Vec<(Bytes, Bytes)>, ReadError>> {
        let range = key::local_range(scan.section, &scan.start, &scan.end);
        let range = key::row_range(&object.id, &range);
        let found = scan_rows(&self.inner.lock().rows, &range, scan.direction, scan.limit);
        let rows = found
            .into_iter()
            .map(|(key, value)| Ok((key::decode_local(&key::decode_row(&key)?)?.1, value)))
            .collect();
        Box::pin(std::future::ready(rows))
    }

    fn alarms<'a>(
        &'a self,
        after: Option<ScheduledAlarm>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<ScheduledAlarm>, ReadError>> {
        let range = key::alarms(after.as_ref());
        let found = scan_rows(&self.inner.lock().rows, &range, Direction::Forward, limit);
        let alarms = found
            .iter()
            .map(|(key, value)| key::decode_alarm(key, value))
            .collect();
        Box::pin(std::future::ready(alarms))
    }

    fn objects<'a>(
        &'a self,
        namespace: &'a Namespace,
        after: Option<ObjectId>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<ObjectSummary>, ReadError>> {
        let range = key::headers(namespace, after.as_ref());
        let found = scan_rows(&self.inner.lock().rows, &range, Direction::Forward, limit);
        let objects = found
            .iter()
            .map(|(key, value)| {
                let header: Header = key::decode_value(value)?;
                let id = key::decode_header_id(key)?;
                Ok(ObjectSummary {
                    id,
                    name: header.name,
                    version: header.version,
                })
            })
            .collect();
        Box::pin(std::future::ready(objects))
    }

    fn health(&self) -> Health {
        let inner = self.inner.lock();
        match &inner.refusal {
            _ if inner.closed => Health::Failed("the store is closed".into()),
            Some(reason) => Health::WritesRefused(reason.to_string()),
            None => Health::Ready,
        }
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        self.release_commits();
        self.inner.lock().closed = true;
        self.changed.notify_waiters();
        Box::pin(std::future::ready(()))
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.inner.lock();
        f.debug_struct("MemoryStore")
            .field("rows", &inner.rows.len())
            .field("open_objects", &inner.live.len())
            .finish_non_exhaustive()
    }
}

/// A commit as changes of rows, a later write of the same row winning.
pub(crate) fn engine_rows(commit: &Commit, header: &Header) -> Vec<Row> {
    let Object { namespace, id } = &commit.object;
    let mut rows = vec![Row {
        key: key::header(namespace, id).into(),
        value: Some(key::encode_value(header)),
    }];
    rows.extend(commit.batch.writes.iter().map(|write| match write {
        Write::Put {
            section,
            key,
            value,
        } => {
            let key = key::row(id, &key::local(*section, key));
            Row {
                key: key.into(),
                value: Some(value.clone()),
            }
        }
        Write::Delete { section, key } => Row {
            key: key::row(id, &key::local(*section, key)).into(),
            value: None,
        },
        Write::ScheduleAlarm { due, name } => Row {
            key: key::alarm(*due, id, name).into(),
            value: Some(Bytes::copy_from_slice(namespace.as_str().as_bytes())),
        },
        Write::UnscheduleAlarm { due, name } => Row {
            key: key::alarm(*due, id, name).into(),
            value: None,
        },
    }));
    rows
}

fn read_opened(rows: &Rows, object: &Object, epoch: Epoch) -> Result<Opened, ReadError> {
    let header = rows.get(&key::header(&object.namespace, &object.id)[..]);
    let header: Option<Header> = header.map(|bytes| key::decode_value(bytes)).transpose()?;
    let mut opened = Opened::new(epoch, header);
    let range = key::row_range(&object.id, &key::opening_range());
    for (key, value) in scan_rows(rows, &range, Direction::Forward, usize::MAX) {
        opened.take_row(&key::decode_row(&key)?, value)?;
    }
    Ok(opened)
}

fn scan_rows(
    rows: &Rows,
    range: &key::KeyRange,
    direction: Direction,
    limit: usize,
) -> Vec<(Bytes, Bytes)> {
    let (start, end) = key::as_slices(range);
    scan_map(rows, start, end, direction, limit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::WriteBatch;
    use crate::store::Effect;

    type Arrange<'a> = &'a dyn Fn(&MemoryStore);

    fn object() -> Object {
        let namespace = Namespace::new("test").unwrap();
        let id = ObjectId::from_name(&namespace, "one");
        Object { namespace, id }
    }

    fn commit(epoch: Epoch, version: u64, value: &'static str) -> Commit {
        let (section, key) = (Section::Data, Bytes::from_static(b"k"));
        let writes = vec![Write::Put {
            section,
            key,
            value: value.into(),
        }];
        let (object, version) = (object(), Version(version));
        Commit {
            object,
            name: None,
            epoch,
            version,
            batch: WriteBatch { writes },
        }
    }

    async fn value(store: &MemoryStore) -> Option<Bytes> {
        store.get(&object(), Section::Data, b"k").await.unwrap()
    }

    #[tokio::test]
    async fn held_commits_are_seen_but_not_durable() {
        let store = MemoryStore::new();
        let epoch = store.open(&object()).await.unwrap().epoch;
        store
            .commit(commit(epoch, 1, "durable"))
            .unwrap()
            .await
            .unwrap();
        store.hold_commits();
        let mut held = store.commit(commit(epoch, 2, "held")).unwrap();
        assert!(futures_util::poll!(&mut held).is_pending());
        assert_eq!(
            (store.held_commits(), value(&store).await),
            (1, Some("held".into()))
        );
        let mut opening = std::pin::pin!(async { store.open(&object()).await });
        assert!(
            futures_util::poll!(&mut opening).is_pending(),
            "it would show what is not durable"
        );
        store.release_commits();
        held.await.unwrap();
        assert_eq!(opening.await.unwrap().version, Version(2));
    }

    #[tokio::test]
    async fn a_crash_keeps_durable_commits_only() {
        let store = MemoryStore::new();
        let epoch = store.open(&object()).await.unwrap().epoch;
        store
            .commit(commit(epoch, 1, "durable"))
            .unwrap()
            .await
            .unwrap();
        store.hold_commits();
        let held = store.commit(commit(epoch, 2, "held")).unwrap();
        let next = store.crash();
        assert_eq!(held.await, Err(CommitError::Unknown));
        assert_eq!(value(&next).await, Some("durable".into()));
        let opened = next.open(&object()).await.unwrap();
        assert!(opened.version == Version(1) && opened.epoch > epoch);
        assert!(store.commit(commit(epoch, 3, "dead")).is_err());
    }

    #[tokio::test]
    async fn failed_commits_do_what_the_test_chose() {
        let full = CommitError::DiskFull {
            available_bytes: 1,
            reserve_bytes: 2,
        };
        let arrange: [(Arrange<'_>, CommitError, Option<&str>); 3] = [
            (
                &|store| store.fail_next_commit(full.clone()),
                full.clone(),
                None,
            ),
            (
                &|store| store.lose_next_commit(Aftermath::Dropped),
                CommitError::Unknown,
                None,
            ),
            (
                &|store| store.lose_next_commit(Aftermath::Applied),
                CommitError::Unknown,
                Some("1"),
            ),
        ];
        for (arrange, error, found) in arrange {
            let store = MemoryStore::new();
            let epoch = store.open(&object()).await.unwrap().epoch;
            arrange(&store);
            assert_eq!(
                store.commit(commit(epoch, 1, "1")).unwrap().await,
                Err(error)
            );
            assert_eq!(
                store.commit(commit(epoch, 2, "2")).unwrap_err(),
                CommitError::Fenced { epoch }
            );
            assert_eq!(value(&store).await.as_deref(), found.map(str::as_bytes));
            let opened = store.open(&object()).await.unwrap();
            let next = commit(opened.epoch, opened.version.0 + 1, "next");
            store.commit(next).unwrap().await.unwrap();
        }
    }

    #[tokio::test]
    async fn refusals_and_room_follow_their_switches() {
        let store = MemoryStore::new();
        let epoch = store.open(&object()).await.unwrap().epoch;
        store.refuse_writes(Some("maintenance"));
        let error = store.commit(commit(epoch, 1, "1")).unwrap_err();
        assert_eq!(error.effect(), Effect::None);
        assert_eq!(store.health(), Health::WritesRefused("maintenance".into()));
        store.refuse_writes(None);
        store.commit(commit(epoch, 1, "1")).unwrap().await.unwrap();

        store.set_room(Room::Full);
        let mut room = store.room();
        assert!(!store.has_room() && futures_util::poll!(&mut room).is_pending());
        store.set_room(Room::Free);
        room.await;
    }
}
