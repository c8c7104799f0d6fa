//! Reads a call's arguments. An error tells the model what was expected, what came, and where, so that it can
//! correct the call.

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;
use serde_json::error::Category;

use crate::schema::Shape;

/// Reads arguments as `A`. An empty text counts as an object without members.
pub(crate) fn read<A: DeserializeOwned>(text: &str, shape: Shape) -> Result<A, String> {
    let text = object_text(text)?;
    let read = match shape {
        Shape::Object => serde_json::from_str(text),
        Shape::Value => serde_json::from_str::<One<A>>(text).map(|one| one.value),
        Shape::Nothing => serde_json::from_str("null"),
    };
    read.map_err(|error| explain(text, &error))
}

/// Reads arguments as any JSON object.
pub(crate) fn read_object(text: &str) -> Result<Value, String> {
    let text = object_text(text)?;
    serde_json::from_str(text).map_err(|error| explain(text, &error))
}

/// The declared object for a type that is not an object.
#[derive(Deserialize)]
struct One<A> {
    value: A,
}

/// Checks that a text is an object or not JSON at all: serde would read a list as a struct.
fn object_text(text: &str) -> Result<&str, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok("{}");
    }
    if text.starts_with('{') || serde_json::from_str::<IgnoredAny>(text).is_err() {
        return Ok(text);
    }
    Err(format!("expected an object, got {} at the top level", kind(text)))
}

/// Names the kind of a JSON text that is not an object.
fn kind(text: &str) -> &'static str {
    match text.as_bytes().first() {
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b'n') => "null",
        Some(b't' | b'f') => "a boolean",
        _ => "a number",
    }
}

fn explain(text: &str, error: &serde_json::Error) -> String {
    let full = error.to_string();
    let message = full.rsplit_once(" at line ").map_or(full.as_str(), |(message, _)| message);
    if error.classify() != Category::Data {
        return format!("expected a JSON object, got text that is not JSON: {message}");
    }
    let place = place(text, error);
    if let Some(name) = message.strip_prefix("missing field ") {
        return format!("expected a member {name}, got none at {place}");
    }
    let wrong = ["invalid type: ", "invalid value: ", "unknown field ", "unknown variant ", "invalid "]
        .iter()
        .find_map(|prefix| message.strip_prefix(prefix))
        .and_then(|wrong| wrong.rsplit_once(", expected "));
    match wrong {
        Some((got, expected)) => format!("expected {}, got {} at {place}", in_json(expected), in_json(got)),
        None => format!("{message} at {place}"),
    }
}

/// Names Rust's types as JSON does.
fn in_json(name: &str) -> &str {
    match name {
        "f32" | "f64" => "a number",
        "u8" => "an integer from 0 to 255",
        "u16" => "an integer from 0 to 65535",
        "u32" => "an integer from 0 to 4294967295",
        "u64" | "u128" | "usize" => "an integer of at least 0",
        "i8" => "an integer from -128 to 127",
        "i16" => "an integer from -32768 to 32767",
        "i32" => "an integer from -2147483648 to 2147483647",
        "i64" | "i128" | "isize" => "an integer",
        "a map" | "map" => "an object",
        "a sequence" | "sequence" => "an array",
        "unit" => "null",
        _ if name.starts_with("struct ") => "an object",
        // Serde reads a list as a struct and counts its elements.
        _ if name.starts_with("length ") => "an array",
        _ => name,
    }
}

/// The place of an error: the path of the member at which the reader stood.
fn place(text: &str, error: &serde_json::Error) -> String {
    let line_start: usize =
        text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    let end = (line_start + error.column()).min(text.len());
    match path(&text.as_bytes()[..end]) {
        path if path.is_empty() => "the top level".into(),
        path => format!("`{path}`"),
    }
}

enum Level {
    Object(Option<String>),
    Array(usize),
}

/// The path of the member in which `read`, a beginning of a JSON text, ends.
fn path(read: &[u8]) -> String {
    let mut levels = Vec::new();
    let mut at = 0;
    while let Some(byte) = read.get(at) {
        match (byte, levels.last_mut()) {
            (b'{', _) => levels.push(Level::Object(None)),
            (b'[', _) => levels.push(Level::Array(0)),
            (b'}' | b']', _) => drop(levels.pop()),
            (b',', Some(Level::Object(key))) => *key = None,
            (b',', Some(Level::Array(index))) => *index += 1,
            (b'"', level) => {
                let end = string_end(read, at);
                if let Some(Level::Object(key @ None)) = level {
                    *key = serde_json::from_slice(&read[at..end]).ok();
                }
                at = end;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    // The reader stops at an unexpected bracket, before it is inside.
    if matches!(read.last(), Some(b'{' | b'[')) {
        levels.pop();
    }
    let mut path = String::new();
    for level in levels {
        match level {
            Level::Object(Some(key)) if path.is_empty() => path = key,
            Level::Object(Some(key)) => path.extend([".", &key]),
            Level::Object(None) => {}
            Level::Array(index) => path.push_str(&format!("[{index}]")),
        }
    }
    path
}

/// The end of the string that begins at `start`, after its closing quote.
fn string_end(text: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Trip {
        #[expect(dead_code, reason = "read, never looked at")]
        stops: Vec<Stop>,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "read, never looked at")]
    struct Stop {
        city: String,
        nights: u8,
        mood: Option<Mood>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Mood {
        Calm,
        Wild,
    }

    fn check(text: &str, expected: &str) {
        assert_eq!(read::<Trip>(text, Shape::Object).unwrap_err(), expected, "{text}");
    }

    #[test]
    fn an_error_names_what_was_expected_what_came_and_where() {
        check(
            r#"{"stops":[{"city":"Oslo","nights":1},{"city":"Bergen, \"]","nights":-1}]}"#,
            "expected an integer from 0 to 255, got integer `-1` at `stops[1].nights`",
        );
        check(
            "{\n  \"stops\": [\n    {\"city\": null, \"nights\": 2}\n  ]\n}",
            "expected a string, got null at `stops[0].city`",
        );
        check(r#"{"stops":[{"city":"Oslo"}]}"#, "expected a member `nights`, got none at `stops[0]`");
        check(r#"{"stops":{}}"#, "expected an array, got an object at `stops`");
        check(r#"{"stops":[[]]}"#, "expected an object, got an array at `stops[0]`");
        check(
            r#"{"stops":[{"city":"Oslo","nights":1,"mood":"sad"}]}"#,
            "expected `calm` or `wild`, got `sad` at `stops[0].mood`",
        );
        check(r#"{"stops":[],"where":1}"#, "expected `stops`, got `where` at `where`");
    }

    #[test]
    fn text_that_is_no_json_is_called_so() {
        check(r#"{"stops":"#, "expected a JSON object, got text that is not JSON: EOF while parsing a value");
    }

    #[test]
    fn an_empty_text_is_an_empty_object() {
        assert_eq!(read_object(" "), Ok(serde_json::json!({})));
        assert_eq!(read::<()>("", Shape::Nothing), Ok(()));
    }

    #[test]
    fn a_value_that_is_no_object_is_read_from_its_one_member() {
        assert_eq!(read::<u8>(r#"{"value":3}"#, Shape::Value), Ok(3));
        assert_eq!(
            read::<u8>("{}", Shape::Value),
            Err("expected a member `value`, got none at the top level".into())
        );
    }
}
