//! Where this project differs from the implementation that made the traces, and why: the one list of all rules.
//!
//! A rule is keyed by what differs, never by a scenario's name. It changes the traces before they are compared, one kind
//! of record under one condition. Where it can, it does not leave a record out but puts what is right in its place, as
//! worked out from the scenario alone, so that a defect still shows.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::facts::{Moment, Turns, moments};
use super::floor::Floor;
use super::scenario::{Chat, Scenario, Step, audio_bytes};
use super::trace::{Record, Trace, audio_digest};

/// One way in which traces may differ.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) name: &'static str,
    pub(super) reason: &'static str,
    /// Changes the traces, and says whether there was anything to change.
    apply: fn(&mut Pair<'_>) -> bool,
}

/// All rules, in the order in which they are applied.
pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "no-empty-tools",
        reason: "`tools: []` in a response.create would take the session's tools from that response",
        apply: no_empty_tools,
    },
    Rule {
        name: "session-modalities",
        reason: "a response that asks for audio and text, and nothing else, leaves the modalities to the session",
        apply: session_modalities,
    },
    Rule {
        name: "modalities-are-a-set",
        reason: "the order of modalities means nothing",
        apply: modalities_are_a_set,
    },
    Rule {
        name: "settings-once-ready",
        reason: "settings that change before session.created go into the first session.update, not ahead of it too",
        apply: settings_once_ready,
    },
    Rule {
        name: "known-at-start",
        reason: "instructions and tools of the context are known when the session begins, and go into its first session.update",
        apply: known_at_start,
    },
    Rule {
        name: "settings-do-not-leak",
        reason: "what an earlier context said of instructions and tools is not said again for another context",
        apply: settings_do_not_leak,
    },
    Rule {
        name: "unchanged-settings",
        reason: "a session.update names what changes; one that changes nothing is not sent",
        apply: unchanged_settings,
    },
    Rule {
        name: "nothing-before-ready",
        reason: "audio (the newest 2 s) and events wait until the configuration is acknowledged, then go out in order",
        apply: nothing_before_ready,
    },
    Rule {
        name: "input-format",
        reason: "input audio is mixed and resampled to the session's format; what cannot be converted, or is empty, is not sent",
        apply: input_format,
    },
    Rule {
        name: "heard",
        reason: "items are truncated at what was heard of each, by playback reports where there are any, and not at all when all was heard or the speech must not interrupt",
        apply: heard,
    },
    Rule {
        name: "pre-roll",
        reason: "where the session detects no turns, audio from before a turn is kept back, and the last 500 ms go along with it",
        apply: pre_roll,
    },
    Rule {
        name: "no-clear",
        reason: "with a pre-roll nothing need be cleared when the user begins to speak; clearing loses the first syllable",
        apply: no_clear,
    },
    Rule {
        name: "too-short",
        reason: "a turn of less than 100 ms is refused as too short: the server makes no item of it, and no response is asked for",
        apply: too_short,
    },
    Rule {
        name: "cancel-what-runs",
        reason: "response.cancel is sent only when a response runs, and names it",
        apply: cancel_what_runs,
    },
    Rule {
        name: "interrupt-cancels",
        reason: "where the application interrupts, the server has heard no speech and does not cancel by itself: this side does",
        apply: interrupt_cancels,
    },
    Rule {
        name: "call-answered",
        reason: "every call gets one output: cancelled, failed, unknown or malformed ones too",
        apply: call_answered,
    },
    Rule {
        name: "one-response-at-a-time",
        reason: "a response.create waits while one is unanswered, a response runs or the user speaks; the server's own response serves it",
        apply: one_response_at_a_time,
    },
    Rule {
        name: "stays-alive",
        reason: "an event that cannot be read, or an error, ends neither the session nor the run; what follows is answered",
        apply: stays_alive,
    },
    Rule {
        name: "waiters-resolved",
        reason: "whoever waits for an item is answered when the session ends, or when the server takes too long",
        apply: waiters_resolved,
    },
];

/// The two traces of a scenario, and what holds at its steps.
#[derive(Debug)]
pub(super) struct Pair<'a> {
    scenario: &'a Scenario,
    moments: Vec<Moment>,
    /// What the other implementation did.
    pub(super) seed: Trace,
    pub(super) ours: Trace,
    inserted: usize,
}

impl<'a> Pair<'a> {
    pub(super) fn new(scenario: &'a Scenario, seed: Trace, ours: Trace) -> Self {
        Self { scenario, moments: moments(scenario, &seed), seed, ours, inserted: 0 }
    }

