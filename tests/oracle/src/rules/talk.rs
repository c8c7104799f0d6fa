//! What the conversation holds in the end, worked out from what the server says and from what was sent.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::Pair;
use super::calls::ERROR;
use super::lives::fatal;
use crate::scenario::{Chat, Step, event_text};

/// One entry.
#[derive(Clone, Debug, Default)]
struct Entry {
    id: String,
    role: String,
    text: String,
    /// Speech whose words nobody knows.
    unheard: bool,
    /// Only its beginning was heard, or nothing.
    cut: bool,
    call: Option<Value>,
    /// As it was given.
    given: Option<Value>,
}

#[derive(Default)]
struct Talk {
    entries: Vec<Entry>,
    tools: Value,
}

impl Talk {
    fn of(chat: &Chat) -> Self {
        let given = |message: &Value| Entry { given: Some(message.clone()), ..Entry::default() };
        Self { entries: chat.messages.iter().map(given).collect(), tools: chat.tools.clone() }
    }

    fn entry(&mut self, id: &str, role: &str) -> &mut Entry {
        let at = self.entries.iter().position(|entry| entry.id == id).unwrap_or_else(|| {
            self.entries.push(Entry { id: id.to_owned(), role: role.to_owned(), ..Entry::default() });
            self.entries.len() - 1
        });
        &mut self.entries[at]
    }

    fn place(&mut self, item: &Value, after: &Value) {
        let id = item["id"].as_str().unwrap_or_default();
        let known = self.entries.iter().any(|entry| entry.id == id);
        let entry = self.entry(id, item["role"].as_str().unwrap_or("assistant"));
        match item["type"].as_str() {
            Some("function_call") => entry.call = Some(item.clone()),
            _ => {
                let text = words(item);
                entry.unheard = entry.role == "user" && text.is_none() && entry.text.is_empty();
                entry.text = text.unwrap_or_else(|| entry.text.clone());
            }
        }
        let after = after.as_str().and_then(|after| self.entries.iter().position(|entry| entry.id == after));
        if let Some(after) = after.filter(|_| !known) {
            let entry = self.entries.pop().unwrap_or_default();
            self.entries.insert(after + 1, entry);
        }
    }

    /// Returns whether messages are what was said: outputs are those that were sent.
    fn is_told_by(&self, messages: &[Value], outputs: &BTreeMap<String, String>) -> bool {
        let mut messages = messages.iter();
        let mut next = messages.next();
        for entry in &self.entries {
            if let Some(given) = &entry.given {
                if next.is_none_or(|message| normal(message) != normal(given)) {
                    return false;
                }
                next = messages.next();
            } else if let Some(call) = &entry.call {
                let (id, name) = (call["call_id"].as_str().unwrap_or_default(), &call["name"]);
                let asked = next.and_then(|message| message["tool_calls"].get(0));
                if asked.is_none_or(|asked| {
                    asked["id"] != id
                        || asked["function"]["name"] != *name
                        || parsed(&asked["function"]["arguments"]) != parsed(&call["arguments"])
                }) {
                    return false;
                }
                let told = messages.next();
                let output = told.map(|message| parsed(&message["content"]));
                let right = match outputs.get(id) {
                    Some(sent) if *sent != ERROR => output == Some(parsed(&json!(sent))),
                    _ => output.is_some_and(|output| output["error"].is_string()),
                };
                if !right || told.is_none_or(|message| message["tool_call_id"] != id) {
                    return false;
                }
                next = messages.next();
            } else {
                let text = if entry.unheard { "[inaudible]" } else { entry.text.as_str() };
                let content = next.filter(|message| message["role"] == entry.role);
                let content = content.and_then(|message| message["content"].as_str());
                let fits = |content: &str| match entry.cut {
                    true => !content.is_empty() && text.starts_with(content),
                    false => content == text,
                };
                if content.is_some_and(fits) {
                    next = messages.next();
                } else if !entry.cut && !text.is_empty() {
                    return false;
                }
            }
        }
        next.is_none()
    }
}

/// The words of an item, if it says any.
fn words(item: &Value) -> Option<String> {
    let parts = item["content"].as_array()?.iter();
    let words: Vec<&str> =
        parts.filter_map(|part| part["transcript"].as_str().or_else(|| part["text"].as_str())).collect();
    (!words.is_empty()).then(|| words.concat())
}

