//! Connections, functions and hooks: how long they live.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::Pair;
use super::calls::is_object;
use super::responses::FATAL;
use crate::scenario::{Registration, Step, event_text};
use crate::trace::Record;

pub(super) fn fatal(event: &Value) -> bool {
    event["type"] == "error" && FATAL.contains(&event["error"]["code"].as_str().unwrap_or_default())
}

/// The step in which a conversation closes that ends in `step`: at once, or at the end of the scenario if
/// something is asked or said that nobody has answered.
pub(super) fn closing_step(pair: &Pair<'_>, step: usize) -> usize {
    let asks =
        |kind: &str| pair.seed.records.iter().filter(|it| it.kind() == kind && it.step <= step).count();
    let connection = pair.moments[step].connection;
    let server = || {
        (0..=step)
            .filter(|at| pair.moments[*at].connection == connection)
            .flat_map(|at| &pair.moments[at].server)
    };
    let says = |kind: &str| server().filter(|event| event["type"] == kind).count();
    let retrieved = says("conversation.item.retrieved")
        + server().filter(|event| event["error"]["code"] == "item_retrieve_invalid_item_id").count();
    let frames = |kinds: &[&str]| {
        let of = |(at, here): (usize, &Step)| match here {
            Step::Frame(frame) if at <= step && pair.moments[at].connection == connection => {
                frame["type"].as_str().is_some_and(|kind| kinds.contains(&kind)).then_some(at)
            }
            _ => None,
        };
        pair.scenario.numbered().filter_map(of).collect::<Vec<_>>()
    };
    let acknowledged = |since: usize, kind: &str| {
        (since + 1..=step).any(|at| pair.moments[at].server.iter().any(|event| event["type"] == kind))
    };
    let settings = ["LLMUpdateSettingsFrame", "LLMSetToolChoiceFrame"];
    let messages = ["LLMMessagesAppendFrame", "LLMMessagesUpdateFrame"];
    let open = frames(&settings).into_iter().any(|at| !acknowledged(at, "session.updated"))
        || frames(&messages).into_iter().any(|at| !acknowledged(at, "conversation.item.created"))
        || asks("conversation.item.retrieve") > retrieved
        || is_answering(pair, step);
    let lives = pair.moments[step].connection > 0 && pair.ours_is_open(step);
    if open && lives { pair.moments.len() - 1 } else { step }
}

/// Returns whether a response runs, or one that the application asked for has not come.
fn is_answering(pair: &Pair<'_>, step: usize) -> bool {
    /// How long a request is waited for (ms).
    const PATIENCE: u64 = 10_000;

    let connection = pair.moments[step].connection;
    let (mut running, mut known): (BTreeSet<String>, BTreeSet<String>) = (BTreeSet::new(), BTreeSet::new());
    let mut asked: Vec<(u64, bool)> = Vec::new();
    for at in (0..=step).filter(|at| pair.moments[*at].connection == connection) {
        let moment = &pair.moments[at];
        asked.retain(|(since, _)| moment.at < since + PATIENCE);
        for event in &moment.server {
            let id = event["response"]["id"].as_str().or_else(|| event["response_id"].as_str());
            let Some(id) = id else { continue };
            if event["type"] == "response.done" {
                running.remove(id);
                asked.retain(|(_, answered)| !answered);
            } else if known.insert(id.to_owned()) {
                running.insert(id.to_owned());
                asked.iter_mut().for_each(|(_, answered)| *answered = true);
            }
        }
        let asks = pair.scenario.numbered().filter(|(here, _)| *here == at).filter(|(_, here)| match here {
            Step::ContextFrame(_) => true,
            Step::Frame(frame) => frame["run_llm"] == true,
            _ => false,
        });
        asked.extend(asks.map(|_| (moment.at, false)));
    }
    !running.is_empty() || !asked.is_empty()
}

pub(super) fn ends_when_all_is_said(pair: &mut Pair<'_>) -> bool {
    let ends: Vec<usize> = (0..pair.moments.len())
        .filter(|step| {
            pair.scenario.numbered().any(|(at, here)| {
                at == *step && matches!(here, Step::Frame(frame) if frame["type"] == "EndFrame")
            })
        })
        .collect();
    let Some(step) = ends.first().copied() else { return false };
    let closing = closing_step(pair, step);
    if closing == step {
        return false;
    }
    let mut changed = false;
    for record in pair.seed.records.iter_mut().filter(|record| is_closed(record) && record.step == step) {
        record.step = closing;
        changed = true;
    }
    pair.seed.records.sort_by_key(|record| record.step);
    changed
}

