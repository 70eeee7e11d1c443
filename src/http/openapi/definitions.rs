//! The schemas that methods refer to, brought together under one name each.
//!
//! Every method describes its types by itself, so two of them may mean different types by one
//! name: `Entry` of one namespace is not `Entry` of another. What differs gets a number behind its
//! name; what is the same is kept once.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// Where definitions stand in the document.
const PLACE: &str = "#/components/schemas/";

/// The definitions so far.
pub(super) struct Definitions(Map<String, Value>);

impl Definitions {
    /// With these, whose names nothing else gets.
    pub(super) fn new(own: Map<String, Value>) -> Self {
        Self(own)
    }

    /// Takes in what a method refers to, and gives its schemas the names that the definitions got.
    pub(super) fn adopt(&mut self, theirs: &Map<String, Value>, schemas: [&mut Value; 2]) {
        let mut theirs = theirs.clone();
        let renamed = self.conflicts(&theirs);
        if !renamed.is_empty() {
            let suffix = (2..)
                .find(|suffix| self.fits(&theirs, &renamed, *suffix))
                .expect("there are more numbers than definitions");
            theirs = rename(theirs, &renamed, suffix);
            for schema in schemas {
                rename_references(schema, &renamed, suffix);
            }
        }
        self.0.append(&mut theirs);
    }

    /// All of them, for the document.
    pub(super) fn into_schemas(self) -> Map<String, Value> {
        self.0
    }

    /// The names that mean something else here: those of other schemas, and those of all schemas
    /// that refer to one of them.
    fn conflicts(&self, theirs: &Map<String, Value>) -> BTreeSet<String> {
        let differs = |name: &String| self.0.get(name).is_some_and(|own| *own != theirs[name]);
        let mut found: BTreeSet<String> = theirs.keys().filter(|n| differs(n)).cloned().collect();
        loop {
            let refers = |schema: &Value| found.iter().any(|name| refers_to(schema, name));
            let more = theirs.iter().filter(|(name, _)| !found.contains(*name));
            let more: Vec<_> = more.filter(|(_, schema)| refers(schema)).collect();
            if more.is_empty() {
                return found;
            }
            found.extend(more.into_iter().map(|(name, _)| name.clone()));
        }
    }

    /// Whether every name with this number is free, or has this very meaning.
    fn fits(&self, theirs: &Map<String, Value>, renamed: &BTreeSet<String>, suffix: u32) -> bool {
        let numbered = rename(theirs.clone(), renamed, suffix);
        let mut names = numbered.iter();
        names.all(|(name, schema)| self.0.get(name).is_none_or(|own| own == schema))
    }
}

fn rename(
    schemas: Map<String, Value>,
    renamed: &BTreeSet<String>,
    suffix: u32,
) -> Map<String, Value> {
    let one = |(name, mut schema): (String, Value)| {
        rename_references(&mut schema, renamed, suffix);
        match renamed.contains(&name) {
            true => (format!("{name}{suffix}"), schema),
            false => (name, schema),
        }
    };
    schemas.into_iter().map(one).collect()
}

fn rename_references(schema: &mut Value, renamed: &BTreeSet<String>, suffix: u32) {
    match schema {
        Value::Object(fields) => {
            for (key, value) in fields {
                let target = reference(key, value).filter(|name| renamed.contains(*name));
                match target.map(|name| format!("{PLACE}{name}{suffix}")) {
                    Some(renumbered) => *value = renumbered.into(),
                    None => rename_references(value, renamed, suffix),
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                rename_references(item, renamed, suffix);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn refers_to(schema: &Value, name: &str) -> bool {
    match schema {
        Value::Object(fields) => fields
            .iter()
            .any(|(key, value)| reference(key, value) == Some(name) || refers_to(value, name)),
        Value::Array(items) => items.iter().any(|item| refers_to(item, name)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// The definition that a member of a schema refers to, if it does.
fn reference<'a>(key: &str, value: &'a Value) -> Option<&'a str> {
    let target = value.as_str().filter(|_| key == "$ref")?;
    target.strip_prefix(PLACE)
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::Definitions;

    fn adopt(definitions: &mut Definitions, theirs: Value) -> String {
        let Value::Object(theirs) = theirs else {
            panic!("definitions are an object")
        };
        let mut arguments =
            json!({ "properties": { "page": { "$ref": "#/components/schemas/Page" } } });
        definitions.adopt(&theirs, [&mut arguments, &mut json!(true)]);
        let reference = arguments["properties"]["page"]["$ref"].as_str().unwrap();
        reference.rsplit('/').next().unwrap().to_owned()
    }

    fn page(entry: &str) -> Value {
        json!({
            "Page": { "items": { "$ref": "#/components/schemas/Entry" } },
            "Entry": { "type": entry },
            "Key": { "type": "string" },
        })
    }

    #[test]
    fn the_same_type_of_two_methods_is_kept_once() {
        let mut definitions = Definitions::new(Map::new());
        assert_eq!(adopt(&mut definitions, page("string")), "Page");
        assert_eq!(adopt(&mut definitions, page("string")), "Page");
        assert_eq!(definitions.into_schemas().len(), 3);
    }

    #[test]
    fn another_type_of_the_same_name_gets_a_number_and_so_does_what_refers_to_it() {
        let mut definitions = Definitions::new(Map::new());
        adopt(&mut definitions, page("string"));
        assert_eq!(adopt(&mut definitions, page("number")), "Page2");
        assert_eq!(adopt(&mut definitions, page("boolean")), "Page3");
        assert_eq!(adopt(&mut definitions, page("number")), "Page2");
        let schemas = definitions.into_schemas();
        let names: Vec<_> = schemas.keys().map(String::as_str).collect();
        let expected = ["Entry", "Entry2", "Entry3", "Key", "Page", "Page2", "Page3"];
        assert_eq!(names, expected);
        let referred = &schemas["Page3"]["items"]["$ref"];
        assert_eq!(referred, "#/components/schemas/Entry3");
    }

    #[test]
    fn a_name_of_the_documents_own_is_not_taken() {
        let own = Map::from_iter([("Page".to_owned(), json!({ "type": "object" }))]);
        let mut definitions = Definitions::new(own);
        assert_eq!(adopt(&mut definitions, page("string")), "Page2");
        assert_eq!(definitions.into_schemas()["Page"]["type"], "object");
    }
}
