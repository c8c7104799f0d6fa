//! Comparing two traces: within a step, the records of each channel must come in the same order; the order
//! between channels does not bind. Random ids need only correspond one to one.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::trace::{Record, Trace, listed};

/// The longest value that is shown (characters).
const SHOWN: usize = 200;

/// The first difference between what is expected and what was done, on these channels; `None`: there is none.
pub(super) fn first_difference(expected: &Trace, actual: &Trace, channels: &[String]) -> Option<String> {
    let (expected, actual) = (grouped(expected, channels), grouped(actual, channels));
    let mut keys: Vec<_> = expected.keys().chain(actual.keys()).collect();
    keys.sort();
    keys.dedup();
    let mut ids = Ids::default();
    keys.into_iter().find_map(|key @ (step, channel)| {
        let none = Vec::new();
        let wanted = expected.get(key).unwrap_or(&none);
        let got = actual.get(key).unwrap_or(&none);
        let place = format!("step {step} {channel}");
        if wanted.len() != got.len() {
            let names = |records: &[Map<String, Value>]| {
                let record = |members: &Map<String, Value>| {
                    Record { step: 0, channel: String::new(), members: members.clone() }.name()
                };
                listed(&records.iter().map(record).collect::<Vec<_>>())
            };
            return Some(format!("{place}: expected {}, got {}", names(wanted), names(got)));
        }
        wanted.iter().zip(got).enumerate().find_map(|(index, (wanted, got))| {
            ids.object(wanted, got, "").map(|problem| format!("{place}[{index}] {problem}"))
        })
    })
}

type Grouped = BTreeMap<(usize, String), Vec<Map<String, Value>>>;

fn grouped(trace: &Trace, channels: &[String]) -> Grouped {
    let mut grouped = Grouped::new();
    for record in trace.records.iter().filter(|record| channels.contains(&record.channel)) {
        let mut members = record.members.clone();
        match record.channel.as_str() {
            // The state of a receive loop is each side's own affair.
            "conn" if members.get("ev").is_some_and(|ev| ev == "receive_loop") => continue,
            "final" => members.retain(|name, _| {
                !matches!(name.as_str(), "internal" | "receive_loop" | "pipeline_finished")
            }),
            _ => {}
        }
        grouped.entry((record.step, record.channel.clone())).or_default().push(members);
    }
    grouped
}

/// Which random ids of both sides stand for each other.
#[derive(Debug, Default)]
struct Ids {
    forth: BTreeMap<String, String>,
    back: BTreeMap<String, String>,
}

impl Ids {
    fn bind(&mut self, placeholder: &str, got: &Value) -> Option<String> {
        let Value::String(got) = got else { return Some(format!("expected an id, got {got}")) };
        let forth = self.forth.entry(placeholder.to_owned()).or_insert_with(|| got.clone());
        let back = self.back.entry(got.clone()).or_insert_with(|| placeholder.to_owned());
        (forth != got || back != placeholder).then(|| format!("{got:?} does not correspond to {placeholder}"))
    }

    fn object(
        &mut self,
        wanted: &Map<String, Value>,
        got: &Map<String, Value>,
        path: &str,
    ) -> Option<String> {
        let is_error = wanted.get("frame").is_some_and(|frame| frame == "ErrorFrame");
        let mut names: Vec<&String> = wanted.keys().chain(got.keys()).collect();
        names.sort();
        names.dedup();
        names.into_iter().find_map(|name| match (wanted.get(name), got.get(name)) {
            _ if is_error && name == "error" => None,
            // An event needs no id of its own, unless it is one that means something.
            (Some(Value::String(id)), None) if name == "event_id" && is_placeholder(id) => None,
            (Some(_), None) => Some(format!("{path}.{name} is missing")),
            (None, Some(got)) => Some(format!("{path}.{name} is unexpected: {}", shown(got))),
            (Some(wanted), Some(got)) => self.value(wanted, got, &format!("{path}.{name}"), name),
            (None, None) => None,
        })
    }

