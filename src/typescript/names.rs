//! Names: of definitions in TypeScript, and of members.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Names that a declaration cannot have, or that the output uses itself.
const TAKEN: &[&str] = &[
    "Api",
    "Record",
    "any",
    "bigint",
    "boolean",
    "never",
    "null",
    "number",
    "object",
    "string",
    "symbol",
    "undefined",
    "unknown",
    "void",
    "class",
    "enum",
    "function",
    "interface",
    "type",
];

/// The name of each definition in TypeScript.
pub(super) struct Names(BTreeMap<String, String>);

impl Names {
    /// A name for each of the definitions, none twice.
    pub(super) fn new(definitions: BTreeSet<String>) -> Self {
        let mut used: BTreeSet<String> = TAKEN.iter().map(|name| (*name).to_owned()).collect();
        let mut names = BTreeMap::new();
        for definition in definitions {
            let mut name = identifier(&definition);
            while !used.insert(name.clone()) {
                name.push('_');
            }
            names.insert(definition, name);
        }
        Self(names)
    }

    /// The name of a definition, if there is such a one.
    pub(super) fn get(&self, definition: &str) -> Option<&str> {
        self.0.get(definition).map(String::as_str)
    }

    /// Definitions and their names, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(one, name)| (one.as_str(), name.as_str()))
    }
}

/// The definition that a `$ref` leads to.
pub(super) fn referred(reference: &Value) -> Option<String> {
    let pointer = reference.as_str()?.strip_prefix("#/components/schemas/")?;
    // RFC 6901: the escapes of a JSON pointer, in this order.
    Some(pointer.replace("~1", "/").replace("~0", "~"))
}

/// A member's name: bare where TypeScript allows it.
pub(super) fn key(name: &str) -> String {
    match is_identifier(name) {
        true => name.to_owned(),
        false => Value::from(name).to_string(),
    }
}

fn identifier(name: &str) -> String {
    let allowed = |c: char| {
        if is_letter(c) || c.is_ascii_digit() {
            c
        } else {
            '_'
        }
    };
    let name: String = name.chars().map(allowed).collect();
    match is_identifier(&name) {
        true => name,
        false => format!("_{name}"),
    }
}

fn is_identifier(name: &str) -> bool {
    name.starts_with(is_letter) && name.chars().all(|c| is_letter(c) || c.is_ascii_digit())
}

fn is_letter(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || c == '$'
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Names, key};

    #[test]
    fn every_definition_has_a_name_of_its_own() {
        let definitions = ["Api", "a b", "a-b", "2d", "Entry"];
        let names = Names::new(definitions.map(str::to_owned).into());
        let given: BTreeSet<&str> = names.iter().map(|(_, name)| name).collect();
        assert_eq!(given, ["Api_", "Entry", "_2d", "a_b", "a_b_"].into());
        assert_eq!(names.get("nobody"), None);
    }

    #[test]
    fn members_are_quoted_where_they_must_be() {
        assert_eq!(key("by_2"), "by_2");
        assert_eq!(key("two words"), "\"two words\"");
        assert_eq!(key("2d\""), "\"2d\\\"\"");
    }
}
