//! The feature that breaks the product on request is asked for by the simulation alone.

use super::Violation;
use super::repository::{File, Repository};

const FEATURE: &str = "teeth";

pub(super) fn check(repository: &Repository) -> Vec<Violation> {
    let manifests = repository
        .files()
        .iter()
        .filter(|file| file.path.ends_with("Cargo.toml"));
    manifests.flat_map(check_manifest).collect()
}

fn check_manifest(manifest: &File) -> Vec<Violation> {
    // One that does not parse is what cargo complains of.
    let Ok(table) = manifest.text.parse::<toml::Table>() else {
        return Vec::new();
    };
    let mut found = Vec::new();
    asked_for(&toml::Value::Table(table), &mut Vec::new(), &mut found);
    let message = |place| format!("{place} switches on `{FEATURE}`, which breaks the product");
    let violation = |place| Violation::of_file(&manifest.path, message(place));
    found.into_iter().map(violation).collect()
}

/// The places in which the feature is named as something to switch on, but its own definition.
fn asked_for(value: &toml::Value, place: &mut Vec<String>, found: &mut Vec<String>) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                place.push(key.clone());
                if place[place.len().saturating_sub(2)..] != ["features", FEATURE] {
                    asked_for(value, place, found);
                }
                place.pop();
            }
        }
        toml::Value::Array(array) => array.iter().for_each(|one| asked_for(one, place, found)),
        toml::Value::String(text) => {
            let is_it = text == FEATURE || text.ends_with(&format!("/{FEATURE}"));
            if is_it && place.iter().any(|key| key.contains("features")) {
                found.push(place.join("."));
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violations(manifest: &str) -> Vec<String> {
        let repository = Repository::of(&[("actors/Cargo.toml", manifest)]);
        let found = check(&repository);
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn nobody_switches_it_on() {
        for wrong in [
            "[features]\ndefault = [\"teeth\"]",
            "[features]\ntest-util = [\"abide-storage/teeth\"]",
            "[dependencies]\nabide-storage = { workspace = true, features = [\"teeth\"] }",
            "[dev-dependencies.abide-storage]\nfeatures = [\"test-util\", \"teeth\"]",
            "[[test]]\nname = \"sim\"\nrequired-features = [\"teeth\"]",
        ] {
            assert_eq!(violations(wrong).len(), 1, "{wrong}");
        }
    }

    #[test]
    fn it_may_be_defined() {
        let right = "[features]\nteeth = [\"test-util\", \"abide-storage/teeth\"]";
        assert_eq!(violations(right), [""; 0]);
    }
}
