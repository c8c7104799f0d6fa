//! The frames that the service pushes, worked out from the scenario alone, one family of frames at a time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::{Map, Value, json};

use super::Pair;
use super::calls::{ERROR, calls_of, function_of, is_object};
use super::lives::{closing_step, fatal};
use crate::scenario::{Step, audio_bytes, decoded, event_text};
use crate::trace::{Record, audio_digest};

/// The families, in the order in which frames of one step are compared.
const FAMILIES: [(&str, &[&str]); 9] = [
    ("run", &["StartFrame", "EndFrame", "CancelFrame"]),
    ("input", &["InputAudioRawFrame"]),
    ("brackets", &["LLMFullResponseStartFrame", "LLMFullResponseEndFrame"]),
    ("words", &["LLMTextFrame", "TTSTextFrame"]),
    ("sound", &["TTSStartedFrame", "TTSAudioRawFrame", "TTSStoppedFrame"]),
    (
        "speech",
        &[
            "UserStartedSpeakingFrame",
            "UserStoppedSpeakingFrame",
            "InterimTranscriptionFrame",
            "TranscriptionFrame",
        ],
    ),
    ("interruptions", &["StartInterruptionFrame"]),
    (
        "functions",
        &[
            "FunctionCallsStartedFrame",
            "FunctionCallInProgressFrame",
            "FunctionCallResultFrame",
            "FunctionCallCancelFrame",
        ],
    ),
    ("metrics", &["MetricsFrame"]),
];

fn frame(record: &Record) -> &str {
    record.members.get("frame").and_then(Value::as_str).unwrap_or_default()
}

fn is_frame(record: &Record) -> bool {
    record.channel == "down" || record.channel == "up"
}

pub(super) fn no_such_frames(pair: &mut Pair<'_>) -> bool {
    let known = |record: &Record| {
        let name = frame(record);
        let forwarded = record.members.get("fwd").is_some();
        let passes = ["StartFrame", "EndFrame", "CancelFrame", "InputAudioRawFrame"].contains(&name);
        name == "ErrorFrame"
            || !forwarded && FAMILIES.iter().any(|(_, names)| names.contains(&name))
            || passes
    };
    let before = pair.seed.records.len();
    pair.seed.records.retain(|record| !is_frame(record) || known(record));
    before != pair.seed.records.len()
}

pub(super) fn members(pair: &mut Pair<'_>) -> bool {
    let mut changed = false;
    for record in pair.seed.records.iter_mut().filter(|record| is_frame(record)) {
        let before = record.members.clone();
        for name in ["user_id", "language", "cancel_on_interruption", "run_llm", "fatal"] {
            record.members.remove(name);
        }
        if let Some(Value::String(time)) = record.members.remove("timestamp") {
            record.members.insert("at".into(), millis(&time).into());
        }
        for metric in record.members.get_mut("metrics").and_then(Value::as_array_mut).into_iter().flatten() {
            metric.as_object_mut().map(|metric| metric.remove("model"));
        }
        changed |= before != record.members;
    }
    changed
}

/// Milliseconds since the scenario began, of an ISO time of its day.
fn millis(time: &str) -> u64 {
    let clock = time.split_once('T').map_or("", |(_, clock)| clock);
    let part = |range| clock.get(range).and_then(|text: &str| text.parse::<u64>().ok()).unwrap_or_default();
    let (hours, minutes, seconds, millis) = (part(0..2), part(3..5), part(6..8), part(9..12));
    (((hours * 60 + minutes) * 60 + seconds) * 1000 + millis)
        .saturating_sub(((22 * 60 + 13) * 60 + 20) * 1000)
}

