//! [`LogStore`]: a [`Store`] over any engine, made durable and atomic by a log in front of it.
//!
//! ```text
//! commit() ─► queue ──► committer ──► log: one write, one sync per group ──► tickets answer
//!        └──► active ─► frozen ─────► checkpointer ──► engine ──► used segments go
//! reads ────► active, frozen, engine (on reader threads)
//! ```
//!
//! Order of locks, outermost first: `overlay.tables` (read by commits, written to freeze or to
//! take back) → `live` → `queue` → a shard of a memtable. `durable` is taken alone or last.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};

use self::counters::Counters;
use self::keeper::Keeper;
use self::opening::Threads;
use self::readers::Readers;
use self::shared::{Live, Pending, Shared, Stop};
use crate::batch::{Commit, Section};
use crate::folder::{Folder, OpenError};
use crate::id::{Epoch, Namespace, Object, ObjectId};
use crate::key::{self, Header};
use crate::limits;
use crate::store::{
    BoxFuture, CommitError, Direction, Health, ObjectSummary, Opened, ReadError, Scan,
    ScheduledAlarm, Store, Ticket,
};
use crate::teeth::{Tooth, broken};

mod check;
mod checkpointer;
mod committer;
mod counters;
mod entry;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod keeper;
mod memtable;
mod opening;
mod options;
mod overlay;
mod past;
mod readers;
mod rebuild;
mod recovery;
mod repair;
mod row;
mod shared;
mod space;
#[cfg(feature = "test-util")]
mod stepper;

pub use check::{CheckReport, Problem, check, check_with};
pub use counters::StoreMetrics;
pub use opening::{OpenReport, Seams};
pub(crate) use opening::{engine_error, open_engine, read_meta};
pub use options::Options;
pub(crate) use rebuild::{Rebuild, check_group};
pub use repair::{
    Loss, Repair, RepairError, RepairMode, RepairReport, RepairStep, repair, repair_with,
};
#[cfg(feature = "test-util")]
pub use stepper::{Stepped, Stepper};

/// Keeps objects in a data folder: a commit log in front of an embedded engine.
///
/// The folder is locked until the value is dropped. Dropping without
/// [`shutdown`](Store::shutdown) ends the threads and leaves the rest to the next opening; no
/// acknowledged commit is lost, one that was not answered yet may be there or not.
pub struct LogStore {
    shared: Arc<Shared>,
    keeper: Arc<Keeper>,
    /// `None` after the shutdown.
    readers: RwLock<Option<Arc<Readers>>>,
    /// `None` once they have been told to end.
    threads: Mutex<Option<Threads>>,
    report: OpenReport,
    /// Locks the data folder. `None` for a store that has none, in a test.
    _folder: Option<Folder>,
}

impl LogStore {
    /// Opens the store in this folder, or makes one there. Blocks: reads the log since the last
    /// checkpoint.
    ///
    /// # Errors
    /// [`OpenError`], which says what to do; the folder is left as it was.
    pub fn open(path: &Path, options: Options) -> Result<Arc<Self>, OpenError> {
        opening::open(path, options, Seams::default())
    }

