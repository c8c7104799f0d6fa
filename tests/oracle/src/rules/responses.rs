//! Requests for responses, interruptions, and what follows after trouble.

use serde_json::{Value, json};

use super::{Pair, change};
use crate::floor::Floor;
use crate::scenario::Step;
use crate::trace::Record;

pub(super) fn no_empty_tools(pair: &mut Pair<'_>) -> bool {
    change(&mut pair.seed, "response.create", |event| {
        let response = event.get_mut("response").and_then(Value::as_object_mut);
        response.is_some_and(|response| {
            let empty = response.get("tools").is_some_and(|tools| *tools == json!([]));
            empty && response.remove("tools").is_some()
        })
    })
}

pub(super) fn session_modalities(pair: &mut Pair<'_>) -> bool {
    let default = json!({ "modalities": ["audio", "text"] });
    change(&mut pair.seed, "response.create", |event| {
        event.get("response") == Some(&default) && event.remove("response").is_some()
    })
}

pub(super) fn cancel_what_runs(pair: &mut Pair<'_>) -> bool {
    let moments = &pair.moments;
    let manual = |record: &Record| {
        let moment = &moments[record.step];
        record.kind() == "response.cancel" && moment.interrupts && moment.manual
    };
    let mut changed = pair.seed.drop_client(|record| manual(record) && moments[record.step].cancel.is_none());
    for record in pair.seed.records.iter_mut().filter(|record| manual(record)) {
        if let Some(Some(running)) = moments[record.step].cancel.clone() {
            record.event_mut().map(|event| event.insert("response_id".into(), running.into()));
            changed = true;
        }
    }
    changed
}

pub(super) fn interrupt_cancels(pair: &mut Pair<'_>) -> bool {
    let mut changed = false;
    for step in 0..pair.moments.len() {
        let moment = &pair.moments[step];
        let Some(what) = moment.cancel.clone().filter(|_| !moment.manual) else { continue };
        let mut cancel = json!({ "type": "response.cancel", "event_id": pair.fresh_id() });
        if let Some(running) = what {
            cancel["response_id"] = running.into();
        }
        pair.seed.insert_client(step, true, vec![cancel]);
        changed = true;
    }
    changed
}

pub(super) fn heard(pair: &mut Pair<'_>) -> bool {
    let mut changed = false;
    for step in 0..pair.moments.len() {
        let moment = &pair.moments[step];
        let speech = moment.server.iter().any(|event| event["type"] == "input_audio_buffer.speech_started");
        if !speech && !moment.interrupts {
            continue;
        }
        let right = moment.heard.clone().unwrap_or_default();
        let here = |record: &Record| record.step == step && record.kind() == "conversation.item.truncate";
        let told: Vec<&Value> =
            pair.seed.records.iter().filter(|record| here(record)).map(Record::event).collect();
        let same = told.len() == right.len()
            && told.iter().zip(&right).all(|(event, (item, index, millis))| {
                let off = event["audio_end_ms"]
                    .as_i64()
                    .map(|told| told.abs_diff(i64::try_from(*millis).unwrap_or(-1)));
                event["item_id"] == **item
                    && event["content_index"] == *index
                    && off.is_some_and(|off| off <= 1)
            });
        if same {
            continue;
        }
        pair.seed.drop_client(here);
        let truncate = |pair: &mut Pair<'_>, (item, index, millis): (String, u64, u64)| {
            json!({
                "type": "conversation.item.truncate",
                "event_id": pair.fresh_id(),
                "item_id": item,
                "content_index": index,
                "audio_end_ms": millis,
            })
        };
        let events = right.into_iter().map(|part| truncate(pair, part)).collect();
        pair.seed.insert_client(step, false, events);
        changed = true;
    }
    changed
}

pub(super) fn one_response_at_a_time(pair: &mut Pair<'_>) -> bool {
    let (mut floor, mut connection, mut changed) = (Floor::default(), 0, false);
    for step in 0..pair.moments.len() {
        let moment = pair.moments[step].clone();
        if std::mem::replace(&mut connection, moment.connection) != moment.connection {
            floor = Floor::default();
        }
        for event in &moment.server {
            floor.server(event, moment.at, moment.responds);
        }
        floor.pass(moment.at);
        // What the application sends past all bookkeeping does not wait.
        let own = pair.scenario.numbered().any(|(at, here)| at == step && matches!(here, Step::Call(_)));
        changed |= pair.seed.drop_client(|record| {
            let asks = record.step == step && record.kind() == "response.create" && !own;
            asks && record.event()["response"]["conversation"] != "none" && !floor.request(moment.at)
        });
        if floor.release(moment.at) && !moment.ends {
            let create = json!({ "type": "response.create", "event_id": pair.fresh_id() });
            pair.seed.insert_client(step, false, vec![create]);
            changed = true;
        }
    }
    changed
}

pub(super) fn stays_alive(pair: &mut Pair<'_>) -> bool {
    let moments = &pair.moments;
    // What follows from interruptions, calls and waiting requests is known all the same.
    let known = |record: &Record| {
        let output = record.event()["item"]["type"] == "function_call_output";
        output
            || matches!(record.kind(), "conversation.item.truncate" | "response.cancel" | "response.create")
    };
    let unheard = |record: &Record| {
        let moment = &moments[record.step];
        let audio = record.kind() == "input_audio_buffer.append";
        let deaf = moment.deaf && !moment.server.is_empty() && !known(record);
        moment.gone || deaf || moment.never_ready && !audio
    };
    let dropped = pair.seed.drop_client(unheard);
    pair.ours.drop_client(unheard) || dropped
}

pub(super) fn late_answers(pair: &mut Pair<'_>) -> bool {
    let mut changed = false;
    for step in 0..pair.moments.len() {
        let Some(late) = pair.moments[step].late.clone() else { continue };
        let cancel = json!({ "type": "response.cancel", "event_id": pair.fresh_id(), "response_id": late });
        pair.seed.insert_client(step, false, vec![cancel]);
        changed = true;
    }
    changed
}

/// Errors after which a session, or an account, is of no more use.
pub(super) const FATAL: [&str; 6] = [
    "session_expired",
    "insufficient_quota",
    "invalid_api_key",
    "account_deactivated",
    "billing_hard_limit_reached",
    "model_not_found",
];

pub(super) fn fatal_errors_close(pair: &mut Pair<'_>) -> bool {
    let mut closed = None;
    let moments = &pair.moments;
    let ends: Vec<bool> = moments
        .iter()
        .map(|moment| {
            if closed.is_some_and(|connection| connection != moment.connection) {
                closed = None;
            }
            let over = closed.is_some();
            let fatal = |event: &Value| {
                let code = event["error"]["code"].as_str().unwrap_or_default();
                event["type"] == "error" && FATAL.contains(&code)
            };
            if moment.server.iter().any(fatal) && moment.connection > 0 {
                closed = Some(moment.connection);
            }
            over
        })
        .collect();
    pair.seed.drop_client(|record| ends[record.step])
}
