//! sled without the log: a commit is some rows and a sync. It must be caught, because nothing makes the rows of
//! a commit one.

use std::path::Path;

use abide_storage::{Engine as _, Row, SledEngine};
use anyhow::{Context as _, ensure};

use crate::content::OBJECTS;
use crate::marks::{Bounds, Marks, Saying};

const CACHE_SIZE_BYTES: u64 = 1 << 20;
/// Small rows and several: a write of them is cut in the middle of a commit more often than of a row.
const KEYS_PER_COMMIT: u32 = 8;
const COMMITS: u64 = 400;

fn key(object: u32, number: u32) -> String {
    format!("{object}/{number}")
}

/// The workload.
pub(crate) fn run(folder: &Path, marks: &Marks, seed: u64) -> anyhow::Result<()> {
    let mut random = fastrand::Rng::with_seed(seed);
    let engine = SledEngine::open(folder, CACHE_SIZE_BYTES)?;
    let mut versions = [0; OBJECTS as usize];
    for _ in 0..COMMITS {
        let object = random.u32(..OBJECTS);
        let version = &mut versions[object as usize];
        *version += 1;
        marks.say(Saying::Tried, object, *version)?;
        let row = |number| Row {
            key: key(object, number).into(),
            value: Some(format!("{version} {}", "x".repeat(random.usize(100..600))).into()),
        };
        let rows: Vec<_> = (0..KEYS_PER_COMMIT).map(row).collect();
        engine.apply(&rows)?;
        engine.sync()?;
        marks.say(Saying::Acknowledged, object, *version)?;
    }
    Ok(())
}

/// Every acknowledged commit is there, every other whole or not at all.
pub(crate) fn check(folder: &Path, bounds: &[Bounds]) -> anyhow::Result<()> {
    let engine = SledEngine::open(folder, CACHE_SIZE_BYTES).context("it does not open")?;
    for (object, bounds) in (0..).zip(bounds) {
        let mut found = Vec::new();
        for number in 0..KEYS_PER_COMMIT {
            let version = match engine.get(key(object, number).as_bytes())? {
                Some(value) => std::str::from_utf8(&value)?
                    .split(' ')
                    .next()
                    .context("a row of nothing")?
                    .parse()?,
                None => 0_u64,
            };
            found.push(version);
        }
        ensure!(
            found.iter().all(|version| *version == found[0]),
            "object {object}: its rows are of versions {found:?}"
        );
        ensure!(
            (bounds.acknowledged..=bounds.tried).contains(&found[0]),
            "object {object} is at {}, {bounds:?}",
            found[0]
        );
    }
    Ok(())
}
