//! `GET /openapi.json`: OpenAPI 3.1 of everything registered, schemas from the Rust types.

mod definitions;

use std::sync::Arc;

use abide_actors::{Access, Description, IDEMPOTENCY_KEY_SIZE_MAX_BYTES, MethodDescription};
use axum::Json;
use axum::extract::State;
use serde_json::{Map, Value, json};

use super::app::App;
use definitions::Definitions;

pub(super) async fn document(State(app): State<Arc<App>>) -> Json<Value> {
    let namespaces = app.runtime.namespaces();
    let described = namespaces
        .iter()
        .map(|info| (info.name.as_str(), &info.description));
    Json(build(described))
}

/// The document for these namespaces.
pub(crate) fn build<'a>(namespaces: impl IntoIterator<Item = (&'a str, &'a Description)>) -> Value {
    let mut tags = Vec::new();
    let mut paths = Map::new();
    let own = Map::from_iter([("Problem".to_owned(), problem_schema())]);
    let mut definitions = Definitions::new(own);
    for (name, description) in namespaces {
        for method in &description.methods {
            let mut method = method.clone();
            let schemas = [&mut method.arguments, &mut method.returns];
            definitions.adopt(&method.definitions, schemas);
            let path = format!("/v1/{name}/{{name}}/{}", method.name);
            paths.insert(path, calls(name, &method));
        }
        paths.extend(other_paths(name, description));
        tags.push(json!({ "name": name, "description": description.documentation }));
    }
    json!({
        "openapi": "3.1.0",
        "info": { "title": "Abide", "version": env!("CARGO_PKG_VERSION") },
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "tags": tags,
        "paths": paths,
        "components": { "schemas": definitions.into_schemas() },
    })
}

/// A method's path: POST always, GET when it only reads.
fn calls(namespace: &str, method: &MethodDescription) -> Value {
    let mut post = operation(
        namespace,
        method.name,
        method.documentation,
        &method.returns,
    );
    post["parameters"] = json!([idempotency_parameter()]);
    let required = method.arguments.get("required").and_then(Value::as_array);
    post["requestBody"] = json!({
        "required": required.is_some_and(|required| !required.is_empty()),
        "content": content(&method.arguments),
    });
    let mut path = json!({ "parameters": [name_parameter()], "post": post });
    if method.access == Access::Read {
        let mut get = operation(
            namespace,
            method.name,
            method.documentation,
            &method.returns,
        );
        get["operationId"] = format!("{namespace}.{}.read", method.name).into();
        get["parameters"] = query_parameters(&method.arguments);
        get["responses"]["304"] = json!({ "description": "The value with this ETag still holds." });
        path["get"] = get;
    }
    path
}

/// Sessions and raw HTTP, where the kind has the callbacks.
fn other_paths(namespace: &str, description: &Description) -> Vec<(String, Value)> {
    let mut paths = Vec::new();
    if description.callbacks.connected {
        let get = json!({
            "operationId": format!("{namespace}.session"),
            "tags": [namespace],
            "summary": "Opens a session: a WebSocket handshake; or, to receive only, `Accept: text/event-stream`.",
            "responses": {
                "101": { "description": "The session is open." },
                "200": {
                    "description": "The session is open; its frames follow as server-sent events.",
                    "content": { "text/event-stream": { "schema": { "type": "string" } } },
                },
                "default": problem_response(),
            },
        });
        let path = json!({ "parameters": [name_parameter()], "get": get });
        paths.push((format!("/v1/{namespace}/{{name}}"), path));
    }
    if description.callbacks.fetch {
        let any = |method: &str| {
            json!({
                "operationId": format!("{namespace}.fetch.{method}"),
                "tags": [namespace],
                "summary": "Raw HTTP, answered by the object.",
                "responses": { "default": { "description": "What the object answers." } },
            })
        };
        let path_parameter = json!({ "name": "path", "in": "path", "required": true, "schema": { "type": "string" } });
        let mut path = json!({ "parameters": [name_parameter(), path_parameter] });
        for method in ["get", "put", "post", "delete", "patch"] {
            path[method] = any(method);
        }
        paths.push((format!("/v1/{namespace}/{{name}}/-/{{path}}"), path));
    }
    paths
}

fn operation(namespace: &str, method: &str, documentation: &str, returns: &Value) -> Value {
    let summary = documentation.lines().next().unwrap_or_default();
    json!({
        "operationId": format!("{namespace}.{method}"),
        "tags": [namespace],
        "summary": summary,
        "description": documentation,
        "responses": {
            "200": { "description": "The method's value.", "content": content(returns) },
            "default": problem_response(),
        },
    })
}

