//! Opening a store: folder, engine, log, threads; and ending its threads.

use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use dashmap::DashMap;
use parking_lot::{Condvar, Mutex, RwLock};
use tokio::sync::Notify;

use super::LogStore;
use super::checkpointer::Checkpointer;
use super::committer::Committer;
use super::keeper::{Bell, Keeper};
use super::memtable::Memtable;
use super::options::Options;
use super::overlay::Overlay;
use super::readers::Readers;
use super::recovery::{self, Recovered};
use super::shared::{Queue, Shared, Stop};
use super::space::Space;
use crate::clock;
use crate::engine::{Engine, EngineError, EngineKind, MemoryEngine};
use crate::folder::{Folder, OpenError};
use crate::history::{HistoryError, Repository, Timeline};
use crate::key::{self, Meta};
use crate::log::{Disk, Log, LogOptions, RealDisk, ReplayError, SpareMaker, is_disk_full};
use crate::store::ReadError;

/// An epoch is the generation of the opening, then a counter of this many bits.
pub(super) const EPOCH_COUNTER_BITS: u32 = 32;

/// What opening a store found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenReport {
    /// Groups read from the log because the engine may have lacked them.
    pub replayed_records: u64,
    /// Bytes of these groups.
    pub replayed_bytes: u64,
    /// Bytes of a group at the end of the log that had not been written whole, and was never
    /// acknowledged. It is dropped.
    pub cut_tail_bytes: u64,
    /// Time opening took.
    pub duration: Duration,
}

/// What lies beneath a [`LogStore`], where it is not the usual.
#[derive(Debug, Clone)]
pub struct Seams {
    /// The engine; `None`: the one that the options name.
    pub engine: Option<Arc<dyn Engine>>,
    /// The file system under the log.
    pub disk: Arc<dyn Disk>,
}

impl Default for Seams {
    fn default() -> Self {
        Self {
            engine: None,
            disk: Arc::new(RealDisk),
        }
    }
}

/// The store's threads.
#[derive(Debug)]
pub(super) struct Threads {
    committer: JoinHandle<()>,
    checkpointer: JoinHandle<()>,
    /// `None`: no history is kept.
    keeper: Option<JoinHandle<()>>,
    readers: Vec<JoinHandle<()>>,
}

impl Threads {
    /// Tells the threads to end, in the order of the data, and waits for them.
    pub(super) fn stop(self, shared: &Shared, keeper: &Keeper, stop: Stop) {
        shared.close_queue("the store is shut down");
        if stop == Stop::Abandon {
            // Both at once: the checkpointer may wait for what the committer leaves undone.
            shared.stop_checkpointer(stop);
        }
        shared.stop_committer(stop);
        join(self.committer);
        shared.stop_checkpointer(stop);
        join(self.checkpointer);
        keeper.stop();
        self.keeper.into_iter().for_each(join);
        self.readers.into_iter().for_each(join);
        shared.settled.notify_waiters();
    }
}

pub(super) fn open(
    path: &Path,
    options: Options,
    seams: Seams,
) -> Result<Arc<LogStore>, OpenError> {
    let options = options.clamped();
    let folder = Folder::open(&*seams.disk, path, options.engine)?;
    let io_error = |error| OpenError::from_io(path, error);
    let engine = match seams.engine {
        Some(engine) => engine,
        None => open_engine(&folder.engine(), &options)
            .map_err(|error| engine_failed(&folder.engine(), error))?,
    };
    let ground = Ground {
        root: folder.path(),
        engine_folder: &folder.engine(),
        log_folder: &folder.log(),
        engine: engine.clone(),
        disk: seams.disk.clone(),
        spare_maker: SpareMaker::Thread,
        open_history: &|| open_history(&seams.disk, &folder),
    };
    let Assembled {
        shared,
        keeper,
        committer,
        checkpointer,
        report,
    } = assemble(ground, options)?;
    let (readers, reader_threads) =
        Readers::start(engine, shared.options.reader_threads).map_err(io_error)?;
    let history = keeper.clone();
    let threads = Threads {
        keeper: keeper
            .is_on()
            .then(|| spawn("abide-history", move || history.run()))
            .transpose()
            .map_err(io_error)?,
        committer: spawn("abide-committer", move || committer.run()).map_err(io_error)?,
        checkpointer: spawn("abide-checkpoint", move || checkpointer.run()).map_err(io_error)?,
        readers: reader_threads,
    };
    Ok(Arc::new(LogStore {
        shared,
        keeper,
        readers: RwLock::new(Some(Arc::new(readers))),
        threads: Mutex::new(Some(threads)),
        report,
        _folder: Some(folder),
    }))
}

