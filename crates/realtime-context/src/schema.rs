//! The JSON Schema of a tool's parameters, made from a Rust type.
//!
//! The model reads it, so it holds only what a model needs: subschemas are inlined, objects are closed, and
//! titles (Rust's type names), the schema's own address and the widths of numbers are left out.

use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema};
use serde_json::{Value, json};

/// How a call's arguments become a handler's argument.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Shape {
    /// The arguments are the handler's argument.
    Object,
    /// The member `value` is the handler's argument: the type is not an object, and a tool's parameters must
    /// be one.
    Value,
    /// The handler takes no argument: `()`.
    Nothing,
}

/// A tool's parameters.
pub(crate) struct Parameters {
    pub(crate) schema: Value,
    pub(crate) shape: Shape,
}

impl Parameters {
    /// The parameters of a handler that takes an `A`.
    pub(crate) fn of<A: JsonSchema>() -> Self {
        let mut schema = SchemaSettings::draft2020_12()
            .for_deserialize()
            .with(|settings| {
                settings.inline_subschemas = true;
                settings.meta_schema = None;
            })
            .with_transform(Tidy)
            .into_generator()
            .into_root_schema_for::<A>();
        let shape = shape(&schema);
        let schema = match shape {
            Shape::Object => {
                let members = schema.ensure_object();
                members.insert("type".into(), json!("object"));
                if !["properties", "oneOf", "anyOf", "allOf"].iter().any(|name| members.contains_key(*name)) {
                    members.insert("properties".into(), json!({}));
                }
                schema.to_value()
            }
            Shape::Value => {
                // The definitions of a recursive type are referred to from the root.
                let definitions = schema.remove("$defs");
                let mut object = json!({
                    "type": "object",
                    "properties": { "value": schema },
                    "required": ["value"],
                    "additionalProperties": false,
                });
                if let Some(definitions) = definitions {
                    object["$defs"] = definitions;
                }
                object
            }
            Shape::Nothing => json!({ "type": "object", "properties": {}, "additionalProperties": false }),
        };
        Self { schema, shape }
    }
}

fn shape(schema: &Schema) -> Shape {
    if is_object(schema.as_value()) {
        return Shape::Object;
    }
    match schema.as_object() {
        // Any value is allowed, so an object is too.
        None => Shape::Object,
        Some(members) if members.is_empty() => Shape::Object,
        Some(members) if members.get("type") == Some(&json!("null")) => Shape::Nothing,
        Some(_) => Shape::Value,
    }
}

/// Returns whether a schema allows only objects: by its type, or by a choice of such schemas.
fn is_object(schema: &Value) -> bool {
    schema["type"] == "object"
        || ["oneOf", "anyOf"]
            .iter()
            .any(|choice| schema[choice].as_array().is_some_and(|variants| variants.iter().all(is_object)))
}

/// Takes out what a model does not need, and closes objects.
#[derive(Clone)]
struct Tidy;

impl Transform for Tidy {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        schema.remove("title");
        if schema.get("format").and_then(Value::as_str).is_some_and(is_width) {
            schema.remove("format");
        }
        let Some(members) =
            schema.as_object_mut().filter(|members| members.get("type") == Some(&json!("object")))
        else {
            return;
        };
        let choices = ["oneOf", "anyOf", "allOf"];
        if !choices.iter().any(|choice| members.contains_key(*choice)) {
            members.entry("additionalProperties").or_insert(json!(false));
            return;
        }
        // A flattened enum: its variants see the members beside them, so they cannot be closed.
        for choice in choices {
            let variants = members.get_mut(choice).and_then(Value::as_array_mut);
            for variant in variants.into_iter().flatten().filter_map(Value::as_object_mut) {
                if variant.get("additionalProperties") == Some(&json!(false)) {
                    variant.remove("additionalProperties");
                }
            }
        }
    }
}

