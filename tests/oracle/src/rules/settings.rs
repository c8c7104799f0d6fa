//! How configurations reach the server.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Keep, Pair, change};
use crate::scenario::{Chat, Step};
use crate::trace::Record;

pub(super) fn modalities_are_a_set(pair: &mut Pair<'_>) -> bool {
    let sort = |event: &mut Map<String, Value>| {
        let modalities = event.get_mut("session").and_then(|session| session.get_mut("modalities"));
        let Some(Value::Array(modalities)) = modalities else { return false };
        let before = modalities.clone();
        modalities.sort_by_key(|modality| modality.as_str().map(str::to_owned));
        before != *modalities
    };
    change(&mut pair.seed, "session.update", sort) | change(&mut pair.ours, "session.update", sort)
}

pub(super) fn settings_once_ready(pair: &mut Pair<'_>) -> bool {
    let created: Vec<bool> = pair.moments.iter().map(|moment| moment.created).collect();
    pair.updates(|step, _, _| if created[step] { Keep::Yes } else { Keep::No })
}

/// What a context says of the configuration.
fn said_by(chat: &Chat) -> Map<String, Value> {
    let mut said = Map::new();
    let first = chat.messages.first().filter(|message| message["role"] == "system");
    match first.map(|message| &message["content"]) {
        Some(Value::String(text)) => drop(said.insert("instructions".into(), text.as_str().into())),
        Some(Value::Array(parts)) => {
            let lines: Vec<&str> = parts.iter().filter_map(|part| part["text"].as_str()).collect();
            said.insert("instructions".into(), lines.join("\n").into());
        }
        _ => {}
    }
    said.extend(chat.wire_tools().map(|tools| ("tools".to_owned(), tools)));
    said
}

pub(super) fn known_at_start(pair: &mut Pair<'_>) -> bool {
    let opened = |step: usize, pair: &Pair<'_>| {
        let connection = pair.moments[step].connection;
        pair.moments.iter().position(|moment| moment.connection == connection).unwrap_or(step)
    };
    let said: Vec<Map<String, Value>> = (0..pair.moments.len())
        .map(|step| pair.chat_at(opened(step, pair)).as_ref().map(said_by).unwrap_or_default())
        .collect();
    pair.updates(|step, first, session| {
        if first {
            session.extend(said[step].clone());
        }
        Keep::Yes
    })
}

pub(super) fn settings_do_not_leak(pair: &mut Pair<'_>) -> bool {
    let mut properties = pair.scenario.header.service.session_properties.clone();
    let mut allowed: Vec<Map<String, Value>> = Vec::new();
    for step in 0..pair.moments.len() {
        for (_, here) in pair.scenario.numbered().filter(|(at, _)| *at == step) {
            if let Step::Frame(frame) = here
                && let Some(settings) = frame.get("settings").and_then(Value::as_object)
            {
                properties.clone_from(settings);
            }
        }
        let mut says = properties.clone();
        says.extend(pair.chat_at(step).as_ref().map(said_by).unwrap_or_default());
        allowed.push(says);
    }
    let connections: Vec<usize> = pair.moments.iter().map(|moment| moment.connection).collect();
    pair.updates(|step, _, session| {
        let mine = |name: &str| !matches!(name, "instructions" | "tools") || allowed[step].contains_key(name);
        session.retain(|name, _| connections[step] < 2 || mine(name));
        Keep::Yes
    })
}

pub(super) fn unchanged_settings(pair: &mut Pair<'_>) -> bool {
    let mut holds = Map::new();
    pair.updates(|_, first, session| {
        if first {
            holds = Map::new();
        } else {
            session.retain(|name, value| holds.get(name) != Some(value));
        }
        holds.extend(session.clone());
        if first || !session.is_empty() { Keep::Yes } else { Keep::No }
    })
}

pub(super) fn tools_at_once(pair: &mut Pair<'_>) -> bool {
    let mut changed = false;
    let frames: Vec<(usize, Value)> = pair
        .scenario
        .numbered()
        .filter_map(|(step, here)| match here {
            Step::Frame(frame) if frame.get("tools").is_some() => {
                Some((step, json!({ "tools": frame["tools"] })))
            }
            Step::Frame(frame) if frame.get("tool_choice").is_some() => {
                Some((step, json!({ "tool_choice": frame["tool_choice"] })))
            }
            _ => None,
        })
        .filter(|(step, _)| pair.moments[*step].created)
        .collect();
    for (step, session) in frames {
        let mut told = pair.seed.records.iter_mut().filter(|record| record.step == step);
        let told = told.find(|record| record.kind() == "session.update").and_then(Record::event_mut);
        match told.and_then(|event| event.get_mut("session")) {
            Some(told) => {
                let before = told.clone();
                told.as_object_mut()
                    .into_iter()
                    .for_each(|told| told.extend(session.as_object().cloned().unwrap_or_default()));
                changed |= before != *told;
            }
            None => {
                let update =
                    json!({ "type": "session.update", "event_id": pair.fresh_id(), "session": session });
                pair.seed.insert_client(step, false, vec![update]);
                changed = true;
            }
        }
    }
    changed
}

