//! Declarations and layout.

use serde_json::Value;

use super::documentation::comment;
use super::names::Names;
use super::object;
use super::schema::expression;

/// A definition with its documentation: an interface where it can be one, because editors show
/// their names; otherwise a type.
pub(super) fn declaration(name: &str, schema: &Value, names: &Names) -> String {
    let documentation = comment(schema["description"].as_str().unwrap_or_default());
    if object::is_plain(schema) {
        let body = object::block(schema, names);
        return format!("{documentation}export interface {name} {body}\n");
    }
    let text = expression(schema, names).text;
    let space = if text.starts_with('\n') { "" } else { " " };
    format!("{documentation}export type {name} ={space}{text};\n")
}

/// Every line two spaces further in.
pub(super) fn indent(text: &str) -> String {
    let line = |line: &str| match line.trim_end().is_empty() {
        true => line.to_owned(),
        false => format!("  {line}"),
    };
    text.split_inclusive('\n').map(line).collect()
}
