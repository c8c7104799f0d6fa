//! Answers that someone waits for: the model's calls, and the application's.

use realtime_protocol::session::CallOutput;
use serde_json::{Map, Value, json};

use super::{Pair, change};
use crate::oracle::scenario::{Registration, Step, event_text};
use crate::oracle::trace::{Record, Trace, digested};

/// How long an item is waited for (ms).
const RETRIEVAL_WAIT: u64 = 10_000;

/// What stands in for the words of an error, which are each side's own.
const ERROR: &str = r#"{"error":"…"}"#;

/// The call that an event answers, and the answer.
fn call_output(record: &Record) -> Option<(&str, Value)> {
    let item = &record.event()["item"];
    let output = item["output"].as_str().filter(|_| item["type"] == "function_call_output")?;
    Some((item["call_id"].as_str()?, serde_json::from_str(output).unwrap_or_default()))
}

/// The function that takes calls of that name.
fn function_of<'a>(pair: &Pair<'a>, name: &str) -> Option<&'a Registration> {
    let registered = |wanted: Option<&str>| {
        pair.scenario.numbered().find_map(|(_, step)| match step {
            Step::RegisterFunction(function) if function.name.as_deref() == wanted => Some(function),
            _ => None,
        })
    };
    registered(Some(name)).or_else(|| registered(None))
}

/// The calls of responses that are done in a step.
fn calls_of(pair: &Pair<'_>, step: usize) -> Vec<Value> {
    let done = pair.moments[step].server.iter().filter(|event| event["type"] == "response.done");
    done.filter(|event| event["response"]["status"] == "completed")
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

/// Whether arguments are what a function can take: an object, or nothing.
fn is_object(arguments: &Value) -> bool {
    let text = arguments.as_str().unwrap_or_default();
    text.trim().is_empty() || serde_json::from_str::<Map<String, Value>>(text).is_ok()
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
                None => CallOutput::UnknownTool.to_wire(),
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
            let event = answer(pair, &id, &CallOutput::Cancelled.to_wire());
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

/// The step at which the connection that is open in a step ends; that step, where none is open.
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

pub(super) fn waiters_resolved(pair: &mut Pair<'_>) -> bool {
    let last = pair.seed.records.iter().rfind(|record| record.channel == "final");
    let pending = last.and_then(|record| record.members.get("pending_calls")?.as_array().cloned());
    let mut answers = Vec::new();
    for name in pending.unwrap_or_default() {
        let asked = pair.scenario.numbered().find_map(|(at, step)| match step {
            Step::Call(call) if call.get("as").or_else(|| call.get("item_id")) == Some(&name) => {
                Some((at, call.get("item_id")?.clone()))
            }
            _ => None,
        });
        let Some((asked, item_id)) = asked else { continue };
        // It ends with its answer, with the connection, or when it has lasted too long.
        let due = pair.moments[asked].at + RETRIEVAL_WAIT;
        let late = pair.moments.iter().position(|moment| moment.at >= due);
        let end = [late, end_of_connection(pair, asked)].into_iter().flatten().min();
        let alone = pair.scenario.numbered().filter(|(_, step)| matches!(step, Step::Call(_))).count() == 1;
        let until = end.unwrap_or(pair.moments.len() - 1);
        let told = (asked + 1..=until).find_map(|step| Some((step, retrieved(pair, step, &item_id, alone)?)));
        let (step, (outcome, value)) = match (told, end) {
            (Some(told), _) => told,
            (None, Some(end)) => {
                let here = |record: &&Record| {
                    record.step == end
                        && record.channel == "call"
                        && record.members.get("call") == Some(&name)
                };
                // What the error says is this side's own.
                let told = pair.ours.records.iter().find(here).and_then(|record| record.members.get("error"));
                (end, ("error", told.cloned().unwrap_or_default()))
            }
            (None, None) => continue,
        };
        let members = Map::from_iter([("call".to_owned(), name), (outcome.to_owned(), value)]);
        answers.push(Record { step, channel: "call".to_owned(), members });
    }
    // Those that are answered together come in any order.
    let place = |answer: &Record| {
        pair.ours.records.iter().position(|record| record.members.get("call") == answer.members.get("call"))
    };
    answers.sort_by_key(|answer| (answer.step, place(answer)));
    let changed = !answers.is_empty();
    for answer in answers {
        let at = pair.seed.records.partition_point(|record| record.step <= answer.step);
        pair.seed.records.insert(at, answer);
    }
    changed
}
