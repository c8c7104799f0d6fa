//! The session on its own: bookkeeping that no golden session shows well. This file holds the bench that the
//! tests share.

mod calls;
mod config;
mod crossing;
mod floods;
mod heard;
mod input;
mod interruption;
mod left_out;
mod life;
mod policy;
mod refusal_rounds;
mod refusals;
mod responses;
mod reused_ids;
mod rounds;
mod server_playback;
mod shortfall;
mod ways_out;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use bytes::Bytes;
use serde_json::{Value, json};

use super::*;
use crate::audio::{Audio, AudioFormat};
use crate::call::{Interruption, Media, PlaybackPosition, PlaybackReport, RefusedMember, StopId, Updated};
use crate::item::Item;
use crate::time::MediaTime;

/// A session in use. What comes out of a step is given back in words, and kept as it is in `last`.
struct Bench {
    session: Session,
    now: u64,
    next: u64,
    stop: StopId,
    last: Vec<Output>,
}

impl Bench {
    /// Connected.
    fn new() -> Self {
        Self::with(SessionOptions::default())
    }

    fn with(options: SessionOptions) -> Self {
        let mut session = Session::new(options);
        session.handle_connected(Timestamp::ZERO, UnixTime::from_secs(1));
        Self { session, now: 0, next: 0, stop: StopId(0), last: Vec::new() }
    }

    fn ready() -> Self {
        Self::ready_with(SessionOptions::default())
    }

    fn ready_with(options: SessionOptions) -> Self {
        let mut bench = Self::with(options);
        bench.server(json!({"type": "session.created", "session": {"id": "sess_1"}}));
        bench.server(json!({"type": "session.updated", "session": {}}));
        bench
    }

    fn at(&self) -> Timestamp {
        Timestamp::from_millis(self.now)
    }

    fn server(&mut self, event: Value) -> Vec<String> {
        self.now += 1;
        self.session.handle_text(self.at(), &event.to_string());
        self.drain()
    }

    fn app(&mut self, asked: impl Into<Asked>) -> Vec<String> {
        match asked.into() {
            Asked::Command(command) => self.try_app(command).unwrap(),
            Asked::Media(media) => {
                self.now += 1;
                self.session.handle_media(self.at(), media).unwrap();
                self.drain()
            }
        }
    }

    fn try_app(&mut self, command: Command) -> Result<Vec<String>, CommandError> {
        self.now += 1;
        self.next += 1;
        self.session.handle_command(self.at(), CommandId(self.next), command)?;
        Ok(self.drain())
    }

    /// Answers the newest `StopPlayback`.
    fn stopped(&mut self, at: Option<PlaybackPosition>) -> Vec<String> {
        self.stopped_for(self.stop, at)
    }

    fn stopped_for(&mut self, id: StopId, at: Option<PlaybackPosition>) -> Vec<String> {
        self.app(Media::Report(PlaybackReport::Stopped { id, at }))
    }

    /// Lets time pass, with a timeout at every deadline.
    fn later(&mut self, ms: u64) -> Vec<String> {
        let end = self.now + ms;
        let mut outputs = Vec::new();
        while let Some(due) = self.session.poll_timeout().filter(|due| *due <= Timestamp::from_millis(end)) {
            self.session.handle_timeout(due);
            outputs.extend(core::iter::from_fn(|| self.session.poll_output()));
        }
        self.now = end;
        self.session.handle_timeout(self.at());
        outputs.extend(core::iter::from_fn(|| self.session.poll_output()));
        self.keep(outputs)
    }

    fn lose(&mut self) -> Vec<String> {
        self.session.handle_disconnected(self.at(), DisconnectReason::Lost { reason: "gone".into() });
        self.drain()
    }

    fn drain(&mut self) -> Vec<String> {
        let outputs = core::iter::from_fn(|| self.session.poll_output()).collect();
        self.keep(outputs)
    }

    fn keep(&mut self, outputs: Vec<Output>) -> Vec<String> {
        self.last = outputs;
        let stop = self.told().find_map(|event| match event {
            Event::StopPlayback { id } => Some(*id),
            _ => None,
        });
        self.stop = stop.unwrap_or(self.stop);
        // An own item is told in the step in which it is sent.
        let sent = |output: &&Output| !matches!(output, Output::Event(Event::ItemSent { .. }));
        self.last.iter().filter(sent).map(words).collect()
    }

    /// The client events of the last step, as JSON.
    fn sent(&self) -> Vec<Value> {
        self.last
            .iter()
            .filter_map(|output| match output {
                Output::Send(event) => Some(serde_json::to_value(event).unwrap()),
                Output::Event(_) | Output::Close => None,
            })
            .collect()
    }

    /// The call events of the last step.
    fn told(&self) -> impl Iterator<Item = &Event> {
        self.last.iter().filter_map(|output| match output {
            Output::Event(event) => Some(event),
            Output::Send(_) | Output::Close => None,
        })
    }

