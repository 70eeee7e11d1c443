//! Durable commits per second: Abide's log against the bare file system and the bare engines.
//!
//! ```text
//! cargo bench -p abide-storage --bench commit -- [--seconds 2] [--rounds 3] [--only raw,log+sled] [--writers 16,256] [--value 100] [--keys 30]
//! ```
//!
//! N writers, tasks on a runtime of two threads, each commit 3 rows of 100 bytes and wait until they are
//! durable. "raw" appends the same bytes to a file filled with zeros and syncs it once per group: the
//! limit of this design on this disk. Rounds are interleaved, and each line is the median of its rounds,
//! because machines and disks have moods.

#![expect(clippy::print_stdout, reason = "a bench prints its table")]
#![expect(
    clippy::cast_possible_truncation,
    reason = "rounding figures for a table"
)]
#![expect(clippy::unwrap_used, reason = "a bench may stop on any error")]
#![expect(
    clippy::disallowed_methods,
    reason = "a bench measures real time on real threads"
)]

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use abide_storage::{
    Commit, Engine, EngineKind, LogStore, Namespace, Object, ObjectId, Options, RedbEngine, Row,
    Section, SledEngine, Store, Version, Write, WriteBatch,
};
use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

/// The allocator of the server.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROWS_PER_COMMIT: usize = 3;