fn parsed(text: &Value) -> Value {
    text.as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_else(|| text.clone())
}

/// A message that was given: its members in any order, and a list of one text as that text.
fn normal(message: &Value) -> Value {
    let mut message = message.clone();
    if let [part] = message["content"].as_array().map_or(&[][..], Vec::as_slice)
        && part["type"] == "text"
    {
        message["content"] = part["text"].clone();
    }
    message
}

pub(super) fn what_was_said(pair: &mut Pair<'_>) -> bool {
    let talks = talks(pair);
    let outputs: BTreeMap<String, String> = pair
        .seed
        .records
        .iter()
        .filter(|record| record.kind() == "conversation.item.create")
        .filter_map(|record| {
            let item = &record.event()["item"];
            Some((item["call_id"].as_str()?.to_owned(), item["output"].as_str()?.to_owned()))
        })
        .collect();
    let Some(ours) = pair.ours.records.iter().find(|record| record.channel == "final") else { return false };
    let ours = ours.members["contexts"].clone();
    let mut changed = false;
    for record in pair.seed.records.iter_mut().filter(|record| record.channel == "final") {
        for (name, talk) in &talks {
            let told = ours[name]["messages"].as_array().map_or(&[][..], Vec::as_slice);
            let Some(context) = record.members.get_mut("contexts").and_then(|all| all.get_mut(name)) else {
                continue;
            };
            if talk.is_told_by(told, &outputs) && context["messages"] != ours[name]["messages"] {
                context["messages"] = ours[name]["messages"].clone();
                changed = true;
            }
            // The other implementation writes what it made of a schema, not what it was given.
            let schema = talk.tools.is_object() && ours[name]["tools"] == talk.tools;
            if schema && context["tools"] != talk.tools {
                context["tools"] = talk.tools.clone();
                changed = true;
            }
        }
        let waits = record.members.get("pending_calls").is_some_and(|calls| *calls != json!([]));
        if waits {
            // Whoever waits is answered, at the end at the latest.
            record.members.insert("pending_calls".into(), json!([]));
            changed = true;
        }
    }
    changed
}

fn talks(pair: &Pair<'_>) -> BTreeMap<String, Talk> {
    let mut talks: BTreeMap<String, Talk> = BTreeMap::new();
    let mut current = "main".to_owned();
    if let Some(chat) = &pair.scenario.header.context {
        talks.insert(current.clone(), Talk::of(chat));
    }
    let (mut sent, mut closed, mut interrupted) = (Vec::new(), None, BTreeSet::new());
    let mut running: Option<String> = None;
    for step in 0..pair.moments.len() {
        for (_, here) in pair.scenario.numbered().filter(|(at, _)| *at == step) {
            match here {
                Step::Context(chat) => drop(talks.insert(chat.name.clone(), Talk::of(chat))),
                Step::ContextFrame(name) => current.clone_from(name),
                _ => {}
            }
        }
        let Some(talk) = talks.get_mut(&current) else { continue };
        let given = |message: &Value| Entry { given: Some(message.clone()), ..Entry::default() };
        for (_, here) in pair.scenario.numbered().filter(|(at, _)| *at == step) {
            let Step::Frame(frame) = here else { continue };
            let messages = frame["messages"].as_array().cloned().unwrap_or_default();
            match frame["type"].as_str() {
                Some("LLMMessagesAppendFrame") => talk.entries.extend(messages.iter().map(given)),
                Some("LLMMessagesUpdateFrame") => talk.entries = messages.iter().map(given).collect(),
                Some("LLMSetToolsFrame") => talk.tools = frame["tools"].clone(),
                _ => {}
            }
        }
        let moment = &pair.moments[step];
        let open = pair.ours_is_open(step) && closed != Some(moment.connection);
        for event in moment.server.iter().filter(|_| open) {
            let Some(event) = event_text(event, &sent) else { continue };
            let event: Value = serde_json::from_str(&event).unwrap_or_default();
            let id = event["item_id"].as_str().unwrap_or_default();
            let response = event["response_id"].as_str().unwrap_or_default();
            match event["type"].as_str().unwrap_or_default() {
                "input_audio_buffer.committed" => {
                    let item = json!({ "id": id, "type": "message", "role": "user" });
                    talk.place(&item, &event["previous_item_id"]);
                }
                "input_audio_buffer.speech_started" if moment.heard.is_some() => {
                    interrupted.extend(running.clone());
                }
                "response.created" => running = event["response"]["id"].as_str().map(str::to_owned),
                "conversation.item.created" => {
                    let item = &event["item"];
                    let is_own = is_own(pair, step, item) || item["type"] == "function_call_output";
                    if !is_own {
                        talk.place(item, &event["previous_item_id"]);
                    }
                }
                "conversation.item.retrieved" => {
                    let words = words(&event["item"]);
                    let known =
                        talk.entries.iter_mut().find(|entry| event["item"]["id"] == entry.id.as_str());
                    if let (Some(entry), Some(words)) = (known.filter(|entry| entry.unheard), words) {
                        (entry.text, entry.unheard) = (words, false);
                    }
                }
                "conversation.item.deleted" => talk.entries.retain(|entry| entry.id != id),
                "conversation.item.input_audio_transcription.completed" => {
                    let entry = talk.entry(id, "user");
                    entry.text = event["transcript"].as_str().unwrap_or_default().to_owned();
                    entry.unheard = false;
                }
                "response.audio_transcript.delta" | "response.text.delta" => {
                    let entry = talk.entry(id, "assistant");
                    entry.cut |= interrupted.contains(response);
                    entry.text.push_str(event["delta"].as_str().unwrap_or_default());
                }
                "response.done" => {
                    running = None;
                    let output = event["response"]["output"].as_array().cloned().unwrap_or_default();
                    for item in output {
                        let id = item["id"].as_str().unwrap_or_default();
                        let entry = talk.entry(id, "assistant");
                        match item["type"].as_str() {
                            Some("function_call") => entry.call = Some(item),
                            _ => entry.text = words(&item).unwrap_or_else(|| entry.text.clone()),
                        }
                    }
                }
                _ if fatal(&event) => closed = Some(moment.connection),
                _ => {}
            }
        }
        if moment.interrupts {
            interrupted.extend(running.clone());
        }
        for record in pair.seed.of(step, "client").filter(|it| it.kind() == "conversation.item.truncate") {
            talk.entry(record.event()["item_id"].as_str().unwrap_or_default(), "assistant").cut = true;
        }
        sent.extend(pair.ours.of(step, "client").map(|record| record.event().clone()));
    }
    talks
}

