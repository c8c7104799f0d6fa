//! Documents of version 1: entries by their item's id, calls and outputs apart.

use realtime_protocol::id::CallId;
use serde::Deserialize;
use serde_json::Value;

use crate::log::{Body, Ending, Function, Log, State, Words};
use crate::message::Message;
use crate::mirror::Ids;

#[derive(Deserialize)]
struct Old {
    #[serde(default)]
    next_id: u64,
    entries: Vec<OldEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum OldEntry {
    Message(Message),
    Words(Words),
    Call(OldCall),
    Output(OldOutput),
    Silent,
}

#[derive(Deserialize)]
struct OldCall {
    call_id: CallId,
    name: String,
    arguments: String,
    state: State,
    #[serde(default)]
    output: Option<String>,
}

#[derive(Deserialize)]
struct OldOutput {
    call_id: CallId,
    text: String,
    paired: bool,
}

/// Adds the entries to a log. Returns the ids that go on.
pub(super) fn load(document: Value, log: &mut Log) -> Result<Ids, serde_json::Error> {
    let mut document = document;
    if let Some(entries) = document.get_mut("entries").and_then(Value::as_array_mut) {
        // The item's id stood beside the body, and means nothing any more.
        for entry in entries.iter_mut().filter_map(Value::as_object_mut) {
            entry.remove("id");
        }
    }
    let old: Old = serde_json::from_value(document)?;
    for entry in old.entries {
        let body = match entry {
            OldEntry::Message(message) => Body::Message(message),
            OldEntry::Words(words) => Body::Words(words),
            OldEntry::Call(call) => {
                let end = match (&call.output, call.state) {
                    (Some(_), _) => Some(Ending::Answered),
                    (None, State::Failed) => Some(Ending::Closed),
                    (None, _) => None,
                };
                let OldCall { call_id, name, arguments, output, .. } = call;
                Body::Function(Function { call_id, name, arguments, output, end, ..Function::default() })
            }
            OldEntry::Output(OldOutput { call_id, text, paired: false }) => {
                let mut function = Function { call_id, ..Function::default() };
                function.answered(text);
                Body::Function(function)
            }
            OldEntry::Output(_) | OldEntry::Silent => continue,
        };
        log.push(body);
    }
    Ok(Ids::default().after(old.next_id))
}
