//! As much of Rust's grammar as the rules need: what is code, what comment, what literal, and
//! which names begin a path.

use std::ops::Range;

/// A part of a source text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Everything but comments and the insides of literals.
    Code,
    /// Comments of every kind, with their slashes.
    Comment,
    /// Strings and characters, with their quotes.
    Literal,
}

/// The text with every other part blanked; lines and columns stay where they were.
pub(super) fn only(wanted: Part, text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    for (part, range) in parts(text) {
        if part == wanted {
            kept.push_str(&text[range]);
        } else {
            let blank = |c: char| {
                if c == '\n' {
                    "\n".to_owned()
                } else {
                    " ".repeat(c.len_utf8())
                }
            };
            kept.extend(text[range].chars().map(blank));
        }
    }
    kept
}

/// The parts of a source text in order, without gaps.
pub(super) fn parts(text: &str) -> Vec<(Part, Range<usize>)> {
    let mut parts = Vec::new();
    let (mut code_from, mut at) = (0, 0);
    while at < text.len() {
        match not_code(text, at) {
            Some((part, end)) => {
                parts.extend([(Part::Code, code_from..at), (part, at..end)]);
                (code_from, at) = (end, end);
            }
            None => at += text[at..].chars().next().map_or(1, char::len_utf8),
        }
    }
    parts.push((Part::Code, code_from..text.len()));
    parts.retain(|(_, range)| !range.is_empty());
    parts
}

/// The comment or literal that begins at `at`, and where it ends.
fn not_code(text: &str, at: usize) -> Option<(Part, usize)> {
    let rest = &text[at..];
    if rest.starts_with("//") {
        return Some((Part::Comment, at + rest.find('\n').unwrap_or(rest.len())));
    }
    if rest.starts_with("/*") {
        return Some((Part::Comment, at + block_comment(rest)));
    }
    if rest.starts_with('"') {
        return Some((Part::Literal, at + quoted(rest, '"')));
    }
    if rest.starts_with('\'') {
        return character(rest).map(|size| (Part::Literal, at + size));
    }
    let begins_a_name = !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
    let hashes = rest.strip_prefix('r').or_else(|| rest.strip_prefix("br"))?;
    let body = hashes.trim_start_matches('#');
    if !begins_a_name || !body.starts_with('"') {
        return None;
    }
    let end = format!("\"{}", "#".repeat(hashes.len() - body.len()));
    let size = body[1..]
        .find(&end)
        .map_or(body.len(), |found| 1 + found + end.len());
    Some((Part::Literal, at + (rest.len() - body.len()) + size))
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    loop {
        if rest[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
        } else {
            let Some(c) = rest[at..].chars().next() else {
                return at;
            };
            at += c.len_utf8();
        }
        if depth == 0 {
            return at;
        }
    }
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut characters = rest.char_indices().skip(1);
    while let Some((at, c)) = characters.next() {
        match c {
            '\\' => drop(characters.next()),
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// The size of a character literal; `None` when the quote begins a lifetime.
fn character(rest: &str) -> Option<usize> {
    let mut characters = rest.chars().skip(1);
    let (first, second) = (characters.next()?, characters.next()?);
    (first == '\\' || second == '\'').then(|| quoted(rest, '\''))
}

/// The names that begin a path, with where they stand: `serde` in `serde::de::Error`, `use serde;`
/// and `::serde::Serialize`, but not in `crate::serde::x` or `mod serde;`.
pub(super) fn path_roots(code: &str) -> Vec<(usize, &str)> {
    names(code)
        .filter(|&(at, name)| {
            let before = code[..at].trim_end();
            let inside_a_path = before.strip_suffix("::").is_some_and(|outer| {
                outer.ends_with(|c: char| c.is_alphanumeric() || "_>".contains(c))
            });
            let imported = ends_with_word(before, "use") || before.ends_with("extern crate");
            let followed = code[at + name.len()..].starts_with("::");
            !inside_a_path && !before.ends_with('.') && (imported || followed)
        })
        .collect()
}

/// Every identifier and keyword, with where it stands.
pub(super) fn names(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + code[at..].find(word)?;
        let size = code[start..]
            .find(|c| !word(c))
            .unwrap_or(code.len() - start);
        at = start + size;
        Some((start, &code[start..at]))
    })
}

fn ends_with_word(text: &str, word: &str) -> bool {
    text.strip_suffix(word)
        .is_some_and(|rest| !rest.ends_with(|c: char| c.is_alphanumeric() || c == '_'))
}

/// The line an offset lies in, counted from one.
pub(super) fn line_of(text: &str, offset: usize) -> usize {
    1 + text[..offset].matches('\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_comments_and_literals_are_told_apart() {
        let text = "let a = \"// no\"; // \"yes\"\n/* a /* b */ c */ let b = 'x'; fn f<'a>() {}";
        let code = only(Part::Code, text);
        assert_eq!(
            code.split_whitespace().collect::<String>(),
            "leta=;letb=;fnf<'a>(){}"
        );
        let comments = only(Part::Comment, text);
        assert_eq!(comments.trim(), "// \"yes\"\n/* a /* b */ c */");
        assert_eq!(code.len(), text.len(), "columns stay");
    }

    #[test]
    fn raw_and_escaped_strings_end_where_rust_ends_them() {
        for (text, left) in [
            (r##"r#"a "quoted" // b"# + x"##, "+ x"),
            (r#""a \" // b" + x"#, "+ x"),
            (r"'\'' + x", "+ x"),
            ("bar\"é\" + x", "bar + x"),
        ] {
            let code = only(Part::Code, text);
            assert_eq!(
                code.split_whitespace().collect::<Vec<_>>().join(" "),
                left,
                "{text}"
            );
        }
    }

    #[test]
    fn only_the_first_name_of_a_path_is_its_root() {
        for code in [
            "use sled;",
            "sled::open()",
            "&::sled::Db",
            "use sled as db;",
            "{sled::Db}",
        ] {
            let roots: Vec<_> = path_roots(code).into_iter().map(|(_, name)| name).collect();
            assert_eq!(roots, ["sled"], "{code}");
        }
        for code in [
            "mod sled;",
            "a.sled::<T>()",
            "<T as X>::sled::y",
            "let sled = 1;",
        ] {
            assert!(
                path_roots(code).iter().all(|(_, name)| *name != "sled"),
                "{code}"
            );
        }
        assert_eq!(path_roots("use crate::sled::Db;"), [(4, "crate")]);
    }
}
