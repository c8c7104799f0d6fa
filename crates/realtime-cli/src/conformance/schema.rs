//! Compares an event with a schema file: OpenAPI 3, or JSON Schema as `realtime schema` writes it.
//!
//! The file names the events itself: each schema whose member `type` can be one word alone is the schema of
//! the events of that type. Known are the words that such files use: `$ref` within the file, `type`, `enum`,
//! `const`, `nullable`, `properties`, `required`, `additionalProperties`, `items`, `allOf`, `anyOf`, `oneOf`,
//! and the bounds of numbers, strings, arrays and objects. `oneOf` counts as `anyOf`, since the branches of
//! published files overlap; `format` and `pattern` are not looked at.
//!
//! `null` is not a fault if a member is optional: servers write it for nearly everything that is unset, and
//! clients to clear members, though published files seldom say so. OpenAI's file of beta contradicts its own
//! examples in places, and the examples are right: see [`is_erratum`].

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use realtime_protocol::event::ClientEvent;
use serde_json::{Map, Value, json};

use crate::Error;
use crate::conformance::Side;

/// What schema files say of events.
#[derive(Debug, Default)]
pub(crate) struct Schemas {
    files: Vec<File>,
    /// Whether a member that no schema names is a fault.
    closed: bool,
}

#[derive(Debug)]
struct File {
    root: Value,
    /// By the event's type. Some types have several: then one of them must fit.
    events: BTreeMap<String, Vec<Value>>,
}

/// A place where an event violates its schema.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Fault {
    path: String,
    expected: String,
    got: String,
}

impl Schemas {
    pub(crate) fn read(paths: &[impl AsRef<Path>], closed: bool) -> Result<Self, Error> {
        let mut schemas = Self { files: Vec::new(), closed };
        for path in paths {
            let name = path.as_ref().display();
            let text =
                std::fs::read_to_string(path).map_err(|error| format!("cannot read {name}: {error}"))?;
            schemas.add(&text).map_err(|reason| format!("{name}: {reason}"))?;
        }
        Ok(schemas)
    }

    fn add(&mut self, text: &str) -> Result<(), Error> {
        let root: Value = serde_json::from_str(text)?;
        let mut events = BTreeMap::<String, Vec<Value>>::new();
        let named = ["/components/schemas", "/$defs", "/definitions"];
        let named = named.iter().filter_map(|place| root.pointer(place)?.as_object()).flatten();
        let unnamed = ["anyOf", "oneOf"].into_iter().filter_map(|word| root[word].as_array()).flatten();
        let named = named.filter(|(name, _)| is_event(name)).map(|(_, schema)| schema);
        for schema in named.chain(unnamed).chain([&root]) {
            if let [Value::String(kind)] = words(&schema["properties"]["type"]) {
                events.entry(kind.clone()).or_default().push(schema.clone());
            }
        }
        // Beta's file has one of the two only.
        if let Some(updated) = events.get("transcription_session.updated") {
            let mut created = updated.clone();
            for schema in &mut created {
                schema["properties"]["type"] = json!({"const": "transcription_session.created"});
            }
            events.entry("transcription_session.created".into()).or_insert(created);
        }
        if events.is_empty() {
            return Err("expected the schemas of events, found none".into());
        }
        self.files.push(File { root, events });
        Ok(())
    }

    /// What is wrong with an event. Empty if the files do not describe events of that side.
    pub(crate) fn check(&self, text: &str, from: Side) -> Vec<Fault> {
        let Ok(event) = serde_json::from_str::<Value>(text) else { return Vec::new() };
        let kind = event["type"].as_str().unwrap_or_default();
        let known: Vec<_> =
            self.files.iter().filter_map(|file| Some((file, file.events.get(kind)?))).collect();
        if known.is_empty() {
            let is_of_side = |kind: &String| (from == Side::Client) == ClientEvent::KINDS.contains(&&**kind);
            let has_side = self.files.iter().flat_map(|file| file.events.keys()).any(is_of_side);
            let nothing = Fault::new("type", "an event type of the schema", &event["type"]);
            return if has_side { vec![nothing] } else { Vec::new() };
        }
        let found = known.into_iter().map(|(file, schemas)| {
            let mut faults = Check { root: &file.root, closed: self.closed }.one_of(&event, schemas, "");
            faults.retain(|fault| !(file.is_beta() && is_erratum(fault)));
            faults
        });
        found.min_by_key(Vec::len).unwrap_or_default()
    }
}

