//! JSON Schemas of the wire types (feature `schema`): what a value of each looks like in the GA dialect.
//!
//! A schema lists what this version knows. It allows further members and further words, as reading does.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, json_schema};
use serde_json::{Map, Value};

use crate::event::{ClientEvent, ServerEvent};
use crate::http;
use crate::item::Item;
use crate::response::{Response, ResponseParams};
use crate::session_config::SessionConfig;

/// The schemas of all values that are whole wire texts or that other tools ask for. Each schema is
/// self-contained.
///
/// ```
/// for (name, schema) in realtime_protocol::schema::schemas() {
///     assert!(schema.get("$schema").is_some(), "{name}");
/// }
/// ```
pub fn schemas() -> Vec<(&'static str, Schema)> {
    fn root<T: JsonSchema>() -> Schema {
        SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>()
    }
    alloc::vec![
        ("ClientEvent", root::<ClientEvent>()),
        ("ServerEvent", root::<ServerEvent>()),
        ("SessionConfig", root::<SessionConfig>()),
        ("Item", root::<Item>()),
        ("Response", root::<Response>()),
        ("ResponseParams", root::<ResponseParams>()),
        ("ClientSecretRequest", root::<http::ClientSecretRequest>()),
        ("ClientSecretResponse", root::<http::ClientSecretResponse>()),
        ("CallCreateRequest", root::<http::CallCreateRequest>()),
        ("CallReferRequest", root::<http::CallReferRequest>()),
        ("CallRejectRequest", root::<http::CallRejectRequest>()),
        ("Webhook", root::<http::Webhook>()),
    ]
}

/// A member of an object.
pub(crate) struct Member {
    pub(crate) name: &'static str,
    pub(crate) description: &'static str,
    pub(crate) required: bool,
    pub(crate) schema: Schema,
}

/// An object of these members, and of any others.
pub(crate) fn object(description: &str, members: Vec<Member>) -> Schema {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for Member { name, description, required: is_required, mut schema } in members {
        // A reference to another schema has a description of its own there.
        if schema.get("$ref").is_none() {
            schema.insert("description".into(), tidy(description).into());
        }
        properties.insert(name.into(), schema.into());
        if is_required {
            required.push(Value::from(name));
        }
    }
    let mut schema =
        json_schema!({"description": tidy(description), "type": "object", "properties": properties});
    if !required.is_empty() {
        schema.insert("required".into(), required.into());
    }
    schema
}

/// One of these objects, told apart by `type`.
pub(crate) fn tagged(description: &str, variants: Vec<(&str, Schema)>) -> Schema {
    let variants: Vec<Schema> = variants
        .into_iter()
        .map(|(kind, mut schema)| {
            let mut properties = Map::new();
            properties.insert("type".into(), serde_json::json!({"const": kind}));
            if let Some(Value::Object(members)) = schema.remove("properties") {
                properties.extend(members);
            }
            schema.insert("properties".into(), properties.into());
            let mut required = alloc::vec![Value::from("type")];
            if let Some(Value::Array(members)) = schema.remove("required") {
                required.extend(members);
            }
            schema.insert("required".into(), required.into());
            schema
        })
        .collect();
    json_schema!({"description": tidy(description), "anyOf": variants})
}

/// One of these words, or any other.
pub(crate) fn words(description: &str, known: &[&str]) -> Schema {
    json_schema!({"description": tidy(description), "anyOf": [{"enum": known}, {"type": "string"}]})
}

/// A value of one of these schemas.
pub(crate) fn any_of(schemas: Vec<Schema>) -> Schema {
    json_schema!({"anyOf": schemas})
}

/// Implements `JsonSchema` for a type that is a string on the wire.
macro_rules! text {
    ($name:ident, $description:expr) => {
        impl schemars::JsonSchema for $name {
            fn schema_name() -> alloc::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({"description": $crate::schema::tidy($description), "type": "string"})
            }
        }
    };
}
pub(crate) use text;

/// Joins a doc comment's lines.
pub(crate) fn tidy(text: &str) -> Cow<'static, str> {
    let mut tidy = String::new();
    for line in text.lines() {
        let line = line.trim();
        if line.starts_with("# Wire") {
            break; // the rest is the place in the reference
        }
        if !line.is_empty() {
            tidy += if tidy.is_empty() { "" } else { " " };
            tidy += line;
        }
    }
    tidy.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_has_a_schema_that_names_its_type_and_required_members() {
        let schemas = schemas();
        let (_, events) = schemas.iter().find(|(name, _)| *name == "ServerEvent").unwrap();
        let variants = events.get("anyOf").unwrap().as_array().unwrap();
        assert_eq!(variants.len(), ServerEvent::KINDS.len());
        for (variant, kind) in variants.iter().zip(ServerEvent::KINDS) {
            assert_eq!(variant["properties"]["type"]["const"], *kind);
        }
        let delta = &variants
            [ServerEvent::KINDS.iter().position(|kind| *kind == "response.output_audio.delta").unwrap()];
        assert_eq!(delta["required"], serde_json::json!(["type", "item_id", "delta"]));
        assert_eq!(delta["properties"]["content_index"]["description"], "The part's place in the item.");
    }
}
