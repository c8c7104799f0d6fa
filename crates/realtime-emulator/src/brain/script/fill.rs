//! Replaces names in braces by their values.

use serde_json::Value;

use crate::brain::Trigger;

/// Replaces the names in braces in a text. An unknown name stays as it is.
pub(super) fn fill(text: &str, trigger: &Trigger<'_>) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        let (before, from) = rest.split_at(open);
        filled.push_str(before);
        let known = from.find('}').and_then(|close| Some((value(&from[1..close], trigger)?, close)));
        match known {
            Some((value, close)) => {
                filled.push_str(&value);
                rest = &from[close + 1..];
            }
            None => {
                filled.push('{');
                rest = &from[1..];
            }
        }
    }
    filled.push_str(rest);
    filled
}

/// What stands for a name in braces.
fn value(name: &str, trigger: &Trigger<'_>) -> Option<String> {
    match (name, trigger) {
        ("input", Trigger::Speech { transcript, .. }) => Some((*transcript).into()),
        ("input", Trigger::Text(text)) => Some((*text).into()),
        ("output", Trigger::ToolOutputs(outputs)) => Some(outputs.last()?.output.clone()),
        (name, Trigger::ToolOutputs(outputs)) => {
            let whole: Value = serde_json::from_str(&outputs.last()?.output).ok()?;
            let member =
                name.strip_prefix("output.")?.split('.').try_fold(&whole, |value, key| match value {
                    Value::Array(elements) => elements.get(key.parse::<usize>().ok()?),
                    value => value.get(key),
                })?;
            Some(member.as_str().map_or_else(|| member.to_string(), String::from))
        }
        _ => None,
    }
}
