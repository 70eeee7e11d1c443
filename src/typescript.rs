//! TypeScript declarations of an OpenAPI document of ours: what `abide types` prints.
//!
//! The same document is served as `/openapi.json`, so both come from the same schemas. Pure:
//! a document in, text out.
//!
//! Generators for OpenAPI make types of paths and verbs; a client of objects thinks in namespaces,
//! names and methods, and must know which methods only read. So each namespace becomes a member of
//! one interface `Api`, and each method a type with its access, its arguments and its value. The
//! output imports nothing.

mod api;
mod documentation;
mod names;
mod object;
mod print;
mod schema;

use serde_json::Value;

use names::Names;

/// The declarations of everything the document describes.
pub(crate) fn declarations(document: &Value) -> String {
    let namespaces = api::namespaces(document);
    let schemas = &document["components"]["schemas"];
    let names = Names::new(api::reachable(&namespaces, schemas));
    let version = document["info"]["version"].as_str().unwrap_or_default();
    let mut out = format!("// Printed by `abide types` (abide {version}).\n\n");
    out.push_str(&api::print(&namespaces, &names));
    for (name, declared) in names.iter() {
        out.push('\n');
        out.push_str(&print::declaration(declared, &schemas[name], &names));
    }
    out
}

#[cfg(test)]
mod tests;