    /// As [`open`](Self::open) with another engine or file system beneath, for tests and for engines
    /// of one's own. `options.engine` still names the engine in the folder's `FORMAT`.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(path: &Path, options: Options, seams: Seams) -> Result<Arc<Self>, OpenError> {
        opening::open(path, options, seams)
    }

    /// What opening found and how long it took.
    #[must_use]
    pub fn open_report(&self) -> OpenReport {
        self.report
    }

    /// Numbers for metrics.
    #[must_use]
    pub fn metrics(&self) -> StoreMetrics {
        let shared = &*self.shared;
        StoreMetrics {
            commits: Counters::get(&shared.counters.commits),
            groups: Counters::get(&shared.counters.groups),
            logged_bytes: Counters::get(&shared.counters.logged_bytes),
            checkpoints: Counters::get(&shared.counters.checkpoints),
            overlay_bytes: shared.overlay.size_bytes(),
            queue_bytes: shared.queue_size_bytes.load(Ordering::Relaxed),
            durable_sequence: shared.durable_sequence(),
            is_poisoned: shared.failure.get().is_some(),
        }
    }

    /// Bytes the engine takes on disk, without the log. Blocks.
    ///
    /// # Errors
    /// [`ReadError::Engine`] when its files cannot be looked at.
    pub fn engine_size_bytes(&self) -> Result<u64, ReadError> {
        Ok(self.shared.engine.size_bytes()?)
    }

    fn readers(&self) -> Result<Arc<Readers>, ReadError> {
        self.readers.read().clone().ok_or(ReadError::Closed)
    }

    /// Waits until every accepted commit of the object is durable or taken back, so that what an
    /// opening shows may be spoken of at once.
    async fn settle(&self, id: &ObjectId) -> Result<(), ReadError> {
        let shared = &*self.shared;
        loop {
            let mut settled = std::pin::pin!(shared.settled.notified());
            settled.as_mut().enable();
            if let Some(reason) = shared.failure.get() {
                // What is in the overlay may or may not be durable: nobody may act on it.
                return Err(ReadError::Engine(reason.clone()));
            }
            match shared.overlay.snapshot().object(id) {
                Some(view) if view.sequence > shared.durable_sequence() => settled.await,
                _ => return Ok(()),
            }
        }
    }

    async fn read_opened(&self, object: &Object, epoch: Epoch) -> Result<Opened, ReadError> {
        let tables = self.shared.overlay.snapshot();
        let range = key::opening_range();
        // Rows before the object: see `Memtable::drain`.
        let layers = tables.scan(&object.id, &range, Direction::Forward, usize::MAX);
        let view = tables.object(&object.id);
        let is_whole = view.as_ref().is_some_and(|view| view.is_whole);
        let (header, engine_rows) = if is_whole {
            (None, Vec::new())
        } else {
            let (object, range) = (object.clone(), range.clone());
            let read = move |engine: &dyn crate::engine::Engine| {
                let header = engine.get(&key::header(&object.namespace, &object.id))?;
                let Some(header) = header else {
                    return Ok((None, Vec::new()));
                };
                let header: Header = key::decode_value(&header)?;
                let all = usize::MAX;
                let forward = Direction::Forward;
                let rows = overlay::engine_rows(engine, &object.id, &range, forward, all)?;
                Ok((Some(header), rows))
            };
            self.readers()?.run(read).await?
        };
        let mut opened = Opened::new(epoch, view.map(|view| view.header).or(header));
        let rows = overlay::merge(layers, engine_rows, Direction::Forward, usize::MAX);
        for (local, value) in rows {
            opened.take_row(&local, value)?;
        }
        Ok(opened)
    }

    fn stop_threads(&self, stop: Stop) {
        if let Some(threads) = self.threads.lock().take() {
            drop(self.readers.write().take());
            threads.stop(&self.shared, &self.keeper, stop);
        }
    }
}

impl Store for LogStore {
    fn open<'a>(&'a self, object: &'a Object) -> BoxFuture<'a, Result<Opened, ReadError>> {
        Box::pin(async move {
            // The claim fences the activation before, so that no commit of it can come between
            // what is read here and our own first commit.
            let claim = Claim::new(&self.shared, object.id);
            self.settle(&object.id).await?;
            let opened = self.read_opened(object, claim.epoch).await?;
            claim.keep(&opened);
            Ok(opened)
        })
    }

    fn close(&self, object: &Object, epoch: Epoch) {
        self.shared
            .live
            .remove_if(&object.id, |_, live| live.epoch == epoch);
    }

