//! One object as it was.

use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

use super::base;
use super::error::HistoryError;
use super::restore::open_past;
use super::source::Source;
use super::spans::{Past, Plan, Target};
use crate::batch::Section;
use crate::commit::Rebuild;
use crate::engine::{Engine, MemoryEngine, Row};
use crate::id::{Object, ObjectId};
use crate::image::{self, ObjectImage, Rows};
use crate::key::{self, Header};
use crate::log::{Disk, RealDisk};
use crate::store::Direction;

/// Reads one object as it was, from a folder of backups or from a data folder that no process has open.
/// `None`: it did not exist then. Blocks; reads the whole base, and the commits after it.
///
/// # Errors
/// [`HistoryError`]; nothing is changed.
pub fn object_at(
    from: &Path,
    object: &Object,
    target: Target,
) -> Result<Option<ObjectImage>, HistoryError> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let (past, _locked) = open_past(&disk, from)?;
    of_past(&past, object, target)
}

/// The same, of a store that nobody lets segments go of.
pub(crate) fn object_of_source(
    source: &dyn Source,
    object: &Object,
    target: Target,
) -> Result<Option<ObjectImage>, HistoryError> {
    of_past(&Past::of_source(source)?, object, target)
}

fn of_past(
    past: &Past,
    object: &Object,
    target: Target,
) -> Result<Option<ObjectImage>, HistoryError> {
    let plan = past.plan(target)?;
    let engine = MemoryEngine::new();
    rebuild(past, &plan, object, &engine)?;
    let Some(header) = engine.get(&key::header(&object.namespace, &object.id))? else {
        return Ok(None);
    };
    let header: Header = key::decode_value(&header)?;
    Ok(Some(ObjectImage {
        namespace: object.namespace.clone(),
        id: object.id,
        name: header.name,
        version: header.version,
        rows: rows(&engine, &object.id)?,
    }))
}

/// Brings the object, and nothing else, into the engine.
fn rebuild(
    past: &Past,
    plan: &Plan<'_>,
    object: &Object,
    engine: &MemoryEngine,
) -> Result<(), HistoryError> {
    let mut rebuild = Rebuild::new(engine).only(object.id);
    let header = key::header(&object.namespace, &object.id);
    let prefix = key::row(&object.id, &[]);
    if let Some(base) = plan.base {
        base::read(past.disk(), &base.path, &mut |rows| {
            let is_ours = |row: &Row| row.key == header || row.key.starts_with(&prefix);
            let ours: Vec<_> = rows.into_iter().filter(is_ours).collect();
            Ok(rebuild.take_rows(&ours)?)
        })?;
    }
    past.read(plan.replay, &mut |group| {
        rebuild.take_group(&group, plan.replay)
    })?;
    // The engine is thrown away: what it says of itself does not matter.
    Ok(rebuild.finish(0, 0)?)
}

/// The rows that an image has.
fn rows(engine: &MemoryEngine, id: &ObjectId) -> Result<Rows, HistoryError> {
    let start = key::row(id, &[]);
    // No section has the number 0xff.
    let end = key::row(id, &[0xff]);
    let (start, end) = (Bound::Included(&start[..]), Bound::Excluded(&end[..]));
    let mut rows = Rows::new();
    for (key, value) in engine.scan(start, end, Direction::Forward, usize::MAX)? {
        let (number, key) = key::decode_local(&key::decode_row(&key)?)?;
        let known = Section::ALL.iter().find(|known| **known as u8 == number);
        if let Some(section) = known.filter(|section| image::is_carried(**section)) {
            rows.insert((*section, key), value);
        }
    }
    Ok(rows)
}