/// Returns whether an item is one that the conversation itself has created.
fn is_own(pair: &Pair<'_>, step: usize, item: &Value) -> bool {
    let by_hand =
        |at: usize| pair.scenario.numbered().any(|(here, step)| here == at && matches!(step, Step::Call(_)));
    pair.ours.records.iter().any(|record| {
        let made = record.kind() == "conversation.item.create" && record.event()["item"]["id"] == item["id"];
        made && record.step <= step && !by_hand(record.step)
    })
}

pub(super) fn expected(pair: &mut Pair<'_>) -> bool {
    let mut model = Vec::new();
    let mut taken: BTreeMap<&str, usize> = BTreeMap::new();
    for (step, here) in pair.scenario.numbered() {
        let Step::ExpectClient(kind) = here else { continue };
        let count =
            pair.seed.records.iter().filter(|it| it.step <= step && it.kind() == kind.as_str()).count();
        let taken = taken.entry(kind).or_default();
        if count > *taken {
            *taken += 1;
        } else {
            let members = json!({ "type": kind }).as_object().cloned().unwrap_or_default();
            model.push(crate::trace::Record { step, channel: "expect".to_owned(), members });
        }
    }
    pair.put("expect", model)
}

pub(super) fn nothing_into_the_void(pair: &mut Pair<'_>) -> bool {
    let before = pair.seed.records.len();
    pair.seed.records.retain(|record| record.channel != "client_lost");
    before != pair.seed.records.len()
}

pub(super) fn errors_end_nothing(pair: &mut Pair<'_>) -> bool {
    let last = pair.moments.len() - 1;
    let Some(step) = (0..last).find(|step| pair.moments[*step].gone) else { return false };
    let ends = (step..last).find(|step| pair.moments[*step].ends);
    let end = ends.map_or(last, |step| super::lives::closing_step(pair, step));
    let mut changed = false;
    for record in
        pair.seed.records.iter_mut().filter(|record| {
            record.channel == "conn" && record.step == step && record.members["ev"] == "closed"
        })
    {
        record.step = end;
        changed = true;
    }
    pair.seed.records.sort_by_key(|record| record.step);
    changed
}