pub(super) fn order(pair: &mut Pair<'_>) -> bool {
    let family = |record: &Record| {
        FAMILIES.iter().position(|(_, names)| names.contains(&frame(record))).unwrap_or(FAMILIES.len())
    };
    let mut changed = false;
    for trace in [&mut pair.seed, &mut pair.ours] {
        for channel in ["down", "up"] {
            let place = |record: &Record| (record.step, family(record));
            let mut records: Vec<Record> = Vec::new();
            trace.records.retain(|record| {
                let here = record.channel == channel;
                if here {
                    records.push(record.clone());
                }
                !here
            });
            changed |= !records.is_sorted_by_key(place);
            records.sort_by_key(place);
            trace.records.extend(records);
        }
    }
    changed
}

/// A rule for each family.
macro_rules! family {
    ($($name:ident)*) => {$(
        pub(super) fn $name(pair: &mut Pair<'_>) -> bool {
            put(pair, stringify!($name))
        }
    )*};
}

family!(run input brackets words sound speech interruptions functions metrics);

/// Puts what is right in the place of a family's frames, in the steps in which they differ.
fn put(pair: &mut Pair<'_>, family: &str) -> bool {
    let Some((_, names)) = FAMILIES.iter().find(|(name, _)| *name == family) else { return false };
    let model = take_model(pair);
    let mut changed = false;
    for channel in ["down", "up"] {
        let mine = |record: &Record| record.channel == channel && names.contains(&frame(record));
        for step in 0..pair.moments.len() {
            let right: Vec<&Record> = model.iter().filter(|it| it.step == step && mine(it)).collect();
            let told: Vec<&Record> =
                pair.seed.records.iter().filter(|it| it.step == step && mine(it)).collect();
            if right == told {
                continue;
            }
            let right: Vec<Record> = right.into_iter().cloned().collect();
            pair.seed.records.retain(|it| it.step != step || !mine(it));
            let at = pair.seed.records.partition_point(|it| it.step <= step);
            pair.seed.records.splice(at..at, right);
            changed = true;
        }
    }
    pair.frames = Some(model);
    changed
}

/// The frames as they should be, which are worked out once.
fn take_model(pair: &mut Pair<'_>) -> Vec<Record> {
    pair.frames.take().unwrap_or_else(|| model(pair))
}

struct Model {
    records: Vec<Record>,
    step: usize,
}

impl Model {
    fn push(&mut self, channel: &str, members: Value) {
        let members: Map<String, Value> = members.as_object().cloned().unwrap_or_default();
        self.records.push(Record { step: self.step, channel: channel.to_owned(), members });
    }

    fn down(&mut self, members: Value) {
        self.push("down", members);
    }

    fn both(&mut self, members: Value) {
        self.push("down", members.clone());
        self.push("up", members);
    }
}

/// A response that runs.
struct Running {
    id: String,
    since: u64,
    has_first: bool,
    beside: bool,
}

/// What goes on at the service.
#[derive(Default)]
struct Service {
    running: Vec<Running>,
    known: BTreeSet<String>,
    interrupted: BTreeSet<String>,
    /// The parts of which audio came, with their responses.
    parts: Vec<(String, u64, String)>,
    stopped: BTreeSet<(String, u64)>,
    speaking: bool,
    /// What was told of each part's words.
    words: BTreeMap<(String, u64), String>,
    asked: Option<u64>,
    calls: BTreeMap<String, Value>,
    ended: BTreeSet<String>,
}

impl Service {
    fn first_byte(&mut self, id: &str, now: u64, out: &mut Model) {
        let Some(running) = self.running.iter_mut().rev().find(|running| running.id == id) else { return };
        if !std::mem::replace(&mut running.has_first, true) {
            let after = now.saturating_sub(running.since) as f64 / 1000.0;
            let metric = json!({ "kind": "TTFBMetricsData", "value": after });
            out.down(json!({ "frame": "MetricsFrame", "metrics": [metric] }));
        }
    }

