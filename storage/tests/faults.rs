//! One fault at a time: what callers are told, what is kept, what recovers.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use abide_storage::conformance::{self, Activation, put};
use abide_storage::fault::{
    DiskFault, DiskOperation, DiskStep, EngineFault, FaultDisk, FaultEngine, FileRole, PowerSwitch,
};
use abide_storage::{
    CommitError, Effect, EngineKind, Health, LogStore, MemoryEngine, Object, OpenError, Options,
    Seams, Store,
};
use bytes::Bytes;

fn object(number: u32) -> Object {
    conformance::object("test", &number.to_string())
}

struct Broken {
    folder: tempfile::TempDir,
    disk: Arc<FaultDisk>,
    engine: Arc<FaultEngine>,
    store: Arc<dyn Store>,
    log_store: Arc<LogStore>,
}

fn options() -> Options {
    Options {
        engine: EngineKind::Memory,
        segment_size_bytes: 1 << 20,
        first_segment_size_bytes: 64 << 10,
        ..Options::default()
    }
}

impl Broken {
    fn new(options: Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let disk = Arc::new(FaultDisk::new(PowerSwitch::never()));
        let inner = Arc::new(MemoryEngine::new());
        let engine = Arc::new(FaultEngine::new(inner, PowerSwitch::never()));
        let log_store = open(folder.path(), options, &disk, &engine);
        // The header of the first segment, the spare: from here on, the operations are those of commits.
        let spare_sync = DiskStep {
            operation: DiskOperation::Sync,
            file: FileRole::Spare,
        };
        while disk.steps().get(&spare_sync).copied() < Some(2) {
            std::thread::yield_now();
        }
        Self {
            folder,
            disk,
            engine,
            store: log_store.clone(),
            log_store,
        }
    }

    /// Drops the store without a shutdown and opens the folder without faults.
    fn reopen(self) -> (tempfile::TempDir, Arc<dyn Store>) {
        let Self {
            folder,
            engine,
            store,
            log_store,
            ..
        } = self;
        drop((store, log_store));
        let disk = Arc::new(FaultDisk::new(PowerSwitch::never()));
        let store = open(folder.path(), options(), &disk, &engine);
        (folder, store)
    }

    async fn activation(&self, number: u32) -> Activation {
        Activation::open(&self.store, object(number)).await.unwrap()
    }
}

fn open(
    path: &Path,
    options: Options,
    disk: &Arc<FaultDisk>,
    engine: &Arc<FaultEngine>,
) -> Arc<LogStore> {
    let seams = Seams {
        engine: Some(engine.clone()),
        disk: disk.clone(),
    };
    LogStore::open_with(path, options, seams).unwrap_or_else(|error| panic!("{error}"))
}

#[tokio::test]
async fn a_failed_sync_is_final() {
    let broken = Broken::new(options());
    let mut lobby = broken.activation(1).await;
    lobby
        .try_commit(vec![put("k", "durable")])
        .unwrap()
        .await
        .unwrap();

    broken
        .disk
        .fault_at(DiskOperation::Sync, 1, DiskFault::Fail);
    let error = lobby
        .try_commit(vec![put("k", "unknown")])
        .unwrap()
        .await
        .unwrap_err();
    assert_eq!(error, CommitError::Unknown);
    assert_eq!(error.effect(), Effect::Unknown);
    // The disk works again; the store must not try: the kernel may have dropped the pages.
    let error = lobby.try_commit(vec![put("k", "later")]).unwrap_err();
    assert!(matches!(error, CommitError::Refused { .. }), "{error}");
    assert!(matches!(broken.store.health(), Health::Failed(_)));
    assert!(broken.log_store.metrics().is_poisoned);
    assert!(
        broken.store.open(&object(1)).await.is_err(),
        "it would show what may not be durable"
    );
    broken.store.room().await;
    broken.store.shutdown().await;

    drop(lobby);
    let (_folder, store) = broken.reopen();
    let lobby = Activation::open(&store, object(1)).await.unwrap();
    let found = lobby.get("k").await.unwrap();
    assert!(found == "durable" || found == "unknown", "{found:?}");
    assert!(matches!(store.health(), Health::Ready));
}

