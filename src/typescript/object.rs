//! Objects: members, optional ones, and maps.

use serde_json::{Map, Value};

use super::documentation::comment;
use super::names::{Names, key};
use super::print::indent;
use super::schema::{Expression, expression, union};

/// The longest object that stands in one line.
const LINE_MAX_CHARS: usize = 72;

/// Whether a schema is an object and nothing else, with members of known names only.
pub(super) fn is_plain(schema: &Value) -> bool {
    let combined = ["$ref", "allOf", "anyOf", "oneOf", "enum", "const"];
    let has = |name: &str| schema.get(name).is_some();
    schema["type"] == "object"
        && schema["properties"]
            .as_object()
            .is_some_and(|members| !members.is_empty())
        && !combined.into_iter().any(has)
}

/// An object as a type.
pub(super) fn object(schema: &Map<String, Value>, names: &Names) -> Expression {
    let members = members(schema, names);
    let rest = rest(schema, names);
    match (members.is_empty(), rest) {
        (true, Rest::None) => Expression::atom("Record<string, never>"),
        (true, Rest::Unsaid) => Expression::atom("{ [key: string]: unknown }"),
        (true, Rest::Of(value)) => Expression::atom(format!("{{ [key: string]: {value} }}")),
        (false, _) => Expression::atom(lay_out(&all_members(schema, names))),
    }
}

/// An object with members, one per line, as the body of an interface.
pub(super) fn block(schema: &Value, names: &Names) -> String {
    let members = schema
        .as_object()
        .map(|schema| all_members(schema, names))
        .unwrap_or_default();
    in_lines(&members)
}

/// A member, with its documentation.
struct Member {
    documentation: String,
    text: String,
}

fn all_members(schema: &Map<String, Value>, names: &Names) -> Vec<Member> {
    let mut members = members(schema, names);
    // TypeScript wants every named member to fit the type of the others, so it can only be this one.
    if let Rest::Of(_) = rest(schema, names) {
        members.push(Member {
            documentation: String::new(),
            text: "[key: string]: unknown".to_owned(),
        });
    }
    members
}

fn members(schema: &Map<String, Value>, names: &Names) -> Vec<Member> {
    let required = schema.get("required").and_then(Value::as_array);
    let is_required = |name: &str| required.is_some_and(|all| all.iter().any(|one| one == name));
    let properties = schema.get("properties").and_then(Value::as_object);
    let member = |(name, schema): (&String, &Value)| {
        let mark = if is_required(name) { "" } else { "?" };
        Member {
            documentation: comment(schema["description"].as_str().unwrap_or_default()),
            text: format!("{}{mark}: {}", key(name), expression(schema, names).text),
        }
    };
    properties.into_iter().flatten().map(member).collect()
}

/// What an object may hold beside its named members.
enum Rest {
    /// Nothing.
    None,
    /// Anything, as always in JSON Schema when it is not forbidden.
    Unsaid,
    /// Values of this type.
    Of(String),
}

fn rest(schema: &Map<String, Value>, names: &Names) -> Rest {
    // Maps whose keys are numbers: the pattern says so, in JSON they are text all the same.
    let patterns = schema.get("patternProperties").and_then(Value::as_object);
    let mut values: Vec<_> = patterns
        .into_iter()
        .flat_map(Map::values)
        .map(|value| expression(value, names))
        .collect();
    match schema.get("additionalProperties") {
        Some(Value::Bool(false)) if values.is_empty() => return Rest::None,
        None if values.is_empty() => return Rest::Unsaid,
        Some(Value::Bool(false)) | None => {}
        Some(value) => values.push(expression(value, names)),
    }
    Rest::Of(union(values).text)
}

fn lay_out(members: &[Member]) -> String {
    let bare = members
        .iter()
        .all(|member| member.documentation.is_empty() && !member.text.contains('\n'));
    let texts: Vec<&str> = members.iter().map(|member| member.text.as_str()).collect();
    let line = format!("{{ {} }}", texts.join("; "));
    if bare && line.chars().count() <= LINE_MAX_CHARS {
        return line;
    }
    in_lines(members)
}

fn in_lines(members: &[Member]) -> String {
    let line = |member: &Member| format!("{}{};\n", member.documentation, member.text);
    let lines: String = members.iter().map(line).collect();
    format!("{{\n{}}}", indent(&lines))
}