/// A message's content as the wire has it: the texts in one part, and the images.
fn wire_content(message: &Value) -> Vec<Value> {
    let text = |text: String| json!({ "type": "input_text", "text": text });
    let Some(parts) = message["content"].as_array() else {
        return vec![text(message["content"].as_str().unwrap_or_default().to_owned())];
    };
    let texts: Vec<&str> = parts.iter().filter_map(|part| part["text"].as_str()).collect();
    let images = parts.iter().filter_map(|part| part.get("image_url")?.get("url"));
    let images = images.map(|url| json!({ "type": "input_image", "image_url": url }));
    std::iter::once(text(texts.join("\n"))).chain(images).collect()
}

pub(super) fn whole_messages(pair: &mut Pair<'_>) -> bool {
    let mut changed = false;
    for step in 0..pair.moments.len() {
        let chat = pair.chat_at(step).unwrap_or_default();
        // All lines of a list are instructions, not just the first.
        let lines = chat
            .messages
            .first()
            .map(|message| &message["content"][0]["text"])
            .filter(|first| first.is_string());
        if let (Some(first), Some(all)) = (lines, said_by(&chat).get("instructions")) {
            changed |= change(&mut pair.seed, "session.update", |event| {
                let told = event.get_mut("session").and_then(|session| session.get_mut("instructions"));
                let Some(told) = told.filter(|told| *told == first && *told != all) else { return false };
                told.clone_from(all);
                true
            });
        }
        // A history that is one message goes as it is.
        let said: Vec<&Value> = chat.messages.iter().filter(|message| message["role"] != "system").collect();
        if let [message] = said[..]
            && message["role"] == "user"
            && message["content"].is_array()
        {
            changed |= change(&mut pair.seed, "conversation.item.create", |event| {
                let Some(item) = event.get_mut("item").filter(|item| item["role"] == "user") else {
                    return false;
                };
                let content = Value::Array(wire_content(message));
                let grows = item["content"].as_array().map(Vec::len) < content.as_array().map(Vec::len);
                if grows {
                    item["content"] = content;
                }
                grows
            });
        }
        // What is appended to a conversation that runs goes to the server.
        let runs = (0..step).rev().find(|before| pair.moments[*before].context.is_some());
        let runs =
            runs.is_some_and(|before| pair.moments[before].connection == pair.moments[step].connection);
        let frames = pair.scenario.numbered().filter(|(at, _)| runs && *at == step);
        let appended: Vec<Value> = frames
            .filter_map(|(_, here)| match here {
                Step::Frame(frame) if frame["type"] == "LLMMessagesAppendFrame" => {
                    frame["messages"].as_array().cloned()
                }
                _ => None,
            })
            .flatten()
            .filter(|message| message["role"] == "user" || message["role"] == "system")
            .collect();
        let mut events = Vec::new();
        for message in &appended {
            let content = wire_content(message);
            let item = json!({ "id": pair.fresh_id(), "type": "message", "role": message["role"], "content": content });
            events.push(
                json!({ "type": "conversation.item.create", "event_id": pair.fresh_id(), "item": item }),
            );
        }
        changed |= !events.is_empty();
        pair.seed.insert_client(step, true, events);
    }
    changed
}

pub(super) fn replaced_begins_anew(pair: &mut Pair<'_>) -> bool {
    let replaced = pair.scenario.numbered().filter_map(|(at, step)| match step {
        Step::Frame(frame) if frame["type"] == "LLMMessagesUpdateFrame" => Some(at),
        _ => None,
    });
    let opens =
        |record: &&Record| record.channel == "conn" && record.members.get("ev") == Some(&json!("open"));
    let anew: Vec<usize> = replaced
        .filter(|at| *at > 0 && pair.ours.records.iter().filter(opens).any(|record| record.step == *at))
        .collect();
    let moments = &pair.moments;
    let left = |record: &Record, at: usize| {
        record.step >= at && moments[record.step].connection == moments[at].connection
    };
    pair.seed.drop_client(|record| anew.iter().any(|at| left(record, *at)))
}

pub(super) fn ids_of_a_connection(pair: &mut Pair<'_>) -> bool {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let moments = &pair.moments;
    let mut changed = false;
    for record in pair.ours.records.iter_mut().filter(|record| record.kind() == "conversation.item.create") {
        let connection = moments[record.step].connection;
        let Some(Value::String(id)) =
            record.event_mut().and_then(|event| event.get_mut("item")?.get_mut("id"))
        else {
            continue;
        };
        let first = *seen.entry(id.clone()).or_insert(connection);
        if first != connection {
            id.push_str(&format!(" of connection {connection}"));
            changed = true;
        }
    }
    changed
}
