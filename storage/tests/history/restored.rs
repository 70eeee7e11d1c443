//! A restored folder, compared with what it should be.

use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

use abide_storage::conformance::{Activation, put};
use abide_storage::{
    Direction, LogStore, Options, Restore, Scan, Section, Store, Target, check, restore,
};

use crate::written::{OBJECTS, State, object};

/// Restores and compares; then commits, and compares after opening once more.
pub(crate) async fn compare(from: &Path, target: Target, options: &Options, expected: &State) {
    let folder = tempfile::tempdir().unwrap();
    let request = Restore {
        target,
        options: options.clone(),
        ..Restore::new(from, folder.path())
    };
    restore(&request, &mut |_| {}).unwrap_or_else(|error| panic!("{target}: {error}"));
    let report = check(folder.path(), options).unwrap();
    assert_eq!(report.replayed_commits, 0);
    let orphans = |text: &str| !text.contains("the index has it, the object does not");
    let problems = report.problems.iter().map(ToString::to_string);
    // The test schedules alarms in the index alone.
    assert_eq!(problems.filter(|text| orphans(text)).count(), 0);

    let store = LogStore::open(folder.path(), options.clone()).unwrap();
    assert_eq!(state(&store).await, *expected, "{target}");
    let shared: Arc<dyn Store> = store.clone();
    let mut first = Activation::open(&shared, object(0)).await.unwrap();
    first.commit(vec![put("after", "restore")]).await;
    drop((first, shared, store));

    let store: Arc<dyn Store> = LogStore::open(folder.path(), options.clone()).unwrap();
    let first = Activation::open(&store, object(0)).await.unwrap();
    assert_eq!(first.version.0, expected.versions[0] + 1);
    assert_eq!(first.get("after").await, Some("restore".into()));
}

/// Everything a store has.
pub(crate) async fn state(store: &Arc<LogStore>) -> State {
    let shared: Arc<dyn Store> = store.clone();
    let mut state = State::default();
    for number in 0..OBJECTS {
        let all = Scan {
            section: Section::Data,
            start: Bound::Unbounded,
            end: Bound::Unbounded,
            direction: Direction::Forward,
            limit: usize::MAX,
        };
        for (key, value) in shared.scan(&object(number), all).await.unwrap() {
            state.rows.insert((number, key), value);
        }
        let activation = Activation::open(&shared, object(number)).await.unwrap();
        state.versions[number as usize] = activation.version.0;
    }
    for alarm in shared.alarms(None, usize::MAX).await.unwrap() {
        let of = (0..OBJECTS).find(|number| object(*number) == alarm.object);
        state.alarms.insert((alarm.due.0, of.unwrap()), ());
    }
    state
}
