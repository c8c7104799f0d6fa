//! Answers that someone waits for: the model's calls, and the application's.

use std::collections::BTreeMap;

use realtime_protocol::call::FunctionOutput;
use serde_json::{Map, Value, json};

use super::{Pair, change};
use crate::scenario::{Registration, Step, event_text};
use crate::trace::{Record, Trace, digested};

/// How long an item is waited for (ms).
const RETRIEVAL_WAIT: u64 = 10_000;

/// What stands in for the words of an error, which are each side's own.
pub(super) const ERROR: &str = r#"{"error":"…"}"#;

/// The call that an event answers, and the answer.
fn call_output(record: &Record) -> Option<(&str, Value)> {
    let item = &record.event()["item"];
    let output = item["output"].as_str().filter(|_| item["type"] == "function_call_output")?;
    Some((item["call_id"].as_str()?, serde_json::from_str(output).unwrap_or_default()))
}

/// The function that takes calls of that name.
pub(super) fn function_of<'a>(pair: &Pair<'a>, name: &str) -> Option<&'a Registration> {
    let registered = |wanted: Option<&str>| {
        pair.scenario.numbered().find_map(|(_, step)| match step {
            Step::RegisterFunction(function) if function.name.as_deref() == wanted => Some(function),
            _ => None,
        })
    };
    registered(Some(name)).or_else(|| registered(None))
}

/// The ends of responses in a step. A response ends once on its connection.
pub(super) fn ends<'a>(pair: &'a Pair<'_>, step: usize) -> impl Iterator<Item = &'a Value> {
    let connection = pair.moments[step].connection;
    let is_end = |event: &&Value| event["type"] == "response.done";
    let here = pair.moments[step].server.iter().filter(is_end).enumerate();
    here.filter(move |(index, event)| {
        let id = &event["response"]["id"];
        let same = |other: &Value| other["type"] == "response.done" && other["response"]["id"] == *id;
        let mut earlier = (0..step).filter(|at| pair.moments[*at].connection == connection);
        !earlier.any(|at| pair.moments[at].server.iter().any(same))
            && !pair.moments[step].server.iter().filter(is_end).take(*index).any(same)
    })
    .map(|(_, event)| event)
}

/// The calls of responses that are done in a step.
pub(super) fn calls_of(pair: &Pair<'_>, step: usize) -> Vec<Value> {
    ends(pair, step)
        .filter(|event| event["response"]["status"] == "completed")
        .flat_map(|event| event["response"]["output"].as_array().cloned().unwrap_or_default())
        .filter(|item| item["type"] == "function_call" && item["call_id"].is_string())
        .collect()
}

fn answer(pair: &mut Pair<'_>, call_id: &Value, output: &str) -> Value {
    let item = json!({ "id": pair.fresh_id(), "type": "function_call_output", "call_id": call_id, "output": output });
    json!({ "type": "conversation.item.create", "event_id": pair.fresh_id(), "item": item })
}

fn is_answered(trace: &Trace, steps: std::ops::RangeInclusive<usize>, call_id: &Value) -> bool {
    let mut answers =
        trace.records.iter().filter(|record| steps.contains(&record.step)).filter_map(call_output);
    answers.any(|(answered, _)| *call_id == answered)
}

/// Asks for a response at the end of a step, if that was not done.
fn go_on(pair: &mut Pair<'_>, step: usize) {
    if !pair.seed.sends(step, "response.create") {
        let create = json!({ "type": "response.create", "event_id": pair.fresh_id() });
        pair.seed.insert_client(step, false, vec![create]);
    }
}

pub(super) fn calls_do_not_wait(pair: &mut Pair<'_>) -> bool {
    let mut changed = false;
    for step in 0..pair.moments.len() {
        let mut goes_on = false;
        for call in calls_of(pair, step) {
            let Some(function) = function_of(pair, call["name"].as_str().unwrap_or_default()) else {
                continue;
            };
            let at_once = !function.hold && !function.no_result && function.raises.is_none();
            let id = &call["call_id"];
            if !at_once || !is_object(&call["arguments"]) || is_answered(&pair.seed, 0..=step, id) {
                continue;
            }
            // It comes later, with its request for a response, or never.
            let answers = |record: &Record| call_output(record).is_some_and(|(answered, _)| *id == answered);
            let responds = function.run_llm != Some(false);
            if let Some(late) =
                pair.seed.records.iter().find(|record| answers(record)).map(|record| record.step)
            {
                pair.seed.drop_client(|record| {
                    record.step == late && (answers(record) || responds && record.kind() == "response.create")
                });
            }
            let event = answer(pair, id, &function.result.to_string());
            pair.seed.insert_client(step, false, vec![event]);
            goes_on |= responds;
            changed = true;
        }
        if goes_on {
            go_on(pair, step);
        }
    }
    changed
}

