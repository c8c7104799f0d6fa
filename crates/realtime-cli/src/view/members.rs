//! Reading members of JSON whose shape differs by version and content.

use serde_json::Value;

use super::line::blank;
use super::model::Tokens;

/// A text; empty if there is none.
pub(crate) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// A number that is not negative.
pub(super) fn count(value: &Value, name: &str) -> Option<u64> {
    value[name].as_u64().or_else(|| value[name].as_f64().filter(|n| *n >= 0.0).map(|n| n as u64))
}

/// A time or position (us).
pub(super) fn micros(value: &Value, name: &str) -> Option<i64> {
    count(value, name).map(clamped)
}

/// A time that a page can compute with: JavaScript's numbers are exact to 2^53.
pub(super) fn clamped(micros: u64) -> i64 {
    micros.min(1 << 52) as i64
}

/// A duration as serde writes it (us).
pub(super) fn duration(value: &Value) -> i64 {
    let seconds = count(value, "secs").unwrap_or(0).min(1 << 32);
    clamped(seconds * 1_000_000 + count(value, "nanos").unwrap_or(0) / 1000)
}

/// The name of a variant, and its members: `"lost"` or `{"lost":{…}}`.
pub(crate) fn variant(value: &Value) -> (&str, &Value) {
    match value {
        Value::String(name) => (name, &Value::Null),
        Value::Object(members) => {
            members.iter().next().map_or(("", &Value::Null), |(name, value)| (name, value))
        }
        _ => ("", &Value::Null),
    }
}

/// Words, or how many bytes of them the log does not have.
pub(super) fn words(text: &str, hides: bool) -> Result<&str, u64> {
    match blank(text).filter(|_| hides) {
        Some(bytes) => Err(bytes),
        None => Ok(text),
    }
}

/// JSON or text as a page shows it: a text stands for itself.
pub(crate) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        value => value.to_string(),
    }
}

/// A name of the protocol as words: `input_audio_dropped`.
pub(crate) fn spoken(name: &str) -> String {
    name.replace('_', " ")
}

/// Why a connection or a call ended.
pub(super) fn reason(value: &Value) -> String {
    let (name, members) = variant(value);
    let said =
        ["reason", "message", "what"].iter().map(|name| text(members, name)).find(|said| !said.is_empty());
    let said = said.unwrap_or_default();
    match name {
        "disconnected" | "connection_lost" if members.is_object() && said.is_empty() => reason(members),
        "closed" => {
            let code = count(members, "code").map_or_else(String::new, |code| format!(" with code {code}"));
            colon(&format!("closed by the server{code}"), said)
        }
        "refused" => colon(&format!("refused with status {}", count(members, "status").unwrap_or(0)), said),
        "not_connected" => colon(&format!("no connection ({})", spoken(text(members, "failure"))), said),
        "lost" | "connection_lost" => colon("lost", said),
        "requested" => "closed by the application".into(),
        "fatal" => colon(text(members, "code"), said),
        name => colon(&spoken(name), said),
    }
}

fn colon(what: &str, said: &str) -> String {
    match said {
        "" => what.to_owned(),
        said => format!("{what}: {said}"),
    }
}

/// What an API error says.
pub(super) fn error(value: &Value) -> String {
    let said: Vec<&str> = ["code", "message"].iter().map(|name| text(value, name)).collect();
    match said[..] {
        ["", ""] => text(value, "type").to_owned(),
        ["", said] | [said, ""] => said.to_owned(),
        _ => said.join(": "),
    }
}

/// The tokens of a response.
pub(super) fn tokens(usage: &Value) -> Option<Tokens> {
    if !usage.is_object() {
        return None;
    }
    let (read, made) = (&usage["input_token_details"], &usage["output_token_details"]);
    let of = |value, name| count(value, name).unwrap_or(0);
    Some(Tokens {
        input: of(usage, "input_tokens"),
        input_text: of(read, "text_tokens"),
        input_audio: of(read, "audio_tokens"),
        input_image: of(read, "image_tokens"),
        cached: of(read, "cached_tokens"),
        output: of(usage, "output_tokens"),
        output_text: of(made, "text_tokens"),
        output_audio: of(made, "audio_tokens"),
    })
}

impl Tokens {
    pub(super) const fn add(&mut self, more: &Self) {
        self.input = self.input.saturating_add(more.input);
        self.input_text = self.input_text.saturating_add(more.input_text);
        self.input_audio = self.input_audio.saturating_add(more.input_audio);
        self.input_image = self.input_image.saturating_add(more.input_image);
        self.cached = self.cached.saturating_add(more.cached);
        self.output = self.output.saturating_add(more.output);
        self.output_text = self.output_text.saturating_add(more.output_text);
        self.output_audio = self.output_audio.saturating_add(more.output_audio);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ends_are_told_in_words_in_every_spelling() {
        for (value, told) in [
            (json!("requested"), "closed by the application"),
            (json!({"closed": {"code": 1000, "reason": ""}}), "closed by the server with code 1000"),
            (json!({"lost": {"reason": "reset"}}), "lost: reset"),
            (json!({"disconnected": {"lost": {"reason": "cut"}}}), "lost: cut"),
            (json!({"connection_lost": {"reason": "cut"}}), "lost: cut"),
            (json!({"refused": {"status": 401, "reason": "no"}}), "refused with status 401: no"),
            (json!({"not_connected": {"failure": "tls", "reason": "no"}}), "no connection (tls): no"),
            (json!({"fatal": {"code": "x", "message": "y"}}), "x: y"),
            (json!("consumer_too_slow"), "consumer too slow"),
            (json!(null), ""),
        ] {
            assert_eq!(reason(&value), told);
        }
    }

    #[test]
    fn words_that_were_left_out_are_counted_only_where_some_are() {
        assert_eq!(words("[12 bytes]", true), Err(12));
        assert_eq!(words("[12 bytes]", false), Ok("[12 bytes]"));
        assert_eq!(words("[x bytes]", true), Ok("[x bytes]"));
    }

    #[test]
    fn numbers_that_no_page_can_hold_are_clamped() {
        assert_eq!(micros(&json!({"at": u64::MAX}), "at"), Some(1 << 52));
        assert_eq!(micros(&json!({"at": -1}), "at"), None);
        assert_eq!(duration(&json!({"secs": u64::MAX, "nanos": 1})), clamped((1 << 32) * 1_000_000));
        assert_eq!(duration(&json!({"secs": 1, "nanos": 95_837_000})), 1_095_837);
    }
}
