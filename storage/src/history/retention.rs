//! How long history is kept: a decision over its files, without any I/O.
//!
//! A state is made of a *start*, which is a base or the beginning of the store, and the commits
//! after it. So a start is needed until the next one is old enough to begin with, and only then
//! do the commits between the two go. New starts are made at half of the age and at a quarter of the size; a
//! store whose engine alone is larger than that quarter gets none: its history is commits only,
//! which restore nothing by themselves, but which keep the chain of backups without a gap.

use std::time::Duration;

use super::container::Content;
use super::repository::{Contents, Found};
use crate::id::Timestamp;

/// What may be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// States younger than this are kept, if there is space.
    pub(crate) age: Duration,
    /// All files together, bytes; 0: nothing is kept.
    pub(crate) size_bytes: u64,
}

/// The store, as far as it matters here.
#[derive(Debug, Clone, Copy)]
pub(super) struct Store {
    /// The first commit that is still in the log, with all after it.
    pub(super) first_in_log: u64,
    pub(super) engine_size_bytes: u64,
    pub(super) now: Timestamp,
}

/// What to do.
#[derive(Debug)]
pub(super) struct Decision<'a> {
    /// Files to remove, in this order.
    pub(super) remove: Vec<&'a Found>,
    pub(super) base_wanted: bool,
}

#[derive(Debug, Clone, Copy)]
struct Start {
    /// Commits after this one belong to it.
    after: u64,
    since: Timestamp,
}

/// Decides for these files.
pub(super) fn decide<'a>(contents: &'a Contents, limits: Limits, store: Store) -> Decision<'a> {
    let starts = starts(contents, store);
    let mut oldest = 0;
    let next_is_old = |next: &Start| next.since.0.saturating_add(ms(limits.age)) <= store.now.0;
    while starts.get(oldest + 1).is_some_and(next_is_old) {
        oldest += 1;
    }
    let size_from = |start: usize| -> u64 {
        let after = starts.get(start).map_or(0, |start| start.after);
        let files = needed_from(contents, after);
        files.map(|found| found.header.size_bytes).sum()
    };
    while oldest + 1 < starts.len() && size_from(oldest) > limits.size_bytes {
        oldest += 1;
    }
    let first_needed = starts.get(oldest).map_or(0, |start| start.after);
    let all = contents.bases.iter().chain(&contents.commits);
    let mut remove: Vec<_> = all
        .filter(|found| !is_needed_after(found, first_needed))
        .collect();

    let quarter = limits.size_bytes / 4;
    let fits = store.engine_size_bytes <= quarter;
    if !fits {
        // No other start will come: the oldest goes as far as it must, bases before commits.
        let mut size_bytes = size_from(oldest);
        for found in needed_from(contents, first_needed) {
            if size_bytes > limits.size_bytes {
                size_bytes -= found.header.size_bytes;
                remove.push(found);
            }
        }
    }
    let newest = starts.last().filter(|start| {
        // Without a gap to the log, or nothing that comes can be restored with it.
        contents.gapless_to(start.after) + 1 >= store.first_in_log
    });
    let base_wanted = fits
        && newest.is_none_or(|newest| {
            let after = contents.commits.iter();
            let after = after.filter(|found| found.header.last > newest.after);
            let size_bytes: u64 = after.map(|found| found.header.size_bytes).sum();
            let is_half_aged = newest.since.0.saturating_add(ms(limits.age) / 2) <= store.now.0;
            size_bytes >= quarter.max(1) || is_half_aged && size_bytes > 0
        });
    Decision {
        remove,
        base_wanted,
    }
}

fn starts(contents: &Contents, store: Store) -> Vec<Start> {
    let first = contents.commits.first();
    let is_whole = first.map_or(store.first_in_log, |first| first.header.first) == 1;
    let origin = is_whole.then(|| Start {
        after: 0,
        since: first.map_or(store.now, |first| first.header.first_time),
    });
    let bases = contents.bases.iter().map(|base| Start {
        after: base.header.first,
        since: base.header.last_time,
    });
    origin.into_iter().chain(bases).collect()
}

/// The files that make a state after commit `after`, and later ones.
fn needed_from(contents: &Contents, after: u64) -> impl Iterator<Item = &Found> {
    let all = contents.bases.iter().chain(&contents.commits);
    all.filter(move |found| is_needed_after(found, after))
}