    fn value(&mut self, wanted: &Value, got: &Value, path: &str, name: &str) -> Option<String> {
        let same = match (wanted, got) {
            (Value::String(id), got) if is_placeholder(id) => {
                return self.bind(id, got).map(|problem| format!("{path}: {problem}"));
            }
            (Value::Object(wanted), Value::Object(got)) => return self.object(wanted, got, path),
            (Value::Array(wanted), Value::Array(got)) if wanted.len() == got.len() => {
                return wanted.iter().zip(got).enumerate().find_map(|(index, (wanted, got))| {
                    self.value(wanted, got, &format!("{path}.{index}"), name)
                });
            }
            (Value::Number(wanted), Value::Number(got)) => {
                let slack = if name == "audio_end_ms" { 1.0 } else { 1e-6 };
                let (wanted, got) = (wanted.as_f64().unwrap_or(f64::NAN), got.as_f64().unwrap_or(f64::NAN));
                (wanted - got).abs() <= slack
            }
            (Value::String(wanted), Value::String(got)) => same_text(wanted, got, name),
            _ => wanted == got,
        };
        (!same).then(|| format!("{path}: expected {}, got {}", shown(wanted), shown(got)))
    }
}

fn is_placeholder(text: &str) -> bool {
    let digits = text.strip_prefix("<id:").and_then(|text| text.strip_suffix('>'));
    digits.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

fn same_text(wanted: &str, got: &str, name: &str) -> bool {
    let json = |text: &str| serde_json::from_str::<Value>(text).ok();
    match name {
        _ if wanted == got => true,
        "arguments" | "output" => json(wanted).is_some_and(|wanted| Some(wanted) == json(got)),
        "text" if wanted.starts_with("[before]") => {
            packed(wanted).is_some_and(|wanted| Some(wanted) == packed(got))
        }
        "text" => wanted.split_whitespace().eq(got.split_whitespace()),
        _ => false,
    }
}

/// The history inside a packed message; the words around it are each side's own.
fn packed(text: &str) -> Option<Value> {
    let text = text.strip_prefix("[before]").unwrap_or(text);
    let text = text.rsplit_once("[after]").map_or(text, |(text, _)| text);
    serde_json::from_str(text.get(text.find('[')?..=text.rfind(']')?)?).ok()
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(wanted: &[Value], got: &[Value]) -> Option<String> {
        let trace = |records: &[Value]| {
            let mut trace = Trace::default();
            records.iter().for_each(|record| trace.push(1, "client", record.clone()));
            trace
        };
        first_difference(&trace(wanted), &trace(got), &["client".to_owned()])
    }

    #[test]
    fn random_ids_correspond_one_to_one() {
        let wanted = [json!({"a": "<id:1>", "b": "<id:2>"}), json!({"a": "<id:1>"})];
        assert_eq!(check(&wanted, &[json!({"a": "x", "b": "y"}), json!({"a": "x"})]), None);
        assert!(check(&wanted, &[json!({"a": "x", "b": "x"}), json!({"a": "x"})]).is_some());
        assert!(check(&wanted, &[json!({"a": "x", "b": "y"}), json!({"a": "z"})]).is_some());
    }

    #[test]
    fn what_may_differ_is_what_means_the_same() {
        assert_eq!(check(&[json!({"output": "{\"t\": 3}"})], &[json!({"output": "{\"t\":3}"})]), None);
        assert_eq!(check(&[json!({"audio_end_ms": 500})], &[json!({"audio_end_ms": 501})]), None);
        let text = json!({"text": "[before]\n[{\"role\": \"user\"}]\n[after]"});
        assert_eq!(check(&[text], &[json!({"text": "Words. [\n{\"role\":\"user\"}\n] Words."})]), None);
        assert_eq!(check(&[json!({"event_id": "<id:1>"})], &[json!({})]), None);
        let problem = check(&[json!({"audio_end_ms": 500})], &[json!({"audio_end_ms": 502})]);
        assert_eq!(problem.as_deref(), Some("step 1 client[0] .audio_end_ms: expected 500, got 502"));
        assert!(check(&[json!({"event_id": "rci_a"})], &[json!({})]).is_some());
        assert!(check(&[json!({})], &[json!({}), json!({"call": "r1"})]).is_some());
    }
}