#[tokio::test]
async fn a_failed_write_is_unknown() {
    let broken = Broken::new(options());
    let mut lobby = broken.activation(1).await;
    broken
        .disk
        .fault_at(DiskOperation::Write, 1, DiskFault::Fail);
    let error = lobby
        .try_commit(vec![put("k", "1")])
        .unwrap()
        .await
        .unwrap_err();
    assert_eq!(error, CommitError::Unknown);
}

#[tokio::test]
async fn a_full_disk_takes_commits_back_and_recovers() {
    let broken = Broken::new(options());
    let (mut lobby, mut garden) = (broken.activation(1).await, broken.activation(2).await);
    lobby
        .try_commit(vec![put("k", "kept")])
        .unwrap()
        .await
        .unwrap();
    garden
        .try_commit(vec![put("k", "kept")])
        .unwrap()
        .await
        .unwrap();

    broken
        .disk
        .fault_at(DiskOperation::Write, 1, DiskFault::DiskFull);
    let first = lobby
        .try_commit(vec![put("k", "lost"), put("l", "lost")])
        .unwrap();
    let error = first.await.unwrap_err();
    assert!(matches!(error, CommitError::DiskFull { .. }), "{error}");
    assert_eq!(error.effect(), Effect::None);
    assert_eq!(lobby.get("k").await, Some("kept".into()));
    assert_eq!(lobby.get("l").await, None);
    let error = lobby
        .try_commit(vec![put("k", "built on what is gone")])
        .unwrap_err();
    assert!(matches!(error, CommitError::Fenced { .. }), "{error}");

    // An activation that lost nothing goes on, as soon as the disk has been looked at again.
    let garden = commit_when_possible(garden, "after").await;
    drop(lobby);
    let lobby = Activation::open(&broken.store, object(1)).await.unwrap();
    assert_eq!(lobby.version.0, 1);
    let lobby = commit_when_possible(lobby, "after").await;
    drop((lobby, garden));

    let (_folder, store) = broken.reopen();
    for number in [1, 2] {
        let activation = Activation::open(&store, object(number)).await.unwrap();
        assert_eq!(
            (activation.version.0, activation.get("k").await),
            (2, Some("after".into()))
        );
        assert_eq!(activation.get("l").await, None);
    }
}