/// Returns whether arguments are what a function can take: an object, or nothing.
pub(super) fn is_object(arguments: &Value) -> bool {
    let text = arguments.as_str().unwrap_or_default();
    text.trim().is_empty() || serde_json::from_str::<Map<String, Value>>(text).is_ok()
}

pub(super) fn speech_stops_calls(pair: &mut Pair<'_>) -> bool {
    let mut changed = false;
    for step in 0..pair.moments.len() {
        let moment = &pair.moments[step];
        let spoken = moment.server.iter().any(|event| event["type"] == "input_audio_buffer.speech_started");
        if !spoken || moment.heard.is_none() {
            continue;
        }
        let mut running: Vec<(Value, Value)> = Vec::new();
        for record in
            pair.seed.records.iter().filter(|record| record.channel == "function" && record.step < step)
        {
            let call_id = &record.members["call_id"];
            running.retain(|(id, _)| id != call_id);
            if record.members["phase"] == "called" {
                running.push((call_id.clone(), record.members["name"].clone()));
            }
        }
        for (id, name) in running {
            let function = function_of(pair, name.as_str().unwrap_or_default());
            if function.is_none_or(|function| function.cancel_on_interruption == Some(false))
                || is_answered(&pair.seed, 0..=step, &id)
            {
                continue;
            }
            // Its result comes too late, and with it the request for a response to it.
            let answers = |record: &Record| call_output(record).is_some_and(|(answered, _)| id == answered);
            let late = pair.seed.records.iter().find(|record| answers(record)).map(|record| record.step);
            pair.seed.drop_client(|record| {
                Some(record.step) == late && (answers(record) || record.kind() == "response.create")
            });
            let event = answer(pair, &id, &FunctionOutput::Cancelled.to_wire());
            pair.seed.insert_client(step, false, vec![event]);
            changed = true;
        }
    }
    changed
}

pub(super) fn call_answered(pair: &mut Pair<'_>) -> bool {
    let mut changed = false;
    for step in 0..pair.moments.len() {
        // Those that fail at once.
        for call in calls_of(pair, step) {
            let (id, function) =
                (&call["call_id"], function_of(pair, call["name"].as_str().unwrap_or_default()));
            let output = match function {
                _ if !is_object(&call["arguments"]) => ERROR.to_owned(),
                None => FunctionOutput::Unknown.to_wire(),
                Some(Registration { raises: Some(error), hold: false, .. }) => {
                    json!({ "error": error }).to_string()
                }
                Some(_) => continue,
            };
            if is_answered(&pair.seed, 0..=pair.moments.len(), id) {
                continue;
            }
            if output == ERROR {
                change(&mut pair.ours, "conversation.item.create", |event| {
                    let Some(item) = event.get_mut("item").filter(|item| item["call_id"] == *id) else {
                        return false;
                    };
                    let told: Value =
                        serde_json::from_str(item["output"].as_str().unwrap_or_default()).unwrap_or_default();
                    if told["error"].is_string() {
                        item["output"] = ERROR.into();
                    }
                    true
                });
            }
            let event = answer(pair, id, &output);
            pair.seed.insert_client(step, false, vec![event]);
            if function.is_none_or(|function| function.run_llm != Some(false)) {
                go_on(pair, step);
            }
            changed = true;
        }
        // Those that are given up.
        let cancelled: Vec<Value> = pair
            .seed
            .of(step, "function")
            .filter(|record| record.members["phase"] == "cancelled")
            .map(|record| record.members["call_id"].clone())
            .collect();
        for id in cancelled {
            let event = answer(pair, &id, &FunctionOutput::Cancelled.to_wire());
            pair.seed.insert_client(step, false, vec![event]);
            changed = true;
        }
        // A result that counts for nothing is a result all the same.
        let falsy = [json!(null), json!(false), json!(0), json!(""), json!({}), json!([])];
        let silent = |id: &str| {
            let returned = pair.seed.of(step, "function").find(|record| record.members["call_id"] == id);
            let name = returned.and_then(|record| record.members["name"].as_str());
            name.and_then(|name| function_of(pair, name))
                .is_none_or(|function| function.run_llm == Some(false))
        };
        let outputs: Vec<_> = pair.seed.of(step, "client").filter_map(call_output).collect();
        if outputs.into_iter().any(|(id, output)| falsy.contains(&output) && !silent(id)) {
            changed |= !pair.seed.sends(step, "response.create");
            go_on(pair, step);
        }
    }
    changed
}

/// How the server answers a request for an item, among the events of a step: the record of it.
fn retrieved(pair: &Pair<'_>, step: usize, item_id: &Value, alone: bool) -> Option<(&'static str, Value)> {
    pair.moments[step].server.iter().find_map(|event| match event["type"].as_str()? {
        "conversation.item.retrieved" if event["item"]["id"] == *item_id => {
            let item = serde_json::from_str(&event_text(&event["item"], &[])?).ok()?;
            Some(("result", digested(item)))
        }
        "error" if event["error"]["code"] == "item_retrieve_invalid_item_id" => {
            let named = match event["error"]["event_id"].as_str() {
                Some(id) => id.strip_prefix("rci_") == item_id.as_str(),
                None => alone,
            };
            named.then(|| ("error", event["error"]["message"].clone()))
        }
        _ => None,
    })
}

