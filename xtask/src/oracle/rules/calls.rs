//! Answers that someone waits for: the model's calls, and the application's.

use serde_json::{Value, json};

use super::Pair;
use crate::oracle::scenario::Step;
use crate::oracle::trace::{Record, Trace};

/// The call that an event answers, and the answer.
fn call_output(record: &Record) -> Option<(&str, Value)> {
    let item = &record.event()["item"];
    let output = item["output"].as_str().filter(|_| item["type"] == "function_call_output")?;
    Some((item["call_id"].as_str()?, serde_json::from_str(output).unwrap_or_default()))
}

pub(super) fn call_answered(pair: &mut Pair<'_>) -> bool {
    let mut changed = false;
    for step in 0..pair.moments.len() {
        let answered = |id: &str| {
            let mut all = pair.seed.records.iter().filter_map(call_output);
            all.any(|(answered, _)| answered == id)
        };
        let phases = |id: &str, phase: &str| {
            let functions = pair.seed.records.iter().filter(|record| record.channel == "function");
            functions
                .filter(|record| record.members["call_id"] == id)
                .any(|record| phase.is_empty() || record.members["phase"] == phase)
        };
        let allowed = |record: &Record| {
            let Some((id, output)) =
                call_output(record).filter(|(id, _)| record.step == step && !answered(id))
            else {
                return false;
            };
            let failed = output.get("error").is_some() && (phases(id, "raised") || !phases(id, ""));
            failed || output == json!({ "status": "cancelled" }) && phases(id, "cancelled")
        };
        let extra: Vec<Record> =
            pair.ours.of(step, "client").filter(|record| allowed(record)).cloned().collect();
        let falsy = pair.seed.of(step, "client").filter_map(call_output).any(|(_, output)| {
            [json!(null), json!(false), json!(0), json!(""), json!({}), json!([])].contains(&output)
        });
        let responds =
            falsy || extra.iter().filter_map(call_output).any(|(_, output)| output.get("error").is_some());
        let goes_on = responds && !pair.seed.sends(step, "response.create");
        changed |= pair.ours.drop_client(|record| {
            record.step == step && (extra.contains(record) || goes_on && record.kind() == "response.create")
        });
    }
    changed
}

/// Calls that the other implementation never answers.
pub(super) fn pending_calls(seed: &Trace) -> Vec<Value> {
    let last = seed.records.iter().rfind(|record| record.channel == "final");
    let calls = last.and_then(|record| record.members.get("pending_calls")?.as_array().cloned());
    calls.unwrap_or_default()
}

pub(super) fn waiters_resolved(pair: &mut Pair<'_>) -> bool {
    let pending = pending_calls(&pair.seed);
    let ours = pair.ours.clone();
    let open = |step: usize| {
        let mut events = ours.records.iter().filter(|record| record.channel == "conn" && record.step <= step);
        events.next_back().is_some_and(|record| record.members["ev"] == "open")
    };
    let before = pair.ours.records.len();
    pair.ours.records.retain(|record| {
        let waits = record.members.get("call").is_some_and(|call| pending.contains(call));
        let error = record.members.get("error").and_then(Value::as_str).filter(|_| record.channel == "call");
        !error.is_some_and(|error| waits && (error == "timed out" || !open(record.step)))
    });
    before != pair.ours.records.len()
}

/// What a registered function answers at once: the result, and whether the model goes on.
fn result_of(pair: &Pair<'_>, name: &str) -> Option<(Value, bool)> {
    let registered = |wanted: Option<&str>| {
        pair.scenario.numbered().find_map(|(_, step)| match step {
            Step::RegisterFunction(function) if function.name.as_deref() == wanted => Some(function),
            _ => None,
        })
    };
    let function = registered(Some(name)).or_else(|| registered(None))?;
    let at_once = !function.hold && !function.no_result && function.raises.is_none();
    at_once.then(|| (function.result.clone(), function.run_llm != Some(false)))
}

pub(super) fn calls_do_not_wait(pair: &mut Pair<'_>) -> bool {
    let mut changed = false;
    for step in 0..pair.moments.len() {
        let done = pair.moments[step].server.iter().filter(|event| event["type"] == "response.done");
        let calls: Vec<Value> = done
            .filter(|event| event["response"]["status"] == "completed")
            .flat_map(|event| event["response"]["output"].as_array().cloned().unwrap_or_default())
            .filter(|item| item["type"] == "function_call" && !pair.moments[step].deaf)
            .collect();
        let mut goes_on = false;
        for call in calls {
            let Some(id) = call["call_id"].as_str() else { continue };
            let Some((result, respond)) = result_of(pair, call["name"].as_str().unwrap_or_default()) else {
                continue;
            };
            let here =
                pair.seed.of(step, "client").filter_map(call_output).any(|(answered, _)| answered == id);
            if here {
                continue;
            }
            // It comes later, with its request for a response, or never.
            let answers = |record: &&Record| call_output(record).is_some_and(|(answered, _)| answered == id);
            if let Some(late) = pair.seed.records.iter().find(answers).map(|record| record.step) {
                pair.seed.drop_client(|record| {
                    let output = call_output(record).is_some_and(|(answered, _)| answered == id);
                    record.step == late && (output || respond && record.kind() == "response.create")
                });
            }
            let item = json!({
                "id": pair.fresh_id(),
                "type": "function_call_output",
                "call_id": id,
                "output": result.to_string(),
            });
            let create =
                json!({ "type": "conversation.item.create", "event_id": pair.fresh_id(), "item": item });
            pair.seed.insert_client(step, false, vec![create]);
            goes_on |= respond;
            changed = true;
        }
        if goes_on {
            let create = json!({ "type": "response.create", "event_id": pair.fresh_id() });
            pair.seed.insert_client(step, false, vec![create]);
        }
    }
    changed
}
