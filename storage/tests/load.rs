//! Commits, freezes, checkpoints and reads at the same time, for two seconds each: nothing may stop, and
//! memory and disk stay within their bounds.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use abide_storage::conformance::{Activation, object, put};
use abide_storage::{EngineKind, LogStore, Options, Store};

const WRITERS: usize = 64;
const COMMITS_PER_WRITER: usize = 400;
const SEGMENT_SIZE_BYTES: u64 = 1 << 20;
const OVERLAY_SIZE_MAX_BYTES: u64 = 4 << 20;

fn options(engine: EngineKind) -> Options {
    Options {
        engine,
        segment_size_bytes: SEGMENT_SIZE_BYTES,
        checkpoint_size_bytes: 64 << 10,
        overlay_size_max_bytes: OVERLAY_SIZE_MAX_BYTES,
        ..Options::default()
    }
}

async fn write(store: Arc<dyn Store>, writer: usize) {
    let name = format!("writer {writer}");
    let mut activation = Activation::open(&store, object("test", &name))
        .await
        .unwrap();
    for number in 0..COMMITS_PER_WRITER {
        store.room().await;
        let (key, value) = (format!("{}", number % 7), format!("{number}"));
        activation
            .commit(vec![put(&key, value.clone()), put("fill", vec![1; 700])])
            .await;
        if number % 5 == 0 {
            assert_eq!(activation.get(&key).await, Some(value.into()));
        }
    }
}

async fn load(engine: EngineKind) {
    let folder = tempfile::tempdir().unwrap();
    let store = LogStore::open(folder.path(), options(engine)).unwrap();
    let writers = (0..WRITERS).map(|writer| {
        let store: Arc<dyn Store> = store.clone();
        write(store, writer)
    });
    // Two groups of writers on two threads of the runtime.
    let mut writers: Vec<_> = writers.collect();
    let rest = writers.split_off(WRITERS / 2);
    let all = async {
        let mut set = tokio::task::JoinSet::new();
        set.spawn(futures_util::future::join_all(writers));
        set.spawn(futures_util::future::join_all(rest));
        set.join_all().await
    };
    let watch = async {
        loop {
            let overlay = store.metrics().overlay_bytes;
            // One group of writers may have been let in at the bound.
            assert!(
                overlay < OVERLAY_SIZE_MAX_BYTES + (1 << 20),
                "{overlay} bytes in the overlay"
            );
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let timeout = tokio::time::sleep(Duration::from_secs(120));
    tokio::select! {
        _ = all => {}
        () = watch => {}
        () = timeout => panic!("commits have stopped: {:?}", store.metrics()),
    }
    let metrics = store.metrics();
    assert_eq!(metrics.commits, (WRITERS * COMMITS_PER_WRITER) as u64);
    assert!(metrics.checkpoints > 3, "{metrics:?}");
    store.shutdown().await;
    if engine == EngineKind::Memory {
        // The engine forgets, so the log must not.
        return;
    }
    let log = folder_size_bytes(&folder.path().join("log"));
    assert!(
        log <= 8 * SEGMENT_SIZE_BYTES,
        "{log} bytes of log are left after a checkpoint"
    );
}

fn folder_size_bytes(path: &Path) -> u64 {
    std::fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_stops_over_memory() {
    load(EngineKind::Memory).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_stops_over_sled() {
    load(EngineKind::Sled).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_stops_over_redb() {
    load(EngineKind::Redb).await;
}