/// Returns whether a format only gives the width of a Rust number.
fn is_width(format: &str) -> bool {
    matches!(format, "float" | "double") || format.trim_start_matches('u').starts_with("int")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct TripArgs {
        /// Where to go, in this order.
        stops: Vec<Stop>,
        #[serde(default)]
        travellers: u8,
        title: Option<String>,
        budget: f64,
    }

    #[derive(Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct Stop {
        /// The city, without its country.
        city: String,
        mood: Mood,
    }

    #[derive(Deserialize, JsonSchema)]
    #[serde(rename_all = "snake_case")]
    enum Mood {
        Calm,
        Wild,
    }

    #[test]
    fn a_struct_is_declared_with_its_subschemas_in_place() {
        let Parameters { schema, shape } = Parameters::of::<TripArgs>();
        assert_eq!(shape, Shape::Object);
        assert_eq!(
            schema,
            json!({
                "type": "object",
                "properties": {
                    "stops": {
                        "description": "Where to go, in this order.",
                        "type": "array",
                        "items": {
                            "type": "object",
                            "properties": {
                                "city": { "description": "The city, without its country.", "type": "string" },
                                "mood": { "type": "string", "enum": ["calm", "wild"] },
                            },
                            "required": ["city", "mood"],
                            "additionalProperties": false,
                        },
                    },
                    "travellers": { "type": "integer", "minimum": 0, "maximum": 255, "default": 0 },
                    "title": { "type": ["string", "null"] },
                    "budget": { "type": "number" },
                },
                "required": ["stops", "budget"],
                "additionalProperties": false,
            })
        );
    }

    #[derive(Deserialize, JsonSchema)]
    struct NoArgs {}

    #[test]
    fn no_parameters_are_an_object_without_members() {
        let closed = json!({ "type": "object", "properties": {}, "additionalProperties": false });
        assert_eq!(Parameters::of::<NoArgs>().schema, closed);
        assert_eq!(Parameters::of::<NoArgs>().shape, Shape::Object);
        assert_eq!(Parameters::of::<()>().schema, closed);
        assert_eq!(Parameters::of::<()>().shape, Shape::Nothing);
    }

    #[test]
    fn a_type_that_is_no_object_becomes_one_member() {
        let Parameters { schema, shape } = Parameters::of::<String>();
        assert_eq!(shape, Shape::Value);
        assert_eq!(
            schema,
            json!({
                "type": "object",
                "properties": { "value": { "type": "string" } },
                "required": ["value"],
                "additionalProperties": false,
            })
        );
    }

    #[test]
    fn any_json_and_maps_stay_open() {
        assert_eq!(Parameters::of::<Value>().schema, json!({ "type": "object", "properties": {} }));
        let map = Parameters::of::<BTreeMap<String, i32>>();
        assert_eq!(map.shape, Shape::Object);
        assert_eq!(map.schema["additionalProperties"], json!({ "type": "integer" }));
    }

    #[derive(Deserialize, JsonSchema)]
    #[serde(tag = "by", rename_all = "snake_case")]
    #[expect(dead_code, reason = "only its schema is looked at")]
    enum Find {
        Name { name: String },
        Number { number: u32 },
    }

    #[test]
    fn a_choice_among_objects_is_an_object() {
        let Parameters { schema, shape } = Parameters::of::<Find>();
        assert_eq!(shape, Shape::Object);
        assert_eq!(schema["type"], "object");
        assert_eq!(schema["oneOf"][0]["additionalProperties"], json!(false));
    }

    #[derive(Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct Search {
        limit: u8,
        #[serde(flatten)]
        find: Find,
    }

    #[test]
    fn a_flattened_choice_leaves_room_for_the_members_beside_it() {
        let Parameters { schema, shape } = Parameters::of::<Search>();
        assert_eq!(shape, Shape::Object);
        assert!(schema["properties"]["limit"].is_object());
        for variant in schema["oneOf"].as_array().unwrap() {
            assert!(variant.get("additionalProperties").is_none(), "{variant}");
        }
    }
}