    /// Applies all rules and names those that changed anything.
    pub(super) fn apply(&mut self) -> Vec<&'static str> {
        RULES.iter().filter(|rule| (rule.apply)(self)).map(|rule| rule.name).collect()
    }

    /// An event id for an event that the other implementation did not send.
    fn fresh_id(&mut self) -> Value {
        self.inserted += 1;
        format!("<id:{}>", 900_000 + self.inserted).into()
    }

    /// The context that is known when a connection is opened: the one whose run was asked for last.
    fn chat_at(&self, opened: usize) -> Option<Chat> {
        let mut chats: BTreeMap<&str, &Chat> = BTreeMap::new();
        let mut current = "main";
        if let Some(chat) = &self.scenario.header.context {
            chats.insert("main", chat);
        }
        for (_, step) in self.scenario.numbered().filter(|(at, _)| *at <= opened) {
            match step {
                Step::Context(chat) => drop(chats.insert(&chat.name, chat)),
                Step::ContextFrame(name) => current = name,
                _ => {}
            }
        }
        chats.get(current).map(|chat| Chat::clone(chat))
    }

    /// The session.updates of the other implementation, first of each connection or not.
    fn updates(&mut self, mut change: impl FnMut(usize, bool, &mut Map<String, Value>) -> Keep) -> bool {
        let moments = &self.moments;
        let (mut last, mut changed) = (0, false);
        self.seed.records.retain_mut(|record| {
            if record.kind() != "session.update" {
                return true;
            }
            let step = record.step;
            let connection = moments[step].connection;
            let first = std::mem::replace(&mut last, connection) != connection;
            let Some(Value::Object(session)) = record.event_mut().and_then(|event| event.get_mut("session"))
            else {
                return true;
            };
            let before = session.clone();
            let keep = change(step, first, session) == Keep::Yes;
            changed |= !keep || before != *session;
            keep
        });
        changed
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Keep {
    Yes,
    No,
}

/// Changes the client events of a type, and says whether any was changed.
fn change(trace: &mut Trace, kind: &str, mut change: impl FnMut(&mut Map<String, Value>) -> bool) -> bool {
    let records =
        trace.records.iter_mut().filter(|record| record.channel == "client" && record.kind() == kind);
    records.filter_map(Record::event_mut).fold(false, |changed, event| change(event) || changed)
}

fn no_empty_tools(pair: &mut Pair<'_>) -> bool {
    change(&mut pair.seed, "response.create", |event| {
        let response = event.get_mut("response").and_then(Value::as_object_mut);
        response.is_some_and(|response| {
            let empty = response.get("tools").is_some_and(|tools| *tools == json!([]));
            empty && response.remove("tools").is_some()
        })
    })
}

fn session_modalities(pair: &mut Pair<'_>) -> bool {
    let default = json!({ "modalities": ["audio", "text"] });
    change(&mut pair.seed, "response.create", |event| {
        event.get("response") == Some(&default) && event.remove("response").is_some()
    })
}

fn modalities_are_a_set(pair: &mut Pair<'_>) -> bool {
    [&mut pair.seed, &mut pair.ours].into_iter().fold(false, |changed, trace| {
        change(trace, "session.update", |event| {
            let Some(Value::Array(modalities)) =
                event.get_mut("session").and_then(|session| session.get_mut("modalities"))
            else {
                return false;
            };
            let before = modalities.clone();
            modalities.sort_by_key(|modality| modality.as_str().map(str::to_owned));
            before != *modalities
        }) || changed
    })
}

fn settings_once_ready(pair: &mut Pair<'_>) -> bool {
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

fn known_at_start(pair: &mut Pair<'_>) -> bool {
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

fn settings_do_not_leak(pair: &mut Pair<'_>) -> bool {
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

fn unchanged_settings(pair: &mut Pair<'_>) -> bool {
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

fn nothing_before_ready(pair: &mut Pair<'_>) -> bool {
    const HELD_BYTES: usize = 2000 * 48;

    let moments = &pair.moments;
    let early = |record: &Record| {
        let moment = &moments[record.step];
        record.channel == "client"
            && record.kind() != "session.update"
            && moment.connection > 0
            && !moment.ready
    };
    let (early, rest): (Vec<Record>, Vec<Record>) = pair.seed.records.drain(..).partition(early);
    pair.seed.records = rest;
    let last = moments.iter().map(|moment| moment.connection).max().unwrap_or_default();
    for connection in 1..=last {
        let mine = early.iter().filter(|record| moments[record.step].connection == connection);
        let (mut audio, others): (Vec<&Record>, Vec<&Record>) =
            mine.partition(|record| record.kind() == "input_audio_buffer.append");
        let ready = moments.iter().position(|moment| moment.connection == connection && moment.ready);
        let Some(ready) = ready else { continue };
        // The oldest goes first when there is too much.
        let length = |record: &Record| usize::try_from(audio_len(record)).unwrap_or_default();
        let mut surplus = audio.iter().map(|record| length(record)).sum::<usize>().saturating_sub(HELD_BYTES);
        while surplus > 0 && !audio.is_empty() && length(audio[0]) <= surplus {
            surplus -= length(audio.remove(0));
        }
        let mut events: Vec<Value> =
            audio.into_iter().chain(others).map(|record| record.event().clone()).collect();
        let first = early.iter().find(|record| moments[record.step].connection == connection);
        if let Some(cut) = events.first_mut().filter(|_| surplus > 0)
            && let Some(bytes) = first.and_then(|record| input_bytes(&moments[record.step]))
            && let Some(rest) = bytes.get(surplus.next_multiple_of(2)..)
        {
            cut["audio"] = audio_digest(rest);
        }
        pair.seed.insert_client(ready, true, events);
    }
    !early.is_empty()
}

fn audio_len(record: &Record) -> u64 {
    record.event()["audio"]["$audio"]["len"].as_u64().unwrap_or_default()
}

fn input_bytes(moment: &Moment) -> Option<Vec<u8>> {
    audio_bytes(&moment.audio.as_ref()?["audio"])
}

fn is_append(record: &Record) -> bool {
    record.channel == "client" && record.kind() == "input_audio_buffer.append"
}

fn input_format(pair: &mut Pair<'_>) -> bool {
    /// What the filter of a conversion may hold back.
    const SLACK_BYTES: u64 = 10 * 48;

    let (mut due, mut came, mut changed) = (0, 0, false);
    for (step, moment) in pair.moments.iter().enumerate() {
        let Some(frame) = &moment.audio else { continue };
        let here = |record: &Record| is_append(record) && record.step == step;
        let (rate, channels) = (frame["sample_rate"].as_u64(), frame["num_channels"].as_u64().unwrap_or(1));
        if moment.input_bytes != 48 || frame["audio"]["bytes"] == 0 {
            changed |= pair.seed.drop_client(here);
        } else if rate.is_some_and(|rate| rate != 24_000) || channels != 1 {
            let bytes = |trace: &Trace| trace.records.iter().filter(|r| here(r)).map(audio_len).sum::<u64>();
            due += bytes(&pair.seed) * 24_000 / rate.unwrap_or(24_000) / channels;
            came += bytes(&pair.ours);
            if came <= due && due - came <= SLACK_BYTES {
                changed |= pair.seed.drop_client(here) | pair.ours.drop_client(here);
            }
        }
    }
    changed
}

fn heard(pair: &mut Pair<'_>) -> bool {
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

fn no_clear(pair: &mut Pair<'_>) -> bool {
    let moments = &pair.moments;
    pair.seed.drop_client(|record| {
        let moment = &moments[record.step];
        record.kind() == "input_audio_buffer.clear" && moment.interrupts && moment.manual
    })
}

fn cancel_what_runs(pair: &mut Pair<'_>) -> bool {
    let moments = &pair.moments;
    let manual = |record: &Record| {
        let moment = &moments[record.step];
        record.kind() == "response.cancel" && moment.interrupts && moment.manual
    };
    let mut changed =
        pair.seed.drop_client(|record| manual(record) && moments[record.step].running.is_none());
    for record in pair.seed.records.iter_mut().filter(|record| manual(record)) {
        let running = moments[record.step].running.clone();
        record.event_mut().map(|event| event.insert("response_id".into(), running.into()));
        changed = true;
    }
    changed
}

fn interrupt_cancels(pair: &mut Pair<'_>) -> bool {
    let mut changed = false;
    for step in 0..pair.moments.len() {
        let moment = &pair.moments[step];
        let Some(running) = moment.running.clone().filter(|_| moment.interrupts && !moment.manual) else {
            continue;
        };
        let cancel =
            json!({ "type": "response.cancel", "event_id": pair.fresh_id(), "response_id": running });
        pair.seed.insert_client(step, true, vec![cancel]);
        changed = true;
    }
    changed
}

fn pre_roll(pair: &mut Pair<'_>) -> bool {
    let (mut turns, mut connection, mut changed) = (Turns::default(), 0, false);
    for step in 0..pair.moments.len() {
        let moment = pair.moments[step].clone();
        if std::mem::replace(&mut connection, moment.connection) != moment.connection {
            turns = Turns::default();
        }
        if moment.interrupts && moment.manual {
            let kept = turns.begin();
            let append = |audio: Vec<u8>| json!({ "type": "input_audio_buffer.append", "audio": audio_digest(&audio) });
            pair.seed.insert_client(step, false, kept.into_iter().map(append).collect());
        }
        if pair.seed.sends(step, "input_audio_buffer.append")
            && let Some(bytes) = input_bytes(&moment)
            && turns.audio(&moment, bytes)
        {
            changed |= pair.seed.drop_client(|record| is_append(record) && record.step == step);
        }
        if moment.stops {
            turns.end();
        }
    }
    changed
}

fn too_short(pair: &mut Pair<'_>) -> bool {
    let (mut buffered, mut refused) = (0, Vec::new());
    for record in pair.seed.records.iter().filter(|record| record.channel == "client") {
        let moment = &pair.moments[record.step];
        match record.kind() {
            "input_audio_buffer.append" => buffered += audio_len(record),
            "input_audio_buffer.commit" if moment.stops && moment.manual && buffered < 100 * 48 => {
                refused.push(record.step);
            }
            "input_audio_buffer.commit" => buffered = 0,
            _ => {}
        }
    }
    let kinds = ["input_audio_buffer.commit", "response.create"];
    pair.seed.drop_client(|record| refused.contains(&record.step) && kinds.contains(&record.kind()))
}

/// The call that an event answers, and the answer.
fn call_output(record: &Record) -> Option<(&str, Value)> {
    let item = &record.event()["item"];
    let output = item["output"].as_str().filter(|_| item["type"] == "function_call_output")?;
    Some((item["call_id"].as_str()?, serde_json::from_str(output).unwrap_or_default()))
}

fn call_answered(pair: &mut Pair<'_>) -> bool {
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

fn one_response_at_a_time(pair: &mut Pair<'_>) -> bool {
    let (mut floor, mut connection, mut changed) = (Floor::default(), 0, false);
    for step in 0..pair.moments.len() {
        let moment = pair.moments[step].clone();
        if std::mem::replace(&mut connection, moment.connection) != moment.connection {
            floor = Floor::default();
        }
        floor.pass(&moment);
        // What the application sends past all bookkeeping does not wait.
        let own = pair.scenario.numbered().any(|(at, here)| at == step && matches!(here, Step::Call(_)));
        changed |= pair.seed.drop_client(|record| {
            let asks = record.step == step && record.kind() == "response.create" && !own;
            asks && record.event()["response"]["conversation"] != "none" && !floor.request(&moment)
        });
        if floor.release(&moment) && !moment.ends {
            let create = json!({ "type": "response.create", "event_id": pair.fresh_id() });
            pair.seed.insert_client(step, false, vec![create]);
            changed = true;
        }
    }
    changed
}

fn stays_alive(pair: &mut Pair<'_>) -> bool {
    let moments = &pair.moments;
    let unheard = |record: &Record| {
        let moment = &moments[record.step];
        let unheard =
            moment.deaf && !moment.server.is_empty() && record.kind() != "conversation.item.truncate";
        moment.gone || unheard
    };
    let pending = pending_calls(&pair.seed);
    let before = pair.ours.records.len();
    pair.seed.drop_client(unheard);
    pair.ours.drop_client(unheard);
    pair.ours.records.retain(|record| {
        let waits = record.members.get("call").is_some_and(|call| pending.contains(call));
        !(record.channel == "call" && waits && record.members.contains_key("result") && unheard(record))
    });
    before != pair.ours.records.len()
}

/// Calls that the other implementation never answers.
fn pending_calls(seed: &Trace) -> Vec<Value> {
    let last = seed.records.iter().rfind(|record| record.channel == "final");
    let calls = last.and_then(|record| record.members.get("pending_calls")?.as_array().cloned());
    calls.unwrap_or_default()
}

fn waiters_resolved(pair: &mut Pair<'_>) -> bool {
    let pending = pending_calls(&pair.seed);
    let ours = pair.ours.clone();
    let open = |step: usize| {
        let events = ours.records.iter().filter(|record| record.channel == "conn" && record.step <= step);
        events.last().is_some_and(|record| record.members["ev"] == "open")
    };
    let before = pair.ours.records.len();
    pair.ours.records.retain(|record| {
        let waits = record.members.get("call").is_some_and(|call| pending.contains(call));
        let error = record.members.get("error").and_then(Value::as_str).filter(|_| record.channel == "call");
        !error.is_some_and(|error| waits && (error == "timed out" || !open(record.step)))
    });
    before != pair.ours.records.len()
}