/// The same value in both encodings.
fn content(schema: &Value) -> Value {
    json!({ "application/json": { "schema": schema }, "application/msgpack": { "schema": schema } })
}

fn name_parameter() -> Value {
    json!({
        "name": "name",
        "in": "path",
        "required": true,
        "description": "The object's name: any text of 1 to 1,024 bytes; or `id:` and its 64 hex digits.",
        "schema": { "type": "string", "minLength": 1 },
    })
}

/// What every POST takes; a method that only reads ignores it.
fn idempotency_parameter() -> Value {
    json!({
        "name": "Idempotency-Key",
        "in": "header",
        "required": false,
        "description": "A word made up for this call and sent again when it is repeated: the call takes effect once, a repeat \
            gets the same value, with the header `idempotent-replayed: true`. The key may stand in double quotes.",
        "schema": { "type": "string", "minLength": 1, "maxLength": IDEMPOTENCY_KEY_SIZE_MAX_BYTES, "pattern": "^[!-~]+$" },
    })
}

/// The arguments of a read, one query parameter each.
fn query_parameters(arguments: &Value) -> Value {
    let required: Vec<&str> = arguments
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let properties = arguments.get("properties").and_then(Value::as_object);
    let parameter = |(name, schema): (&String, &Value)| {
        json!({
            "name": name,
            "in": "query",
            "required": required.contains(&name.as_str()),
            "schema": schema,
        })
    };
    properties.into_iter().flatten().map(parameter).collect()
}

fn problem_response() -> Value {
    json!({
        "description": "A problem: see its `code`, and `/errors/{code}`.",
        "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
    })
}

fn problem_schema() -> Value {
    json!({
        "type": "object",
        "description": "RFC 9457.",
        "required": ["type", "title", "status", "detail", "instance", "code", "effect"],
        "properties": {
            "type": { "type": "string", "description": "Page that explains the code." },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "detail": { "type": "string" },
            "instance": { "type": "string", "description": "Names the request, as x-request-id does." },
            "code": { "type": "string", "description": "Stable word for programs." },
            "effect": {
                "enum": ["none", "unknown"],
                "description": "Whether the object may have changed all the same.",
            },
            "retry_after_ms": { "type": "integer" },
            "data": { "description": "More, from the object." },
        },
    })
}

#[cfg(test)]
mod tests {
    use abide_actors::{Access, Callbacks, Description, MethodDescription};
    use serde_json::{Map, json};

    use super::build;

    fn method(name: &'static str, access: Access) -> MethodDescription {
        MethodDescription {
            name,
            documentation: "Does it.\nAnd more.",
            access,
            arguments: json!({
                "type": "object",
                "properties": { "by": { "type": "integer" } },
                "required": ["by"],
            }),
            returns: json!({ "$ref": "#/components/schemas/Total" }),
            definitions: Map::from_iter([("Total".to_owned(), json!({ "type": "integer" }))]),
        }
    }

    #[test]
    fn a_read_has_both_verbs_and_a_write_one() {
        let description = Description {
            methods: vec![
                method("increment", Access::Write),
                method("get", Access::Read),
            ],
            callbacks: Callbacks {
                connected: true,
                ..Callbacks::default()
            },
            ..Description::default()
        };
        let document = build([("counter", &description)]);
        let increment = &document["paths"]["/v1/counter/{name}/increment"];
        assert!(increment["get"].is_null());
        assert_eq!(increment["post"]["requestBody"]["required"], true);
        assert_eq!(increment["post"]["summary"], "Does it.");
        let key = &increment["post"]["parameters"][0];
        assert_eq!(
            (&key["name"], &key["in"]),
            (&json!("Idempotency-Key"), &json!("header"))
        );
        let both = &document["paths"]["/v1/counter/{name}/get"];
        assert_eq!(both["post"]["parameters"][0], *key);
        let get = &both["get"];
        assert_eq!(get["parameters"].as_array().map(Vec::len), Some(1));
        assert_eq!(get["parameters"][0]["name"], "by");
        assert_eq!(get["parameters"][0]["required"], true);
        assert_eq!(
            document["components"]["schemas"]["Total"]["type"],
            "integer"
        );
        assert!(document["paths"]["/v1/counter/{name}"]["get"].is_object());
        assert!(document["paths"]["/v1/counter/{name}/-/{path}"].is_null());
    }
}
