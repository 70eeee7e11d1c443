//! Which keys of an object's storage to list, in which order, and how many.

use std::ops::{Bound, RangeBounds};

use abide_storage::Direction;
use bytes::Bytes;

use crate::turn::ListOptions;

/// A range of keys, in the order of their bytes.
///
/// ```
/// use abide_actors::Keys;
///
/// let every_user = Keys::prefix("user/");
/// let last_ten = Keys::prefix("line/").reverse().limit(10);
/// let some = Keys::range("a".."m");
/// # drop((every_user, last_ten, some));
/// ```
#[derive(Debug, Clone)]
#[must_use = "a range lists nothing by itself: give it to `list`"]
pub struct Keys(ListOptions);

impl Keys {
    /// Every key.
    pub fn all() -> Self {
        Self(ListOptions::all())
    }

    /// The keys that begin with `prefix`.
    pub fn prefix(prefix: &str) -> Self {
        Self(ListOptions::prefix(prefix.as_bytes()))
    }

    /// The keys between two: `"a".."m"`, `"a"..="m"`, `"a"..`. One that ends before it starts is
    /// empty.
    pub fn range<'a>(keys: impl RangeBounds<&'a str>) -> Self {
        Self(ListOptions {
            start: owned(keys.start_bound()),
            end: owned(keys.end_bound()),
            ..ListOptions::all()
        })
    }

    /// Only those after `key`: the next page of a listing whose last key it was.
    ///
    /// In a reversed listing these are the *earlier* keys, so call [`reverse`](Self::reverse)
    /// first.
    pub fn after(mut self, key: &str) -> Self {
        let bound = Bound::Excluded(Bytes::copy_from_slice(key.as_bytes()));
        match self.0.direction {
            Direction::Forward => self.0.start = bound,
            Direction::Reverse => self.0.end = bound,
        }
        self
    }

    /// The last key first.
    pub fn reverse(mut self) -> Self {
        self.0.direction = match self.0.direction {
            Direction::Forward => Direction::Reverse,
            Direction::Reverse => Direction::Forward,
        };
        self
    }

    /// At most this many. Without it a listing holds the whole range in memory.
    pub fn limit(mut self, keys: usize) -> Self {
        self.0.limit = keys;
        self
    }
}

impl From<Keys> for ListOptions {
    fn from(keys: Keys) -> Self {
        keys.0
    }
}

fn owned(bound: Bound<&&str>) -> Bound<Bytes> {
    bound.map(|key| Bytes::copy_from_slice(key.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(keys: Keys) -> (Bound<String>, Bound<String>) {
        let text = |bytes: Bytes| String::from_utf8(bytes.to_vec()).unwrap();
        let ListOptions { start, end, .. } = keys.into();
        (start.map(text), end.map(text))
    }

    fn included(key: &str) -> Bound<String> {
        Bound::Included(key.to_owned())
    }

    fn excluded(key: &str) -> Bound<String> {
        Bound::Excluded(key.to_owned())
    }

    #[test]
    fn ranges_keep_their_bounds() {
        assert_eq!(bounds(Keys::all()), (Bound::Unbounded, Bound::Unbounded));
        assert_eq!(
            bounds(Keys::range("a".."m")),
            (included("a"), excluded("m"))
        );
        assert_eq!(
            bounds(Keys::range("a"..="m")),
            (included("a"), included("m"))
        );
        assert_eq!(
            bounds(Keys::range("a"..)),
            (included("a"), Bound::Unbounded)
        );
        assert_eq!(bounds(Keys::prefix("u/")), (included("u/"), excluded("u0")));
    }

    #[test]
    fn the_next_page_starts_behind_the_last_key() {
        let page = Keys::prefix("u/").after("u/7");
        assert_eq!(bounds(page), (excluded("u/7"), excluded("u0")));
        let page = Keys::prefix("u/").reverse().after("u/7");
        assert_eq!(bounds(page), (included("u/"), excluded("u/7")));
    }

    #[test]
    fn reversing_twice_is_forward_again() {
        let options = ListOptions::from(Keys::all().reverse().reverse().limit(3));
        assert_eq!(options.direction, Direction::Forward);
        assert_eq!(options.limit, 3);
    }
}