/// What a store stands on.
pub(super) struct Ground<'a> {
    pub(super) root: &'a Path,
    /// Named in errors only.
    pub(super) engine_folder: &'a Path,
    pub(super) log_folder: &'a Path,
    pub(super) engine: Arc<dyn Engine>,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) spare_maker: SpareMaker,
    /// Called when the log has been read: until then the folder is left as it was.
    pub(super) open_history: &'a dyn Fn() -> Result<Repository, OpenError>,
}

/// A store whose log has been read, and what its threads are to run.
pub(super) struct Assembled {
    pub(super) shared: Arc<Shared>,
    pub(super) keeper: Arc<Keeper>,
    pub(super) committer: Committer,
    pub(super) checkpointer: Checkpointer,
    pub(super) report: OpenReport,
}

/// Reads the log and puts the store together, without its threads.
pub(super) fn assemble(ground: Ground<'_>, options: Options) -> Result<Assembled, OpenError> {
    let started = clock::now();
    let Ground {
        root,
        engine_folder,
        log_folder,
        engine,
        disk,
        spare_maker,
        open_history,
    } = ground;
    let meta = read_meta(&*engine).map_err(|problem| engine_error(engine_folder, problem))?;
    let empty = Memtable::new(Arc::new(AtomicU64::new(0)));
    let recovered =
        recovery::recover(&*disk, log_folder, meta.checkpoint, empty).map_err(replay_error)?;
    let Recovered {
        active,
        replayed,
        epoch_max,
    } = recovered;
    let (records, bytes, cut) = (replayed.records, replayed.bytes, replayed.cut_tail_bytes);
    let next_sequence = replayed.next_sequence;
    if cut > 0 {
        tracing::warn!(
            cut_tail_bytes = cut,
            "the log ended in a group that was never acknowledged"
        );
    }

    let sizes = LogOptions {
        first_segment_size_bytes: options.first_segment_size_bytes,
        segment_size_bytes: options.segment_size_bytes,
        spare_maker,
    };
    let log = Log::open(disk.clone(), log_folder, replayed, sizes)
        .map_err(|error| OpenError::from_io(root, error))?;

    // Also above every epoch in the log: an engine in memory forgets the generation.
    let generation = meta.generation.max(epoch_max.0 >> EPOCH_COUNTER_BITS) + 1;
    let meta = Meta { generation, ..meta };
    engine
        .apply(&[meta.row()])
        .and_then(|()| engine.sync())
        .map_err(|error| engine_failed(engine_folder, error))?;

    let space = Space::new(disk, root.into(), options.disk_reserve_bytes);
    let shared = Arc::new(Shared {
        engine,
        overlay: Overlay::new(active, meta.checkpoint),
        live: DashMap::new(),
        next_epoch: AtomicU64::new((generation << EPOCH_COUNTER_BITS) + 1),
        queue: Mutex::new(Queue {
            items: Vec::new(),
            next_sequence,
            is_committer_waiting: false,
            closed: None,
        }),
        work: Condvar::new(),
        queue_size_bytes: AtomicU64::new(0),
        durable: Mutex::new(next_sequence - 1),
        durable_changed: Condvar::new(),
        settled: Notify::new(),
        room: Notify::new(),
        space,
        failure: OnceLock::new(),
        counters: super::counters::Counters::default(),
        checkpoint_wake: Mutex::new(()),
        checkpoint_wanted: Condvar::new(),
        checkpointer_idle: AtomicBool::new(false),
        committer_stop: super::shared::StopFlag::default(),
        checkpointer_stop: super::shared::StopFlag::default(),
        options,
    });

    let keeper = Arc::new(Keeper {
        shared: shared.clone(),
        closed: log.closed(),
        repository: open_history()?,
        log: log_folder.into(),
        generation,
        bell: Bell::default(),
    });
    let committer = Committer::new(shared.clone(), log);
    let checkpointer = Checkpointer::new(shared.clone(), keeper.clone());
    let report = OpenReport {
        replayed_records: records,
        replayed_bytes: bytes,
        cut_tail_bytes: cut,
        duration: clock::now().duration_since(started),
    };
    Ok(Assembled {
        shared,
        keeper,
        committer,
        checkpointer,
        report,
    })
}

