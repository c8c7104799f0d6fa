//! Changes the JSON of events on the way, up to text that is no longer JSON.

use serde_json::{Map, Value};

use crate::disaster::parse::DisasterError;
use crate::disaster::pointer::{Pointer, member_mut};

/// Changes of an event's JSON, made in this order: `remove`, `convert`, `replace`, `set`, `raw`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Edit {
    changes: Vec<(Pointer, Change)>,
}

#[derive(Clone, Debug, PartialEq)]
enum Change {
    Remove,
    Convert(Conversion),
    /// Only if there is a value.
    Replace(Value),
    /// Also if there is no value yet.
    Set(Value),
    /// Text in place of what is there, JSON or not.
    Raw(String),
}

/// What becomes of a value that fits; others stay as they are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Conversion {
    /// Text that is JSON becomes that JSON.
    Json,
    /// A number or a boolean becomes text.
    String,
    /// An integer is written as `1234.0`.
    Float,
    /// Anything becomes `null`.
    Null,
    /// Text becomes empty.
    Blank,
    /// Anything becomes an object with it as `type`.
    Object,
    /// Text becomes a number made of it.
    Number,
    /// Text ends in the first half of a pair of UTF-16 units.
    HalfEmoji,
}

impl Edit {
    /// Reads changes from the members of a disaster, which are taken out of it.
    pub(super) fn take(members: &mut Map<String, Value>, path: &str) -> Result<Self, DisasterError> {
        let mut edit = Self::default();
        let fault = |name: &str, reason: String| DisasterError { path: format!("{path}.{name}"), reason };
        for name in ["remove", "convert", "replace", "set", "raw"] {
            let pairs: Vec<(String, Value)> = match members.remove(name) {
                None => continue,
                Some(Value::Array(pointers)) if name == "remove" => {
                    let text = |pointer: Value| pointer.as_str().map(|text| (text.into(), Value::Null));
                    let pointers: Option<_> = pointers.into_iter().map(text).collect();
                    pointers.ok_or_else(|| fault(name, "expected pointers".into()))?
                }
                Some(Value::Object(changes)) if name != "remove" => changes.into_iter().collect(),
                Some(_) if name == "remove" => {
                    return Err(fault(name, "expected an array of pointers".into()));
                }
                Some(_) => return Err(fault(name, "expected an object whose names are pointers".into())),
            };
            for (pointer, value) in pairs {
                let change = match (name, value) {
                    ("remove", _) => Change::Remove,
                    ("replace", value) => Change::Replace(value),
                    ("set", value) => Change::Set(value),
                    ("raw", Value::String(text)) => Change::Raw(text),
                    ("convert", Value::String(kind)) => Change::Convert(
                        Conversion::named(&kind)
                            .ok_or_else(|| fault(name, format!("there is no conversion `{kind}`")))?,
                    ),
                    _ => return Err(fault(name, "expected texts".into())),
                };
                let pointer = Pointer::parse(&pointer).map_err(|reason| fault(name, reason))?;
                edit.changes.push((pointer, change));
            }
        }
        if edit.changes.is_empty() {
            let reason = "expected `remove`, `convert`, `replace`, `set` or `raw`";
            return Err(DisasterError { path: path.into(), reason: reason.into() });
        }
        Ok(edit)
    }
}

/// The text with all changes, one edit after the other.
pub(super) fn edited(text: &str, edits: &[Edit]) -> String {
    let Ok(mut event) = serde_json::from_str::<Value>(text) else { return text.into() };
    let mut raw = Vec::new();
    for (pointer, change) in edits.iter().flat_map(|edit| &edit.changes) {
        pointer.for_each(&mut event, |parent, key| change.make(parent, key, &mut raw));
    }
    let text = event.to_string();
    let Some((first, rest)) = text.split_once(PLACE) else { return text.replace(HALF, r"\ud83d") };
    // Raw text stands in its own string with marks: remove its quotes.
    let mut out = String::with_capacity(text.len());
    out.push_str(first.strip_suffix('"').unwrap_or(first));
    for piece in rest.split(PLACE) {
        let (number, after) = piece.split_once('"').unwrap_or((piece, ""));
        let text: Option<&String> = number.parse::<usize>().ok().and_then(|index| raw.get(index));
        out.push_str(text.map_or("null", String::as_str));
        out.push_str(after.strip_suffix('"').unwrap_or(after));
    }
    out.replace(HALF, r"\ud83d")
}

impl Change {
    fn make(&self, parent: &mut Value, key: &str, raw: &mut Vec<String>) {
        match self {
            Self::Remove => match parent {
                Value::Object(members) => drop(members.remove(key)),
                Value::Array(elements) => {
                    if let Some(index) = key.parse().ok().filter(|index| *index < elements.len()) {
                        elements.remove(index);
                    }
                }
                _ => {}
            },
            Self::Set(value) => match parent.as_object_mut() {
                Some(members) => drop(members.insert(key.into(), value.clone())),
                None => Self::Replace(value.clone()).make(parent, key, raw),
            },
            Self::Replace(value) => {
                if let Some(member) = member_mut(parent, key) {
                    *member = value.clone();
                }
            }
            Self::Convert(conversion) => {
                if let Some(member) = member_mut(parent, key) {
                    conversion.make(member);
                }
            }
            Self::Raw(text) => {
                if let Some(member) = member_mut(parent, key) {
                    *member = format!("{PLACE}{}", raw.len()).into();
                    raw.push(text.clone());
                }
            }
        }
    }
}

