//! Dependencies point one way: storage ← actors ← the server, and nothing points at a tool.

use super::Violation;
use super::repository::{File, Repository};
use super::rust::{self, Part};

/// A package of ours and those of ours it may use; a package without a row is a violation.
const LAYERS: &[(&str, &[&str])] = &[
    ("abide-storage", &[]),
    ("abide-macros", &[]),
    ("abide-actors", &["abide-storage", "abide-macros"]),
    ("abide", &["abide-storage", "abide-actors"]),
    // Written against the protocol: see `ONLY_FOR_TESTS`.
    ("abide-client", &["abide"]),
    ("abide-soak", &["abide", "abide-client"]),
    ("abide-bench-server", &["abide"]),
    ("abide-load", &[]),
    ("abide-bench-start", &["abide-storage"]),
    (
        "abide-bench-alarms",
        &["abide", "abide-storage", "abide-actors"],
    ),
    ("abide-bench-sqlite", &["abide-storage"]),
    (
        "abide-powercut",
        &["abide-storage", "abide-powercut-record"],
    ),
    ("abide-powercut-record", &[]),
    ("abide-fuzz", &["abide", "abide-storage", "abide-actors"]),
    ("xtask", &[]),
];

/// What a package may name among its dev-dependencies and nowhere else.
const ONLY_FOR_TESTS: &[(&str, &str)] = &[("abide-client", "abide")];

pub(super) fn check(repository: &Repository) -> Vec<Violation> {
    let packages = packages(repository);
    let mut found: Vec<_> = packages.iter().flat_map(check_manifest).collect();
    for file in repository.rust() {
        // The innermost folder with a manifest is the file's package.
        let home = packages.iter().filter(|package| package.holds(&file.path));
        if let Some(package) = home.max_by_key(|package| package.folder().len()) {
            found.extend(check_paths(package, file));
        }
    }
    found
}

struct Package<'a> {
    name: String,
    manifest: &'a File,
    table: toml::Table,
}

impl Package<'_> {
    fn folder(&self) -> &str {
        self.manifest.folder()
    }

    fn holds(&self, path: &str) -> bool {
        let folder = self.folder();
        folder.is_empty()
            || path
                .strip_prefix(folder)
                .is_some_and(|rest| rest.starts_with('/'))
    }

    /// `None` when the package has no row.
    fn may_use(&self) -> Option<&'static [&'static str]> {
        LAYERS
            .iter()
            .find(|(name, _)| *name == self.name)
            .map(|(_, below)| *below)
    }
}

fn packages(repository: &Repository) -> Vec<Package<'_>> {
    let manifests = repository
        .files()
        .iter()
        .filter(|file| file.path.ends_with("Cargo.toml"));
    manifests.filter_map(package).collect()
}

/// `None` for a manifest of the workspace alone.
fn package(manifest: &File) -> Option<Package<'_>> {
    let table: toml::Table = manifest.text.parse().ok()?;
    let name = table.get("package")?.get("name")?.as_str()?.to_owned();
    Some(Package {
        name,
        manifest,
        table,
    })
}

fn check_manifest(package: &Package<'_>) -> Vec<Violation> {
    let path = &package.manifest.path;
    let Some(below) = package.may_use() else {
        let message = format!(
            "package '{}' has no row in the table of layers",
            package.name
        );
        return vec![Violation::of_file(path, message)];
    };
    let sections = ["dependencies", "dev-dependencies", "build-dependencies"];
    let named = sections.iter().flat_map(|section| {
        let table = package.table.get(*section).and_then(toml::Value::as_table);
        table
            .into_iter()
            .flat_map(|table| table.keys())
            .map(|name| (*section, name.as_str()))
    });
    let wrong = named.filter(|(section, name)| {
        let ours = LAYERS.iter().any(|(known, _)| known == name);
        let too_early = *section != "dev-dependencies"
            && ONLY_FOR_TESTS.contains(&(package.name.as_str(), name));
        // A package may name itself to switch on features for its own tests.
        ours && (too_early || *name != package.name && !below.contains(name))
    });
    wrong
        .map(|(_, name)| Violation::of_file(path, depends_upwards(&package.name, name)))
        .collect()
}

