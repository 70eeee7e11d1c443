//! A data folder with a known content, damaged by hand, and what every repair of it must do.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use abide_storage::conformance::{self, Activation, put};
use abide_storage::fault::{FaultDisk, PowerSwitch};
use abide_storage::{
    Engine, EngineKind, LogStore, Loss, Object, Options, Repair, RepairError, RepairMode,
    RepairReport, Row, Seams, Section, SledEngine, Store, Timestamp, Write, check, repair,
    repair_with,
};
use bytes::Bytes;

pub(crate) const OBJECTS: u32 = 6;
/// More than any repair needs.
const OPERATIONS_MAX: u64 = 400;

pub(crate) fn options() -> Options {
    Options {
        engine: EngineKind::Sled,
        segment_size_bytes: 1 << 20,
        first_segment_size_bytes: 64 << 10,
        engine_cache_size_bytes: 1 << 20,
        ..Options::default()
    }
}

pub(crate) fn object(number: u32) -> Object {
    conformance::object("test", &number.to_string())
}

pub(crate) struct Damaged {
    folder: tempfile::TempDir,
}

impl Damaged {
    /// Objects at version 2, all in the engine.
    pub(crate) async fn in_engine() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        for _ in 0..2 {
            commit_to_all(&store, 0..OBJECTS, 100).await;
        }
        store.shutdown().await;
        Self { folder }
    }

    /// Objects at version 2 in the engine, and at version 4 in the log: two commits to each, one after the other.
    pub(crate) async fn in_log() -> Self {
        let damaged = Self::in_engine().await;
        let store = open(damaged.path());
        for _ in 0..2 {
            commit_to_all(&store, 0..OBJECTS, 100).await;
        }
        damaged
    }

    /// As [`in_log`](Self::in_log), with commits that take three segments.
    pub(crate) async fn in_segments() -> Self {
        let damaged = Self::in_engine().await;
        let store = open(damaged.path());
        for _ in 0..2 {
            commit_to_all(&store, 0..OBJECTS, 200 << 10).await;
        }
        damaged
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn copy(&self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy_folder(self.path(), folder.path());
        Self { folder }
    }

    /// Segments of the log, in order.
    pub(crate) fn segments(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path().join("log")).unwrap();
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.extension().is_some_and(|end| end == "log"));
        paths.sort();
        paths
    }

    /// Where the records of a segment begin.
    pub(crate) fn records(segment: &Path) -> Vec<u64> {
        let bytes = fs::read(segment).unwrap();
        let magic = [0xab, 0x1d, 0xe7, 0x09];
        let at = (4_096..bytes.len()).step_by(8);
        at.filter(|at| bytes[*at..].starts_with(&magic))
            .map(|at| at as u64)
            .collect()
    }

    pub(crate) fn flip(file: &Path, at: u64) {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(file)
            .unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 0xff], at).unwrap();
    }

    /// Changes rows behind the store's back.
    pub(crate) fn change_rows(&self, rows: impl FnOnce(&SledEngine) -> Vec<Row>) {
        let engine = SledEngine::open(&self.path().join("engine"), 1 << 20).unwrap();
        let rows = rows(&engine);
        engine.apply(&rows).unwrap();
        engine.sync().unwrap();
    }

    /// Repairs it in every way that there is. Answers what was reported.
    pub(crate) fn repaired(&self) -> RepairReport {
        let before = content(self.path());
        let plan = repair(&self.request(RepairMode::DryRun)).unwrap();
        assert!(plan.steps_count > 0 && plan.aside.is_none());
        assert_eq!(content(self.path()), before, "a dry run changes nothing");
        let is_lossy = plan.steps.iter().any(|step| step.loss != Loss::Nothing);
        assert_eq!(is_lossy, plan.lossy_count > 0);
        if is_lossy {
            let refused = repair(&self.request(RepairMode::Lossless)).unwrap_err();
            assert!(matches!(refused, RepairError::Lossy { .. }), "{refused}");
            assert_eq!(content(self.path()), before, "a refusal changes nothing");
        }
        let mode = if is_lossy {
            RepairMode::AcceptLoss
        } else {
            RepairMode::Lossless
        };
        self.cut_short_anywhere(mode, |_| ());
        let report = repair(&self.request(mode)).unwrap();
        assert_eq!(report.steps, plan.steps, "it does what it said");
        assert!(report.aside.as_ref().unwrap().is_dir());
        assert_sound(self.path());
        report
    }

    /// Every copy of it is killed at another operation, looked at, and repaired again: what costs nothing must cost nothing
    /// then, too.
    pub(crate) fn cut_short_anywhere(&self, mode: RepairMode, mut look: impl FnMut(&Path)) {
        for operations in 1..OPERATIONS_MAX {
            let copy = tempfile::tempdir().unwrap();
            copy_folder(self.path(), copy.path());
            let request = Repair {
                data: copy.path().into(),
                ..self.request(mode)
            };
            let seams = Seams {
                engine: None,
                disk: Arc::new(FaultDisk::new(PowerSwitch::after(operations))),
            };
            let is_done = repair_with(&request, &seams).is_ok();
            look(copy.path());
            if !is_done {
                repair(&request).unwrap_or_else(|error| panic!("cut at {operations}: {error}"));
            }
            assert_sound(copy.path());
            if is_done {
                return;
            }
        }
        panic!("a repair needs fewer operations");
    }

    fn request(&self, mode: RepairMode) -> Repair {
        Repair {
            data: self.path().into(),
            options: options(),
            mode,
        }
    }
}