fn main() {
    let arguments = Arguments::read();
    println!(
        "{:<10} {:>7} {:>9} {:>7} {:>8} {:>8} {:>9} {:>8} {:>8} {:>9}",
        "store",
        "writers",
        "commits/s",
        "% raw",
        "p50 µs",
        "p99 µs",
        "max µs",
        "CPU µs",
        "RSS MB",
        "disk MB"
    );
    for &writers in &arguments.writers {
        let mut runs: Vec<Vec<Run>> = arguments.subjects.iter().map(|_| Vec::new()).collect();
        for _ in 0..arguments.rounds {
            for (runs, &subject) in runs.iter_mut().zip(&arguments.subjects) {
                runs.push(run(subject, writers, &arguments));
            }
        }
        let mut raw = None;
        for (runs, subject) in runs.iter_mut().zip(&arguments.subjects) {
            runs.sort_by_key(|run| run.commits_per_second);
            let median = runs[runs.len() / 2];
            if *subject == Subject::Raw {
                raw = Some(median.commits_per_second);
            }
            let share = raw.map_or("-".into(), |raw| {
                (median.commits_per_second * 100 / raw).to_string()
            });
            let worst = runs.iter().map(|run| run.max_us).max().unwrap();
            println!(
                "{:<10} {:>7} {:>9} {:>7} {:>8} {:>8} {:>9} {:>8.1} {:>8} {:>9.1}",
                subject.name(),
                writers,
                median.commits_per_second,
                share,
                median.p50_us,
                median.p99_us,
                worst,
                median.cpu_us,
                median.rss_mb,
                median.disk_mb
            );
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    Raw,
    Log(EngineKind),
    Direct(EngineKind),
}

impl Subject {
    const ALL: [Self; 6] = [
        Self::Raw,
        Self::Log(EngineKind::Sled),
        Self::Log(EngineKind::Redb),
        Self::Log(EngineKind::Memory),
        Self::Direct(EngineKind::Sled),
        Self::Direct(EngineKind::Redb),
    ];

    fn name(self) -> String {
        match self {
            Self::Raw => "raw".into(),
            Self::Log(engine) => format!("log+{engine}"),
            Self::Direct(engine) => engine.to_string(),
        }
    }
}

struct Arguments {
    duration: Duration,
    rounds: usize,
    subjects: Vec<Subject>,
    writers: Vec<usize>,
    value_size_bytes: usize,
    /// Keys each writer goes round: few are the state rows of an actor, many a growing table.
    keys: u64,
}

impl Arguments {
    fn read() -> Self {
        let mut arguments = Self {
            duration: Duration::from_secs(2),
            rounds: 1,
            subjects: Subject::ALL.into(),
            writers: vec![1, 16, 64, 256],
            value_size_bytes: 100,
            keys: 30,
        };
        let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
        while let Some(word) = words.next() {
            let value = words.next().unwrap();
            match &*word {
                "--seconds" => arguments.duration = Duration::from_secs_f64(value.parse().unwrap()),
                "--rounds" => arguments.rounds = value.parse().unwrap(),
                "--keys" => arguments.keys = value.parse().unwrap(),
                "--value" => arguments.value_size_bytes = value.parse().unwrap(),
                "--writers" => {
                    arguments.writers = value.split(',').map(|n| n.parse().unwrap()).collect();
                }
                "--only" => {
                    arguments
                        .subjects
                        .retain(|subject| value.split(',').any(|n| n == subject.name()));
                }
                other => panic!("unknown argument {other}"),
            }
        }
        arguments
    }
}

#[derive(Debug, Clone, Copy)]
struct Run {
    commits_per_second: u64,
    p50_us: u64,
    p99_us: u64,
    max_us: u64,
    cpu_us: f64,
    rss_mb: u64,
    disk_mb: f64,
}

fn run(subject: Subject, writers: usize, arguments: &Arguments) -> Run {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = folder.path();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let shape = Shape {
        value_size_bytes: arguments.value_size_bytes,
        keys: arguments.keys,
    };
    let duration = arguments.duration;
    let driven = match subject {
        Subject::Raw => {
            let sink = RawFile::create(&path.join("raw"));
            let log = Arc::new(Grouped::start(move |group: &[Vec<Row>]| sink.append(group)));
            runtime.block_on(drive(writers, duration, move |writer| {
                GroupedWriter::new(&log, writer, shape)
            }))
        }
        Subject::Direct(kind) => {
            let engine: Box<dyn Engine> = match kind {
                EngineKind::Redb => Box::new(RedbEngine::open(path, 128 << 20).unwrap()),
                _ => Box::new(SledEngine::open(path, 128 << 20).unwrap()),
            };
            let log = Arc::new(Grouped::start(move |group: &[Vec<Row>]| {
                let mut rows: Vec<_> = group.iter().flatten().cloned().collect();
                rows.sort_unstable_by(|a, b| a.key.cmp(&b.key));
                engine.apply(&rows).unwrap();
                engine.sync().unwrap();
            }));
            runtime.block_on(drive(writers, duration, move |writer| {
                GroupedWriter::new(&log, writer, shape)
            }))
        }
        Subject::Log(engine) => {
            let store = LogStore::open(
                path,
                Options {
                    engine,
                    ..Options::default()
                },
            )
            .unwrap();
            let driven = runtime.block_on(drive(writers, duration, |writer| StoreWriter {
                store: store.clone(),
                writer,
                shape,
                open: None,
            }));
            let run = summarize(driven, path);
            runtime.block_on(store.shutdown());
            return run;
        }
    };
    summarize(driven, path)
}

/// One writer of a subject.
trait Committing: Send + 'static {
    fn commit(&mut self) -> impl Future<Output = ()> + Send;
}

async fn drive<W: Committing>(
    writers: usize,
    duration: Duration,
    make: impl Fn(usize) -> W,
) -> Driven {
    let (started, cpu_before) = (Instant::now(), cpu_time());
    let deadline = started + duration;
    let tasks: Vec<_> = (0..writers)
        .map(|number| {
            let mut writer = make(number);
            tokio::spawn(async move {
                let mut latencies = Vec::new();
                let mut now = Instant::now();
                while now < deadline {
                    let started = now;
                    writer.commit().await;
                    now = Instant::now();
                    latencies.push(u32::try_from((now - started).as_micros()).unwrap());
                }
                latencies
            })
        })
        .collect();
    let mut latencies_us = Vec::new();
    for task in tasks {
        latencies_us.extend(task.await.unwrap());
    }
    Driven {
        latencies_us,
        elapsed: started.elapsed(),
        cpu: cpu_time() - cpu_before,
    }
}

/// What the writers saw, without the time to set up and to clean up.
struct Driven {
    latencies_us: Vec<u32>,
    elapsed: Duration,
    cpu: Duration,
}

fn summarize(driven: Driven, path: &Path) -> Run {
    let Driven {
        latencies_us: mut latencies,
        elapsed,
        cpu,
    } = driven;
    latencies.sort_unstable();
    let at = |share: f64| u64::from(latencies[((latencies.len() - 1) as f64 * share) as usize]);
    Run {
        commits_per_second: (latencies.len() as f64 / elapsed.as_secs_f64()) as u64,
        p50_us: at(0.5),
        p99_us: at(0.99),
        max_us: at(1.0),
        cpu_us: cpu.as_secs_f64() * 1e6 / latencies.len() as f64,
        rss_mb: rss_mb(),
        disk_mb: disk_mb(path),
    }
}

struct StoreWriter {
    store: Arc<LogStore>,
    writer: usize,
    shape: Shape,
    open: Option<(Object, abide_storage::Epoch, Version)>,
}

impl Committing for StoreWriter {
    async fn commit(&mut self) {
        let (object, epoch, version) = match self.open.take() {
            Some(open) => open,
            None => {
                let namespace = Namespace::new("bench").unwrap();
                let id = ObjectId::from_name(&namespace, &self.writer.to_string());
                let object = Object { namespace, id };
                let opened = self.store.open(&object).await.unwrap();
                (object, opened.epoch, opened.version)
            }
        };
        self.store.room().await;
        let version = version.next();
        let puts = rows(self.writer, version.0, self.shape);
        let writes = puts
            .map(|(key, value)| Write::Put {
                section: Section::Data,
                key,
                value,
            })
            .into();
        let batch = WriteBatch { writes };
        let commit = Commit {
            object: object.clone(),
            name: None,
            epoch,
            version,
            batch,
        };
        self.store.commit(commit).unwrap().await.unwrap();
        self.open = Some((object, epoch, version));
    }
}

/// What a commit looks like.
#[derive(Debug, Clone, Copy)]
struct Shape {
    value_size_bytes: usize,
    keys: u64,
}

/// The rows of a writer's next commit.
fn rows(writer: usize, version: u64, shape: Shape) -> [(Bytes, Bytes); ROWS_PER_COMMIT] {
    std::array::from_fn(|row| {
        let number = (version * ROWS_PER_COMMIT as u64 + row as u64) % shape.keys;
        let key = format!("key {writer:05} {number:05}");
        let mut value = vec![number as u8; shape.value_size_bytes];
        value[..8].copy_from_slice(&version.to_le_bytes());
        (key.into(), value.into())
    })
}

/// Group commit as plain as it can be, for what has none of its own.
struct Grouped {
    shared: Arc<(Mutex<GroupQueue>, Condvar)>,
    thread: Option<std::thread::JoinHandle<()>>,
}

#[derive(Default)]
struct GroupQueue {
    waiting: Vec<(Vec<Row>, oneshot::Sender<()>)>,
    is_closed: bool,
}

impl Grouped {
    fn start(mut write: impl FnMut(&[Vec<Row>]) + Send + 'static) -> Self {
        let shared = Arc::new((Mutex::new(GroupQueue::default()), Condvar::new()));
        let mine = shared.clone();
        let thread = std::thread::spawn(move || {
            loop {
                let group = {
                    let mut queue = mine.0.lock();
                    while queue.waiting.is_empty() && !queue.is_closed {
                        mine.1.wait(&mut queue);
                    }
                    if queue.waiting.is_empty() {
                        return;
                    }
                    std::mem::take(&mut queue.waiting)
                };
                let (rows, answers): (Vec<_>, Vec<_>) = group.into_iter().unzip();
                write(&rows);
                answers.into_iter().for_each(|answer| _ = answer.send(()));
            }
        });
        Self {
            shared,
            thread: Some(thread),
        }
    }
}

impl Drop for Grouped {
    fn drop(&mut self) {
        self.shared.0.lock().is_closed = true;
        self.shared.1.notify_all();
        self.thread.take().unwrap().join().unwrap();
    }
}

struct GroupedWriter {
    log: Arc<Grouped>,
    writer: usize,
    shape: Shape,
    version: u64,
}

impl GroupedWriter {
    fn new(log: &Arc<Grouped>, writer: usize, shape: Shape) -> Self {
        Self {
            log: log.clone(),
            writer,
            shape,
            version: 0,
        }
    }
}

impl Committing for GroupedWriter {
    async fn commit(&mut self) {
        self.version += 1;
        let puts = rows(self.writer, self.version, self.shape);
        let rows = puts
            .map(|(key, value)| Row {
                key,
                value: Some(value),
            })
            .into();
        let (answer, answered) = oneshot::channel();
        {
            let mut queue = self.log.shared.0.lock();
            queue.waiting.push((rows, answer));
        }
        self.log.shared.1.notify_one();
        answered.await.unwrap();
    }
}

/// A file filled with zeros, written round and round.
struct RawFile {
    file: File,
    position: Mutex<(u64, Vec<u8>)>,
}

const RAW_SIZE_BYTES: u64 = 256 << 20;
/// What Abide's log adds to a commit of three rows: its own header and those of the rows.
const COMMIT_HEADER_SIZE_BYTES: usize = 60;
const ROW_HEADER_SIZE_BYTES: usize = 8;

impl RawFile {
    fn create(path: &Path) -> Self {
        let file = OpenOptions::new()
            .create_new(true)
            .write(true)
            .open(path)
            .unwrap();
        let zeros = vec![0; 1 << 20];
        for offset in (0..RAW_SIZE_BYTES).step_by(zeros.len()) {
            file.write_all_at(&zeros, offset).unwrap();
        }
        file.sync_all().unwrap();
        Self {
            file,
            position: Mutex::default(),
        }
    }

    fn append(&self, group: &[Vec<Row>]) {
        let mut position = self.position.lock();
        let (offset, buffer) = &mut *position;
        buffer.clear();
        for rows in group {
            buffer.extend_from_slice(&[1; COMMIT_HEADER_SIZE_BYTES]);
            for row in rows {
                buffer.extend_from_slice(&[2; ROW_HEADER_SIZE_BYTES]);
                buffer.extend_from_slice(&row.key);
                buffer.extend_from_slice(row.value.as_ref().unwrap());
            }
        }
        if *offset + buffer.len() as u64 > RAW_SIZE_BYTES {
            *offset = 0;
        }
        self.file.write_all_at(buffer, *offset).unwrap();
        self.file.sync_data().unwrap();
        *offset += buffer.len() as u64;
    }
}

/// User and system time of this process.
fn cpu_time() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<_> = stat
        .rsplit_once(')')
        .unwrap()
        .1
        .split_whitespace()
        .collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

fn rss_mb() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap();
    statm
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        * 4
        / 1_024
}

fn disk_mb(path: &Path) -> f64 {
    fn blocks(path: &Path) -> u64 {
        let Ok(metadata) = fs::symlink_metadata(path) else {
            return 0;
        };
        let inside = fs::read_dir(path).into_iter().flatten().flatten();
        metadata.blocks() + inside.map(|entry| blocks(&entry.path())).sum::<u64>()
    }
    blocks(path) as f64 * 512.0 / 1e6
}