async fn commit_when_possible(mut activation: Activation, value: &'static str) -> Activation {
    loop {
        match activation.try_commit(vec![put("k", value)]) {
            Ok(ticket) => {
                ticket.await.unwrap();
                return activation;
            }
            Err(CommitError::DiskFull { .. }) => {
                tokio::time::sleep(Duration::from_millis(20)).await
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// The overlay is rebuilt around a frozen memtable that is durable already, and without one that
/// is not: commits before the failed one stay visible in both cases.
#[tokio::test]
async fn a_full_disk_during_a_checkpoint_keeps_the_overlay_whole() {
    for stalled_operation in [1, 2, 3] {
        let broken = Broken::new(Options {
            checkpoint_size_bytes: 4 << 10,
            ..options()
        });
        let stall = EngineFault::Stall(Duration::from_millis(200));
        broken.engine.fault_at(stalled_operation, stall);
        let mut lobby = broken.activation(1).await;
        for number in 0..40 {
            lobby
                .try_commit(vec![put(format!("{number}"), "kept")])
                .unwrap()
                .await
                .unwrap();
        }
        broken
            .disk
            .fault_at(DiskOperation::Write, 1, DiskFault::DiskFull);
        lobby
            .try_commit(vec![put("0", "lost")])
            .unwrap()
            .await
            .unwrap_err();
        for number in 0..40 {
            assert_eq!(
                lobby.get(&number.to_string()).await,
                Some("kept".into()),
                "{number}"
            );
        }
        drop(lobby);
        let lobby = Activation::open(&broken.store, object(1)).await.unwrap();
        let lobby = commit_when_possible(lobby, "after").await;
        drop(lobby);
        let (_folder, store) = broken.reopen();
        let lobby = Activation::open(&store, object(1)).await.unwrap();
        assert_eq!(
            (lobby.version.0, lobby.get("0").await),
            (41, Some("kept".into()))
        );
    }
}

#[tokio::test]
async fn no_space_for_the_next_segment_takes_commits_back() {
    let broken = Broken::new(options());
    let mut lobby = broken.activation(1).await;
    let large = Bytes::from(vec![1; 40 << 10]);
    // The spares that exist are used up first; creating the next one fails for a while.
    for nth in 1..20 {
        broken
            .disk
            .fault_at(DiskOperation::Create, nth, DiskFault::DiskFull);
    }
    let mut acknowledged = 0;
    loop {
        match lobby.try_commit(vec![put("k", large.clone())]) {
            Ok(ticket) => match ticket.await {
                Ok(()) => acknowledged += 1,
                Err(error) => {
                    assert!(matches!(error, CommitError::DiskFull { .. }), "{error}");
                    break;
                }
            },
            Err(error) => panic!("{error}"),
        }
    }
    lobby = Activation::open(&broken.store, object(1)).await.unwrap();
    assert_eq!(lobby.version.0, acknowledged);
    for _ in 0..200 {
        lobby = Activation::open(&broken.store, object(1)).await.unwrap();
        if let Ok(ticket) = lobby.try_commit(vec![put("k", "after")])
            && ticket.await.is_ok()
        {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(lobby.get("k").await, Some("after".into()));
    drop(lobby);
    let (_folder, store) = broken.reopen();
    let lobby = Activation::open(&store, object(1)).await.unwrap();
    assert_eq!(
        (lobby.version.0, lobby.get("k").await),
        (acknowledged + 1, Some("after".into()))
    );
}

#[tokio::test]
async fn little_space_refuses_writes_until_it_is_back() {
    let broken = Broken::new(Options {
        disk_reserve_bytes: 1 << 20,
        ..options()
    });
    let mut lobby = broken.activation(1).await;
    broken.disk.set_available_bytes(Some(1_000));
    let error = loop {
        match lobby.try_commit(vec![put("k", "1")]) {
            Ok(ticket) => ticket.await.unwrap(),
            Err(error) => break error,
        }
    };
    let full = CommitError::DiskFull {
        available_bytes: 1_000,
        reserve_bytes: 1 << 20,
    };
    assert_eq!(error, full);
    assert!(matches!(broken.store.health(), Health::WritesRefused(_)));
    assert_eq!(lobby.get("k").await, Some("1".into()), "reads go on");
    assert!(broken.store.has_room());

    broken.disk.set_available_bytes(None);
    // Nobody writes: the store itself must notice.
    while broken.store.health() != Health::Ready {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    lobby
        .try_commit(vec![put("k", "2")])
        .unwrap()
        .await
        .unwrap();
}

#[tokio::test]
async fn an_engine_that_fails_fails_the_store_and_loses_nothing() {
    for fault in [EngineFault::Fail, EngineFault::Tear] {
        for nth in 1..6 {
            let broken = Broken::new(Options {
                checkpoint_size_bytes: 2 << 10,
                ..options()
            });
            let mut lobby = broken.activation(1).await;
            broken.engine.fault_at(nth, fault);
            let mut acknowledged = 0;
            let refusal = loop {
                match lobby.try_commit(vec![put("k", format!("{acknowledged}"))]) {
                    Ok(ticket) => match ticket.await {
                        Ok(()) => acknowledged += 1,
                        Err(error) => break error,
                    },
                    Err(error) => break error,
                }
            };
            assert_eq!(refusal.effect(), Effect::None, "{refusal}");
            assert!(matches!(broken.store.health(), Health::Failed(_)));
            drop(lobby);
            let (_folder, store) = broken.reopen();
            let lobby = Activation::open(&store, object(1)).await.unwrap();
            assert_eq!(lobby.version.0, acknowledged);
            assert_eq!(
                lobby.get("k").await,
                Some(format!("{}", acknowledged - 1).into())
            );
        }
    }
}

#[tokio::test]
async fn an_engine_without_space_is_tried_again() {
    let broken = Broken::new(Options {
        checkpoint_size_bytes: 2 << 10,
        ..options()
    });
    broken.engine.fault_at(1, EngineFault::DiskFull);
    let mut lobby = broken.activation(1).await;
    for _ in 0..100 {
        lobby = commit_when_possible(lobby, "v").await;
    }
    while broken.log_store.metrics().checkpoints == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_ne!(broken.store.health(), Health::Failed(String::new()));
    assert!(!broken.log_store.metrics().is_poisoned);
}

#[tokio::test]
async fn a_stalled_engine_does_not_stall_commits() {
    let broken = Broken::new(Options {
        checkpoint_size_bytes: 2 << 10,
        ..options()
    });
    broken
        .engine
        .fault_at(1, EngineFault::Stall(Duration::from_secs(3)));
    let mut lobby = broken.activation(1).await;
    let commits = async {
        for number in 0..100 {
            lobby
                .try_commit(vec![put("k", format!("{number}"))])
                .unwrap()
                .await
                .unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(2), commits)
        .await
        .expect("commits go on");
}

#[tokio::test]
async fn a_full_overlay_makes_callers_wait_for_room() {
    let options = Options {
        checkpoint_size_bytes: 4 << 10,
        overlay_size_max_bytes: 16 << 10,
        ..options()
    };
    let broken = Broken::new(options);
    broken
        .engine
        .fault_at(1, EngineFault::Stall(Duration::from_millis(500)));
    let mut lobby = broken.activation(1).await;
    while broken.store.has_room() {
        lobby
            .try_commit(vec![put("k", vec![1; 1_000])])
            .unwrap()
            .await
            .unwrap();
    }
    let overlay = broken.log_store.metrics().overlay_bytes;
    assert!((16 << 10..20 << 10).contains(&overlay), "{overlay}");
    let room = tokio::time::timeout(Duration::from_secs(10), broken.store.room());
    assert!(
        room.await.is_ok(),
        "no checkpoint made room: {:?}",
        broken.log_store
    );
    assert!(broken.store.has_room());
}

#[tokio::test]
async fn a_damaged_log_is_refused_by_name_and_left_alone() {
    let broken = Broken::new(options());
    let mut lobby = broken.activation(1).await;
    for number in 0..3 {
        lobby
            .try_commit(vec![put(format!("{number}"), "v")])
            .unwrap()
            .await
            .unwrap();
    }
    drop(lobby);
    let Broken {
        folder,
        engine,
        store,
        log_store,
        ..
    } = broken;
    drop((store, log_store));
    let log = folder.path().join("log/000000000001.log");
    let whole = std::fs::read(&log).unwrap();
    let reopen = || {
        let disk = Arc::new(FaultDisk::new(PowerSwitch::never()));
        let seams = Seams {
            engine: Some(engine.clone()),
            disk,
        };
        LogStore::open_with(folder.path(), options(), seams)
    };

    // A byte of the first record: acknowledged commits follow it.
    let mut damaged = whole.clone();
    damaged[4_096 + 50] ^= 1;
    std::fs::write(&log, &damaged).unwrap();
    match reopen() {
        Err(OpenError::CorruptLog { file, offset, .. }) => {
            assert_eq!((file, offset), (log.clone(), 4_096))
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(std::fs::read(&log).unwrap(), damaged);

    // A byte of the last record: it looks like one that was never written whole.
    let last = whole.iter().rposition(|byte| *byte != 0).unwrap();
    let mut torn = whole.clone();
    torn[last] ^= 1;
    std::fs::write(&log, &torn).unwrap();
    let store = reopen().unwrap();
    assert!(store.open_report().cut_tail_bytes > 0);
    let object = object(1);
    assert_eq!(Store::open(&*store, &object).await.unwrap().version.0, 2);
    drop(store);

    // The header.
    let mut damaged = whole.clone();
    damaged[20] ^= 1;
    std::fs::write(&log, &damaged).unwrap();
    assert!(matches!(
        reopen(),
        Err(OpenError::CorruptLog { offset: 0, .. })
    ));

    // A newer release's segment.
    let mut newer = whole;
    newer[8] = 3;
    std::fs::write(&log, &newer).unwrap();
    assert!(matches!(
        reopen(),
        Err(OpenError::NewerFormat {
            found: 3,
            supported: 2,
            ..
        })
    ));
}

#[tokio::test]
async fn a_missing_log_is_refused() {
    let broken = Broken::new(options());
    let mut lobby = broken.activation(1).await;
    lobby
        .try_commit(vec![put("k", "v")])
        .unwrap()
        .await
        .unwrap();
    broken.store.shutdown().await;
    drop(lobby);
    let Broken {
        folder,
        engine,
        store,
        log_store,
        ..
    } = broken;
    drop((store, log_store));
    for entry in std::fs::read_dir(folder.path().join("log")).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let disk = Arc::new(FaultDisk::new(PowerSwitch::never()));
    let seams = Seams {
        engine: Some(engine),
        disk,
    };
    let opened = LogStore::open_with(folder.path(), options(), seams);
    assert!(
        matches!(opened, Err(OpenError::CorruptLog { .. })),
        "{opened:?}"
    );
}
