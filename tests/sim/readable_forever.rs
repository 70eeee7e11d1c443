//! **readable-forever**: a data folder that any release has written opens today, with every byte of it.
//!
//! `tests/golden/` keeps such folders; its README says how one is made. [`release_1`] is the code
//! that wrote the first: it, and the expectations here, never change. A change of a format comes
//! with a folder of its own.

mod folder;
mod release_1;

use std::path::Path;
use std::sync::Arc;

use abide::prelude::*;
use abide_actors::Runtime;
use abide_storage::{EngineKind, LogStore, OpenError, Options, Store};

use self::release_1::{EXPECTED, Ledger};

const ENGINES: [EngineKind; 2] = [EngineKind::Sled, EngineKind::Redb];

/// Runs a test on a copy of a golden folder, in real time: a store has threads of its own.
fn on_a_copy(engine: EngineKind, test: impl AsyncFnOnce(&Path)) {
    let copy = tempfile::tempdir().unwrap();
    folder::unpack(&golden(engine), copy.path());
    in_real_time(test(copy.path()));
}

fn in_real_time(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(test);
}

fn golden(engine: EngineKind) -> std::path::PathBuf {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/data-1");
    golden.join(format!("{engine}.pack"))
}

fn open(path: &Path, engine: EngineKind) -> Arc<LogStore> {
    let options = Options {
        engine,
        ..release_1::options()
    };
    LogStore::open(path, options).unwrap()
}

async fn contents(node: &Runtime) -> Vec<String> {
    let mut contents = Vec::new();
    for (name, _) in EXPECTED {
        contents.push(release_1::call(node, name, "describe", "[]").await);
    }
    contents
}

#[test]
fn every_object_of_release_1_reads_back() {
    for engine in ENGINES {
        on_a_copy(engine, async |path| {
            let store = open(path, engine);
            assert!(
                store.open_report().replayed_records > 0,
                "the log held what the engine had not"
            );
            let node = release_1::start(store.clone(), release_1::WRITTEN);
            for (found, (name, expected)) in contents(&node).await.iter().zip(EXPECTED) {
                assert_eq!(found, expected, "{name} in {engine}");
            }
            node.drain().await;
            store.shutdown().await;
        });
    }
}

/// The listing, with names and versions, and the index of alarms.
#[test]
fn the_indexes_of_release_1_read_back() {
    for engine in ENGINES {
        on_a_copy(engine, async |path| {
            let store = open(path, engine);
            let namespace = abide::Namespace::new("ledger").unwrap();
            let objects = store.objects(&namespace, None, 100).await.unwrap();
            let mut listed: Vec<_> = objects
                .iter()
                .map(|object| (object.name.as_deref().unwrap_or_default(), object.version.0))
                .collect();
            listed.sort_unstable();
            assert_eq!(listed, release_1::LISTED, "{engine}");
            let alarms = store.alarms(None, 100).await.unwrap();
            let alarms: Vec<_> = alarms
                .iter()
                .map(|alarm| (alarm.due.0, std::str::from_utf8(&alarm.name).unwrap()))
                .collect();
            assert_eq!(alarms, release_1::ALARMS, "{engine}");
            store.shutdown().await;
        });
    }
}

/// Today's code goes on where release 1 left off: it writes, is killed, and reads both.
#[test]
fn a_folder_of_release_1_is_written_to() {
    for engine in ENGINES {
        on_a_copy(engine, async |path| {
            let store = open(path, engine);
            let node = release_1::start(store.clone(), release_1::WRITTEN);
            release_1::call(&node, "plain", "put", r#"["new", "row"]"#).await;
            node.drain().await;
            // Without a shutdown, as after a kill.
            drop((node, store));

            let store = open(path, engine);
            let node = release_1::start(store.clone(), release_1::WRITTEN);
            let described = release_1::call(&node, "plain", "describe", "[]").await;
            assert_eq!(
                described,
                "entries 2, alarms [], rows {\"k\": 1 \"v\", \"new\": 3 \"row\"}"
            );
            node.drain().await;
            store.shutdown().await;
        });
    }
}

/// Decades later every alarm is overdue: each fires once, with the failures it had.
#[test]
fn the_alarms_of_release_1_fire() {
    for engine in ENGINES {
        on_a_copy(engine, async |path| {
            let store = open(path, engine);
            let node = release_1::start(store.clone(), Timestamp(release_1::FAR + 1_000_000));
            let mut fired = String::new();
            // A minute, for a machine that is slow.
            for _attempt in 0..12_000 {
                fired = release_1::call(&node, "waiting", "fired", "[]").await;
                if fired.matches(',').count() + 1 == release_1::ALARMS.len() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            assert_eq!(fired, release_1::FIRED, "{engine}");
            // What has fired is found and removed where release 1 had put it; the parked one stays.
            let waiting = release_1::call(&node, "waiting", "describe", "[]").await;
            assert_eq!(
                waiting, "entries 0, alarms [(\"failing\", 0)], rows {}",
                "{engine}"
            );
            let target = node.target("ledger", "waiting").unwrap();
            let opened = store.open(&target.object).await.unwrap();
            assert_eq!(opened.alarms.len(), 1, "{engine}");
            node.drain().await;
            store.shutdown().await;
        });
    }
}

/// What a newer release has written is refused by name, and left as it was.
#[test]
fn a_folder_of_a_newer_release_is_refused() {
    on_a_copy(EngineKind::Sled, async |path| {
        let format = std::fs::read_to_string(path.join("FORMAT")).unwrap();
        assert_eq!(format, "abide data folder\nformat 1\nengine sled\n");
        std::fs::write(path.join("FORMAT"), format.replace("format 1", "format 2")).unwrap();
        let error = LogStore::open(path, release_1::options()).unwrap_err();
        assert!(
            matches!(
                error,
                OpenError::NewerFormat {
                    found: 2,
                    supported: 1,
                    ..
                }
            ),
            "{error}"
        );
    });
}

/// Writes the golden folders anew, in the folder that `ABIDE_WRITE_GOLDEN` names; without it,
/// checks that what it would write still reads back, in a temporary one.
#[test]
fn the_writer_of_release_1_writes_what_is_expected() {
    let wanted = std::env::var_os("ABIDE_WRITE_GOLDEN");
    for engine in ENGINES {
        let temporary = tempfile::tempdir().unwrap();
        in_real_time(async {
            release_1::write(temporary.path(), engine).await;
            if let Some(wanted) = &wanted {
                let pack = Path::new(wanted).join(format!("{engine}.pack"));
                folder::pack(temporary.path(), &pack);
            }
            let store = open(temporary.path(), engine);
            let node = release_1::start(store.clone(), release_1::WRITTEN);
            for (found, (name, expected)) in contents(&node).await.iter().zip(EXPECTED) {
                assert_eq!(found, expected, "{name} in {engine}");
            }
            node.drain().await;
            store.shutdown().await;
        });
    }
}

/// The encoded state of an actor, byte by byte: what `#[derive(Serialize)]` of a user's type has
/// become on disk.
#[test]
fn the_state_of_an_actor_is_these_bytes() {
    let ledger = Ledger {
        entries: 300,
        note: Some("ä".to_owned()),
        ..Ledger::default()
    };
    let mut bytes = Vec::new();
    abide_storage::codec::encode(&ledger, &mut bytes).unwrap();
    // Format, 300 as a two-byte varint, Some, two bytes of text, and two empty lists.
    assert_eq!(
        bytes,
        [0x01, 0xfb, 0x2c, 0x01, 0x01, 0x02, 0xc3, 0xa4, 0x00, 0x00]
    );
}
