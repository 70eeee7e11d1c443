//! JSON Schemas of a call's arguments and value, from the Rust types that have one.

use std::marker::PhantomData;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::call::Access;
use crate::kind::MethodDescription;

/// The schema of `T` when it implements [`JsonSchema`], that of "any value" otherwise.
///
/// Rust has no specialisation, but it looks for `SchemaOf::<T>::schema` among the type's own
/// functions before those of traits. The own one exists only where `T: JsonSchema`; everywhere
/// else the look-up goes on to [`AnySchema`]. That works because the macro always names a
/// concrete type.
#[derive(Debug)]
pub struct SchemaOf<T: ?Sized>(PhantomData<T>);

impl<T: JsonSchema + ?Sized> SchemaOf<T> {
    /// The type's own schema; what it refers to is added to the generator's definitions.
    #[must_use]
    pub fn schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<T>()
    }
}

/// The fallback of [`SchemaOf`].
pub trait AnySchema {
    /// `true`: every value is valid.
    #[must_use]
    fn schema(_: &mut SchemaGenerator) -> Schema {
        Schema::from(true)
    }
}

impl<T: ?Sized> AnySchema for SchemaOf<T> {}

/// Whether callers must give an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// They must.
    Required,
    /// Absent is `None`.
    Optional,
}

/// Collects the schemas of one call.
#[derive(Debug)]
pub struct MethodSchemas {
    generator: SchemaGenerator,
    properties: Map<String, Value>,
    required: Vec<&'static str>,
    returns: Value,
}

impl MethodSchemas {
    /// No arguments yet, any value returned.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "only written out by the macro")]
    pub fn new() -> Self {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.definitions_path = "/components/schemas".into();
        });
        Self {
            generator: settings.into_generator(),
            properties: Map::new(),
            required: Vec::new(),
            returns: Value::Bool(true),
        }
    }

    /// Adds the next argument.
    #[must_use]
    pub fn argument(
        mut self,
        name: &'static str,
        presence: Presence,
        schema: fn(&mut SchemaGenerator) -> Schema,
    ) -> Self {
        let schema = schema(&mut self.generator).to_value();
        self.properties.insert(name.to_owned(), schema);
        if presence == Presence::Required {
            self.required.push(name);
        }
        self
    }

    /// Sets the type of the value.
    #[must_use]
    pub fn returns(mut self, schema: fn(&mut SchemaGenerator) -> Schema) -> Self {
        self.returns = schema(&mut self.generator).to_value();
        self
    }

    /// The call's description.
    #[must_use]
    pub fn describe(
        mut self,
        name: &'static str,
        documentation: &'static str,
        access: Access,
    ) -> MethodDescription {
        MethodDescription {
            name,
            documentation,
            access,
            arguments: json!({
                "type": "object",
                "properties": self.properties,
                "required": self.required,
                "additionalProperties": false,
            }),
            returns: self.returns,
            definitions: self.generator.take_definitions(true),
        }
    }
}
