//! The files the rules look at, read once.

use std::path::Path;
use std::{fs, io};

use anyhow::Context;

/// Folders that hold nothing of ours.
const FOREIGN: &[&str] = &[".git", "target", "node_modules", "dist", "abide-data"];

/// Endings of the files whose text the rules read; of others only the path counts.
const TEXT: &[&str] = &["rs", "md", "toml", "sh", "js", "mjs", "ts", "css", "html"];

/// The files of a working tree.
pub(super) struct Repository {
    files: Vec<File>,
}

/// One of them.
pub(super) struct File {
    /// Relative to the root, with `/`.
    pub(super) path: String,
    /// Empty when the file is no text the rules read.
    pub(super) text: String,
}

impl Repository {
    /// Reads a working tree.
    pub(super) fn read(root: &Path) -> anyhow::Result<Self> {
        let mut files = Vec::new();
        walk(root, "", &mut files).with_context(|| format!("{} cannot be read", root.display()))?;
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Self { files })
    }

    /// A made-up one, for the tests of the rules.
    #[cfg(test)]
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        let file = |&(path, text): &(&str, &str)| File {
            path: path.into(),
            text: text.into(),
        };
        Self {
            files: files.iter().map(file).collect(),
        }
    }

    /// All files, ordered by path.
    pub(super) fn files(&self) -> &[File] {
        &self.files
    }

    /// The Rust sources.
    pub(super) fn rust(&self) -> impl Iterator<Item = &File> {
        self.with_ending("rs")
    }

    /// The files with this ending.
    pub(super) fn with_ending(&self, ending: &'static str) -> impl Iterator<Item = &File> {
        self.files
            .iter()
            .filter(move |file| file.ending() == Some(ending))
    }

    /// The file with this path.
    pub(super) fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// Whether there is such a file or folder.
    pub(super) fn contains(&self, path: &str) -> bool {
        let inside = |file: &File| {
            file.path
                .strip_prefix(path)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        path.is_empty() || self.files.iter().any(inside)
    }
}

impl File {
    /// What follows the last dot of the name.
    pub(super) fn ending(&self) -> Option<&str> {
        self.path.rsplit_once('.').map(|(_, ending)| ending)
    }

    /// The folder it lies in, without a slash at the end; empty for the root.
    pub(super) fn folder(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(folder, _)| folder)
    }
}

fn walk(folder: &Path, prefix: &str, files: &mut Vec<File>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        if entry.file_type()?.is_dir() {
            if !FOREIGN.contains(&name.as_str()) {
                walk(&entry.path(), &format!("{path}/"), files)?;
            }
            continue;
        }
        let mut file = File {
            path,
            text: String::new(),
        };
        if file.ending().is_some_and(|ending| TEXT.contains(&ending)) {
            file.text = fs::read_to_string(entry.path())?;
        }
        files.push(file);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_folders_are_contained_but_not_beginnings_of_names() {
        let repository = Repository::of(&[("src/http/mod.rs", "")]);
        assert!(repository.contains("src/http/mod.rs"));
        assert!(repository.contains("src/http"));
        assert!(!repository.contains("src/ht"));
    }

    #[test]
    fn the_working_tree_is_read_without_what_was_built() {
        let repository = Repository::read(crate::workspace()).unwrap();
        assert!(
            repository
                .file("xtask/src/main.rs")
                .is_some_and(|file| !file.text.is_empty())
        );
        assert!(!repository.contains("target"));
    }
}