impl File {
    /// Returns whether it is OpenAI's description of beta.
    fn is_beta(&self) -> bool {
        self.events.contains_key("response.audio.delta")
    }
}

/// What OpenAI's file of beta forbids, and its servers do, as its own examples show: other models than those
/// of its day, responses and items that are not done yet, sound in an item, and a session that brings no key
/// over a WebSocket.
fn is_erratum(fault: &Fault) -> bool {
    let member = fault.path.rsplit('.').next().unwrap_or_default();
    matches!(
        (member, fault.got.as_str()),
        ("model", _) | ("status", r#""in_progress""#) | ("type", r#""audio""#) | ("client_secret", "nothing")
    )
}

/// Returns whether a schema of that name is one of an event of the protocol. The `RealtimeBeta` schemas of
/// OpenAI's newer files are none: they describe no wire, but a mixture of both dialects.
fn is_event(name: &str) -> bool {
    name.contains("Event") && !name.starts_with("RealtimeBeta")
}

/// The values that a schema allows by name.
fn words(schema: &Value) -> &[Value] {
    match (schema.get("const"), schema["enum"].as_array()) {
        (Some(word), _) => std::slice::from_ref(word),
        (None, Some(words)) => words,
        (None, None) => &[],
    }
}

struct Check<'a> {
    root: &'a Value,
    closed: bool,
}

impl Check<'_> {
    fn value(&self, value: &Value, schema: &Value, path: &str, faults: &mut Vec<Fault>) {
        let Value::Object(rules) = schema else {
            // `true` takes everything, `false` nothing.
            if *schema == Value::Bool(false) {
                faults.push(Fault::new(path, "nothing", value));
            }
            return;
        };
        if value.is_null() && schema["nullable"] == true {
            return;
        }
        if let Some(place) = rules.get("$ref").and_then(Value::as_str) {
            match place.strip_prefix('#').and_then(|place| self.root.pointer(place)) {
                Some(named) => self.value(value, named, path, faults),
                None => {
                    faults.push(Fault::new(path, format!("what {place} says, which is not there"), value))
                }
            }
        }
        let kinds = texts(&schema["type"]);
        if !kinds.is_empty() && !kinds.iter().any(|kind| is_a(value, kind)) {
            return faults.push(Fault::new(path, kinds.join(" or "), value));
        }
        let words = words(schema);
        if !words.is_empty() && !words.contains(value) {
            let words: Vec<_> = words.iter().map(Value::to_string).collect();
            faults.push(Fault::new(path, words.join(" or "), value));
        }
        for all in rules.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            // None of these names all members.
            Check { closed: false, ..*self }.value(value, all, path, faults);
        }
        for word in ["anyOf", "oneOf"] {
            if let Some(Value::Array(branches)) = rules.get(word) {
                faults.extend(self.one_of(value, branches, path));
            }
        }
        bounds(value, rules, path, faults);
        match value {
            Value::Object(members) => self.members(members, rules, path, faults),
            Value::Array(elements) => {
                let Some(each) = rules.get("items") else { return };
                for (index, element) in elements.iter().enumerate() {
                    self.value(element, each, &format!("{path}[{index}]"), faults);
                }
            }
            _ => {}
        }
    }

    fn members(
        &self,
        members: &Map<String, Value>,
        rules: &Map<String, Value>,
        path: &str,
        faults: &mut Vec<Fault>,
    ) {
        let required = rules.get("required").map(texts).unwrap_or_default();
        for name in required.iter().filter(|name| !members.contains_key(**name)) {
            faults.push(Fault { path: join(path, name), expected: "a value".into(), got: "nothing".into() });
        }
        let named = rules.get("properties").and_then(Value::as_object);
        let others = rules.get("additionalProperties");
        for (name, value) in members {
            let path = join(path, name);
            match (named.and_then(|named| named.get(name)), others) {
                (Some(_), _) if value.is_null() && !needs_value(name, &required) => {}
                (Some(schema), _) | (None, Some(schema)) => self.value(value, schema, &path, faults),
                (None, None) if self.closed && named.is_some() => {
                    faults.push(Fault::new(path, "no such member", value));
                }
                (None, None) => {}
            }
        }
    }

    /// What is wrong by the closest branch. Empty if one fits.
    fn one_of(&self, value: &Value, branches: &[Value], path: &str) -> Vec<Fault> {
        let mut tried: Vec<Vec<Fault>> = Vec::new();
        for branch in branches {
            let mut faults = Vec::new();
            self.value(value, branch, path, &mut faults);
            if faults.is_empty() {
                return faults;
            }
            tried.push(faults);
        }
        // A branch of another kind says nothing about what this one should hold.
        let kinds = [path.to_owned(), join(path, "type"), join(path, "role"), join(path, "object")];
        let is_other = |faults: &[Fault]| faults.iter().any(|fault| kinds.contains(&fault.path));
        if tried.iter().all(|faults| is_other(faults)) {
            let at = |kind: &&String| tried.iter().flatten().any(|fault| fault.path == **kind);
            let kind = kinds.iter().find(at);
            let mut faults = tried.iter().flatten().filter(|fault| Some(&fault.path) == kind).cloned();
            let Some(mut fault) = faults.next() else { return Vec::new() };
            for other in faults.filter(|other| other.got == fault.got).collect::<Vec<_>>() {
                if !fault.expected.contains(&other.expected) {
                    fault.expected = format!("{} or {}", fault.expected, other.expected);
                }
            }
            return vec![fault];
        }
        tried.into_iter().filter(|faults| !is_other(faults)).min_by_key(Vec::len).unwrap_or_default()
    }
}