    /// The words of a part are known: what was not told of them is told.
    fn whole(
        &mut self,
        part: (String, u64),
        text: &str,
        spoken: bool,
        response: &str,
        now: u64,
        out: &mut Model,
    ) {
        let told = self.words.get(&part).cloned().unwrap_or_default();
        let Some(rest) = text.strip_prefix(told.as_str()).filter(|rest| !rest.is_empty()) else { return };
        self.words.insert(part, text.to_owned());
        self.first_byte(response, now, out);
        out.down(json!({ "frame": "LLMTextFrame", "text": rest }));
        if spoken {
            out.down(json!({ "frame": "TTSTextFrame", "text": rest }));
        }
    }

    fn begin(&mut self, id: &str, now: u64, beside: bool, out: &mut Model) {
        if self.known.insert(id.to_owned()) {
            let since = self.asked.take().unwrap_or(now);
            self.running.push(Running { id: id.to_owned(), since, has_first: false, beside });
            if !beside {
                out.down(json!({ "frame": "LLMFullResponseStartFrame" }));
            }
        }
    }

    fn end(&mut self, id: &str, now: u64, usage: &Value, out: &mut Model) {
        let Some(at) = self.running.iter().position(|running| running.id == id) else { return };
        let running = self.running.remove(at);
        let frame = |metric| json!({ "frame": "MetricsFrame", "metrics": [metric] });
        if usage.is_object() {
            let tokens = json!({
                "prompt_tokens": usage["input_tokens"],
                "completion_tokens": usage["output_tokens"],
                "total_tokens": usage["total_tokens"],
            });
            out.down(frame(json!({ "kind": "LLMUsageMetricsData", "value": tokens })));
        }
        let took = now.saturating_sub(running.since) as f64 / 1000.0;
        out.down(frame(json!({ "kind": "ProcessingMetricsData", "value": took })));
        out.down(json!({ "frame": "LLMFullResponseEndFrame" }));
    }

    fn end_all(&mut self, now: u64, out: &mut Model) {
        for id in self.running.iter().map(|running| running.id.clone()).collect::<Vec<_>>() {
            self.end(&id, now, &Value::Null, out);
        }
    }
}