    fn commit(&self, commit: Commit) -> Result<Ticket, CommitError> {
        let shared = &*self.shared;
        let fenced = || CommitError::Fenced {
            epoch: commit.epoch,
        };
        let id = commit.object.id;
        let known_name = match shared.live.get(&id) {
            Some(live) if live.epoch == commit.epoch => live.name.clone(),
            Some(live) if broken(Tooth::IgnoreEpoch) => live.name.clone(),
            _ => return Err(fenced()),
        };
        limits::check(&commit, shared.options.commit_size_max_bytes)?;
        if let Some(reason) = shared.failure.get() {
            // Before the space is looked at: a failed store does not recover when space returns.
            return Err(CommitError::Refused {
                reason: reason.clone(),
            });
        }
        if shared.space.is_low() {
            return Err(shared.space.refusal());
        }
        // Encoded before any lock is taken.
        let name = known_name.or_else(|| commit.name.clone());
        let (bytes, changes) = entry::encode(&commit, name.as_ref());
        let (answer, ticket) = Ticket::new();
        let encoded_size_bytes = bytes.len();
        let pending = Pending {
            object: id,
            epoch: commit.epoch,
            bytes,
            answer,
        };

        let tables = shared.overlay.tables.read();
        // Held until the rows are in the memtable: commits of one object enter it in order.
        let mut live = shared
            .live
            .get_mut(&id)
            .filter(|live| live.epoch == commit.epoch || broken(Tooth::IgnoreEpoch));
        let live = live.as_deref_mut().ok_or_else(fenced)?;
        let version = live
            .version
            .expect("an epoch is given out after its object was read");
        let sequence = {
            let mut queue = shared.queue.lock();
            if let Some(reason) = &queue.closed {
                return Err(CommitError::Refused {
                    reason: reason.clone(),
                });
            }
            assert_eq!(
                commit.version,
                version.next(),
                "a commit makes exactly the next version"
            );
            let sequence = queue.next_sequence;
            queue.next_sequence += 1;
            shared
                .queue_size_bytes
                .fetch_add(pending.size_bytes(), Ordering::Relaxed);
            queue.items.push(pending);
            if queue.is_committer_waiting {
                shared.work.notify_one();
            }
            sequence
        };
        live.version = Some(commit.version);
        live.name.clone_from(&name);
        let header = Header {
            version: commit.version,
            epoch: commit.epoch,
            name,
        };
        tables.active.insert(
            &commit.object,
            header,
            sequence,
            encoded_size_bytes,
            changes,
        );
        drop(tables);
        shared.wake_idle_checkpointer();
        Ok(ticket)
    }

    fn has_room(&self) -> bool {
        self.shared.has_room()
    }