/// Returns whether a member cannot be null when it has no value. The first item of a conversation has no item
/// before it, though beta's schema asks for one.
fn needs_value(name: &str, required: &[&str]) -> bool {
    required.contains(&name) && name != "previous_item_id"
}

fn bounds(value: &Value, rules: &Map<String, Value>, path: &str, faults: &mut Vec<Fault>) {
    let (size, least, most) = match value {
        Value::Number(number) => (number.as_f64(), "minimum", "maximum"),
        Value::String(text) => (Some(text.chars().count() as f64), "minLength", "maxLength"),
        Value::Array(elements) => (Some(elements.len() as f64), "minItems", "maxItems"),
        Value::Object(members) => (Some(members.len() as f64), "minProperties", "maxProperties"),
        Value::Null | Value::Bool(_) => return,
    };
    let Some(size) = size else { return };
    let bound = |name| rules.get(name).and_then(Value::as_f64);
    if let Some(least) = bound(least).filter(|least| size < *least) {
        faults.push(Fault::new(path, format!("at least {least}"), value));
    }
    if let Some(most) = bound(most).filter(|most| size > *most) {
        faults.push(Fault::new(path, format!("at most {most}"), value));
    }
}

fn is_a(value: &Value, kind: &str) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        _ => false,
    }
}

/// A word, or a list of words.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(word) => vec![word],
        Value::Array(words) => words.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.into() } else { format!("{path}.{name}") }
}

impl Fault {
    fn new(path: impl Into<String>, expected: impl Into<String>, got: &Value) -> Self {
        let got = match got {
            Value::Object(_) => "an object".into(),
            Value::Array(elements) => format!("an array of {}", elements.len()),
            other => other.to_string(),
        };
        let end = got.char_indices().nth(MOST_SHOWN).map_or(got.len(), |(end, _)| end);
        Self { path: path.into(), expected: expected.into(), got: got[..end].into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, expected, got } = self;
        write!(f, "{}: expected {expected}, got {got}", if path.is_empty() { "event" } else { path })
    }
}

