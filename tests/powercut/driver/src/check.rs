//! What must hold in a folder that a power cut left.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::Path;

use abide_storage::{Direction, LogStore, Scan, Section, Store, Version};
use anyhow::{Context as _, ensure};

use crate::content::{self, OBJECTS};
use crate::marks::Bounds;
use crate::subject::Subject;
use crate::{bare, workload};

/// How the store is closed before it is opened once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// With a checkpoint of everything.
    Shutdown,
    /// Without: the log has the rest.
    Drop,
}

/// Opens what is in the folder, looks at everything, commits on, and opens it once more.
pub(crate) fn check(
    subject: Subject,
    folder: &Path,
    bounds: &[Bounds],
    ending: Ending,
) -> anyhow::Result<()> {
    let folder = folder.join(workload::DATA);
    if subject == Subject::Bare {
        return bare::check(&folder, bounds);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(async {
        let store =
            LogStore::open(&folder, subject.options()).context("the store does not open")?;
        let found = look(&*store, bounds).await?;
        let mut bounds = Vec::new();
        for (number, found) in (0..OBJECTS).zip(found) {
            let opened = store.open(&content::object(number)).await?;
            let version = opened.version.next();
            let commit = content::commit(number, opened.epoch, version);
            let ticket = store.commit(commit).context("it takes no commit")?;
            ticket
                .await
                .context("a new commit does not become durable")?;
            let at = found + 1;
            bounds.push(Bounds {
                acknowledged: at,
                tried: at,
            });
        }
        look(&*store, &bounds).await.context("after a new commit")?;
        if ending == Ending::Shutdown {
            store.shutdown().await;
        }
        drop(store);
        let store =
            LogStore::open(&folder, subject.options()).context("it does not open once more")?;
        look(&*store, &bounds).await.context("opened once more")?;
        anyhow::Ok(())
    })
}

/// Compares all rows of all objects with what their versions say. Answers the versions.
async fn look(store: &dyn Store, bounds: &[Bounds]) -> anyhow::Result<Vec<u64>> {
    let mut versions = Vec::new();
    for (number, bounds) in (0..OBJECTS).zip(bounds) {
        let version = look_at(store, number, *bounds)
            .await
            .with_context(|| format!("object {number}, {bounds:?}"))?;
        versions.push(version);
    }
    let mut due: Vec<_> = (0..OBJECTS)
        .zip(&versions)
        .filter(|(_, version)| **version > 0)
        .map(|(number, version)| (content::due(*version), content::object(number).id))
        .collect();
    due.sort();
    let alarms = store.alarms(None, usize::MAX).await?;
    let alarms: Vec<_> = alarms
        .into_iter()
        .map(|alarm| (alarm.due, alarm.object.id))
        .collect();
    ensure!(alarms == due, "alarms are {alarms:?} instead of {due:?}");

    let mut listed: Vec<_> = (0..OBJECTS)
        .zip(&versions)
        .filter(|(_, version)| **version > 0)
        .map(|(number, version)| (content::object(number).id, Version(*version)))
        .collect();
    listed.sort();
    let objects = store
        .objects(&content::namespace(), None, usize::MAX)
        .await?;
    let objects: Vec<_> = objects
        .into_iter()
        .map(|one| (one.id, one.version))
        .collect();
    ensure!(
        objects == listed,
        "listed is {objects:?} instead of {listed:?}"
    );
    Ok(versions)
}

async fn look_at(store: &dyn Store, number: u32, bounds: Bounds) -> anyhow::Result<u64> {
    let object = content::object(number);
    let opened = store.open(&object).await?;
    let version = opened.version.0;
    ensure!(
        version >= bounds.acknowledged,
        "an acknowledged commit is lost: version {version} is there"
    );
    ensure!(version <= bounds.tried, "nobody made version {version}");
    ensure!(
        opened.state == content::state(number, version),
        "the state is not that of version {version}"
    );
    let scan = Scan {
        section: Section::Data,
        start: Bound::Unbounded,
        end: Bound::Unbounded,
        direction: Direction::Forward,
        limit: usize::MAX,
    };
    let rows: BTreeMap<_, _> = store.scan(&object, scan).await?.into_iter().collect();
    let wanted = content::rows(number, version);
    let names = |rows: &BTreeMap<_, _>| rows.keys().cloned().collect::<Vec<_>>();
    ensure!(
        names(&rows) == names(&wanted),
        "version {version} has the rows {:?}",
        names(&rows)
    );
    for (key, value) in &rows {
        ensure!(
            wanted[key] == *value,
            "row {key:?} is not that of version {version}: it begins {:?}",
            &value[..value.len().min(20)]
        );
    }
    Ok(version)
}