fn is_closed(record: &Record) -> bool {
    record.channel == "conn" && record.members.get("ev").is_some_and(|ev| ev == "closed")
}

pub(super) fn changes_over(pair: &mut Pair<'_>) -> bool {
    let mut changed = false;
    let resets: Vec<usize> = (1..pair.moments.len()).filter(|step| pair.is_reset(*step)).collect();
    for step in resets {
        let connection = pair.moments[step].connection;
        let ready = (step..pair.moments.len())
            .find(|at| pair.moments[*at].connection == connection && pair.moments[*at].ready);
        let end = ready.unwrap_or(pair.moments.len() - 1);
        for record in pair.seed.records.iter_mut().filter(|it| is_closed(it) && it.step == step) {
            record.step = end;
            changed = true;
        }
    }
    pair.seed.records.sort_by_key(|record| record.step);
    changed
}

pub(super) fn fatal_errors_end(pair: &mut Pair<'_>) -> bool {
    let mut changed = false;
    for step in 0..pair.moments.len() {
        let moment = &pair.moments[step];
        let connection = moment.connection;
        if connection == 0 || !moment.server.iter().any(fatal) {
            continue;
        }
        let same =
            |record: &Record| is_closed(record) && record.members["n"] == connection && record.step >= step;
        pair.seed.records.retain(|record| !same(record));
        let at = pair.seed.records.partition_point(|record| record.step <= step);
        let closed = json!({ "ev": "closed", "n": connection, "code": 1000, "by_client": true });
        let members = closed.as_object().cloned().unwrap_or_default();
        pair.seed.records.insert(at, Record { step, channel: "conn".to_owned(), members });
        changed = true;
    }
    changed
}

/// A function that runs.
struct Running {
    name: Value,
    waits: bool,
    cancellable: bool,
}

pub(super) fn functions_live(pair: &mut Pair<'_>) -> bool {
    let mut model: Vec<Record> = Vec::new();
    let mut running: BTreeMap<String, Running> = BTreeMap::new();
    let mut order: Vec<String> = Vec::new();
    let mut queue: Vec<(Value, Registration)> = Vec::new();
    let sequential = pair.scenario.header.service.run_in_parallel == Some(false);
    let mut released: BTreeSet<String> = BTreeSet::new();
    let mut registered: BTreeMap<String, Registration> = BTreeMap::new();
    let mut over = false;
    for step in 0..pair.moments.len() {
        for (_, here) in pair.scenario.numbered().filter(|(at, _)| *at == step) {
            match here {
                Step::RegisterFunction(function) => {
                    registered.insert(function.name.clone().unwrap_or_default(), function.clone());
                }
                Step::ReleaseFunction(id) => drop(released.insert(id.clone())),
                _ => {}
            }
        }
        let moment = &pair.moments[step];
        let spoken = moment.server.iter().any(|event| event["type"] == "input_audio_buffer.speech_started");
        let interrupts = spoken && moment.heard.is_some() || moment.interrupts;
        let other =
            step > 0 && moment.connection != pair.moments[step - 1].connection && !pair.is_reset(step);
        let closed = |record: &Record| is_closed(record) && record.step == step;
        over |= pair.seed.records.iter().any(closed) && !other;
        if interrupts || over || other {
            for id in order.clone() {
                if running.get(&id).is_some_and(|it| it.cancellable || over || other) {
                    let name = running.remove(&id).map(|it| it.name);
                    order.retain(|it| *it != id);
                    push(&mut model, step, name.unwrap_or_default(), &id, "cancelled", None);
                }
            }
            queue.retain(|(_, function)| function.cancel_on_interruption == Some(false) && !over && !other);
        }
        if !over {
            for call in super::calls::calls_of(pair, step) {
                let name = call["name"].as_str().unwrap_or_default();
                let function = registered.get(name).or_else(|| registered.get("")).cloned();
                if let Some(function) = function.filter(|_| is_object(&call["arguments"])) {
                    queue.push((call, function));
                }
            }
        }
        loop {
            let ends: Vec<String> = order
                .iter()
                .filter(|id| running.get(*id).is_some_and(|it| !it.waits || released.contains(*id)))
                .cloned()
                .collect();
            for id in &ends {
                let Some(it) = running.remove(id) else { continue };
                order.retain(|other| other != id);
                let raises = registered
                    .get(it.name.as_str().unwrap_or_default())
                    .or_else(|| registered.get(""))
                    .is_some_and(|function| function.raises.is_some());
                push(&mut model, step, it.name, id, if raises { "raised" } else { "returned" }, None);
            }
            if queue.is_empty() || sequential && !running.is_empty() {
                if ends.is_empty() {
                    break;
                }
                continue;
            }
            let (call, function) = queue.remove(0);
            let id = call["call_id"].as_str().unwrap_or_default().to_owned();
            let text = call["arguments"].as_str().unwrap_or_default();
            let arguments: Value = serde_json::from_str(text).unwrap_or_else(|_| json!({}));
            push(&mut model, step, call["name"].clone(), &id, "called", Some(arguments));
            let cancellable = function.cancel_on_interruption != Some(false);
            running.insert(
                id.clone(),
                Running { name: call["name"].clone(), waits: function.hold, cancellable },
            );
            order.push(id);
        }
    }
    pair.put("function", model)
}