/// Characters of a value in a fault's text.
const MOST_SHOWN: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(schema: &str, event: &str, from: Side) -> Vec<String> {
        let mut schemas = Schemas::default();
        schemas.add(schema).unwrap();
        schemas.check(event, from).iter().map(Fault::to_string).collect()
    }

    /// In OpenAPI, as OpenAI publishes it.
    fn openapi(event: &str) -> Vec<String> {
        faults(include_str!("../../fixtures/openapi.json"), event, Side::Server)
    }

    #[test]
    fn an_event_is_checked_against_the_schema_of_its_type() {
        let good = r#"{"type":"response.done","event_id":"e","response":{"status":"completed","usage":null,
            "output":[{"type":"message","role":"user","content":[]},{"type":"function_call","name":"f"}],
            "metadata":{"a":"b"},"max_output_tokens":"inf"}}"#;
        assert_eq!(openapi(good), [""; 0]);
        let bad = r#"{"type":"response.done","response":{"status":"lost","usage":{"total_tokens":1.5},
            "output":[{"type":"message","role":"user"},{"type":"function_call","name":7},{"type":"gift"}],
            "metadata":{"a":1},"max_output_tokens":0}}"#;
        assert_eq!(
            openapi(bad),
            [
                "event_id: expected a value, got nothing",
                "response.max_output_tokens: expected string or at least 1, got 0",
                "response.metadata.a: expected string, got 1",
                "response.output[0].content: expected a value, got nothing",
                "response.output[1].name: expected string, got 7",
                "response.output[2].type: expected \"message\" or \"function_call\", got \"gift\"",
                "response.status: expected \"completed\" or \"failed\", got \"lost\"",
                "response.usage.total_tokens: expected integer, got 1.5",
            ]
        );
    }

    #[test]
    fn null_stands_for_what_need_not_be_said() {
        let unset =
            r#"{"type":"response.done","event_id":"e","response":{"status":"completed","metadata":null}}"#;
        assert_eq!(openapi(unset), [""; 0]);
        let needed = r#"{"type":"response.done","event_id":null,"response":{"status":"completed"}}"#;
        assert_eq!(openapi(needed), ["event_id: expected string, got null"]);
        assert_eq!(openapi(r#"{"type":"conversation.item.created","previous_item_id":null}"#), [""; 0]);
        let client = r#"{"type":"response.cancel","event_id":null,"response_id":null}"#;
        assert_eq!(faults(include_str!("../../fixtures/openapi.json"), client, Side::Client), [""; 0]);
    }

    #[test]
    fn a_type_without_a_schema_is_a_fault_where_its_side_has_any() {
        let other = r#"{"type":"response.created","event_id":"e"}"#;
        assert_eq!(openapi(other), ["type: expected an event type of the schema, got \"response.created\""]);
        let schema = r#"{"anyOf":[{"properties":{"type":{"const":"response.done"}}}]}"#;
        assert_eq!(faults(schema, r#"{"type":"response.cancel"}"#, Side::Client), [""; 0]);
        assert_eq!(faults(schema, r#"{"type":"response.done"}"#, Side::Server), [""; 0]);
    }

    #[test]
    fn what_the_file_of_beta_forbids_against_its_own_examples_passes() {
        let schema = |kind: &str| {
            let part = r#"{"properties":{"type":{"enum":["text"]}}}"#;
            let session = r#"{"required":["client_secret"],"properties":{"model":{"enum":["m"]}}}"#;
            format!(
                r#"{{"components":{{"schemas":{{"Event1":{{"properties":{{"type":{{"enum":["{kind}"]}},
                "status":{{"enum":["completed"]}},"part":{part}}}}},"Event2":{{"properties":{{
                "type":{{"const":"transcription_session.updated"}},"session":{session}}}}}}}}}}}"#
            )
        };
        let part = r#"{"type":"response.audio.delta","status":"in_progress","part":{"type":"audio"}}"#;
        assert_eq!(faults(&schema("response.audio.delta"), part, Side::Server), [""; 0]);
        let session = r#"{"type":"transcription_session.created","session":{"model":"n"}}"#;
        assert_eq!(faults(&schema("response.audio.delta"), session, Side::Server), [""; 0]);
        let ga = part.replace("response.audio", "response.output_audio");
        let found = faults(&schema("response.output_audio.delta"), &ga, Side::Server);
        assert_eq!(found.len(), 2, "{found:?}");
    }

    #[test]
    fn where_it_is_asked_for_no_member_without_a_name_passes() {
        let mut schemas = Schemas { closed: true, ..Schemas::default() };
        schemas.add(include_str!("../../fixtures/openapi.json")).unwrap();
        let event = r#"{"type":"response.cancel","gift":1}"#;
        let found: Vec<_> = schemas.check(event, Side::Client).iter().map(Fault::to_string).collect();
        assert_eq!(found, ["gift: expected no such member, got 1"]);
    }

    #[test]
    fn the_schemas_of_this_workspace_describe_its_events() {
        let mut schemas = Schemas::default();
        for (name, schema) in realtime_protocol::schema::schemas() {
            if name.ends_with("Event") {
                schemas.add(&serde_json::to_string(&schema).unwrap()).unwrap();
            }
        }
        let faults = |text, from| -> Vec<_> {
            schemas.check(text, from).iter().map(Fault::to_string).collect::<Vec<String>>()
        };
        let event = r#"{"type":"response.done","event_id":"e","response":{"id":7}}"#;
        assert_eq!(faults(event, Side::Server), ["response.id: expected string or null, got 7"]);
        assert_eq!(faults(r#"{"type":"input_audio_buffer.commit"}"#, Side::Client), [""; 0]);
    }
}