/// All frames of a scenario, as they should be.
fn model(pair: &Pair<'_>) -> Vec<Record> {
    let last = pair.moments.len() - 1;
    let mut out = Model { records: Vec::new(), step: 0 };
    let mut service = Service::default();
    let (mut runs, mut draining) = (false, None::<usize>);
    let mut sent: Vec<Value> = Vec::new();
    for step in 0..pair.moments.len() {
        out.step = step;
        let moment = &pair.moments[step];
        let now = moment.at;
        let opened = pair.ours.of(step, "conn").any(|record| record.members["ev"] == "open");
        let before = step.checked_sub(1).map_or(0, |before| pair.moments[before].connection);
        let other = step > 0 && pair.is_another(step);
        if other && runs {
            service.end_all(now, &mut Model { records: Vec::new(), step });
            out.down(json!({ "frame": "CancelFrame", "fwd": true }));
            runs = false;
        }
        if opened && (step == 0 || other || before == 0 && !runs) {
            service = Service::default();
            runs = true;
            out.down(json!({ "frame": "StartFrame", "fwd": true }));
        }
        if pair.is_reset_done(step) {
            service.end_all(now, &mut out);
        }
        for (_, here) in pair.scenario.numbered().filter(|(at, _)| *at == step && runs) {
            match here {
                Step::ContextFrame(_) => service.asked = Some(now),
                Step::Frame(frame) => {
                    let said = frame["run_llm"] == true;
                    match frame["type"].as_str().unwrap_or_default() {
                        "InputAudioRawFrame" if frame["dir"] != "up" => {
                            let Some(bytes) = audio_bytes(&frame["audio"]) else { continue };
                            let channels = frame["num_channels"].as_u64().unwrap_or(1);
                            let whole = if channels > 1 { bytes.len() / 2 * 2 } else { bytes.len() };
                            out.down(json!({
                                "frame": "InputAudioRawFrame",
                                "audio": audio_digest(&bytes[..whole])["$audio"],
                                "sample_rate": frame["sample_rate"].as_u64().unwrap_or(24_000),
                                "num_channels": channels,
                                "fwd": true,
                            }));
                        }
                        "StartInterruptionFrame" if moment.manual => {
                            out.down(json!({ "frame": "UserStartedSpeakingFrame" }));
                        }
                        "UserStoppedSpeakingFrame" => {
                            if moment.manual && !moment.too_short {
                                service.asked = Some(now);
                            }
                            out.down(json!({ "frame": "UserStoppedSpeakingFrame" }));
                        }
                        _ if said => service.asked = Some(now),
                        _ => {}
                    }
                }
                _ => {}
            }
        }
        let speech = moment.server.iter().any(|event| event["type"] == "input_audio_buffer.speech_started");
        if runs && (moment.interrupts || speech && moment.heard.is_some()) {
            let functions = pair.runs_functions(step);
            if moment.cuts || functions {
                out.down(json!({ "frame": "StartInterruptionFrame" }));
            }
            let running = service.running.iter().filter(|running| !running.beside);
            service.interrupted.extend(running.map(|running| running.id.clone()));
            service.parts.clear();
        }
        let heard = runs && pair.ours_is_open(step);
        for event in moment.server.iter().filter(|_| heard) {
            let Some(event) = event_text(event, &sent) else { continue };
            let event: Value = serde_json::from_str(&event).unwrap_or_default();
            hear(pair, &event, now, &mut service, &mut out);
            if fatal(&event) {
                service.end_all(now, &mut out);
                // A session that has expired has a successor; an account that is of no use has none.
                if event["error"]["code"] != "session_expired" {
                    out.down(json!({ "frame": "EndFrame", "fwd": true }));
                    runs = false;
                }
            }
        }
        if pair.is_lost(step) && runs {
            service.end_all(now, &mut out);
        }
        for call in calls_of(pair, step).into_iter().filter(|_| runs) {
            let id = call["call_id"].as_str().unwrap_or_default().to_owned();
            service.calls.insert(id, call);
        }
        if runs {
            run_functions(pair, step, &mut service, &mut out);
        }
        if runs && draining.is_none() {
            let ends = |kind: &str| {
                pair.scenario.numbered().any(|(at, here)| {
                    at == step && matches!(here, Step::Frame(frame) if frame["type"] == kind)
                })
            };
            if ends("CancelFrame") {
                out.down(json!({ "frame": "CancelFrame", "fwd": true }));
                runs = false;
            } else if ends("EndFrame") {
                let closing = closing_step(pair, step);
                if closing == step {
                    out.down(json!({ "frame": "EndFrame", "fwd": true }));
                    runs = false;
                } else {
                    draining = Some(closing);
                }
            }
        }
        if step == last && runs {
            out.down(json!({ "frame": "CancelFrame", "fwd": true }));
        }
        sent.extend(pair.ours.of(step, "client").map(|record| record.event().clone()));
    }
    out.records
}

