//! Where two lines of a log differ: the members, and not the whole of both.

use realtime_protocol::log::Difference;
use serde_json::Value;

/// The most members that are named.
const MOST: usize = 5;
/// The most that is shown of a value (characters).
const SHOWN: usize = 120;

/// A difference in a few lines: what differs, in the log and in its replay.
pub(super) fn describe(difference: &Difference) -> String {
    let mut text = format!("first difference at line {}:", difference.line);
    let value = |line: &Option<String>| line.as_deref().and_then(|line| serde_json::from_str(line).ok());
    let (logged, replayed): (Option<Value>, Option<Value>) =
        (value(&difference.logged), value(&difference.replayed));
    let mut members = Vec::new();
    if let (Some(logged), Some(replayed)) = (&logged, &replayed)
        && kind(logged) == kind(replayed)
    {
        compare("", logged, replayed, &mut members);
    }
    if members.is_empty() {
        let line = |line: &Option<String>| line.as_deref().map_or_else(|| "nothing".to_owned(), shortened);
        text += &format!("\n  logged:   {}", line(&difference.logged));
        text += &format!("\n  replayed: {}", line(&difference.replayed));
        return text;
    }
    if let Some(logged) = &logged {
        text += &format!(" {}", kind(logged).join(" "));
    }
    let more = members.len().saturating_sub(MOST);
    for (path, logged, replayed) in members.into_iter().take(MOST) {
        text += &format!("\n  {path}\n    logged:   {logged}\n    replayed: {replayed}");
    }
    if more > 0 {
        text += &format!("\n  and {more} more members");
    }
    text
}

/// Who a line is from, and what kind of event it has.
fn kind(line: &Value) -> Vec<String> {
    let event = &line["event"];
    let name = event["type"].as_str().map(str::to_owned);
    let name = name.or_else(|| event.as_object().and_then(|event| event.keys().next().cloned()));
    line["from"].as_str().map(str::to_owned).into_iter().chain(name).collect()
}

/// The members that differ: their paths, and both values.
fn compare(path: &str, logged: &Value, replayed: &Value, found: &mut Vec<(String, String, String)>) {
    match (logged, replayed) {
        (Value::Object(a), Value::Object(b)) => {
            for name in a.keys().chain(b.keys().filter(|name| !a.contains_key(*name))) {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                match (a.get(name), b.get(name)) {
                    (Some(logged), Some(replayed)) => compare(&path, logged, replayed, found),
                    (logged, replayed) => found.push((path, shown(logged), shown(replayed))),
                }
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            for index in 0..a.len().max(b.len()) {
                let path = format!("{path}[{index}]");
                match (a.get(index), b.get(index)) {
                    (Some(logged), Some(replayed)) => compare(&path, logged, replayed, found),
                    (logged, replayed) => found.push((path, shown(logged), shown(replayed))),
                }
            }
        }
        (Value::String(a), Value::String(b)) if a != b => {
            let same = a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count();
            let part = |text: &str| {
                if text.chars().count() <= SHOWN {
                    return format!("{text:?}");
                }
                let start = same.saturating_sub(10);
                let window: String = text.chars().skip(start).take(SHOWN / 2).collect();
                format!("…{window:?}… (character {same} of {})", text.chars().count())
            };
            found.push((path.to_owned(), part(a), part(b)));
        }
        (a, b) if a != b => found.push((path.to_owned(), shown(Some(a)), shown(Some(b)))),
        _ => {}
    }
}

fn shown(value: Option<&Value>) -> String {
    value.map_or_else(|| "not there".to_owned(), |value| shortened(&value.to_string()))
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{} … ({} bytes)", &text[..end], text.len()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(logged: &str, replayed: Option<&str>) -> String {
        let replayed = replayed.map(str::to_owned);
        describe(&Difference { line: 7, logged: Some(logged.to_owned()), replayed })
    }

    #[test]
    fn the_member_that_differs_is_named_and_not_the_line() {
        let line = r#"{"at_us":1,"from":"session","event":{"function_ended":{"call":{"name":"x"},"end":{"result":{"sky":"sunny","list":[1,2]}}}}}"#;
        let other = line.replace("sunny", "rainy").replace("[1,2]", "[1]");
        assert_eq!(
            text(line, Some(&other)),
            "first difference at line 7: session function_ended\
             \n  event.function_ended.end.result.list[1]\n    logged:   2\n    replayed: not there\
             \n  event.function_ended.end.result.sky\n    logged:   \"sunny\"\n    replayed: \"rainy\""
        );
    }

    #[test]
    fn of_a_long_text_only_the_place_is_shown() {
        let line = |audio: String| {
            format!(r#"{{"from":"client","event":{{"type":"input_audio_buffer.append","audio":"{audio}"}}}}"#)
        };
        let (a, b) = ("A".repeat(6400), format!("{}B{}", "A".repeat(3000), "A".repeat(3399)));
        let text = text(&line(a), Some(&line(b)));
        assert!(text.len() < 500 && text.contains("event.audio\n"), "{text}");
        assert!(text.contains("AAB") && text.contains("(character 3000 of 6400)"), "{text}");
    }

    #[test]
    fn lines_of_different_kinds_are_shown_from_their_beginning() {
        let line = r#"{"from":"session","event":{"ready":{}}}"#;
        let other =
            format!(r#"{{"from":"client","event":{{"type":"response.create","x":"{}"}}}}"#, "y".repeat(500));
        let found = text(line, Some(&other));
        assert!(
            found.starts_with("first difference at line 7:\n  logged:   {\"from\":\"session\""),
            "{found}"
        );
        assert!(found.len() < 400 && found.contains("… ("), "{found}");
        assert!(text(line, None).ends_with("replayed: nothing"));
    }
}
