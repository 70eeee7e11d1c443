//! The rules of the repository that no compiler knows.
//!
//! Each rule is a function from the repository to its violations, in a file of its own, with tests
//! that show it catching one. Exceptions stand in a table beside the rule, each with its reason.

mod banned;
mod confined;
mod invariants;
mod layers;
mod limits;
mod links;
mod problems;
mod repository;
mod rust;
mod size;
mod teeth;

use std::fmt;
use std::path::Path;

use anyhow::bail;

use repository::Repository;

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Violation {
    path: String,
    /// Counted from one; zero when it is about the file as a whole.
    line: usize,
    message: String,
}

impl Violation {
    fn at(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            message: message.into(),
        }
    }

    fn of_file(path: &str, message: impl Into<String>) -> Self {
        Self::at(path, 0, message)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.message),
            line => write!(f, "{}:{line}: {}", self.path, self.message),
        }
    }
}

type Rule = fn(&Repository) -> Vec<Violation>;

const RULES: &[(&str, Rule)] = &[
    ("layers", layers::check),
    ("confined crates", confined::check),
    ("banned text", banned::check),
    ("error codes", problems::check),
    ("limits", limits::check),
    ("links", links::check),
    ("file sizes", size::check),
    ("invariants", invariants::check),
    ("teeth", teeth::check),
];

/// Checks the working tree and prints what it finds.
pub(crate) fn run(root: &Path) -> anyhow::Result<()> {
    let repository = Repository::read(root)?;
    let mut found = 0;
    for (name, rule) in RULES {
        for violation in rule(&repository) {
            println!("{violation} [{name}]");
            found += 1;
        }
    }
    if found > 0 {
        bail!("{found} violations of the repository's rules");
    }
    println!(
        "{} rules hold in {} files",
        RULES.len(),
        repository.files().len()
    );
    Ok(())
}