    /// The truncations of the last step: items and milliseconds.
    fn cuts(&self) -> Vec<(String, u64)> {
        self.sent()
            .iter()
            .filter(|event| event["type"] == "conversation.item.truncate")
            .map(|cut| (cut["item_id"].as_str().unwrap().into(), cut["audio_end_ms"].as_u64().unwrap()))
            .collect()
    }

    /// The interruption that the last step told of.
    fn interruption(&self) -> Interruption {
        self.told()
            .find_map(|event| match event {
                Event::Interrupted(interruption) => Some(interruption.clone()),
                _ => None,
            })
            .unwrap()
    }
}

impl Bench {
    /// What became of the update that the last step settled.
    fn updated(&self) -> Updated {
        self.told()
            .find_map(|event| match event {
                Event::Settled { outcome: Outcome::Updated(updated), .. } => Some(updated.clone()),
                _ => None,
            })
            .unwrap()
    }

    /// The configuration that the last step told, and the paths of what was refused of it.
    fn configured(&self) -> (SessionConfig, Vec<String>) {
        self.told()
            .find_map(|event| match event {
                Event::Ready { config, refused } | Event::ConfigUpdated { config, refused } => {
                    Some(((**config).clone(), paths(refused)))
                }
                _ => None,
            })
            .unwrap()
    }
}

fn paths(refused: &[RefusedMember]) -> Vec<String> {
    refused.iter().map(|member| member.path.clone()).collect()
}

/// What an application gives.
enum Asked {
    Command(Command),
    Media(Media),
}

impl From<Command> for Asked {
    fn from(command: Command) -> Self {
        Self::Command(command)
    }
}

impl From<Media> for Asked {
    fn from(media: Media) -> Self {
        Self::Media(media)
    }
}

/// The one function that looks into outputs.
fn words(output: &Output) -> String {
    match output {
        Output::Send(event) => format!("> {}", event.kind()),
        Output::Close => "> close".into(),
        Output::Event(Event::Settled { id, outcome }) => {
            format!("{} {}", id.0, name(&serde_json::to_value(outcome).unwrap()))
        }
        Output::Event(event) => name(&serde_json::to_value(event).unwrap()),
    }
}

/// The name of a variant.
fn name(json: &Value) -> String {
    match json {
        Value::Object(members) => members.keys().next().unwrap().clone(),
        name => name.as_str().unwrap().into(),
    }
}

/// Options for a session without turn detection.
fn manual() -> SessionOptions {
    let mut options = SessionOptions::default();
    options.config.input_mut().turn_detection = Field::Null;
    options
}

/// Options for a session with this configuration.
fn configured(json: &str) -> SessionOptions {
    SessionOptions { config: config(json), ..SessionOptions::default() }
}

fn config(json: &str) -> SessionConfig {
    serde_json::from_str(json).unwrap()
}

fn create() -> Command {
    Command::CreateResponse { params: None, protected: false }
}

fn create_with(params: Value) -> Command {
    Command::CreateResponse { params: Some(serde_json::from_value(params).unwrap()), protected: false }
}

fn append(ms: u64) -> Media {
    Media::Append(audio(ms))
}

fn audio(ms: u64) -> Bytes {
    alloc::vec![1; AudioFormat::PCM16_24K.bytes(MediaTime::from_millis(ms)) as usize].into()
}

fn position(item: &str, ms: u64) -> PlaybackPosition {
    PlaybackPosition { item_id: item.into(), content_index: 0, played: samples(ms) }
}

fn played(item: &str, ms: u64) -> Media {
    Media::Report(PlaybackReport::Played(position(item, ms)))
}

/// Samples at 24 kHz.
const fn samples(ms: u64) -> u64 {
    24 * ms
}

fn created(id: &str) -> Value {
    json!({"type": "response.created", "response": {"id": id, "conversation_id": "conv"}})
}

fn created_out_of_band(id: &str) -> Value {
    json!({"type": "response.created", "response": {"id": id, "conversation_id": null}})
}

fn done(id: &str, status: &str) -> Value {
    json!({"type": "response.done", "response": {"id": id, "status": status, "conversation_id": "conv"}})
}

fn audio_delta(response: &str, item: &str, ms: u64) -> Value {
    audio_bytes(response, item, 0, &audio(ms))
}

fn audio_bytes(response: &str, item: &str, content_index: u32, bytes: &Bytes) -> Value {
    let mut delta = String::new();
    Audio::from(bytes.clone()).encode_into(&mut delta);
    json!({"type": "response.output_audio.delta", "response_id": response, "item_id": item,
        "content_index": content_index, "delta": delta})
}

fn audio_done(response: &str, item: &str, content_index: u32) -> Value {
    json!({"type": "response.output_audio.done", "response_id": response, "item_id": item,
        "content_index": content_index})
}

fn speech_started() -> Value {
    json!({"type": "input_audio_buffer.speech_started", "audio_start_ms": 0})
}

fn speech_stopped() -> Value {
    json!({"type": "input_audio_buffer.speech_stopped", "audio_end_ms": 900})
}

/// The server refuses a `response.create`, since a response runs.
fn already_runs(event_id: &Value) -> Value {
    json!({"type": "error", "error": {"code": "conversation_already_has_active_response", "event_id": event_id}})
}