fn hear(pair: &Pair<'_>, event: &Value, now: u64, service: &mut Service, out: &mut Model) {
    let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
    let response = text("response_id");
    let kind = event["type"].as_str().unwrap_or_default();
    if !response.is_empty() && kind.starts_with("response.") {
        service.begin(&response, now, false, out);
    }
    let silent = service.interrupted.contains(&response);
    match kind {
        "response.created" => {
            let beside = event["response"].get("conversation_id").is_some_and(Value::is_null);
            service.begin(event["response"]["id"].as_str().unwrap_or_default(), now, beside, out);
        }
        "response.done" => {
            let response = &event["response"];
            let id = response["id"].as_str().unwrap_or_default();
            let heard = !service.interrupted.contains(id) && service.running.iter().any(|it| it.id == id);
            for item in response["output"].as_array().into_iter().flatten().filter(|_| heard) {
                let parts = item["content"].as_array().into_iter().flatten();
                for (index, content) in (0..).zip(parts) {
                    let part = (item["id"].as_str().unwrap_or_default().to_owned(), index);
                    let spoken = content["transcript"].as_str();
                    if let Some(words) = spoken.or_else(|| content["text"].as_str()) {
                        service.whole(part, words, spoken.is_some(), id, now, out);
                    }
                }
            }
            service.end(response["id"].as_str().unwrap_or_default(), now, &response["usage"], out);
            if response["status"] == "failed" {
                out.push("up", json!({ "frame": "ErrorFrame" }));
            }
        }
        "response.audio_transcript.delta" | "response.text.delta" if !silent => {
            let delta = text("delta");
            if delta.is_empty() {
                return;
            }
            let part = (text("item_id"), event["content_index"].as_u64().unwrap_or(0));
            service.words.entry(part).or_default().push_str(&delta);
            service.first_byte(&response, now, out);
            out.down(json!({ "frame": "LLMTextFrame", "text": delta }));
            if kind.starts_with("response.audio") {
                out.down(json!({ "frame": "TTSTextFrame", "text": delta }));
            }
        }
        "response.audio_transcript.done" | "response.text.done" if !silent => {
            let part = (text("item_id"), event["content_index"].as_u64().unwrap_or(0));
            let spoken = kind.starts_with("response.audio");
            let words = if spoken { text("transcript") } else { text("text") };
            service.whole(part, &words, spoken, &response, now, out);
        }
        "response.audio.delta" if !silent => {
            let Some(bytes) = decoded(&text("delta")) else { return };
            let bytes = &bytes[..bytes.len() / 2 * 2];
            if bytes.is_empty() {
                return;
            }
            service.first_byte(&response, now, out);
            let part = (text("item_id"), event["content_index"].as_u64().unwrap_or(0), response);
            if !service.parts.contains(&part) {
                service.parts.push(part);
                out.down(json!({ "frame": "TTSStartedFrame" }));
            }
            let rate = if pair.output_is_narrow() { 8000 } else { 24_000 };
            out.down(json!({
                "frame": "TTSAudioRawFrame",
                "audio": audio_digest(bytes)["$audio"],
                "sample_rate": rate,
                "num_channels": 1,
            }));
        }
        "response.audio.done" if !silent => {
            let part = (text("item_id"), event["content_index"].as_u64().unwrap_or(0));
            if service.stopped.insert(part) {
                out.down(json!({ "frame": "TTSStoppedFrame" }));
            }
        }
        "input_audio_buffer.speech_started" => {
            service.speaking = true;
            out.down(json!({ "frame": "UserStartedSpeakingFrame" }));
        }
        "input_audio_buffer.speech_stopped" => {
            service.speaking = false;
            service.asked = Some(now);
            out.down(json!({ "frame": "UserStoppedSpeakingFrame" }));
        }
        "input_audio_buffer.committed" if std::mem::take(&mut service.speaking) => {
            service.asked = Some(now);
            out.down(json!({ "frame": "UserStoppedSpeakingFrame" }));
        }
        "conversation.item.input_audio_transcription.delta" if pair.tells_transcripts() => {
            out.down(json!({ "frame": "InterimTranscriptionFrame", "text": text("delta"), "at": now }));
        }
        "conversation.item.input_audio_transcription.completed" if pair.tells_transcripts() => {
            out.down(json!({ "frame": "TranscriptionFrame", "text": text("transcript"), "at": now }));
        }
        "error" => {
            let code = event["error"]["code"].as_str().unwrap_or_default();
            let benign = ["response_cancel_not_active", "conversation_already_has_active_response"];
            let told = event["error"]["event_id"].is_string() || benign.contains(&code);
            if !told {
                out.push("up", json!({ "frame": "ErrorFrame" }));
            }
        }
        _ => {}
    }
}