    fn room(&self) -> BoxFuture<'_, ()> {
        if self.shared.has_room() {
            return Box::pin(std::future::ready(()));
        }
        Box::pin(async move {
            loop {
                let mut room = std::pin::pin!(self.shared.room.notified());
                room.as_mut().enable();
                if self.shared.has_room() || self.shared.queue.lock().closed.is_some() {
                    return;
                }
                room.await;
            }
        })
    }

    fn get<'a>(
        &'a self,
        object: &'a Object,
        section: Section,
        key: &'a [u8],
    ) -> BoxFuture<'a, Result<Option<Bytes>, ReadError>> {
        Box::pin(async move {
            let readers = self.readers()?;
            let local = key::local(section, key);
            if let Some(known) = self.shared.overlay.snapshot().get(&object.id, &local) {
                return Ok(known);
            }
            let row = key::row(&object.id, &local);
            readers.run(move |engine| Ok(engine.get(&row)?)).await
        })
    }

    fn scan<'a>(
        &'a self,
        object: &'a Object,
        scan: Scan,
    ) -> BoxFuture<'a, Result<Vec<(Bytes, Bytes)>, ReadError>> {
        Box::pin(async move {
            let Scan {
                section,
                start,
                end,
                direction,
                limit,
            } = scan;
            let range = key::local_range(section, &start, &end);
            let tables = self.shared.overlay.snapshot();
            let layers = tables.scan(&object.id, &range, direction, limit);
            let engine_limit = overlay::engine_limit(&layers, limit);
            let id = object.id;
            let readers = self.readers()?;
            let read = move |engine: &dyn crate::engine::Engine| {
                overlay::engine_rows(engine, &id, &range, direction, engine_limit)
            };
            let found = match tables.object(&id) {
                Some(view) if view.is_whole => Vec::new(),
                _ => readers.run(read).await?,
            };
            overlay::merge(layers, found, direction, limit)
                .into_iter()
                .map(|(local, value)| Ok((key::decode_local(&local)?.1, value)))
                .collect()
        })
    }

    fn alarms<'a>(
        &'a self,
        after: Option<ScheduledAlarm>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<ScheduledAlarm>, ReadError>> {
        Box::pin(async move {
            let tables = self.shared.overlay.snapshot();
            let read = move |engine: &dyn crate::engine::Engine| {
                overlay::read_alarms(&tables, engine, after.as_ref(), limit)
            };
            self.readers()?.run(read).await
        })
    }

    fn objects<'a>(
        &'a self,
        namespace: &'a Namespace,
        after: Option<ObjectId>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<ObjectSummary>, ReadError>> {
        Box::pin(async move {
            let tables = self.shared.overlay.snapshot();
            let namespace = namespace.clone();
            let read = move |engine: &dyn crate::engine::Engine| {
                overlay::read_objects(&tables, engine, &namespace, after.as_ref(), limit)
            };
            self.readers()?.run(read).await
        })
    }

    fn health(&self) -> Health {
        let shared = &*self.shared;
        if let Some(reason) = shared.failure.get() {
            return Health::Failed(reason.to_string());
        }
        if let Some(reason) = &shared.queue.lock().closed {
            return Health::Failed(reason.to_string());
        }
        if shared.space.is_low() {
            return Health::WritesRefused(shared.space.refusal().to_string());
        }
        Health::Ready
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let Some(threads) = self.threads.lock().take() else {
                return;
            };
            let readers = self.readers.write().take();
            drop(readers);
            let (done, finished) = tokio::sync::oneshot::channel();
            let (shared, keeper) = (self.shared.clone(), self.keeper.clone());
            let stop = move || {
                threads.stop(&shared, &keeper, Stop::Drain);
                // The engine's files are free once the store is dropped, not some time later.
                drop((shared, keeper));
                // The caller may have stopped waiting.
                _ = done.send(());
            };
            match thread::Builder::new()
                .name("abide-shutdown".into())
                .spawn(stop)
            {
                Ok(_) => _ = finished.await,
                Err(error) => tracing::error!(%error, "no thread to shut the store down"),
            }
        })
    }
}

impl Drop for LogStore {
    fn drop(&mut self) {
        self.stop_threads(Stop::Abandon);
    }
}

impl fmt::Debug for LogStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogStore")
            .field("engine", &self.shared.options.engine)
            .field("metrics", &self.metrics())
            .finish_non_exhaustive()
    }
}

/// An epoch taken for an opening; given back when the opening is not finished.
struct Claim<'a> {
    shared: &'a Shared,
    id: ObjectId,
    epoch: Epoch,
    is_kept: bool,
}

impl<'a> Claim<'a> {
    fn new(shared: &'a Shared, id: ObjectId) -> Self {
        // The number is drawn inside the entry: of two openings, the later one has the higher.
        let entry = shared.live.entry(id);
        let epoch = Epoch(next(&shared.next_epoch));
        entry.insert(Live {
            epoch,
            version: None,
            name: None,
        });
        Self {
            shared,
            id,
            epoch,
            is_kept: false,
        }
    }

    fn keep(mut self, opened: &Opened) {
        self.is_kept = true;
        let live = self.shared.live.get_mut(&self.id);
        // A later opening may hold the object by now; then our epoch is fenced already.
        if let Some(mut live) = live.filter(|live| live.epoch == self.epoch) {
            live.version = Some(opened.version);
            live.name.clone_from(&opened.name);
        }
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if !self.is_kept {
            self.shared
                .live
                .remove_if(&self.id, |_, live| live.epoch == self.epoch);
        }
    }
}

fn next(counter: &AtomicU64) -> u64 {
    counter.fetch_add(1, Ordering::Relaxed)
}