/// A folder of an older release gets its timeline here.
fn open_history(disk: &Arc<dyn Disk>, folder: &Folder) -> Result<Repository, OpenError> {
    let path = folder.history();
    Repository::open_or_create(disk.clone(), &path, Timeline::random()).map_err(|error| match error
    {
        HistoryError::Open(error) => error,
        HistoryError::NewerFormat {
            path,
            found,
            supported,
        } => OpenError::NewerFormat {
            path,
            found,
            supported,
        },
        HistoryError::Io { path, source } | HistoryError::DiskFull { path, source } => {
            OpenError::from_io(&path, source)
        }
        other => OpenError::NotADataFolder {
            path: folder.path().into(),
            problem: other.to_string(),
        },
    })
}

/// Opens the engine that the options name. Engines meet damage with errors, and some of it with a panic,
/// which would say nothing of file and remedy.
pub(crate) fn open_engine(
    folder: &Path,
    options: &Options,
) -> Result<Arc<dyn Engine>, EngineError> {
    let opened = panic::catch_unwind(AssertUnwindSafe(|| open_engine_itself(folder, options)));
    opened.unwrap_or_else(|_| Err(EngineError::Failed("it panicked over its files".into())))
}

#[cfg_attr(
    not(any(feature = "sled", feature = "redb")),
    expect(unused_variables, reason = "only engines on a disk have a folder")
)]
fn open_engine_itself(folder: &Path, options: &Options) -> Result<Arc<dyn Engine>, EngineError> {
    Ok(match options.engine {
        #[cfg(feature = "sled")]
        EngineKind::Sled => Arc::new(crate::engine::SledEngine::open(
            folder,
            options.engine_cache_size_bytes,
        )?),
        #[cfg(feature = "redb")]
        EngineKind::Redb => Arc::new(crate::engine::RedbEngine::open(
            folder,
            options.engine_cache_size_bytes,
        )?),
        EngineKind::Memory => Arc::new(MemoryEngine::new()),
    })
}

pub(crate) fn read_meta(engine: &dyn Engine) -> Result<Meta, ReadError> {
    match engine.get(&key::meta())? {
        Some(bytes) => key::decode_value(&bytes),
        None => Ok(Meta::default()),
    }
}

/// What an engine says while a folder is opened.
pub(super) fn engine_failed(folder: &Path, error: EngineError) -> OpenError {
    match error {
        EngineError::Io(source) if is_disk_full(&source) => OpenError::from_io(folder, source),
        error => engine_error(folder, error),
    }
}

pub(crate) fn engine_error(folder: &Path, error: impl Into<ReadError>) -> OpenError {
    OpenError::Engine {
        path: folder.into(),
        problem: error.into().to_string(),
    }
}

pub(super) fn replay_error(error: ReplayError) -> OpenError {
    match error {
        ReplayError::Io { file, source } => OpenError::from_io(&file, source),
        ReplayError::NewerFormat {
            file,
            found,
            supported,
        } => OpenError::NewerFormat {
            path: file,
            found,
            supported,
        },
        ReplayError::Corrupt {
            file,
            offset,
            problem,
        } => OpenError::CorruptLog {
            file,
            offset,
            problem,
        },
    }
}

impl From<ReplayError> for OpenError {
    fn from(error: ReplayError) -> Self {
        replay_error(error)
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.into()).spawn(run)
}

fn join(thread: JoinHandle<()>) {
    // A panic has been reported by the panic hook, and has failed the store.
    _ = thread.join();
}
