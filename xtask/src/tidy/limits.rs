//! Every setting that has a range stands in the table of limits, and the table names nothing that
//! is not there: no setting, no metric and no test.

use super::Violation;
use super::repository::{File, Repository};

/// Where the settings are; a line of one with a range is `key: Type, "ENVIRONMENT", default, min => max;`.
const SETTINGS: &str = "src/config.rs";

/// Where the metrics are.
const METRICS: &str = "src/telemetry.rs";

/// The page with the table.
const PAGE: &str = "docs/limits.md";

/// Settings with a range that bound nothing of a client's.
const NO_LIMITS: &[&str] = &["threads"];

/// Columns of the table, counted from one: a row begins with `|`.
const METRIC_COLUMN: usize = 5;
const TEST_COLUMN: usize = 6;

pub(super) fn check(repository: &Repository) -> Vec<Violation> {
    let files = [SETTINGS, METRICS, PAGE].map(|path| (path, repository.file(path)));
    if let Some((path, _)) = files.iter().find(|(_, file)| file.is_none()) {
        return vec![Violation::of_file(
            path,
            "is missing: the table of limits is checked with it",
        )];
    }
    let [Some(settings), Some(metrics), Some(page)] = files.map(|(_, file)| file) else {
        return Vec::new();
    };
    let mut found = missing_settings(settings, page);
    for (line, row) in (1..).zip(page.text.lines()) {
        let cells: Vec<&str> = row.split('|').collect();
        // Those of other tables have fewer columns.
        if cells.len() != TEST_COLUMN + 2 {
            continue;
        }
        let unknown = quoted(cells[METRIC_COLUMN])
            .filter(|name| !metrics.text.contains(&format!("\"{name}\"")))
            .map(|name| format!("there is no metric {name}"));
        let untested = quoted(cells[TEST_COLUMN])
            .filter(|name| !is_test(repository, name))
            .map(|name| format!("there is no test {name}"));
        let problems = unknown.chain(untested);
        found.extend(problems.map(|problem| Violation::at(PAGE, line, problem)));
    }
    found
}

fn missing_settings(settings: &File, page: &File) -> Vec<Violation> {
    let ranged = (1..)
        .zip(settings.text.lines())
        .filter(|(_, line)| line.contains("\"ABIDE_") && line.contains(" => "));
    let mut keys = ranged
        .filter_map(|(number, line)| line.trim().split_once(':').map(|(key, _)| (number, key)))
        .peekable();
    if keys.peek().is_none() {
        return vec![Violation::of_file(
            SETTINGS,
            "no settings found, so none could be checked",
        )];
    }
    keys.filter(|(_, key)| !NO_LIMITS.contains(key))
        .filter(|(_, key)| !page.text.contains(&format!("`{key}`")))
        .map(|(line, key)| Violation::at(SETTINGS, line, format!("'{key}' is not in {PAGE}")))
        .collect()
}

/// What stands between backticks.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// A test's name, or a file or folder of tests.
fn is_test(repository: &Repository, name: &str) -> bool {
    let is_place = name.contains('/') || name.contains('.');
    if is_place {
        let ending = format!("/{name}");
        let mut files = repository.files().iter();
        return files.any(|file| file.path.starts_with(name) || file.path.ends_with(&ending));
    }
    let head = format!("fn {name}(");
    repository.rust().any(|file| file.text.contains(&head))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: (&str, &str) = (
        SETTINGS,
        "    mailbox_max: usize, \"ABIDE_MAILBOX_MAX\", 1_024, 1 => 1_048_576;\n",
    );
    const TELEMETRY: (&str, &str) = (METRICS, "name: \"abide_full_total\",");
    const TEST: (&str, &str) = ("tests/full.rs", "fn it_is_full() {}");

    fn found(row: &str) -> Vec<Violation> {
        check(&Repository::of(&[CONFIG, TELEMETRY, TEST, (PAGE, row)]))
    }

    #[test]
    fn a_row_that_names_what_there_is_passes() {
        let row = "| `mailbox_max` | 1,024 | messages | 503 | `abide_full_total` | `it_is_full`, `full.rs` |";
        assert_eq!(found(row), []);
    }

    #[test]
    fn a_setting_that_is_not_in_the_table_is_caught() {
        assert_eq!(found("")[0].path, SETTINGS);
    }

    #[test]
    fn a_metric_or_a_test_that_is_not_there_is_caught() {
        let row = "| `mailbox_max` | 1,024 | messages | 503 | `abide_gone` | `it_was_full` |";
        assert_eq!(found(row).len(), 2);
    }

    #[test]
    fn settings_that_are_not_understood_are_no_pass() {
        let files = [(SETTINGS, "fn settings() {}"), TELEMETRY, (PAGE, "")];
        assert_eq!(check(&Repository::of(&files)).len(), 1);
        assert_eq!(check(&Repository::of(&[CONFIG])).len(), 1);
    }
}