fn is_needed_after(found: &Found, after: u64) -> bool {
    match found.header.content {
        Content::Rows => found.header.first >= after,
        Content::Commits => found.header.last > after,
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::container::Header;
    use super::super::repository::Timeline;
    use super::*;

    const LIMITS: Limits = Limits {
        age: Duration::from_millis(1_000),
        size_bytes: 1_000,
    };

    fn file(content: Content, first: u64, last: u64, time: u64, size_bytes: u64) -> Found {
        let header = Header {
            content,
            timeline: Timeline::random(),
            first,
            last,
            first_time: Timestamp(time),
            last_time: Timestamp(time),
            generation: 1,
            items: 1,
            size_bytes,
        };
        Found {
            path: header.file_name().into(),
            header,
        }
    }

    fn commits(first: u64, last: u64, time: u64, size_bytes: u64) -> Found {
        file(Content::Commits, first, last, time, size_bytes)
    }

    fn base(at: u64, time: u64) -> Found {
        file(Content::Rows, at, at, time, 50)
    }

    fn decided(contents: &Contents, now: u64, engine_size_bytes: u64) -> (Vec<String>, bool) {
        let store = Store {
            first_in_log: contents
                .commits
                .last()
                .map_or(1, |last| last.header.last + 1),
            engine_size_bytes,
            now: Timestamp(now),
        };
        let decision = decide(contents, LIMITS, store);
        let name = |found: &&Found| {
            let Header { first, last, .. } = found.header;
            format!("{first}-{last}.{}", found.header.content.extension())
        };
        (
            decision.remove.iter().map(name).collect(),
            decision.base_wanted,
        )
    }

    #[test]
    fn a_new_store_needs_nothing() {
        assert_eq!(decided(&Contents::default(), 5_000, 10), (vec![], false));
    }

    #[test]
    fn a_store_whose_beginning_is_gone_needs_a_base() {
        let contents = Contents {
            bases: vec![],
            commits: vec![commits(11, 20, 0, 100)],
        };
        assert_eq!(decided(&contents, 1, 10), (vec![], true));
        // After a gap, the base before it helps no more.
        let contents = Contents {
            bases: vec![base(0, 0)],
            commits: vec![commits(11, 20, 0, 100)],
        };
        assert_eq!(decided(&contents, 1, 10), (vec![], true));
    }

    #[test]
    fn a_base_is_made_at_half_of_the_age_and_the_oldest_goes_at_the_age_of_the_next() {
        let mut contents = Contents {
            bases: vec![],
            commits: vec![commits(1, 10, 0, 100)],
        };
        assert_eq!(decided(&contents, 499, 10), (vec![], false));
        assert_eq!(decided(&contents, 500, 10), (vec![], true));
        contents.bases.push(base(12, 500));
        contents.commits.push(commits(11, 20, 510, 100));
        assert_eq!(decided(&contents, 999, 10), (vec![], false));
        assert_eq!(decided(&contents, 1_499, 10), (vec![], true));
        // The commits from 11 on stand in one file with those before the base.
        let gone = vec!["1-10.commits".to_owned()];
        assert_eq!(decided(&contents, 1_500, 10), (gone, true));
    }

    #[test]
    fn the_size_bounds_everything() {
        let mut contents = Contents {
            bases: vec![],
            commits: vec![commits(1, 10, 0, 249)],
        };
        assert!(!decided(&contents, 1, 10).1);
        contents.commits.push(commits(11, 20, 0, 700));
        assert_eq!(decided(&contents, 1, 10), (vec![], true));
        contents.bases.push(base(20, 1));
        contents.commits.push(commits(21, 30, 1, 100));
        let gone = vec!["1-10.commits".to_owned(), "11-20.commits".to_owned()];
        assert_eq!(decided(&contents, 2, 10), (gone, false));
    }

    #[test]
    fn a_large_store_keeps_commits_only() {
        let contents = Contents {
            bases: vec![base(3, 0)],
            commits: vec![
                commits(4, 10, 0, 600),
                commits(11, 20, 0, 300),
                commits(21, 30, 0, 300),
            ],
        };
        let gone = vec!["3-3.base".to_owned(), "4-10.commits".to_owned()];
        assert_eq!(decided(&contents, 1, 251), (gone, false));
    }
}