/// Versions of all objects, each with rows that are of one commit, and ready for the next one.
pub(crate) async fn versions(path: &Path) -> Vec<u64> {
    let store = open(path);
    let shared: Arc<dyn Store> = store.clone();
    let mut versions = Vec::new();
    for number in 0..OBJECTS {
        let mut activation = Activation::open(&shared, object(number)).await.unwrap();
        let [a, b] = [activation.get("a").await, activation.get("b").await];
        assert_eq!(
            a.as_ref().map(|a| a[..8].to_vec()),
            b.map(|b| b[..8].to_vec()),
            "object {number} has half of a commit"
        );
        versions.push(activation.version.0);
        activation.commit(vec![put("after", "repair")]).await;
    }
    versions
}

pub(crate) fn open(path: &Path) -> Arc<LogStore> {
    LogStore::open(path, options()).unwrap()
}

/// One commit to each, with an alarm.
pub(crate) async fn commit_to_all(
    store: &Arc<LogStore>,
    numbers: impl Iterator<Item = u32>,
    size_bytes: usize,
) {
    let shared: Arc<dyn Store> = store.clone();
    for number in numbers {
        let mut activation = Activation::open(&shared, object(number)).await.unwrap();
        let version = (activation.version.0 + 1).to_le_bytes().to_vec();
        let value = |size| Bytes::from([version.clone(), vec![7; size]].concat());
        let alarm = Bytes::from("ring");
        let writes = vec![
            put("a", value(size_bytes)),
            put("b", value(0)),
            Write::Put {
                section: Section::Alarm,
                key: alarm.clone(),
                value: Bytes::from("row"),
            },
            Write::ScheduleAlarm {
                due: Timestamp(1_000 + u64::from(number)),
                name: alarm,
            },
        ];
        activation.commit(writes).await;
    }
}

fn assert_sound(path: &Path) {
    let report = check(path, &options()).unwrap();
    assert_eq!(report.problems, []);
    drop(open(path));
    let again = Repair {
        data: path.into(),
        options: options(),
        mode: RepairMode::DryRun,
    };
    assert_eq!(repair(&again).unwrap().steps, []);
}

/// All files but the lock, which names the process that looked.
fn content(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().is_some_and(|name| name != "LOCK") {
                let bytes = fs::read(&path).unwrap();
                files.push((path, bytes));
            }
        }
    }
    files.sort();
    files
}

pub(crate) fn copy_folder(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let copy = to.join(path.file_name().unwrap());
        if path.is_dir() {
            fs::create_dir(&copy).unwrap();
            copy_folder(&path, &copy);
        } else {
            fs::copy(&path, &copy).unwrap();
        }
    }
}
