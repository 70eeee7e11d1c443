//! Many counters, written by the store itself: through the server it would take far longer.

use std::collections::VecDeque;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use abide_storage::{
    Commit, EngineKind, LogStore, Namespace, Object, ObjectId, Options, Section, Store, Ticket,
    Version, Write, WriteBatch, codec,
};
use bytes::Bytes;

/// Commits that may wait for their group, so that groups are large.
const TICKETS_MAX: usize = 4_096;

/// Name of the n-th counter.
pub(crate) fn name(number: u64) -> String {
    format!("object-{number}")
}

/// Makes a data folder with so many counters, always the same, and stops it cleanly.
///
/// # Errors
/// When the store does not open or does not take a commit.
pub(crate) fn fill(data: &Path, engine: EngineKind, objects: u64) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let options = Options {
        engine,
        ..Options::default()
    };
    let store: Arc<dyn Store> = LogStore::open(data, options)?;
    runtime.block_on(async {
        let namespace = Namespace::new("counter")?;
        let mut tickets: VecDeque<Ticket> = VecDeque::new();
        for number in 0..objects {
            if tickets.len() == TICKETS_MAX
                && let Some(oldest) = tickets.pop_front()
            {
                oldest.await?;
            }
            store.room().await;
            tickets.push_back(store.commit(first_commit(&*store, &namespace, number).await?)?);
        }
        for ticket in tickets {
            ticket.await?;
        }
        store.shutdown().await;
        Ok(())
    })
}

async fn first_commit(
    store: &dyn Store,
    namespace: &Namespace,
    number: u64,
) -> anyhow::Result<Commit> {
    let name = name(number);
    let object = Object {
        namespace: namespace.clone(),
        id: ObjectId::from_name(namespace, &name),
    };
    let opened = store.open(&object).await?;
    // What the actor `counter` has as its state; large numbers, which take the most bytes.
    let mut state = vec![];
    codec::encode(&(u64::MAX / 2 + number), &mut state)?;
    let put = Write::Put {
        section: Section::State,
        key: Bytes::new(),
        value: state.into(),
    };
    Ok(Commit {
        object,
        name: Some(name.into()),
        epoch: opened.epoch,
        version: Version(1),
        batch: WriteBatch { writes: vec![put] },
    })
}

/// Bytes of all files in the folder and below.
///
/// # Errors
/// When it cannot be listed.
pub(crate) fn size_bytes(folder: &Path) -> anyhow::Result<u64> {
    let mut size_bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let found = entry.metadata()?;
        size_bytes += if found.is_dir() {
            self::size_bytes(&entry.path())?
        } else {
            found.len()
        };
    }
    Ok(size_bytes)
}
