//! Golden sessions with something wrong in them: whatever is missing, doubled, null or odd, and wherever the
//! connection is cut, the session lives on or ends with a reason, and keeps its invariants.

use std::collections::BTreeMap;

use realtime_protocol::call::{Command, CommandId, ConnectionId, DisconnectReason, Event};
use realtime_protocol::event::{Dialect, ServerEvent};
use realtime_protocol::log::Input;
use realtime_protocol::time::Timestamp;
use realtime_tests::golden::Golden;
use realtime_tests::invariants::Invariants;
use serde_json::Value;

/// Replays under all invariants. A golden session that was changed may leave its connection open, so it is
/// cut.
fn check(what: &str, golden: &Golden) {
    let result = std::panic::catch_unwind(|| {
        let mut invariants = Invariants::late();
        let mut closed = false;
        golden.replay(|_, input, outputs| {
            let Ok(outputs) = outputs else { return };
            match input {
                Some(Input::Command(id, _)) => invariants.command(*id),
                Some(Input::Text(_, text)) => {
                    if let ServerEvent::ErrorEvent(error) = ServerEvent::decode(text, Dialect::Ga)
                        && let Some(id) = error.error.value().and_then(|error| error.event_id.value())
                    {
                        invariants.refused(id);
                    }
                }
                _ => {}
            }
            for output in &outputs {
                invariants.output(output);
                closed |= matches!(output, realtime_protocol::session::Output::Event(Event::Closed { .. }));
            }
        });
        assert!(closed, "the end is told");
        invariants.end();
    });
    if result.is_err() {
        panic!("{what}");
    }
}

fn with_inputs(golden: &Golden, inputs: Vec<(Timestamp, Input)>) -> Golden {
    Golden { header: golden.header.clone(), inputs }
}

/// Every event, spoiled in every way.
#[test]
fn a_spoiled_event_spoils_nothing_else() {
    for (name, golden) in Golden::all() {
        // Each type's members are spoiled where it comes first and second: deltas are all alike.
        let mut seen: BTreeMap<String, u32> = BTreeMap::new();
        for (index, (at, input)) in golden.inputs.iter().enumerate() {
            let Input::Text(connection, text) = input else { continue };
            let replaced = |texts: &[String]| {
                let mut inputs = golden.inputs.clone();
                let texts = texts.iter().map(|text| (*at, Input::Text(*connection, text.clone())));
                inputs.splice(index..=index, texts);
                with_inputs(&golden, inputs)
            };
            check(&format!("{name}: event {index} is missing"), &replaced(&[]));
            check(&format!("{name}: event {index} comes twice"), &replaced(&[text.clone(), text.clone()]));
            check(&format!("{name}: event {index} is cut off"), &replaced(&[text[..text.len() / 2].into()]));
            let Ok(value) = serde_json::from_str::<Value>(text) else { continue };
            let times = seen.entry(value["type"].to_string()).or_default();
            *times += 1;
            if *times > 2 {
                continue;
            }
            for path in members(&value) {
                for (how, spoiled) in spoil(&value, &path) {
                    check(
                        &format!("{name}: event {index}: {path} is {how}"),
                        &replaced(&[spoiled.to_string()]),
                    );
                }
            }
        }
    }
}

#[test]
fn neighbours_in_the_wrong_order_break_nothing() {
    for (name, golden) in Golden::all() {
        for index in 1..golden.inputs.len() {
            if let [(_, Input::Text(..)), (_, Input::Text(..))] = &golden.inputs[index - 1..=index] {
                let mut inputs = golden.inputs.clone();
                let (before, after) = (inputs[index - 1].0, inputs[index].0);
                inputs.swap(index - 1, index);
                (inputs[index - 1].0, inputs[index].0) = (before, after);
                check(
                    &format!("{name}: events {} and {index} change places", index - 1),
                    &with_inputs(&golden, inputs),
                );
            }
        }
    }
}

#[test]
fn a_connection_may_be_cut_anywhere_with_any_code() {
    for (name, golden) in Golden::all() {
        for index in 0..golden.inputs.len() {
            for code in
                [None, Some(1000), Some(1001), Some(1006), Some(1008), Some(1011), Some(1013), Some(4000)]
            {
                let mut inputs = golden.inputs[..=index].to_vec();
                let at = inputs[index].0;
                let reason = DisconnectReason::Closed { code, reason: String::new() };
                inputs.push((at, Input::Disconnected(ConnectionId(0), reason)));
                // What comes from the application afterwards is refused.
                inputs.push((
                    at,
                    Input::Command(
                        CommandId(1_000_000),
                        Box::new(Command::CreateResponse { params: None, protected: false }),
                    ),
                ));
                check(&format!("{name}: cut after {index} with {code:?}"), &with_inputs(&golden, inputs));
            }
        }
    }
}

/// All members of an event, by path, but its `type`.
fn members(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![(String::new(), value)];
    while let Some((path, value)) = open.pop() {
        let children: Vec<(String, &Value)> = match value {
            Value::Object(members) => {
                members.iter().map(|(name, value)| (format!("{path}/{name}"), value)).collect()
            }
            Value::Array(values) => {
                values.iter().enumerate().map(|(index, value)| (format!("{path}/{index}"), value)).collect()
            }
            _ => Vec::new(),
        };
        for (path, child) in children {
            if path != "/type" {
                found.push(path.clone());
            }
            open.push((path, child));
        }
    }
    found
}

fn spoil(event: &Value, path: &str) -> Vec<(&'static str, Value)> {
    let set = |new: Value| {
        let mut event = event.clone();
        *event.pointer_mut(path).expect("a path of this event") = new;
        event
    };
    let mut without = event.clone();
    let (parent, name) = path.rsplit_once('/').expect("paths begin with a slash");
    match without.pointer_mut(parent) {
        Some(Value::Object(members)) => drop(members.remove(name)),
        Some(Value::Array(values)) => drop(values.remove(name.parse().expect("an index"))),
        _ => {}
    }
    vec![
        ("missing", without),
        ("null", set(Value::Null)),
        ("a number", set(7.into())),
        ("a string", set("quite_unknown".into())),
        ("an object", set(serde_json::json!({"type": "odd", "x": [null]}))),
    ]
}
