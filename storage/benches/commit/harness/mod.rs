//! The subjects, their runs and the table of the results.

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

use std::path::{Path, PathBuf};
use std::sync::Arc;

use abide_storage::{Engine, EngineKind, LogStore, Options, RedbEngine, Row, SledEngine, Store};

use self::arguments::Arguments;
use self::drive::{Run, drive, summarize};
use self::grouped::{Grouped, GroupedWriter};
use self::raw::RawFile;
use self::rows::Shape;
use self::store::StoreWriter;

mod arguments;
mod drive;
mod grouped;
mod raw;
mod rows;
mod store;
mod usage;

pub(crate) use grouped::{MakeSink, Sink};

const ENGINE_CACHE_SIZE_BYTES: u64 = 128 << 20;

/// One line of the table.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    name: String,
    kind: Kind,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Log(EngineKind),
    Grouped(MakeSink),
}

impl Subject {
    /// What this crate can measure by itself.
    pub(crate) fn all() -> Vec<Self> {
        let log = |engine: EngineKind| Self {
            name: format!("log+{engine}"),
            kind: Kind::Log(engine),
        };
        vec![
            Self::grouped("raw", raw_sink),
            log(EngineKind::Sled),
            log(EngineKind::Redb),
            log(EngineKind::Memory),
            Self::grouped("sled", |folder| {
                engine_sink(SledEngine::open(folder, ENGINE_CACHE_SIZE_BYTES).unwrap())
            }),
            Self::grouped("redb", |folder| {
                engine_sink(RedbEngine::open(folder, ENGINE_CACHE_SIZE_BYTES).unwrap())
            }),
        ]
    }

    /// Something that takes groups of commits.
    pub(crate) fn grouped(name: &str, make: MakeSink) -> Self {
        Self {
            name: name.into(),
            kind: Kind::Grouped(make),
        }
    }
}

fn raw_sink(folder: &Path) -> Sink {
    let mut file = RawFile::create(&folder.join("raw"));
    Box::new(move |group| file.append(group))
}

fn engine_sink(engine: impl Engine) -> Sink {
    Box::new(move |group| {
        let mut rows: Vec<Row> = group.iter().flatten().cloned().collect();
        rows.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        engine.apply(&rows).unwrap();
        engine.sync().unwrap();
    })
}

/// Measures the subjects that the command line names, and prints the table.
pub(crate) fn main(subjects: Vec<Subject>) {
    let arguments = Arguments::read(subjects);
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
            for (runs, subject) in runs.iter_mut().zip(&arguments.subjects) {
                runs.push(run(subject, writers, &arguments));
            }
        }
        let mut raw = None;
        for (runs, subject) in runs.iter_mut().zip(&arguments.subjects) {
            runs.sort_by_key(|run| run.commits_per_second);
            let median = runs[runs.len() / 2];
            if subject.name == "raw" {
                raw = Some(median.commits_per_second);
            }
            let share = raw.map_or("-".into(), |raw| {
                (median.commits_per_second * 100 / raw).to_string()
            });
            let worst = runs.iter().map(|run| run.max_us).max().unwrap();
            println!(
                "{:<10} {:>7} {:>9} {:>7} {:>8} {:>8} {:>9} {:>8.1} {:>8} {:>9.1}",
                subject.name,
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

fn run(subject: &Subject, writers: usize, arguments: &Arguments) -> Run {
    let folder = tempfile::tempdir_in(beside_the_program()).unwrap();
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
    match subject.kind {
        Kind::Grouped(make) => {
            let log = Arc::new(Grouped::start(make(path)));
            let make = move |writer| GroupedWriter::new(&log, writer, shape);
            summarize(runtime.block_on(drive(writers, duration, make)), path)
        }
        Kind::Log(engine) => {
            let options = Options {
                engine,
                history_size_bytes: arguments.history_size_bytes,
                ..Options::default()
            };
            let store = LogStore::open(path, options).unwrap();
            let make = |writer| StoreWriter {
                store: store.clone(),
                writer,
                shape,
                open: None,
            };
            let run = summarize(runtime.block_on(drive(writers, duration, make)), path);
            runtime.block_on(store.shutdown());
            run
        }
    }
}

/// A folder of the build: a temporary one may be in memory, where a sync costs nothing.
fn beside_the_program() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    program.parent().unwrap().into()
}