fn push(model: &mut Vec<Record>, step: usize, name: Value, id: &str, phase: &str, arguments: Option<Value>) {
    let mut members = Map::new();
    members.insert("name".into(), name);
    members.insert("call_id".into(), id.into());
    members.insert("phase".into(), phase.into());
    members.extend(arguments.map(|arguments| ("arguments".to_owned(), arguments)));
    model.push(Record { step, channel: "function".to_owned(), members });
}

pub(super) fn hooks(pair: &mut Pair<'_>) -> bool {
    let mut model: Vec<Record> = Vec::new();
    let mut told = |step: usize, name: &str, item: &Value| {
        let members = json!({ "name": name, "item_id": item["id"], "item": item });
        let members = members.as_object().cloned().unwrap_or_default();
        model.push(Record { step, channel: "handler".to_owned(), members });
    };
    let (mut sent, mut made): (Vec<Value>, BTreeSet<String>) = (Vec::new(), BTreeSet::new());
    // An id that comes again on a connection is the same item.
    let mut placed: BTreeSet<(usize, String)> = BTreeSet::new();
    let mut done: BTreeSet<(usize, String)> = BTreeSet::new();
    let mut closed: Option<usize> = None;
    let mut calls: Vec<(usize, Vec<Value>)> = Vec::new();
    for step in 0..pair.moments.len() {
        let moment = &pair.moments[step];
        if !pair.ours_is_open(step) || closed == Some(moment.connection) {
            sent.extend(pair.ours.of(step, "client").map(|record| record.event().clone()));
            continue;
        }
        for event in &moment.server {
            let Some(event) = event_text(event, &sent) else { continue };
            let event: Value = serde_json::from_str(&event).unwrap_or_default();
            let item = &event["item"];
            match event["type"].as_str().unwrap_or_default() {
                "response.output_item.added" => {
                    made.extend(item["id"].as_str().map(str::to_owned));
                }
                "conversation.item.created" => {
                    let id = item["id"].as_str().unwrap_or_default().to_owned();
                    if !placed.insert((moment.connection, id)) {
                        continue;
                    }
                    told(step, "on_conversation_item_created", item);
                    let is_made = item["id"].as_str().is_some_and(|id| made.contains(id));
                    if !is_made && item["status"] != "in_progress" {
                        told(step, "on_conversation_item_updated", item);
                    }
                }
                "conversation.item.deleted" => {
                    let id = event["item_id"].as_str().unwrap_or_default().to_owned();
                    placed.remove(&(moment.connection, id));
                }
                "response.done" => {
                    let id = event["response"]["id"].as_str().unwrap_or_default().to_owned();
                    if !done.insert((moment.connection, id)) {
                        continue;
                    }
                    let output = event["response"]["output"].as_array().cloned().unwrap_or_default();
                    output.iter().for_each(|item| told(step, "on_conversation_item_updated", item));
                    let ids: Vec<Value> = output
                        .iter()
                        .filter(|item| item["type"] == "function_call" && is_object(&item["arguments"]))
                        .filter(|_| event["response"]["status"] == "completed")
                        .map(|item| item["call_id"].clone())
                        .collect();
                    if !ids.is_empty() {
                        calls.push((step, ids));
                    }
                }
                _ if fatal(&event) => closed = Some(moment.connection),
                _ => {}
            }
        }
        sent.extend(pair.ours.of(step, "client").map(|record| record.event().clone()));
    }
    for (step, ids) in calls {
        let members = json!({ "name": "on_function_calls_started", "call_ids": ids });
        let members = members.as_object().cloned().unwrap_or_default();
        model.push(Record { step, channel: "handler".to_owned(), members });
    }
    model.sort_by_key(|record| record.step);
    pair.put("handler", model)
}
