//! What the recorded process does: opens the store, commits, closes or drops it, and again.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use abide_storage::{LogStore, Store};
use anyhow::Context as _;
use futures_util::future;
use tokio::runtime::Runtime;

use crate::bare;
use crate::content::{self, OBJECTS};
use crate::marks::{Marks, Saying};
use crate::subject::Subject;

/// Folder of the store under the watched root.
pub(crate) const DATA: &str = "data";
/// Times the store is opened.
const SESSIONS: u64 = 8;
/// For threads of the engine that outlive it: a process that ends in the middle of a write leaves a trace without it.
pub(crate) const SETTLING: Duration = Duration::from_millis(200);

/// Runs in the process that is recorded.
pub(crate) fn run(subject: Subject, root: &Path, seed: u64) -> anyhow::Result<()> {
    let marks = Marks::create(root)?;
    if subject == Subject::Bare {
        bare::run(&root.join(DATA), &marks, seed)?;
    } else {
        let runtime = two_threads()?;
        for session in 0..SESSIONS {
            runtime.block_on(hold_session(subject, root, &marks, seed ^ session))?;
        }
    }
    std::thread::sleep(SETTLING);
    Ok(())
}

/// Tasks of the store run beside those that commit.
pub(crate) fn two_threads() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
}

async fn hold_session(
    subject: Subject,
    root: &Path,
    marks: &Marks,
    seed: u64,
) -> anyhow::Result<()> {
    let mut random = fastrand::Rng::with_seed(seed);
    let store = LogStore::open_with(&root.join(DATA), subject.options(), subject.seams())?;
    let ends_well = random.bool();
    let shared: Arc<dyn Store> = store.clone();
    let writers = (0..OBJECTS).map(|number| {
        let commits = random.u64(10..140);
        commit_many(shared.clone(), marks, number, commits, random.fork())
    });
    future::try_join_all(writers).await?;
    if ends_well {
        store.shutdown().await;
    }
    Ok(())
}

pub(crate) async fn commit_many(
    store: Arc<dyn Store>,
    marks: &Marks,
    number: u32,
    commits: u64,
    mut random: fastrand::Rng,
) -> anyhow::Result<()> {
    let opened = store.open(&content::object(number)).await?;
    let mut version = opened.version;
    let mut under_way = Vec::new();
    for _ in 0..commits {
        store.room().await;
        version = version.next();
        marks.say(Saying::Tried, number, version.0)?;
        under_way.push(store.commit(content::commit(number, opened.epoch, version))?);
        // Now and then several commits of an object are on their way together.
        if random.u8(..4) > 0 {
            for ticket in under_way.drain(..) {
                ticket.await.context("the disk of the workload failed")?;
            }
            marks.say(Saying::Acknowledged, number, version.0)?;
        }
        if random.u8(..40) == 0 {
            tokio::time::sleep(Duration::from_millis(random.u64(1..20))).await;
        }
    }
    Ok(())
}
