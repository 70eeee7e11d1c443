//! Every invariant is explained, asserted and tested under its one name.

use super::Violation;
use super::repository::{File, Repository};

/// The names, as ARCHITECTURE.md explains them.
const INVARIANTS: &[&str] = &[
    "single-activation",
    "one-turn",
    "durable-before-visible",
    "all-or-nothing",
    "fenced",
    "bounded",
    "lossless-passivation",
    "alarm-at-least-once",
    "readable-forever",
];

const DOCUMENT: &str = "ARCHITECTURE.md";

/// Folders whose code the invariants are about.
const CODE: &[&str] = &["src/", "actors/src/", "storage/src/"];

pub(super) fn check(repository: &Repository) -> Vec<Violation> {
    let mut found = Vec::new();
    let sources: Vec<_> = repository.rust().map(Halves::of).collect();
    let document = repository.file(DOCUMENT).map_or("", |file| &file.text);
    for name in INVARIANTS {
        let mut missing = |holds: bool, what: &str| {
            if !holds {
                found.push(Violation::of_file(
                    DOCUMENT,
                    format!("invariant '{name}' {what}"),
                ));
            }
        };
        missing(names(document, name), "is not explained here");
        missing(
            sources.iter().any(|s| names(s.code, name)),
            "is named nowhere in the code it holds in",
        );
        missing(
            sources.iter().any(|s| names(s.tests, name)),
            "is named by no test",
        );
    }
    found
}

/// A source, cut where its tests begin.
struct Halves<'a> {
    /// Empty when the file is a test as a whole or of a tool.
    code: &'a str,
    tests: &'a str,
}

impl<'a> Halves<'a> {
    fn of(file: &'a File) -> Self {
        let (path, text) = (file.path.as_str(), file.text.as_str());
        let test_file =
            path.starts_with("tests/") || path.contains("/tests/") || path.ends_with("tests.rs");
        if test_file && !path.starts_with("xtask/") {
            return Self {
                code: "",
                tests: text,
            };
        }
        if !CODE.iter().any(|folder| path.starts_with(folder)) {
            return Self {
                code: "",
                tests: "",
            };
        }
        let (code, tests) = text.split_at(text.find("#[cfg(test)]").unwrap_or(text.len()));
        Self { code, tests }
    }
}

/// Whether a text names the invariant: in words `one-turn`, or in a test's name `one_turn`.
fn names(text: &str, invariant: &str) -> bool {
    let identifier = invariant.replace('-', "_");
    [invariant, &identifier].iter().any(|form| {
        text.match_indices(form).any(|(at, found)| {
            let part_of_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
            let before = text[..at].chars().next_back();
            let after = text[at + found.len()..].chars().next();
            // "unbounded" does not name the invariant, and neither does "bounded-".
            !part_of_word(before) && !part_of_word(after)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(name: &str, files: &[(&str, &str)]) -> Vec<String> {
        let found = check(&Repository::of(files))
            .into_iter()
            .map(|violation| violation.message);
        found
            .filter(|message| message.contains(&format!("'{name}'")))
            .collect()
    }

    #[test]
    fn an_invariant_must_be_explained_held_and_tested() {
        let explained = (DOCUMENT, "**one-turn**: one message at a time");
        let held = (
            "actors/src/activation.rs",
            "// one-turn: the loop awaits each",
        );
        let tested = ("tests/sim/main.rs", "fn one_turn_at_a_time() {}");
        assert_eq!(about("one-turn", &[explained, held, tested]), [""; 0]);
        assert_eq!(
            about("one-turn", &[held, tested]),
            ["invariant 'one-turn' is not explained here"]
        );
        assert_eq!(about("one-turn", &[explained, tested]).len(), 1);
        assert_eq!(
            about("one-turn", &[explained, held]),
            ["invariant 'one-turn' is named by no test"]
        );
    }

    #[test]
    fn unit_tests_beside_the_code_count_as_tests_only() {
        let both = "// fenced\n#[cfg(test)]\nmod tests { fn fenced() {} }";
        assert_eq!(about("fenced", &[("storage/src/store.rs", both)]).len(), 1);
        let only_tests = "#[cfg(test)]\nmod tests { fn fenced() {} }";
        assert_eq!(
            about("fenced", &[("storage/src/store.rs", only_tests)]).len(),
            2
        );
    }

    #[test]
    fn a_longer_word_is_not_the_name() {
        assert!(!names("unbounded channels", "bounded"));
        assert!(names("the queue is bounded.", "bounded"));
    }
}
