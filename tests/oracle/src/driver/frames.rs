//! Which frames of the other implementation stand for which of ours: the one table.
//!
//! | our frame, as the service pushes it | theirs |
//! |---|---|
//! | `Start`, `End`, `Cancel` | `StartFrame`, `EndFrame`, `CancelFrame` |
//! | `InputAudio` | `InputAudioRawFrame` |
//! | `Event(ResponseStarted)`, `Event(ResponseFinished)`, in the conversation | `LLMFullResponseStartFrame`, `LLMFullResponseEndFrame` |
//! | `Event(Text)` | `LLMTextFrame`, and `TTSTextFrame` if it is spoken |
//! | `OutputAudio` | `TTSAudioRawFrame`; before the first of a part `TTSStartedFrame` |
//! | `OutputFinished` | `TTSStoppedFrame` |
//! | `Interruption` | `StartInterruptionFrame` |
//! | `User(Started)`, `User(Stopped)` | `UserStartedSpeakingFrame`, `UserStoppedSpeakingFrame` |
//! | `Event(UserTranscriptDelta)`, `Event(UserTranscript)` | `InterimTranscriptionFrame`, `TranscriptionFrame` |
//! | `Event(FunctionCalls)` | `FunctionCallsStartedFrame`, both ways |
//! | `Event(Notice(FunctionStarted))` | `FunctionCallInProgressFrame`, both ways |
//! | `Event(FunctionEnded)` | `FunctionCallResultFrame`, both ways; `FunctionCallCancelFrame` if it was cancelled |
//! | `Metric(FirstByte)`, `Metric(Response)` | `MetricsFrame` |
//! | `Fault`, upstream | `ErrorFrame` |
//!
//! Our other frames have none there: events of items, settings and connections. Of those that flow both ways,
//! the ones that theirs do not push upstream are compared downstream only.

use std::sync::{Arc, Mutex};

use realtime_pipeline::chain::{Audio, Direction, FrameKind, Hop, Metric, Observer, OutputAudio, UserSpeech};
use realtime_protocol::call::{Event, FunctionCall, FunctionEnd, Notice};
use realtime_protocol::time::Timestamp;
use serde_json::{Value, json};

use super::run::lock;
use crate::trace::audio_digest;

