//! Relative links of the documents lead somewhere, to the heading if they name one.

use super::Violation;
use super::repository::{File, Repository};

pub(super) fn check(repository: &Repository) -> Vec<Violation> {
    let documents = repository.with_ending("md");
    documents
        .flat_map(|document| check_document(repository, document))
        .collect()
}

fn check_document(repository: &Repository, document: &File) -> Vec<Violation> {
    let mut found = Vec::new();
    for (number, line) in prose(&document.text) {
        for target in targets(line) {
            if let Some(problem) = problem_of(repository, document, target) {
                found.push(Violation::at(&document.path, number, problem));
            }
        }
    }
    found
}

/// The lines outside fenced blocks, numbered from one.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    (1..).zip(text.lines()).filter(move |(_, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// The targets of `[text](target)` and `[label]: target`.
fn targets(line: &str) -> Vec<&str> {
    let code_blanked = |target: &&str| !target.contains('`');
    let inline = line
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split([')', ' ']).next());
    let reference = line
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("]: "));
    inline
        .chain(reference.map(|(_, target)| target.trim()))
        .filter(code_blanked)
        .collect()
}

fn problem_of(repository: &Repository, document: &File, target: &str) -> Option<String> {
    let leads_outside = target.contains("://") || target.starts_with("mailto:");
    if leads_outside || target.is_empty() {
        return None;
    }
    let (path, heading) = target
        .split_once('#')
        .map_or((target, None), |(p, h)| (p, Some(h)));
    let resolved = if path.is_empty() {
        document.path.clone()
    } else {
        resolve(document, path)
    };
    if !repository.contains(&resolved) {
        return Some(format!(
            "the link '{target}' leads to '{resolved}', which does not exist"
        ));
    }
    let heading = heading?;
    let text = &repository
        .file(&resolved)
        .filter(|file| file.ending() == Some("md"))?
        .text;
    let known = prose(text).any(|(_, line)| line.starts_with('#') && anchor(line) == heading);
    (!known).then(|| format!("'{resolved}' has no heading '#{heading}'"))
}

/// The path a link means, seen from the root; one that begins with `/` starts there.
fn resolve(document: &File, path: &str) -> String {
    let start = if path.starts_with('/') {
        ""
    } else {
        document.folder()
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in start.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The anchor forges make of a heading: lower case, spaces as hyphens, punctuation dropped.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let files = [
            ("docs/a.md", text),
            ("docs/b.md", "# On `b` & more\n```sh\n# no heading\n```"),
            ("src/lib.rs", ""),
        ];
        check(&Repository::of(&files))
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn a_link_to_nothing_is_caught() {
        let found = problems("x\n[c](c.md)");
        assert_eq!(
            found,
            ["docs/a.md:2: the link 'c.md' leads to 'docs/c.md', which does not exist"]
        );
        assert_eq!(problems("[d]: ../d.md").len(), 1);
    }

    #[test]
    fn a_heading_that_is_not_there_is_caught() {
        assert_eq!(problems("[b](b.md#on-b--more)"), [""; 0]);
        assert_eq!(
            problems("[b](b.md#on-c)"),
            ["docs/a.md:1: 'docs/b.md' has no heading '#on-c'"]
        );
        assert_eq!(problems("[b](b.md#no-heading)").len(), 1);
    }

    #[test]
    fn links_that_lead_somewhere_are_fine() {
        let fine =
            "[b](b.md) [l](../src/lib.rs) [s](/src) [w](https://example.org/x) [m](#here)\n# Here";
        assert_eq!(problems(fine), [""; 0]);
    }

    #[test]
    fn fenced_text_is_no_link() {
        assert_eq!(problems("```md\n[c](c.md)\n```"), [""; 0]);
    }
}