impl Conversion {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "json" => Self::Json,
            "string" => Self::String,
            "float" => Self::Float,
            "null" => Self::Null,
            "blank" => Self::Blank,
            "object" => Self::Object,
            "number" => Self::Number,
            "half_emoji" => Self::HalfEmoji,
            _ => return None,
        })
    }

    fn make(self, value: &mut Value) {
        let new = match (self, &*value) {
            (Self::Json, Value::String(text)) => serde_json::from_str(text).ok(),
            (Self::String, Value::Number(_) | Value::Bool(_)) => Some(value.to_string().into()),
            (Self::Float, Value::Number(number)) => number.as_i64().map(|number| (number as f64).into()),
            (Self::Null, _) => Some(Value::Null),
            (Self::Blank, Value::String(_)) => Some("".into()),
            (Self::Object, kind) => Some([("type".to_owned(), kind.clone())].into_iter().collect()),
            (Self::Number, Value::String(text)) => {
                let digits =
                    text.bytes().fold(7_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
                Some(digits.into())
            }
            (Self::HalfEmoji, Value::String(text)) => Some(format!("{text}{HALF}").into()),
            _ => None,
        };
        if let Some(new) = new {
            *value = new;
        }
    }
}

/// Marks the place of raw text, in its own string. From Unicode's private area.
const PLACE: &str = "\u{e0a0}emulator:";
/// Stands for half a pair of UTF-16 units, which no string can hold here.
const HALF: &str = "\u{e0a1}";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn edit(changes: Value) -> Result<Edit, String> {
        let Value::Object(mut members) = changes else { unreachable!("tests give objects") };
        Edit::take(&mut members, "d").map_err(|error| error.to_string())
    }

    fn check(changes: Value, expected: &str) {
        let text = r#"{"a":{"b":"{\"c\":1}","n":5},"list":[{"id":"x"},{"id":"y"}]}"#;
        assert_eq!(edited(text, &[edit(changes).unwrap()]), expected);
    }

    #[test]
    fn members_are_set_replaced_removed_and_converted() {
        check(json!({"remove": ["/a", "/list/0"]}), r#"{"list":[{"id":"y"}]}"#);
        check(json!({"remove": ["/a", "/list/*"]}), r#"{"list":[]}"#);
        check(json!({"remove": ["/a", "/none/x", "/list/*/id"]}), r#"{"list":[{},{}]}"#);
        check(json!({"set": {"/a": 1, "/new": null, "/list": {}}}), r#"{"a":1,"list":{},"new":null}"#);
        check(
            json!({"replace": {"/a": 1, "/new": null, "/list/*/id": 0}}),
            r#"{"a":1,"list":[{"id":0},{"id":0}]}"#,
        );
        check(
            json!({"remove": ["/list"], "convert": {"/a/b": "json", "/a/n": "string"}}),
            r#"{"a":{"b":{"c":1},"n":"5"}}"#,
        );
        check(
            json!({"remove": ["/list"], "convert": {"/**": "float"}}),
            r#"{"a":{"b":"{\"c\":1}","n":5.0}}"#,
        );
        check(
            json!({"remove": ["/a"], "convert": {"/list/0/id": "object", "/list/1/id": "null"}}),
            r#"{"list":[{"id":{"type":"x"}},{"id":null}]}"#,
        );
        check(
            json!({"remove": ["/a"], "convert": {"/list/*/id": "blank"}}),
            r#"{"list":[{"id":""},{"id":""}]}"#,
        );
    }

    #[test]
    fn text_that_is_no_json_can_stand_anywhere() {
        check(
            json!({"raw": {"/a/n": "NaN", "/list/*/id": "-Infinity", "/none": "x"}}),
            r#"{"a":{"b":"{\"c\":1}","n":NaN},"list":[{"id":-Infinity},{"id":-Infinity}]}"#,
        );
        check(json!({"raw": {"/a": "\"\\udc00\"", "/list": ""}}), r#"{"a":"\udc00","list":}"#);
        check(
            json!({"remove": ["/a"], "convert": {"/list/0/id": "half_emoji"}}),
            r#"{"list":[{"id":"x\ud83d"},{"id":"y"}]}"#,
        );
        assert_eq!(edited("no json", &[edit(json!({"remove": ["/a"]})).unwrap()]), "no json");
    }

    #[test]
    fn changes_that_cannot_be_meant_are_refused() {
        for (changes, expected) in [
            (json!({}), "d: expected `remove`"),
            (json!({"remove": "/a"}), "d.remove: expected an array"),
            (json!({"remove": [1]}), "d.remove: expected pointers"),
            (json!({"set": []}), "d.set: expected an object"),
            (json!({"set": {"a": 1}}), "d.set: expected a JSON pointer"),
            (json!({"raw": {"/a": 1}}), "d.raw: expected texts"),
            (json!({"convert": {"/a": "gold"}}), "d.convert: there is no conversion `gold`"),
        ] {
            let error = edit(changes).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
