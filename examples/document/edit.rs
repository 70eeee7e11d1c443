//! Changes of a plain text: the few insertions and deletions that make one text of another.
//!
//! Positions count UTF-16 units, as Yjs and JavaScript do.

use imara_diff::{Algorithm, Diff, InternedInput};

/// Edits of one change. Each has to look for its place in the document, so many of them would
/// take long; beyond this number what lies between the first and the last is replaced as a whole.
const EDITS_MAX: usize = 1_000;

/// Text that goes, and text that comes in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Edit<'a> {
    /// Where, in the text before all edits.
    pub(crate) at: u32,
    /// How much goes.
    pub(crate) removed: u32,
    pub(crate) inserted: &'a str,
}

/// What makes `after` of `before`, in the order of the text. Lines that are in both stay, so the
/// places that other people hold in them stay too.
pub(crate) fn between<'a>(before: &str, after: &'a str) -> Vec<Edit<'a>> {
    let input = InternedInput::new(before, after);
    let diff = Diff::compute(Algorithm::Histogram, &input);
    // The places between lines: hunks count in lines.
    let places = |tokens: &[imara_diff::Token]| -> Vec<usize> {
        let ends = tokens.iter().scan(0, |end, token| {
            *end += input.interner[*token].len();
            Some(*end)
        });
        std::iter::once(0).chain(ends).collect()
    };
    let (old, new) = (places(&input.before), places(&input.after));
    let mut hunks: Vec<_> = diff.hunks().map(|hunk| (hunk.before, hunk.after)).collect();
    if let (true, [first, .., last]) = (hunks.len() > EDITS_MAX, &hunks[..]) {
        hunks = vec![(first.0.start..last.0.end, first.1.start..last.1.end)];
    }
    let mut walk = Walk::new(before);
    let edits = hunks.into_iter().filter_map(|(from, to)| {
        let removed = &before[old[from.start as usize]..old[from.end as usize]];
        let inserted = &after[new[to.start as usize]..new[to.end as usize]];
        let (head, removed, inserted) = trimmed(removed, inserted);
        let at = walk.to(old[from.start as usize] + head);
        (!removed.is_empty() || !inserted.is_empty()).then(|| Edit {
            at,
            removed: utf16_len(removed),
            inserted,
        })
    });
    edits.collect()
}

/// What puts `with` in the place of every `find`; `None` when there are more than one change may
/// have.
pub(crate) fn replacing<'a>(text: &str, find: &str, with: &'a str) -> Option<Vec<Edit<'a>>> {
    let mut walk = Walk::new(text);
    let removed = utf16_len(find);
    let edits = text.match_indices(find).take(EDITS_MAX + 1);
    let edits: Vec<_> = edits
        .map(|(at, _)| Edit {
            at: walk.to(at),
            removed,
            inserted: with,
        })
        .collect();
    (edits.len() <= EDITS_MAX).then_some(edits)
}

/// Whether the position is one between two characters of the text, or at an end of it.
pub(crate) fn is_place(text: &str, at: u32) -> bool {
    let mut place = 0;
    for character in text.chars() {
        if place >= at {
            break;
        }
        place += if character.len_utf16() == 2 { 2 } else { 1 };
    }
    place == at
}

/// How long a text is for Yjs.
pub(crate) fn utf16_len(text: &str) -> u32 {
    let units = text.encode_utf16().count();
    u32::try_from(units).expect("a document has far fewer characters")
}

/// Without what both begin with and both end with; answers the size of the beginning, too.
fn trimmed<'a, 'b>(one: &'a str, two: &'b str) -> (usize, &'a str, &'b str) {
    let same = |(one, two): &(char, char)| one == two;
    let head = one.chars().zip(two.chars()).take_while(same);
    let head = head.map(|(character, _)| character.len_utf8()).sum();
    let (one, two) = (&one[head..], &two[head..]);
    let tail = one.chars().rev().zip(two.chars().rev()).take_while(same);
    let tail: usize = tail.map(|(character, _)| character.len_utf8()).sum();
    (head, &one[..one.len() - tail], &two[..two.len() - tail])
}

/// Turns growing places in bytes into places in UTF-16 units, in one pass.
struct Walk<'a> {
    text: &'a str,
    bytes: usize,
    units: u32,
}

impl<'a> Walk<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text,
            bytes: 0,
            units: 0,
        }
    }

    fn to(&mut self, bytes: usize) -> u32 {
        self.units += utf16_len(&self.text[self.bytes..bytes]);
        self.bytes = bytes;
        self.units
    }
}
