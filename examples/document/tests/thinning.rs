//! Which versions are given up: a pure function of their times.

use proptest::prelude::*;

use crate::document::thinning::{SIZE_MAX_BYTES, UNNAMED_MAX, surplus};
use crate::document::versions::{Cause, Kept};

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

fn kept(number: u64, at_ms: u64, cause: Cause, size_bytes: u64) -> Kept {
    Kept {
        number,
        at_ms,
        cause,
        size_bytes,
        pieces: 1,
        changes: number,
    }
}

fn automatic(number: u64, at_ms: u64) -> Kept {
    kept(number, at_ms, Cause::Automatic, 1_000)
}

/// A document that is written all the time: each step keeps one and thins the others.
fn lived(steps: u64) -> Vec<Kept> {
    let mut kept = Vec::new();
    for number in 0..steps {
        let now = number * 10 * MINUTE_MS;
        kept.push(automatic(number, now));
        let gone = surplus(&kept, now);
        kept.retain(|one: &Kept| !gone.contains(&one.number));
    }
    kept
}

#[test]
fn the_older_the_fewer() {
    let kept = lived(90 * 24 * 6);
    let newest = kept.last().unwrap().at_ms;
    let aged = |from: u64, to: u64| {
        let ages = kept.iter().map(|one| newest - one.at_ms);
        ages.filter(|age| (from..to).contains(age)).count()
    };
    assert_eq!(aged(0, HOUR_MS), 6, "all of the last hour");
    assert!(
        (23..=25).contains(&aged(HOUR_MS, DAY_MS)),
        "one per hour: {kept:?}"
    );
    assert!(
        (28..=31).contains(&aged(DAY_MS, 30 * DAY_MS)),
        "one per day: {kept:?}"
    );
    assert!(
        (8..=10).contains(&aged(30 * DAY_MS, 91 * DAY_MS)),
        "one per week: {kept:?}"
    );
}

#[test]
fn names_keep_versions_and_the_oldest_of_the_others_go_when_they_are_many() {
    let mut kept: Vec<_> = (0..300).map(|number| automatic(number, number)).collect();
    kept[3].cause = Cause::Named("mine".to_owned());
    let gone = surplus(&kept, 300);
    assert_eq!(gone.len(), 299 - UNNAMED_MAX);
    assert!(!gone.contains(&3) && !gone.contains(&299) && gone.contains(&199));
}

#[test]
fn bytes_are_bounded_and_the_newest_stays() {
    let large = |number| kept(number, number, Cause::Automatic, SIZE_MAX_BYTES / 2);
    let all: Vec<_> = (0..4).map(large).collect();
    assert_eq!(surplus(&all, 4), [1, 0]);
    let alone = [kept(0, 0, Cause::Automatic, 2 * SIZE_MAX_BYTES)];
    assert!(surplus(&alone, 4).is_empty());
}

proptest! {
    #[test]
    fn a_version_with_a_name_never_goes_nor_does_the_newest(
        times in prop::collection::btree_set(0..400 * DAY_MS, 1..200),
        named in prop::collection::vec(any::<bool>(), 200),
        later in 0..400 * DAY_MS,
    ) {
        let named = |at: usize| if named[at] { Cause::Named("n".to_owned()) } else { Cause::Automatic };
        let all: Vec<_> = times.iter().enumerate().map(|(at, time)| kept(at as u64, *time, named(at), 10)).collect();
        let now = all.last().unwrap().at_ms + later;
        let gone = surplus(&all, now);
        prop_assert!(all.iter().filter(|one| one.is_named()).all(|one| !gone.contains(&one.number)));
        let newest = all.iter().rfind(|one| !one.is_named());
        prop_assert!(newest.is_none_or(|newest| !gone.contains(&newest.number)));
        // To thin what is thinned changes nothing.
        let left: Vec<_> = all.into_iter().filter(|one| !gone.contains(&one.number)).collect();
        prop_assert!(left.iter().filter(|one| !one.is_named()).count() <= UNNAMED_MAX);
        prop_assert_eq!(surplus(&left, now), Vec::<u64>::new());
    }
}
