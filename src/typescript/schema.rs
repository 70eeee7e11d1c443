//! JSON Schema → a type.
//!
//! What a schema does not say becomes `unknown`, never `any`: a caller has to look before using it.
//! Bounds of numbers and lengths of texts have no type in TypeScript and are left to the server.

use serde_json::{Map, Value};

use super::documentation::comment;
use super::names::{Names, referred};
use super::object::object;
use super::print::indent;

/// Longest array of one length that is written as a tuple.
const TUPLE_MAX: u64 = 8;

/// A type, and how strongly it holds together.
pub(super) struct Expression {
    pub(super) text: String,
    bond: Bond,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Bond {
    Union,
    Intersection,
    Atom,
}

impl Expression {
    pub(super) fn atom(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            bond: Bond::Atom,
        }
    }

    /// The text as a part of something that binds so strongly.
    fn inside(self, bond: Bond) -> String {
        match self.bond < bond {
            true => format!("({})", self.text),
            false => self.text,
        }
    }
}

/// The type of a schema.
pub(super) fn expression(schema: &Value, names: &Names) -> Expression {
    match schema {
        Value::Bool(false) => Expression::atom("never"),
        Value::Object(fields) => of_keywords(fields, names),
        Value::Null | Value::Bool(true) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Expression::atom("unknown")
        }
    }
}

/// Keywords beside each other all have to hold: an intersection.
fn of_keywords(fields: &Map<String, Value>, names: &Names) -> Expression {
    let mut parts = Vec::new();
    if let Some(reference) = fields.get("$ref") {
        let known = referred(reference).and_then(|name| names.get(&name).map(str::to_owned));
        parts.push(Expression::atom(known.unwrap_or("unknown".to_owned())));
    }
    for alternatives in ["oneOf", "anyOf"] {
        if let Some(Value::Array(variants)) = fields.get(alternatives) {
            parts.push(of_variants(variants, names));
        }
    }
    if let Some(Value::Array(all)) = fields.get("allOf") {
        parts.extend(all.iter().map(|one| expression(one, names)));
    }
    if let Some(constant) = fields.get("const") {
        parts.push(Expression::atom(constant.to_string()));
    } else if let Some(Value::Array(values)) = fields.get("enum") {
        let literals = values
            .iter()
            .map(|value| Expression::atom(value.to_string()));
        parts.push(union(literals));
    } else if parts.is_empty() || fields.contains_key("properties") {
        parts.push(of_type(fields, names));
    }
    intersection(parts)
}

/// The keyword `type`: one, or a list of alternatives.
fn of_type(fields: &Map<String, Value>, names: &Names) -> Expression {
    let one = |name: &Value| match name.as_str() {
        Some("null") => Expression::atom("null"),
        Some("boolean") => Expression::atom("boolean"),
        Some("integer" | "number") => Expression::atom("number"),
        Some("string") => Expression::atom("string"),
        Some("array") => array(fields, names),
        Some("object") => object(fields, names),
        _ => Expression::atom("unknown"),
    };
    match fields.get("type") {
        Some(Value::Array(types)) => union(types.iter().map(one)),
        Some(name) => one(name),
        None if fields.contains_key("properties") => object(fields, names),
        None => Expression::atom("unknown"),
    }
}

fn array(fields: &Map<String, Value>, names: &Names) -> Expression {
    let size = |name: &str| fields.get(name).and_then(Value::as_u64);
    let items = fields
        .get("items")
        .filter(|items| **items != Value::Bool(false));
    let first = fields.get("prefixItems").and_then(Value::as_array);
    if let Some(first) = first {
        let present = size("minItems").unwrap_or(0);
        let element = |(at, schema): (u64, &Value)| {
            let mark = if at < present { "" } else { "?" };
            let bond = if mark.is_empty() {
                Bond::Union
            } else {
                Bond::Atom
            };
            expression(schema, names).inside(bond) + mark
        };
        let mut elements: Vec<String> = (0..).zip(first).map(element).collect();
        let ends = size("maxItems").is_some_and(|most| most <= first.len() as u64);
        if let Some(items) = items.filter(|_| !ends) {
            let rest = expression(items, names).inside(Bond::Atom);
            elements.push(format!("...{rest}[]"));
        }
        return Expression::atom(format!("[{}]", elements.join(", ")));
    }
    let item = items.map_or(Expression::atom("unknown"), |items| {
        expression(items, names)
    });
    match (size("minItems"), size("maxItems")) {
        (Some(least), Some(most)) if least == most && (1..=TUPLE_MAX).contains(&most) => {
            let elements: Vec<&str> = (0..most).map(|_| item.text.as_str()).collect();
            Expression::atom(format!("[{}]", elements.join(", ")))
        }
        _ => Expression::atom(format!("{}[]", item.inside(Bond::Atom))),
    }
}

/// One of several; those with documentation stand in lines of their own.
fn of_variants(variants: &[Value], names: &Names) -> Expression {
    let documentation =
        |variant: &Value| comment(variant["description"].as_str().unwrap_or_default());
    if variants
        .iter()
        .all(|variant| documentation(variant).is_empty())
    {
        return union(variants.iter().map(|variant| expression(variant, names)));
    }
    let line = |variant: &Value| {
        let text = expression(variant, names).inside(Bond::Intersection);
        format!("{}| {text}", documentation(variant))
    };
    let lines: Vec<String> = variants.iter().map(line).collect();
    Expression {
        text: format!("\n{}", indent(&lines.join("\n"))),
        bond: Bond::Union,
    }
}

/// One of these, each named once.
pub(super) fn union(variants: impl IntoIterator<Item = Expression>) -> Expression {
    let mut distinct: Vec<Expression> = Vec::new();
    for variant in variants {
        // Everything: the others say nothing more.
        if variant.text == "unknown" {
            return variant;
        }
        if distinct.iter().all(|known| known.text != variant.text) {
            distinct.push(variant);
        }
    }
    joined(distinct, Bond::Union, " | ", "never")
}

/// All of these; one that anything fits adds nothing.
fn intersection(mut parts: Vec<Expression>) -> Expression {
    parts.retain(|part| part.text != "unknown");
    joined(parts, Bond::Intersection, " & ", "unknown")
}

fn joined(mut parts: Vec<Expression>, bond: Bond, between: &str, none: &str) -> Expression {
    match parts.len() {
        0 => Expression::atom(none),
        1 => parts.remove(0),
        _ => {
            // A union inside a union needs no brackets.
            let texts: Vec<String> = parts.into_iter().map(|part| part.inside(bond)).collect();
            Expression {
                text: texts.join(between),
                bond,
            }
        }
    }
}
