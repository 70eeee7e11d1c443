//! Every error code a client can meet has its page, and every page its code.

use std::ops::Range;

use super::Violation;
use super::repository::{File, Repository};
use super::rust::{self, Part};

/// Where the table of codes is.
const SOURCE: &str = "src/problem/code.rs";

/// The macro call that is the table; its rows are `NAME = "code", status, "title";`.
const TABLE: &str = "codes! {";

/// Where the pages are.
const PAGES: &str = "docs/errors/";

/// The page that lists the others.
const INDEX: &str = "docs/errors/README.md";

pub(super) fn check(repository: &Repository) -> Vec<Violation> {
    let Some(source) = repository.file(SOURCE) else {
        return vec![Violation::of_file(
            SOURCE,
            "is missing: the error codes are read from it",
        )];
    };
    let codes = codes(source);
    let mut found = Vec::new();
    if codes.is_empty() {
        found.push(Violation::of_file(
            SOURCE,
            "no error codes found, so none could be checked",
        ));
    }
    for (line, code) in &codes {
        let page = format!("{PAGES}{code}.md");
        if repository.file(&page).is_none() {
            found.push(Violation::at(
                SOURCE,
                *line,
                format!("'{code}' has no page {page}"),
            ));
        }
    }
    for page in repository
        .with_ending("md")
        .filter(|file| file.path != INDEX)
    {
        let code = page
            .path
            .strip_prefix(PAGES)
            .and_then(|name| name.strip_suffix(".md"));
        if code.is_some_and(|code| !codes.iter().any(|(_, known)| *known == code)) {
            found.push(Violation::of_file(
                &page.path,
                format!("is about no code of {SOURCE}"),
            ));
        }
    }
    found
}

/// The codes of the table, with their lines: the literals that are assigned to a name.
fn codes(source: &File) -> Vec<(usize, &str)> {
    let parts = rust::parts(&source.text);
    let table = rust::only(Part::Code, &source.text)
        .find(TABLE)
        .unwrap_or(source.text.len());
    let rows = parts.windows(2).filter(|pair| {
        let (before, literal) = (&pair[0], &pair[1]);
        let code = source.text[before.1.clone()].trim_end();
        literal.0 == Part::Literal && literal.1.start > table && code.ends_with('=')
    });
    let code = |pair: &[(Part, Range<usize>)]| {
        let literal = pair[1].1.clone();
        (
            rust::line_of(&source.text, literal.start),
            source.text[literal].trim_matches('"'),
        )
    };
    rows.map(code).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCES: (&str, &str) = (
        SOURCE,
        "codes! {\n    OVERLOADED = \"overloaded\", 503, \"Mailbox full\";\n}",
    );
    const PAGE: (&str, &str) = ("docs/errors/overloaded.md", "");

    #[test]
    fn a_code_without_its_page_is_caught() {
        let found = check(&Repository::of(&[SOURCES]));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].line, 2);
        assert_eq!(check(&Repository::of(&[SOURCES, PAGE])), []);
    }

    #[test]
    fn a_page_without_its_code_is_caught() {
        let found = check(&Repository::of(&[
            SOURCES,
            PAGE,
            ("docs/errors/gone.md", ""),
        ]));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].path, "docs/errors/gone.md");
    }

    #[test]
    fn a_table_that_is_not_understood_is_no_pass() {
        assert_eq!(
            check(&Repository::of(&[(SOURCE, "fn codes() {}")])).len(),
            1
        );
        assert_eq!(check(&Repository::of(&[])).len(), 1);
    }
}
