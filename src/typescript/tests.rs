//! Every form a Rust type can have, against a golden file that the tests of the TypeScript client
//! compile with `tsc --strict`.

use std::collections::BTreeMap;
use std::{env, fs};

use serde_json::{Value, json};

use super::declarations;
use crate::ActorKind;
use crate::http::openapi_document;
use crate::prelude::*;

/// Beside this file; `ABIDE_WRITE_GOLDEN=1` writes it anew.
const GOLDEN: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/src/typescript/every_form.d.ts"
);

/// What a plain struct looks like.
///
/// Its second paragraph holds the end of a comment: */
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Plain {
    /// A member with documentation.
    count: u64,
    ratio: f64,
    text: String,
    letter: char,
    maybe: Option<bool>,
    #[serde(default)]
    with_default: i8,
    #[serde(rename = "two words")]
    renamed: String,
    anything: Value,
    nothing: (),
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Empty {}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Newtype(String);

/// Collections.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Collections {
    list: Vec<Plain>,
    pair: (u8, Option<String>),
    point: [f32; 3],
    many: [u8; 32],
    optional_items: Vec<Option<Newtype>>,
    by_name: BTreeMap<String, Vec<u8>>,
    by_number: BTreeMap<u32, Words>,
    nested: BTreeMap<String, BTreeMap<String, Option<Plain>>>,
}

/// Words only.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Words {
    One,
    TwoWords,
}

/// Words of which one is explained.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
enum ExplainedWords {
    /// The first.
    First,
    Second,
}

/// Tagged from outside, as serde does by itself.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
enum External {
    Unit,
    Newtype(u32),
    Tuple(u32, String),
    /// With documentation.
    Struct {
        id: u64,
        note: Option<String>,
    },
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Internal {
    Unit,
    Newtype(Plain),
    Struct { x: i32, y: i32 },
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "t", content = "c")]
enum Adjacent {
    Unit,
    Newtype(u32),
    Struct { x: i32 },
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Untagged {
    Number(f64),
    Text(String),
    Both { number: f64, text: String },
}

/// Refers to itself.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Tree {
    value: i64,
    children: Vec<Tree>,
    parent: Option<Box<Tree>>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Flattened {
    id: u64,
    #[serde(flatten)]
    plain: Inner,
    #[serde(flatten)]
    either: Internal,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Inner {
    inner: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct WithRest {
    id: u64,
    #[serde(flatten)]
    rest: BTreeMap<String, u8>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Page<T> {
    items: Vec<T>,
    next: Option<String>,
}

/// Has no schema: anything.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Opaque;

/// Asks for every form.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Forms;

#[actor]
#[expect(clippy::unused_self, reason = "only its description is looked at")]
impl Forms {
    /// Reads a struct.
    #[call]
    fn plain(&self) -> Option<Plain> {
        None
    }

    /// Takes all collections,
    /// in two lines.
    #[call]
    fn collections(&mut self, all: Collections, empty: Empty) -> Page<Newtype> {
        drop((all, empty));
        Page {
            items: Vec::new(),
            next: None,
        }
    }

    #[call]
    fn enums(
        &mut self,
        external: External,
        internal: Internal,
        adjacent: Adjacent,
        untagged: Untagged,
        explained: Option<ExplainedWords>,
    ) -> Result<Vec<Untagged>, ActorError> {
        drop((external, internal, adjacent, untagged, explained));
        Ok(Vec::new())
    }

    #[call]
    fn recursive(&self, tree: Tree) -> Page<Tree> {
        Page {
            items: vec![tree],
            next: None,
        }
    }

    #[call]
    fn flattened(&self, one: Flattened, rest: WithRest) {
        drop((one, rest));
    }

    #[call]
    fn opaque(&self) -> Opaque {
        Opaque
    }
}

/// Has another type by the name of one of [`Forms`], and no method of its own beside.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Other;

mod elsewhere {
    use crate::prelude::*;

    #[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
    pub(super) struct Plain {
        pub(super) other: bool,
    }
}

#[actor]
#[expect(clippy::unused_self, reason = "only its description is looked at")]
impl Other {
    #[call]
    fn get(&self) -> elsewhere::Plain {
        elsewhere::Plain { other: true }
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Silent;

#[actor]
impl Silent {}

#[test]
fn every_form_is_printed_as_in_the_golden_file() {
    let (forms, other) = (ActorKind::<Forms>::new(), ActorKind::<Other>::new());
    let silent = ActorKind::<Silent>::new();
    let kinds = [
        ("forms", forms.description()),
        ("other-kind", other.description()),
        ("silent", silent.description()),
    ];
    let mut document = openapi_document(kinds);
    document["info"]["version"] = "0.0.0".into();
    let printed = declarations(&document);
    if env::var_os("ABIDE_WRITE_GOLDEN").is_some() {
        fs::write(GOLDEN, &printed).unwrap();
    }
    let golden = fs::read_to_string(GOLDEN).unwrap();
    assert_eq!(printed, golden, "see every_form.d.ts");
}

#[test]
fn a_strange_document_is_printed_as_unknown_and_not_refused() {
    let method = |schema: Value| {
        json!({
            "openapi": "3.1.0",
            "paths": { "/v1/a/{name}/m": { "post": {
                "responses": { "200": { "content": { "application/json": { "schema": schema } } } },
            } } },
        })
    };
    for (schema, expected) in [
        (json!({ "$ref": "#/components/schemas/Gone" }), "unknown"),
        (json!({ "$ref": "https://example.org/a.json" }), "unknown"),
        (json!({ "type": "date" }), "unknown"),
        (json!({ "not": { "type": "string" } }), "unknown"),
        (
            json!({ "type": ["string", "null"], "enum": ["a", null] }),
            "\"a\" | null",
        ),
        (json!({ "type": "array" }), "unknown[]"),
        (
            json!({ "type": "array", "items": { "type": ["string", "null"] } }),
            "(string | null)[]",
        ),
        (
            json!({ "prefixItems": [{ "type": "string" }], "type": "array" }),
            "[string?]",
        ),
        (json!({ "allOf": [{ "type": "string" }, true] }), "string"),
        (json!(false), "never"),
        (json!([]), "unknown"),
    ] {
        let printed = declarations(&method(schema.clone()));
        let expected = format!("returns: {expected} }}");
        assert!(printed.contains(&expected), "{schema}: {printed}");
    }
}
