//! Which versions are given up as they grow old: the older, the fewer.

use std::collections::HashSet;

use super::versions::{Cause, Kept};

const MINUTE_MS: u64 = 60 * 1000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

/// Of versions older than the first, one is kept in each stretch of time as long as the second.
/// Stretches lie on a grid, and each is whole in one of the next row: so what is the newest in a
/// week was the newest in its day and in its hour, and nothing is given up for what goes later.
const BANDS: [(u64, u64); 3] = [
    (HOUR_MS, HOUR_MS),
    (DAY_MS, DAY_MS),
    (30 * DAY_MS, 7 * DAY_MS),
];

/// Versions that nobody gave a name.
pub(crate) const UNNAMED_MAX: usize = 100;
/// All of them together. A document and its versions stay below what one commit can hold, so that
/// it can be copied, exported and put back whole.
pub(crate) const SIZE_MAX_BYTES: u64 = 4 * 1024 * 1024;

/// The numbers of those that go at time `now`. Versions with a name never do, and of the others
/// the newest stays. `kept` is in the order of time.
pub(crate) fn surplus(kept: &[Kept], now_ms: u64) -> Vec<u64> {
    let mut taken = HashSet::new();
    let mut gone = Vec::new();
    let mut size_bytes: u64 = kept.iter().filter(|one| one.is_named()).map(size).sum();
    let mut count = 0;
    let unnamed = kept.iter().rev().filter(|one| !one.is_named());
    for (order, one) in unnamed.enumerate() {
        let age = now_ms.saturating_sub(one.at_ms);
        let band = BANDS.iter().rposition(|(older_than, _)| age > *older_than);
        let is_last_of_its_time = match band {
            None => true,
            Some(band) => taken.insert((band, one.at_ms / BANDS[band].1)),
        };
        let fits = count < UNNAMED_MAX && size_bytes + one.size_bytes <= SIZE_MAX_BYTES;
        if order == 0 || (is_last_of_its_time && fits) {
            count += 1;
            size_bytes += one.size_bytes;
        } else {
            gone.push(one.number);
        }
    }
    gone
}

fn size(one: &Kept) -> u64 {
    one.size_bytes
}

impl Kept {
    pub(crate) fn is_named(&self) -> bool {
        matches!(self.cause, Cause::Named(_))
    }
}