fn check_paths(package: &Package<'_>, file: &File) -> Vec<Violation> {
    // What the macros generate is compiled in the crate of their user.
    let Some(below) = package.may_use().filter(|_| package.name != "abide-macros") else {
        return Vec::new();
    };
    let code = rust::only(Part::Code, &file.text);
    // `extern crate abide_actors as abide;` makes the name mean something else in this file.
    let renamed = |root: &str| code.contains(&format!(" as {root};"));
    let wrong = rust::path_roots(&code)
        .into_iter()
        .filter_map(|(at, root)| {
            let name = root.replace('_', "-");
            let ours = LAYERS.iter().any(|(known, _)| *known == name);
            let allowed = name == package.name || below.contains(&name.as_str()) || renamed(root);
            (ours && !allowed).then(|| {
                let line = rust::line_of(&code, at);
                Violation::at(&file.path, line, depends_upwards(&package.name, &name))
            })
        });
    wrong.collect()
}

fn depends_upwards(from: &str, to: &str) -> String {
    format!("'{from}' may not use '{to}': dependencies point from the server to storage")
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORAGE: (&str, &str) = ("storage/Cargo.toml", "[package]\nname = \"abide-storage\"");

    #[test]
    fn a_manifest_that_points_upwards_is_caught() {
        for section in ["dependencies", "dev-dependencies"] {
            let manifest = format!("{}\n[{section}]\nabide-actors.workspace = true", STORAGE.1);
            let found = check(&Repository::of(&[("storage/Cargo.toml", &manifest)]));
            assert_eq!(found.len(), 1, "{section}: {found:?}");
        }
    }

    #[test]
    fn what_only_tests_may_use_is_caught_elsewhere() {
        for (section, wrong) in [("dependencies", 1), ("dev-dependencies", 0)] {
            let manifest = format!("[package]\nname = \"abide-client\"\n[{section}]\nabide = {{}}");
            let found = check(&Repository::of(&[("clients/rust/Cargo.toml", &manifest)]));
            assert_eq!(found.len(), wrong, "{section}: {found:?}");
        }
    }

    #[test]
    fn a_path_that_points_upwards_is_caught() {
        let source = ("storage/src/store.rs", "\nuse abide_actors::Call;");
        let found = check(&Repository::of(&[STORAGE, source]));
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].path.as_str(), found[0].line),
            ("storage/src/store.rs", 2)
        );
    }

    #[test]
    fn the_innermost_package_owns_a_file() {
        let root = ("Cargo.toml", "[package]\nname = \"abide\"");
        let source = ("storage/src/store.rs", "use abide_actors::Call;");
        assert_eq!(check(&Repository::of(&[root, STORAGE, source])).len(), 1);
        let source = ("src/server.rs", "use abide_actors::Call;");
        assert_eq!(check(&Repository::of(&[root, STORAGE, source])), []);
    }

    #[test]
    fn a_package_nobody_placed_is_caught() {
        let found = check(&Repository::of(&[(
            "x/Cargo.toml",
            "[package]\nname = \"abide-x\"",
        )]));
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn a_name_given_to_another_crate_is_fine() {
        let actors = ("actors/Cargo.toml", "[package]\nname = \"abide-actors\"");
        let source = (
            "actors/tests/a.rs",
            "extern crate abide_actors as abide; use abide::Call;",
        );
        assert_eq!(check(&Repository::of(&[actors, source])), []);
        let source = ("actors/tests/a.rs", "use abide::Call;");
        assert_eq!(check(&Repository::of(&[actors, source])).len(), 1);
    }

    #[test]
    fn downwards_and_itself_is_fine() {
        let manifest = "[package]\nname = \"abide-actors\"\n[dependencies]\nabide-storage = {}\n\
                        [dev-dependencies]\nabide-actors = {}";
        let source = ("actors/src/turn.rs", "use abide_storage::Store;");
        assert_eq!(
            check(&Repository::of(&[("actors/Cargo.toml", manifest), source])),
            []
        );
    }
}