fn run_functions(pair: &Pair<'_>, step: usize, service: &mut Service, out: &mut Model) {
    for event in super::calls::ends(pair, step) {
        if event["response"]["status"] != "completed" {
            continue;
        }
        let calls: Vec<Value> = event["response"]["output"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|item| item["type"] == "function_call" && is_object(&item["arguments"]))
            .map(named)
            .collect();
        if !calls.is_empty() {
            out.both(json!({ "frame": "FunctionCallsStartedFrame", "function_calls": calls }));
        }
    }
    // What begins, by name or because it is declared; what ends, by the output that is sent.
    let mut began: VecDeque<String> = VecDeque::new();
    for record in pair.seed.of(step, "function").filter(|record| record.members["phase"] == "called") {
        began.extend(record.members["call_id"].as_str().map(str::to_owned));
    }
    for call in calls_of(pair, step) {
        let name = call["name"].as_str().unwrap_or_default();
        let stands = function_of(pair, name).is_none() && pair.declares(step, name);
        if stands && is_object(&call["arguments"]) {
            began.extend(call["call_id"].as_str().map(str::to_owned));
        }
    }
    for id in began {
        let Some(call) = service.calls.get(&id) else { continue };
        let mut record = named(call);
        record["frame"] = "FunctionCallInProgressFrame".into();
        out.both(record);
    }
    let outputs: Vec<(String, Value)> = pair
        .seed
        .of(step, "client")
        .filter_map(|record| {
            let item = &record.event()["item"];
            let output = item["output"].as_str()?;
            Some((
                item["call_id"].as_str()?.to_owned(),
                serde_json::from_str(output).unwrap_or_else(|_| json!(output)),
            ))
        })
        .collect();
    for (id, output) in outputs {
        let Some(call) = service.calls.get(&id).filter(|_| service.ended.insert(id.clone())) else {
            continue;
        };
        service.asked = Some(pair.moments[step].at);
        if output == json!({ "status": "cancelled" }) {
            let record = json!({ "frame": "FunctionCallCancelFrame", "name": call["name"], "call_id": id });
            out.both(record);
            continue;
        }
        let mut record = named(call);
        record["frame"] = "FunctionCallResultFrame".into();
        record["result"] = output;
        out.both(record);
    }
}

fn named(call: &Value) -> Value {
    let text = call["arguments"].as_str().unwrap_or_default();
    let arguments: Value = serde_json::from_str(text).unwrap_or_else(|_| match text.trim().is_empty() {
        true => json!({}),
        false => json!(text),
    });
    json!({ "name": call["name"], "call_id": call["call_id"], "arguments": arguments })
}

pub(super) fn faults(pair: &mut Pair<'_>) -> bool {
    let model = take_model(pair);
    let is_fault = |record: &Record| frame(record) == "ErrorFrame";
    let mut changed = false;
    for step in 0..pair.moments.len() {
        let right: Vec<Record> = model.iter().filter(|it| it.step == step && is_fault(it)).cloned().collect();
        let told = pair.seed.of(step, "up").filter(|record| is_fault(record)).count();
        if right.len() != told {
            pair.seed.records.retain(|it| it.step != step || !is_fault(it));
            pair.seed.records.extend(right);
            changed = true;
        }
    }
    // The words are each side's own.
    for record in pair.ours.records.iter_mut().chain(&mut pair.seed.records).filter(|it| is_fault(it)) {
        record.members.insert("error".into(), "…".into());
    }
    // So are those about arguments that can't be read.
    let all = pair.ours.records.iter_mut().chain(&mut pair.seed.records);
    for record in all.filter(|it| frame(it) == "FunctionCallResultFrame") {
        let unread = record.members.get("arguments").is_some_and(Value::is_string);
        if unread && record.members["result"]["error"].is_string() {
            record.members.insert("result".into(), serde_json::from_str(ERROR).unwrap_or_default());
        }
    }
    changed
}
