//! Traces: what was done, step by step and channel by channel.

use std::fmt::Write;

use realtime_protocol::audio::Audio;
use serde_json::{Map, Value, json};

use super::sha256::short_digest;
use crate::Error;

/// What one side did in one scenario, in the order in which it did it.
#[derive(Clone, Debug, Default)]
pub(super) struct Trace {
    pub(super) records: Vec<Record>,
}

/// One thing that was done.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Record {
    pub(super) step: usize,
    pub(super) channel: String,
    /// All members but those two.
    pub(super) members: Map<String, Value>,
}

impl Trace {
    /// Reads a trace.
    pub(super) fn read(text: &str) -> Result<Self, Error> {
        let mut trace = Self::default();
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let members = serde_json::from_str::<Map<String, Value>>(line);
            let mut members = members.map_err(|error| format!("line {}: {error}", index + 1))?;
            // The first line names the scenario and has no channel.
            let Some(Value::String(channel)) = members.remove("ch") else { continue };
            let step = members.remove("step").and_then(|step| step.as_u64()).unwrap_or_default();
            trace.records.push(Record { step: usize::try_from(step)?, channel, members });
        }
        Ok(trace)
    }

    /// Adds a record; `members` is an object.
    pub(super) fn push(&mut self, step: usize, channel: &str, members: Value) {
        let Value::Object(members) = members else { return };
        self.records.push(Record { step, channel: channel.to_owned(), members });
    }

    /// The records of a channel in a step.
    pub(super) fn of<'a>(&'a self, step: usize, channel: &'a str) -> impl Iterator<Item = &'a Record> {
        self.records.iter().filter(move |record| record.step == step && record.channel == channel)
    }

    /// Returns whether a client event of that type was sent in a step.
    pub(super) fn sends(&self, step: usize, kind: &str) -> bool {
        self.of(step, "client").any(|record| record.kind() == kind)
    }

    /// Takes out the matching client events. Returns whether there were any.
    pub(super) fn drop_client(&mut self, mut which: impl FnMut(&Record) -> bool) -> bool {
        let before = self.records.len();
        self.records.retain(|record| record.channel != "client" || !which(record));
        before != self.records.len()
    }

    /// Moves the client events of a type to the end of their step.
    pub(super) fn move_back(&mut self, step: usize, kind: &str) {
        let (moved, mut records): (Vec<Record>, Vec<Record>) =
            self.records.drain(..).partition(|record| record.step == step && record.kind() == kind);
        let at = records.partition_point(|record| record.step <= step);
        records.splice(at..at, moved);
        self.records = records;
    }

    /// Puts client events into a step, before or after those that are there.
    pub(super) fn insert_client(&mut self, step: usize, first: bool, events: Vec<Value>) {
        let here = |record: &Record| record.step < step || (!first && record.step == step);
        let at = self.records.partition_point(here);
        let records = events.into_iter().map(|event| {
            let members = Map::from_iter([("event".to_owned(), event)]);
            Record { step, channel: "client".to_owned(), members }
        });
        self.records.splice(at..at, records);
    }
}

impl Record {
    /// The client event's type; empty for records of other kinds.
    pub(super) fn kind(&self) -> &str {
        self.event()["type"].as_str().unwrap_or_default()
    }

    /// The client event; `null` for records of other kinds.
    pub(super) fn event(&self) -> &Value {
        self.members.get("event").unwrap_or(&Value::Null)
    }

    /// The client event's members, to change.
    pub(super) fn event_mut(&mut self) -> Option<&mut Map<String, Value>> {
        self.members.get_mut("event")?.as_object_mut()
    }

    /// What it is, in a word or two.
    pub(super) fn name(&self) -> String {
        let names = [self.members.get("frame"), self.event().get("type"), self.members.get("name")];
        let more = [self.members.get("call"), self.members.get("ev")];
        let name = names.into_iter().chain(more).flatten().find_map(Value::as_str);
        name.unwrap_or("a record").to_owned()
    }
}

/// An event as a trace has it: audio is its length and digest.
pub(super) fn digested(mut value: Value) -> Value {
    digest(&mut value);
    value
}

fn digest(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::String(text) if name == "audio" => {
                        if let Ok(bytes) = Audio::from_base64(text).bytes() {
                            *value = audio_digest(bytes);
                        }
                    }
                    _ => digest(value),
                }
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(digest),
        _ => {}
    }
}

/// How a trace names audio.
pub(super) fn audio_digest(bytes: &[u8]) -> Value {
    json!({ "$audio": { "len": bytes.len(), "sha256": short_digest(bytes) } })
}

/// A list of names: `a, b`, or `nothing`.
pub(super) fn listed(names: &[String]) -> String {
    let mut text = String::new();
    for name in names {
        let comma = if text.is_empty() { "" } else { ", " };
        let _ = write!(text, "{comma}{name}");
    }
    if text.is_empty() { "nothing".to_owned() } else { text }
}
