//! Text that does not merge: unfinished work, debugging aids, code kept as comments, and words the
//! glossary struck out.

use super::Violation;
use super::repository::{File, Repository};
use super::rust::{self, Part};

/// A text, the part of a source it may not stand in, and what to do instead.
const TEXTS: &[(&str, Part, &str)] = &[
    ("TODO(now)", Part::Comment, "do it before it merges"),
    (
        "FIXME",
        Part::Comment,
        "fix it, or name a kind and a condition: TODO(perf): …",
    ),
    ("todo!", Part::Code, "write it, or answer with an error"),
    (
        "unimplemented!",
        Part::Code,
        "write it, or answer with an error",
    ),
    ("dbg!", Part::Code, "log it with tracing, or take it out"),
];

/// Words a declared type may not have in its name, and the glossary's word for it.
const WORDS: &[(&str, &str)] = &[
    ("Entity", "actor"),
    ("Grain", "actor"),
    ("Inbox", "mailbox"),
    ("Instance", "activation"),
    ("Worker", "actor, or the name of the thread's duty"),
];

pub(super) fn check(repository: &Repository) -> Vec<Violation> {
    repository.rust().flat_map(check_file).collect()
}

fn check_file(file: &File) -> Vec<Violation> {
    let code = rust::only(Part::Code, &file.text);
    let comments = rust::only(Part::Comment, &file.text);
    let mut found = Vec::new();
    for (banned, part, instead) in TEXTS {
        let text = if *part == Part::Code {
            &code
        } else {
            &comments
        };
        for (at, _) in text.match_indices(banned) {
            let message = format!("`{banned}` does not merge: {instead}");
            found.push(Violation::at(&file.path, rust::line_of(text, at), message));
        }
    }
    for (line, name) in declared_types(&code) {
        for (word, instead) in WORDS {
            if words(name).any(|part| part == *word) {
                let message = format!("type `{name}`: the glossary says {instead}, not {word}");
                found.push(Violation::at(&file.path, line, message));
            }
        }
    }
    for (number, line) in (1..).zip(comments.lines()) {
        if looks_like_code(line.trim()) {
            found.push(Violation::at(
                &file.path,
                number,
                "code kept as a comment: take it out",
            ));
        }
    }
    found
}

/// The names of the types a source declares, with their lines.
fn declared_types(code: &str) -> Vec<(usize, &str)> {
    let names: Vec<_> = rust::names(code).collect();
    let declares = |keyword| matches!(keyword, "struct" | "enum" | "trait" | "type" | "union");
    let pairs = names.windows(2).filter(|pair| declares(pair[0].1));
    pairs
        .map(|pair| (rust::line_of(code, pair[1].0), pair[1].1))
        .collect()
}

/// The words of a name in camel case.
fn words(name: &str) -> impl Iterator<Item = &str> {
    let mut rest = name;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let size = rest[first.len_utf8()..].find(char::is_uppercase);
        let (word, after) = rest.split_at(size.map_or(rest.len(), |size| size + first.len_utf8()));
        rest = after;
        Some(word)
    })
}

/// Whether a line comment reads like a statement. Documentation may show code, and prose may name
/// a keyword, so only the unmistakable counts.
fn looks_like_code(comment: &str) -> bool {
    let Some(text) = comment
        .strip_prefix("//")
        .filter(|text| !text.starts_with(['/', '!']))
    else {
        return false;
    };
    let text = text.trim();
    let statement = ["let ", "use ", "return ", "pub ", "mod ", "self."]
        .iter()
        .any(|keyword| text.starts_with(keyword));
    let block = [
        "fn ", "pub fn ", "if ", "for ", "while ", "match ", "impl ", "struct ", "} else",
    ]
    .iter()
    .any(|keyword| text.starts_with(keyword));
    let call = text.ends_with(");") || text.ends_with("?;");
    (text.ends_with(';') && (statement || call)) || (text.ends_with('{') && block)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violations(text: &str) -> Vec<String> {
        let found = check(&Repository::of(&[("src/a.rs", text)]));
        found
            .into_iter()
            .map(|violation| violation.message)
            .collect()
    }

    #[test]
    fn unfinished_work_is_caught() {
        for text in [
            "// TODO(now): x",
            "/* FIXME */",
            "fn f() { todo!() }",
            "dbg!(x);",
        ] {
            assert_eq!(violations(text).len(), 1, "{text}");
        }
    }

    #[test]
    fn the_same_in_another_part_is_fine() {
        for text in [
            "// TODO(perf): when x",
            "let a = \"FIXME\";",
            "// todo! is banned",
            "x.dbg()",
        ] {
            assert_eq!(violations(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn a_struck_out_word_in_a_type_is_caught() {
        for text in [
            "struct ChatGrain;",
            "pub(crate) enum InboxError {}",
            "trait Entity {}",
        ] {
            assert_eq!(violations(text).len(), 1, "{text}");
        }
        for text in [
            "struct Grained;",
            "fn f(x: foreign::Inbox) {}",
            "// struct Grain",
        ] {
            assert_eq!(violations(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn code_kept_as_a_comment_is_caught() {
        for text in [
            "// let x = 1;",
            "    // self.flush();",
            "// foo(bar);",
            "// if a == b {",
        ] {
            assert_eq!(violations(text).len(), 1, "{text}");
        }
    }

    #[test]
    fn prose_and_documentation_are_not_code() {
        for text in [
            "/// let x = 1;",
            "//! use abide::prelude::*;",
            "// first the log, then the engine;",
            "// if it is late, the caller has gone",
        ] {
            assert_eq!(violations(text), [""; 0], "{text}");
        }
    }
}
