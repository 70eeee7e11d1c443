//! A file that grows past a length is asked for its seam, or for its reason.

use super::Violation;
use super::repository::Repository;

/// Lines after which a file needs a reason.
const LINES_MAX: usize = 600;

/// Files that are longer, and why.
const LONGER: &[(&str, &str)] = &[];

/// Endings of the files people write and read as code.
const CODE: &[&str] = &["rs", "js", "mjs", "ts", "css", "html", "sh"];

pub(super) fn check(repository: &Repository) -> Vec<Violation> {
    let code = repository
        .files()
        .iter()
        .filter(|f| f.ending().is_some_and(|e| CODE.contains(&e)));
    let mut found: Vec<_> = code
        .filter(|file| !LONGER.iter().any(|(path, _)| *path == file.path))
        .filter_map(|file| {
            let lines = file.text.lines().count();
            let message = format!("{lines} lines, {LINES_MAX} at most without a reason in size.rs");
            (lines > LINES_MAX).then(|| Violation::of_file(&file.path, message))
        })
        .collect();
    let gone = LONGER
        .iter()
        .filter(|(path, _)| repository.file(path).is_none());
    found.extend(
        gone.map(|(path, _)| Violation::of_file(path, "has a reason to be long but is gone")),
    );
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_too_many_is_caught() {
        let (fits, too_long) = ("x\n".repeat(LINES_MAX), "x\n".repeat(LINES_MAX + 1));
        let repository = Repository::of(&[("src/a.rs", &fits), ("src/b.rs", &too_long)]);
        let found: Vec<_> = check(&repository)
            .into_iter()
            .map(|violation| violation.path)
            .collect();
        assert!(found.contains(&"src/b.rs".to_owned()));
        assert!(!found.contains(&"src/a.rs".to_owned()));
    }
}