/// Notes what the service's stage pushes.
pub(super) struct Watch(pub(super) Arc<Mutex<Vec<(&'static str, Value)>>>);

impl Observer for Watch {
    fn on_frame(&mut self, hop: &Hop<'_>) {
        if &**hop.from != "realtime" {
            return;
        }
        let down = hop.direction == Direction::Downstream;
        let mut all = lock(&self.0);
        if let FrameKind::Event(event) = hop.frame.kind()
            && let Event::FunctionCalls { calls, .. } = &**event
            && down
        {
            let ids: Vec<&str> = calls.iter().map(|call| call.call_id.as_str()).collect();
            all.push(("handler", json!({ "name": "on_function_calls_started", "call_ids": ids })));
        }
        let theirs = if down { downstream(hop.frame.kind(), hop.at) } else { upstream(hop.frame.kind()) };
        let channel = if down { "down" } else { "up" };
        all.extend(theirs.into_iter().map(|record| (channel, record)));
    }
}

/// Their frames for one that flows downstream.
fn downstream(kind: &FrameKind, at: Timestamp) -> Vec<Value> {
    match kind {
        FrameKind::Start => vec![json!({ "frame": "StartFrame", "fwd": true })],
        FrameKind::End { .. } => vec![json!({ "frame": "EndFrame", "fwd": true })],
        FrameKind::Cancel { .. } => vec![json!({ "frame": "CancelFrame", "fwd": true })],
        FrameKind::InputAudio(audio) => {
            let mut record = raw("InputAudioRawFrame", audio);
            record["fwd"] = true.into();
            vec![record]
        }
        FrameKind::OutputAudio(OutputAudio { start, audio, .. }) => {
            let record = raw("TTSAudioRawFrame", audio);
            let begins = (*start == 0).then(|| json!({ "frame": "TTSStartedFrame" }));
            begins.into_iter().chain([record]).collect()
        }
        FrameKind::OutputFinished { .. } => vec![json!({ "frame": "TTSStoppedFrame" })],
        FrameKind::Interruption { .. } => vec![json!({ "frame": "StartInterruptionFrame" })],
        FrameKind::User(UserSpeech::Started { .. }) => vec![json!({ "frame": "UserStartedSpeakingFrame" })],
        FrameKind::User(UserSpeech::Stopped { .. }) => vec![json!({ "frame": "UserStoppedSpeakingFrame" })],
        FrameKind::Metric(Metric::FirstByte { after, .. }) => {
            let metric = json!({ "kind": "TTFBMetricsData", "value": after.as_secs_f64() });
            vec![json!({ "frame": "MetricsFrame", "metrics": [metric] })]
        }
        FrameKind::Metric(Metric::Response { took, usage, .. }) => {
            let usage = usage.as_deref().map(|usage| {
                let tokens = json!({
                    "prompt_tokens": usage.input_tokens.value(),
                    "completion_tokens": usage.output_tokens.value(),
                    "total_tokens": usage.total_tokens.value(),
                });
                json!({ "kind": "LLMUsageMetricsData", "value": tokens })
            });
            let took = json!({ "kind": "ProcessingMetricsData", "value": took.as_secs_f64() });
            let frame = |metric| json!({ "frame": "MetricsFrame", "metrics": [metric] });
            usage.into_iter().chain([took]).map(frame).collect()
        }
        FrameKind::Event(event) => match &**event {
            Event::ResponseStarted { out_of_band: false, .. } => {
                vec![json!({ "frame": "LLMFullResponseStartFrame" })]
            }
            Event::ResponseFinished(_) => vec![json!({ "frame": "LLMFullResponseEndFrame" })],
            Event::Text { delta, spoken, .. } => {
                let spoken = spoken.then(|| json!({ "frame": "TTSTextFrame", "text": delta }));
                [json!({ "frame": "LLMTextFrame", "text": delta })].into_iter().chain(spoken).collect()
            }
            Event::UserTranscriptDelta { delta, .. } => {
                vec![
                    json!({ "frame": "InterimTranscriptionFrame", "text": delta, "at": at.as_micros() / 1000 }),
                ]
            }
            Event::UserTranscript { transcript, .. } => {
                vec![
                    json!({ "frame": "TranscriptionFrame", "text": transcript, "at": at.as_micros() / 1000 }),
                ]
            }
            event => functions(event),
        },
        _ => Vec::new(),
    }
}

/// Their frames for one that flows upstream.
fn upstream(kind: &FrameKind) -> Vec<Value> {
    match kind {
        FrameKind::Fault(fault) => vec![json!({ "frame": "ErrorFrame", "error": *fault.message })],
        FrameKind::Event(event) => functions(event),
        _ => Vec::new(),
    }
}

fn functions(event: &Event) -> Vec<Value> {
    match event {
        Event::FunctionCalls { calls, .. } => {
            let calls: Vec<Value> = calls.iter().map(|call| named(call, true)).collect();
            vec![json!({ "frame": "FunctionCallsStartedFrame", "function_calls": calls })]
        }
        Event::Notice(Notice::FunctionStarted { call }) => {
            vec![framed("FunctionCallInProgressFrame", named(call, true))]
        }
        Event::FunctionEnded { call, end: FunctionEnd::Cancelled } => {
            vec![framed("FunctionCallCancelFrame", named(call, false))]
        }
        Event::FunctionEnded { call, end } => {
            let result = match end {
                FunctionEnd::Result(value) => value.clone(),
                FunctionEnd::Error(message)
                | FunctionEnd::Refused(message)
                | FunctionEnd::BadArguments(message) => json!({ "error": message }),
                end => json!({ "error": format!("{end:?}") }),
            };
            let mut record = framed("FunctionCallResultFrame", named(call, true));
            record["result"] = result;
            vec![record]
        }
        _ => Vec::new(),
    }
}

fn named(call: &FunctionCall, with_arguments: bool) -> Value {
    let mut named = json!({ "name": call.name, "call_id": call.call_id });
    if with_arguments {
        named["arguments"] = serde_json::from_str(&call.arguments).unwrap_or_else(|_| json!(call.arguments));
    }
    named
}

fn framed(frame: &str, mut record: Value) -> Value {
    record["frame"] = frame.into();
    record
}

fn raw(frame: &str, audio: &Audio) -> Value {
    let (bytes, channels) = match audio {
        Audio::Coded(coded) => (coded.bytes.to_vec(), 1),
        Audio::Pcm(samples) => {
            (samples.as_slice().iter().flat_map(|sample| sample.to_le_bytes()).collect(), samples.channels())
        }
    };
    let mut record = audio_digest(&bytes);
    record = json!({ "frame": frame, "audio": record["$audio"], "sample_rate": audio.rate() });
    record["num_channels"] = channels.into();
    record
}
