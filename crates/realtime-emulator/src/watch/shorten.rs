//! Wire texts as they are shown: long strings and long texts are cut, and stay JSON if they were.

use std::borrow::Cow;

use serde::Deserialize;

/// The event's type; empty if it has none. What most clients and this server write is found at once.
pub(super) fn kind(text: &str) -> Cow<'_, str> {
    #[derive(Deserialize)]
    struct Event<'a> {
        #[serde(borrow, rename = "type")]
        kind: Cow<'a, str>,
    }
    let first = text.trim_start().strip_prefix('{').map(str::trim_start);
    let first = first.and_then(|rest| rest.strip_prefix("\"type\"")?.trim_start().strip_prefix(':'));
    let value = first.and_then(|rest| rest.trim_start().strip_prefix('"')?.split_once('"'));
    match value {
        Some((kind, _)) if !kind.contains('\\') => head(kind, MOST_KIND).into(),
        _ => match serde_json::from_str::<Event<'_>>(text).map(|event| event.kind) {
            Ok(Cow::Borrowed(kind)) => head(kind, MOST_KIND).into(),
            Ok(Cow::Owned(kind)) => head(&kind, MOST_KIND).to_owned().into(),
            Err(_) => "".into(),
        },
    }
}

/// The id in a `session.created`.
pub(super) fn session_id(text: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Created {
        session: Session,
    }
    #[derive(Deserialize)]
    struct Session {
        id: String,
    }
    let created: Created = serde_json::from_str(text).ok()?;
    Some(head(&created.session.id, MOST_KIND).into())
}

/// The text of an event of this type, at most a few thousand bytes of it.
pub(super) fn event(kind: &str, text: &str) -> String {
    let short = strings(text);
    if short.len() <= MOST_TEXT {
        return short;
    }
    // A text that names MCP tools may hold tokens anywhere, so none of it is shown.
    serde_json::json!({ "type": kind, "not_shown": format!("{} bytes", text.len()) }).to_string()
}

/// The first bytes of a text, up to a whole character.
pub(super) fn head(text: &str, most: usize) -> &str {
    let end = (0..=text.len().min(most)).rev().find(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or_default()]
}

/// The same JSON with long strings cut.
fn strings(text: &str) -> String {
    let mut short = String::with_capacity(text.len().min(MOST_TEXT));
    let mut rest = text;
    while short.len() <= MOST_TEXT
        && let Some(start) = rest.find('"')
    {
        let (before, string) = rest.split_at(start + 1);
        short.push_str(before);
        let end = end_of_string(string);
        let (string, after) = string.split_at(end);
        if string.len() > MOST_STRING {
            short.push_str(unescaped_head(string));
            short.push_str(&format!("… ({} bytes)", string.len()));
        } else {
            short.push_str(string);
        }
        // The closing quote, if there is one.
        let (quote, after) = after.split_at(usize::from(!after.is_empty()));
        short.push_str(quote);
        rest = after;
    }
    short.push_str(rest);
    short
}

/// Where the closing quote of a string is, or the end of the text.
fn end_of_string(string: &str) -> usize {
    let mut at = 0;
    while let Some(found) = string[at..].find(['"', '\\']) {
        at += found;
        if string.as_bytes()[at] == b'"' {
            return at;
        }
        // What is escaped may be a character of several bytes, if this is no JSON.
        at += 1 + string[at + 1..].chars().next().map_or(0, char::len_utf8);
    }
    string.len()
}

/// The beginning of a string, without an escape that is cut in two.
fn unescaped_head(string: &str) -> &str {
    let head = head(string, SHOWN_OF_STRING);
    // The longest escape is `\u1234`; of a run of backslashes all are left out.
    match head.rfind('\\') {
        Some(at) if head.len() - at < 6 => head[..at].trim_end_matches('\\'),
        _ => head,
    }
}

/// Bytes.
const MOST_KIND: usize = 100;
/// Bytes of one event.
const MOST_TEXT: usize = 8 << 10;
/// Bytes of one string.
const MOST_STRING: usize = 1000;
/// Bytes of a longer one.
const SHOWN_OF_STRING: usize = 200;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_type_is_found_wherever_it_stands() {
        for (text, expected) in [
            (r#"{"type":"a.b","x":1}"#, "a.b"),
            ("\n{ \"type\" : \"a.b\" }", "a.b"),
            (r#"{"session":{"type":"realtime"},"type":"a.b"}"#, "a.b"),
            (r#"{"type":"a\u002eb"}"#, "a.b"),
            (r#"{"type":7}"#, ""),
            (r#"{"audio":"AAAA"}"#, ""),
            ("no JSON", ""),
            (r#"{"type":"cut"#, ""),
        ] {
            assert_eq!(kind(text), expected, "{text}");
        }
        assert_eq!(kind(&format!(r#"{{"type":"{}"}}"#, "ü".repeat(100))).len(), 100);
        assert_eq!(session_id(r#"{"session":{"id":"sess_1"}}"#).as_deref(), Some("sess_1"));
    }

    #[test]
    fn a_long_string_is_cut_and_what_is_json_stays_json() {
        let long = |unit: &str| format!(r#"{{"type":"a","text":"{}","n":[1,"\""]}}"#, unit.repeat(2000));
        for unit in ["a", "ü", r"\n", r"\\", r#"\""#, r"\u00fc", "ab\\u00fc", "abc\\\\", "\u{1f600}"] {
            let short = event("a", &long(unit));
            let value: Value =
                serde_json::from_str(&short).unwrap_or_else(|error| panic!("{error}: {short}"));
            assert_eq!((&value["type"], &value["n"]), (&json!("a"), &json!([1, "\""])));
            let bytes = unit.len() * 2000;
            assert!(value["text"].as_str().unwrap().ends_with(&format!("… ({bytes} bytes)")), "{short}");
            assert!(short.len() < 300, "{short}");
        }
        let whole = r#"{"type":"a","text":"short \" \\ text","o":{"k":"ü"}}"#;
        assert_eq!(event("a", whole), whole);
    }

    #[test]
    fn a_long_text_is_told_by_its_length() {
        let text = format!(r#"{{"type":"a","n":[{}1]}}"#, "1,".repeat(10_000));
        assert_eq!(event("a", &text), format!(r#"{{"not_shown":"{} bytes","type":"a"}}"#, text.len()));
        let many = format!(r#"{{"type":"a","n":[{}1]}}"#, r#""x","#.repeat(10_000));
        assert!(event("a", &many).contains("not_shown"));
    }

    #[test]
    fn what_is_no_json_is_cut_too() {
        for text in ["\"", "\"\\", "\"\\ü", "\\\"\"", "a\"b\"c\"d", "\"\"\"", ""] {
            assert_eq!(event("", text), text);
        }
        assert!(event("", &format!("\"{}", "\\ü".repeat(2000))).len() < 300);
    }
}
