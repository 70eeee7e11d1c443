//! What watchers are shown: those here for the longest, and how that differs from what they have seen.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

use super::roster::{Member, Turn};

/// How much is listed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) members_max: usize,
    /// Ids and states together. A message is at most twice that: what came, and who went.
    pub(super) max_bytes: usize,
}

/// What a member may take in a listing on average, before fewer than `presence_listed_max` fit.
const LISTED_MEMBER_BYTES: usize = 256;
/// A listing has room for one member at least, however large.
const LISTING_BYTES_MIN: usize = 8 * 1024;
/// Shares of a session's queue that one listing may take.
const QUEUE_SHARE: usize = 4;

impl Bounds {
    pub(super) fn new(members_max: usize, outbound_max_bytes: usize) -> Self {
        let wanted_bytes = members_max.saturating_mul(LISTED_MEMBER_BYTES);
        Self {
            members_max,
            max_bytes: wanted_bytes
                .max(LISTING_BYTES_MIN)
                .min(outbound_max_bytes / QUEUE_SHARE),
        }
    }
}

/// Some of the members, and how many there are.
#[derive(Default)]
pub(super) struct Listing {
    /// In the order they came.
    pub(super) entries: Vec<Listed>,
    pub(super) count: usize,
}

pub(super) struct Listed {
    /// Tells a member from one who came later under the same id.
    pub(super) since: Turn,
    pub(super) member: Member,
}

/// What changed from one listing to the next, by id.
#[derive(Default)]
pub(super) struct Diff<'a> {
    pub(super) count: usize,
    pub(super) joined: Vec<&'a Member>,
    pub(super) updated: Vec<&'a Member>,
    pub(super) left: Vec<&'a str>,
}

impl<'a> Diff<'a> {
    /// `None`: nothing to tell.
    pub(super) fn between(before: &'a Listing, after: &'a Listing) -> Option<Self> {
        let mut diff = Self {
            count: after.count,
            ..Self::default()
        };
        // Both are in the order of `since`, so one walk finds who is in only one of them.
        let (mut old, mut new) = (
            before.entries.iter().peekable(),
            after.entries.iter().peekable(),
        );
        let mut gone: Vec<&Member> = Vec::new();
        loop {
            let order = match (old.peek(), new.peek()) {
                (Some(old), Some(new)) => old.since.cmp(&new.since),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => break,
            };
            let was = order.is_le().then(|| old.next()).flatten();
            let is = order.is_ge().then(|| new.next()).flatten();
            match (was, is) {
                (Some(was), Some(is)) if was.member.state != is.member.state => {
                    diff.updated.push(&is.member);
                }
                (Some(was), None) => gone.push(&was.member),
                (None, Some(is)) => diff.joined.push(&is.member),
                (Some(_), Some(_)) | (None, None) => {}
            }
        }
        diff.pair_up(gone);
        let changed = before.count != after.count
            || !(diff.joined.is_empty() && diff.updated.is_empty() && diff.left.is_empty());
        changed.then_some(diff)
    }

    /// Who left and came again in between has not left to those who watch.
    fn pair_up(&mut self, gone: Vec<&'a Member>) {
        let came: HashMap<&str, &Member> = self
            .joined
            .iter()
            .map(|member| (&*member.id, *member))
            .collect();
        let mut back = HashSet::new();
        for was in gone {
            match came.get(&*was.id) {
                Some(is) => {
                    back.insert(&*was.id);
                    if was.state != is.state {
                        self.updated.push(is);
                    }
                }
                None => self.left.push(&was.id),
            }
        }
        if !back.is_empty() {
            self.joined.retain(|member| !back.contains(&*member.id));
        }
    }
}