/// The step at which the connection that is open in a step ends. The step itself if none is open.
fn end_of_connection(pair: &Pair<'_>, step: usize) -> Option<usize> {
    let connections = || pair.ours.records.iter().filter(|record| record.channel == "conn");
    let last = connections().rfind(|record| record.step <= step && record.step < step.max(1));
    let last = last.or_else(|| connections().find(|record| record.step == 0));
    if last.is_none_or(|record| record.members["ev"] != "open") {
        return Some(step);
    }
    connections()
        .find(|record| record.step >= step && record.members["ev"] == "closed")
        .map(|record| record.step)
}

/// A request for an item: when it was made, and at which step it ends.
#[derive(Clone, Copy, Debug)]
struct Request {
    at: u64,
    end: usize,
}

pub(super) fn waiters_resolved(pair: &mut Pair<'_>) -> bool {
    let calls: Vec<(usize, Value, Value)> = pair
        .scenario
        .numbered()
        .filter_map(|(step, here)| {
            let Step::Call(call) = here else { return None };
            let item_id = call.get("item_id")?;
            Some((step, call.get("as").unwrap_or(item_id).clone(), item_id.clone()))
        })
        .collect();
    let mut requests: BTreeMap<String, Request> = BTreeMap::new();
    let (mut answers, mut changed) = (Vec::new(), false);
    for (asked, name, item_id) in &calls {
        let key = item_id.as_str().unwrap_or_default().to_owned();
        let at = pair.moments[*asked].at;
        let running = requests.get(&key).copied().filter(|request| request.end > *asked);
        let at = running.map_or(at, |request| request.at);
        changed |= ask(pair, *asked, item_id, running.is_none());
        // It ends with its answer, with the connection, or when it has lasted too long.
        let late = pair.moments.iter().position(|moment| moment.at >= at + RETRIEVAL_WAIT);
        let end = [late, end_of_connection(pair, *asked)].into_iter().flatten().min();
        let until = end.unwrap_or(pair.moments.len() - 1);
        let told = (asked + 1..=until)
            .find_map(|step| Some((step, retrieved(pair, step, item_id, calls.len() == 1)?)));
        let record = |outcome: &str, value: Value| {
            Map::from_iter([("call".to_owned(), name.clone()), (outcome.to_owned(), value)])
        };
        let (step, members) = match (told, end) {
            (Some((step, (outcome, value))), _) => (step, record(outcome, value)),
            (None, Some(end)) => {
                // What the error says is this side's own.
                let told = pair.ours.of(end, "call").find(|record| record.members.get("call") == Some(name));
                let error = told.and_then(|record| record.members.get("error").cloned());
                (end, record("error", error.unwrap_or_default()))
            }
            (None, None) => continue,
        };
        requests.insert(key, Request { at, end: step });
        let mine = |record: &Record| record.channel == "call" && record.members.get("call") == Some(name);
        let seed = pair.seed.records.iter().find(|record| mine(record));
        let earlier =
            seed.is_some_and(|record| record.step < step || record.step == step && record.members == members);
        if !earlier {
            pair.seed.records.retain(|record| !mine(record));
            answers.push(Record { step, channel: "call".to_owned(), members });
        }
    }
    // Those that are answered together come in any order.
    let place = |answer: &Record| {
        let call = answer.members.get("call");
        pair.ours.records.iter().position(|record| record.members.get("call") == call)
    };
    answers.sort_by_key(|answer| (answer.step, place(answer)));
    changed |= !answers.is_empty();
    for answer in answers {
        let at = pair.seed.records.partition_point(|record| record.step <= answer.step);
        pair.seed.records.insert(at, answer);
    }
    changed
}

/// Makes sure that a request is sent if none is in flight, and only then.
fn ask(pair: &mut Pair<'_>, step: usize, item_id: &Value, sends: bool) -> bool {
    let here = |record: &Record| {
        let asks = record.kind() == "conversation.item.retrieve" && record.event()["item_id"] == *item_id;
        record.channel == "client" && record.step == step && asks
    };
    let sent = pair.seed.records.iter().any(here);
    let open = pair.moments[step].ready && end_of_connection(pair, step) != Some(step);
    if sent && !sends {
        return pair.seed.drop_client(here);
    }
    if !sent && sends && open {
        let event_id = format!("rci_{}", item_id.as_str().unwrap_or_default());
        let event = json!({ "type": "conversation.item.retrieve", "event_id": event_id, "item_id": item_id });
        pair.seed.insert_client(step, false, vec![event]);
        return true;
    }
    false
}
