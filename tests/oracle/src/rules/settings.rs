//! How configurations reach the server.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Keep, Pair, change};
use crate::scenario::{Chat, Scenario, Step};
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
        // What is appended to a session goes to the server.
        let appended = if pair.is_created_before(step) { pair.appended(step) } else { Vec::new() };
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

pub(super) fn replaced_in_place(pair: &mut Pair<'_>) -> bool {
    let mut changed = false;
    for step in 0..pair.moments.len() {
        let frames = pair.scenario.numbered().filter(|(at, _)| *at == step);
        let replacing = frames.filter_map(|(_, here)| match here {
            Step::Frame(frame) if frame["type"] == "LLMMessagesUpdateFrame" => Some(frame),
            _ => None,
        });
        let Some(frame) = replacing.last().filter(|_| pair.is_created_before(step)) else { continue };
        let messages = frame["messages"].as_array().cloned().unwrap_or_default();
        let said = Chat { messages: messages.clone(), ..Chat::default() };
        let mut events = Vec::new();
        if let Some(instructions) = said_by(&said).remove("instructions") {
            let session = json!({ "instructions": instructions });
            events.push(json!({ "type": "session.update", "event_id": pair.fresh_id(), "session": session }));
        }
        for item_id in items_of(pair, step) {
            let delete = json!({ "type": "conversation.item.delete", "item_id": item_id });
            events.push(delete);
            let event_id = pair.fresh_id();
            events.last_mut().and_then(Value::as_object_mut).map(|it| it.insert("event_id".into(), event_id));
        }
        if let Some(content) = history(&messages) {
            let item =
                json!({ "id": pair.fresh_id(), "type": "message", "role": "user", "content": content });
            events.push(
                json!({ "type": "conversation.item.create", "event_id": pair.fresh_id(), "item": item }),
            );
        }
        pair.seed.insert_client(step, true, events);
        changed = true;
    }
    changed
}

/// What the server's conversation holds before a step: the items that this side creates, and the server's.
fn items_of(pair: &Pair<'_>, step: usize) -> Vec<Value> {
    let connection = pair.moments[step].connection;
    let mut items: Vec<Value> = Vec::new();
    for before in (0..step).filter(|before| pair.moments[*before].connection == connection) {
        for event in &pair.moments[before].server {
            let id = &event["item"]["id"];
            let is_own = id.as_str().is_none_or(|id| id.starts_with("${"));
            match event["type"].as_str() {
                Some("conversation.item.created") if !is_own && !items.contains(id) => items.push(id.clone()),
                Some("conversation.item.deleted") => items.retain(|item| *item != event["item_id"]),
                _ => {}
            }
        }
        for record in pair.seed.of(before, "client") {
            match record.kind() {
                "conversation.item.create" => items.push(record.event()["item"]["id"].clone()),
                "conversation.item.delete" => items.retain(|item| *item != record.event()["item_id"]),
                _ => {}
            }
        }
    }
    items
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

/// How a history is told: a single message of the user's as it is, anything else as one message.
fn history(messages: &[Value]) -> Option<Vec<Value>> {
    let first = usize::from(messages.first().is_some_and(|message| message["role"] == "system"));
    let said = messages.get(first..).filter(|said| !said.is_empty())?;
    Some(match said {
        [message] if message["role"] == "user" => wire_content(message),
        said => {
            let text = format!("[before]{}[after]", Value::Array(said.to_vec()));
            vec![json!({ "type": "input_text", "text": text })]
        }
    })
}

pub(super) fn told_at_start(pair: &mut Pair<'_>) -> bool {
    let mut changed = false;
    let last = pair.moments.last().map_or(0, |moment| moment.connection);
    for connection in 1..=last {
        let steps: Vec<usize> =
            (0..pair.moments.len()).filter(|step| pair.moments[*step].connection == connection).collect();
        // What the other implementation tells with its first run.
        let first = steps.iter().find_map(|step| {
            let history = pair.seed.of(*step, "client").find(|record| pair.is_history(record))?;
            Some((*step, history.event()["item"]["content"].clone()))
        });
        if let Some((at, _)) = &first {
            let scenario = pair.scenario;
            let mut taken = false;
            pair.seed.drop_client(|record| {
                let it = record.step == *at && !taken && is_history(scenario, record);
                taken |= it;
                it
            });
        }
        let (Some(opened), Some(created)) =
            (steps.first().copied(), steps.iter().find(|step| pair.moments[**step].created).copied())
        else {
            continue;
        };
        let goes_on = connection > 1 && pair.is_reset(opened);
        let content = if goes_on {
            first.map(|(_, content)| content)
        } else {
            let mut messages = pair.chat_at(opened).unwrap_or_default().messages;
            let until = |step: &usize| *step >= opened && *step < created;
            steps.iter().filter(|step| until(step)).for_each(|step| messages.extend(pair.appended(*step)));
            history(&messages).map(Value::Array)
        };
        let Some(content) = content else { continue };
        let item = json!({ "id": pair.fresh_id(), "type": "message", "role": "user", "content": content });
        let create = json!({ "type": "conversation.item.create", "event_id": pair.fresh_id(), "item": item });
        let at = pair.seed.records.iter().position(|record| {
            record.step > created
                || record.step == created && record.channel == "client" && record.kind() != "session.update"
        });
        let record = crate::trace::Record {
            step: created,
            channel: "client".to_owned(),
            members: Map::from_iter([("event".to_owned(), create)]),
        };
        pair.seed.records.insert(at.unwrap_or(pair.seed.records.len()), record);
        changed = true;
    }
    changed
}

/// Returns whether a record is the history that the other implementation tells: a message of the user's in a
/// step in which the application sends none itself.
pub(super) fn is_history(scenario: &Scenario, record: &Record) -> bool {
    let own = scenario.numbered().any(|(at, step)| at == record.step && matches!(step, Step::Call(_)));
    let item = &record.event()["item"];
    record.kind() == "conversation.item.create" && item["role"] == "user" && !own
}
