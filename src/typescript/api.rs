//! The interface `Api`: every namespace with its methods.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::documentation::comment;
use super::names::{self, Names, key};
use super::print::indent;
use super::schema::expression;

/// A namespace of the document.
#[derive(Default)]
pub(super) struct Namespace<'a> {
    documentation: &'a str,
    methods: BTreeMap<&'a str, Method<'a>>,
}

/// One of its methods.
struct Method<'a> {
    documentation: &'a str,
    reads: bool,
    arguments: &'a Value,
    returns: &'a Value,
}

/// What the document says, by namespace.
pub(super) fn namespaces(document: &Value) -> BTreeMap<&str, Namespace<'_>> {
    let mut found: BTreeMap<&str, Namespace<'_>> = BTreeMap::new();
    for tag in document["tags"].as_array().into_iter().flatten() {
        if let Some(name) = tag["name"].as_str() {
            let documentation = tag["description"].as_str().unwrap_or_default();
            found.entry(name).or_default().documentation = documentation;
        }
    }
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        let parts: Vec<&str> = path.split('/').collect();
        // `/v1/{namespace}/{name}/-/{path}` is raw HTTP: it has a part more.
        let ["", "v1", namespace, "{name}", method] = parts[..] else {
            continue;
        };
        let post = &item["post"];
        let described = Method {
            documentation: post["description"].as_str().unwrap_or_default(),
            reads: item["get"].is_object(),
            arguments: json_of(&post["requestBody"]),
            returns: json_of(&post["responses"]["200"]),
        };
        let methods = &mut found.entry(namespace).or_default().methods;
        methods.insert(method, described);
    }
    found
}

fn json_of(body: &Value) -> &Value {
    &body["content"]["application/json"]["schema"]
}

/// The definitions that the methods refer to, directly or not.
pub(super) fn reachable<'a>(
    namespaces: &BTreeMap<&str, Namespace<'a>>,
    schemas: &'a Value,
) -> BTreeSet<String> {
    let methods = namespaces.values().flat_map(|one| one.methods.values());
    let mut waiting: Vec<&Value> = methods
        .flat_map(|method| [method.arguments, method.returns])
        .collect();
    let mut found = BTreeSet::new();
    while let Some(schema) = waiting.pop() {
        match schema {
            Value::Object(fields) => {
                let target = fields.get("$ref").and_then(names::referred);
                // One that leads nowhere stays out: it becomes `unknown`.
                let there = target.filter(|name| schemas.get(name).is_some());
                if let Some(name) = there.filter(|name| found.insert(name.clone())) {
                    waiting.push(&schemas[&name]);
                }
                waiting.extend(fields.values());
            }
            Value::Array(items) => waiting.extend(items),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    found
}

/// The interface.
pub(super) fn print(namespaces: &BTreeMap<&str, Namespace<'_>>, names: &Names) -> String {
    let mut out = String::from("/** What can be asked: `createClient<Api>({ url })`. */\n");
    out.push_str("export interface Api {\n");
    for (name, namespace) in namespaces {
        let mut methods = String::new();
        for (method, described) in &namespace.methods {
            methods.push_str(&comment(described.documentation));
            methods.push_str(&format!("{}: {};\n", key(method), described.print(names)));
        }
        let body = match methods.is_empty() {
            true => "{}".to_owned(),
            false => format!("{{\n{}}}", indent(&methods)),
        };
        let member = format!(
            "{}{}: {body};\n",
            comment(namespace.documentation),
            key(name)
        );
        out.push_str(&indent(&member));
    }
    out.push_str("}\n");
    out
}

impl Method<'_> {
    fn print(&self, names: &Names) -> String {
        let access = if self.reads { "read" } else { "write" };
        let arguments = expression(self.arguments, names).text;
        let returns = expression(self.returns, names).text;
        let line =
            format!("{{ access: \"{access}\"; arguments: {arguments}; returns: {returns} }}");
        if !line.contains('\n') {
            return line;
        }
        let members =
            format!("access: \"{access}\";\narguments: {arguments};\nreturns: {returns};\n");
        format!("{{\n{}}}", indent(&members))
    }
}
